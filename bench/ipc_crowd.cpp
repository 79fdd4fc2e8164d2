// A listener with thousands of clients: what each costs while it is idle, and how soon one that speaks is heard.
#include <sluice/ipc.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using clock_type = std::chrono::steady_clock;
using microseconds = std::chrono::duration<double, std::micro>;
using number = std::uint64_t;
using sluice::ipc::address;

void must(bool fine, const char* what) {
    if (fine) return;
    std::fprintf(stderr, "ipc_crowd: %s: %s\n", what, std::strerror(errno));
    std::_Exit(1);
}

// Of this process, in KiB.
double resident() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with("VmRSS:")) return std::stod(line.substr(6));
    }
    return 0;
}

// Threads of the library.
int io_threads() {
    int count = 0;
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
        std::ifstream file(task.path() / "comm");
        std::string name;
        std::getline(file, name);
        if (name == "sluice-io") ++count;
    }
    return count;
}

template <class F>
void in_child(F there) {
    std::fflush(stdout);
    const pid_t child = ::fork();
    must(child >= 0, "fork");
    if (child != 0) return;
    there();
    std::exit(0);
}
void wait_for_child() {
    int status = 0;
    must(::wait(&status) > 0 && status == 0, "a child failed");
}

sluice::ipc::options room_for(std::size_t clients) {
    sluice::ipc::options chosen;
    chosen.max_clients = clients + 8;
    chosen.handshake_timeout = std::chrono::seconds(60);
    return chosen;
}

// Tells the parent when it is ready, and waits for it to be done.
struct appointment {
    sluice::ipc::pipe ready, done;
    void come() {
        must(ready.sender<char>().send('r').has_value(), "ready");
        (void)done.receiver<char>().recv();
    }
};

struct crowd {
    double connecting = 0;  // seconds
    double latency = 0;     // microseconds from a send to the receive
    double memory = 0;      // KiB for each
    int threads = 0;
};

double median(std::vector<double> all) {
    std::nth_element(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2), all.end());
    return all[all.size() / 2];
}

// Half of a round trip to a client that answers, beside the others.
template <class Ask>
double latency(Ask ask) {
    std::vector<double> all;
    for (int i = 0; i < 2000; ++i) {
        const auto start = clock_type::now();
        ask();
        all.push_back(microseconds(clock_type::now() - start).count() / 2);
    }
    return median(std::move(all));
}

void answer(const address& asked_at) {
    const auto mine = sluice::ipc::connect<number, number>(asked_at, std::chrono::seconds(10));
    for (const number n : mine.replies) (void)mine.requests.send(n);
}
// Asked by a session, answers among the crowd.
void answer(const address& asked_at, const address& at) {
    const auto asked = sluice::ipc::connect<number, number>(asked_at, std::chrono::seconds(10));
    const auto out = sluice::ipc::connect<number>(at, std::chrono::seconds(10));
    for (const number n : asked.replies) (void)out.send(n);
}

// Clients that send one message each to a merged receiver and then stay.
crowd merged(std::size_t clients) {
    crowd found;
    const auto at = sluice::ipc::unix_socket("sluice-bench-crowd-" + std::to_string(::getpid()));
    const auto aside = sluice::ipc::unix_socket("sluice-bench-aside-" + std::to_string(::getpid()));
    appointment meeting;
    in_child([&] {
        std::vector<sluice::sender<number>> all;
        for (std::size_t i = 0; i < clients; ++i)
            all.push_back(sluice::ipc::connect<number>(at, std::chrono::seconds(10)));
        for (const auto& one : all) must(one.send(1).has_value(), "send");
        meeting.come();
    });
    sluice::ipc::listener inbox(at, room_for(clients)), sessions(aside);
    const double before = resident();
    const auto start = clock_type::now();
    const auto rx = inbox.receiver<number>();
    for (std::size_t i = 0; i < clients; ++i) must(rx.recv().has_value(), "a client is not heard");
    found.connecting = std::chrono::duration<double>(clock_type::now() - start).count();
    const auto ready = meeting.ready.receiver<char>();
    auto done = meeting.done.sender<char>();
    must(ready.recv().has_value(), "ready");
    found.memory = clients == 0 ? 0 : (resident() - before) / static_cast<double>(clients);
    in_child([&] { answer(aside, at); });
    {
        const auto s = sessions.accept<number, number>();
        found.latency = latency([&] {
            must(s.replies.send(1).has_value(), "send");
            must(rx.recv().has_value(), "recv");
        });
    }
    found.threads = io_threads();
    (void)done.send('d');
    wait_for_child();
    wait_for_child();
    return found;
}

// Clients with a session each, in both directions.
crowd with_sessions(std::size_t clients) {
    crowd found;
    const auto at = sluice::ipc::unix_socket("sluice-bench-sessions-" + std::to_string(::getpid()));
    appointment meeting;
    in_child([&] {
        std::vector<sluice::ipc::connection<number, number>> all;
        for (std::size_t i = 0; i < clients; ++i)
            all.push_back(sluice::ipc::connect<number, number>(at, std::chrono::seconds(10)));
        meeting.come();
    });
    sluice::ipc::listener inbox(at, room_for(clients));
    const double before = resident();
    const auto start = clock_type::now();
    std::vector<sluice::ipc::session<number, number>> all;
    for (std::size_t i = 0; i < clients; ++i) all.push_back(inbox.accept<number, number>());
    found.connecting = std::chrono::duration<double>(clock_type::now() - start).count();
    const auto ready = meeting.ready.receiver<char>();
    auto done = meeting.done.sender<char>();
    must(ready.recv().has_value(), "ready");
    found.memory = clients == 0 ? 0 : (resident() - before) / static_cast<double>(clients);
    in_child([&] { answer(at); });
    {
        const auto s = inbox.accept<number, number>();
        found.latency = latency([&] {
            must(s.replies.send(1).has_value(), "send");
            must(s.requests.recv().has_value(), "recv");
        });
    }
    found.threads = io_threads();
    (void)done.send('d');
    wait_for_child();
    wait_for_child();
    return found;
}

}  // namespace

int main(int argc, char** argv) {
    std::size_t most = 10'000;
    for (int i = 1; i < argc; ++i) {
        if (std::string_view(argv[i]) == "--quick") {
            most = 1000;
        } else {
            std::fprintf(stderr, "usage: %s [--quick]\n", argv[0]);
            return 2;
        }
    }
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < most + 64) most = static_cast<std::size_t>(limit.rlim_cur) - 64;

    std::puts("| idle clients | of | connected in, s | KiB each | latency of another, us | threads of the library |");
    std::puts("| ---: | --- | ---: | ---: | ---: | ---: |");
    for (const bool sessions : {false, true}) {
        for (const std::size_t clients : {std::size_t{0}, most / 10, most, std::size_t{0}}) {
            const crowd c = sessions ? with_sessions(clients) : merged(clients);
            std::printf("| %zu | %s | %.2f | %.1f | %.1f | %d |\n", clients, sessions ? "sessions" : "one receiver",
                        c.connecting, c.memory, c.latency, c.threads);
        }
    }
}
