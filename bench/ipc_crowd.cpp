// A listener with thousands of clients: what each costs while it is idle, and how soon one that speaks is heard.
#include "harness.hpp"
#include "processes.hpp"

#include <sluice/ipc.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

namespace bench {
namespace {

using sluice::ipc::address;
using sluice::ipc::listener;
using namespace std::chrono_literals;

// Of this process, in KiB.
double resident() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with("VmRSS:")) return std::stod(line.substr(6));
    }
    return 0;
}

// Threads of the library in this process.
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

// One receiver hears all clients, each of which sends a message to tell that it is there. The client that answers among
// them is asked through a pipe.
class one_receiver {
public:
    using client = sluice::sender<number>;

    static client connect(const address& at) {
        client made = sluice::ipc::connect<number>(at, 10s);
        must(made.send(1).has_value(), "send");
        return made;
    }
    void answer(const address& at) {
        const auto answers = sluice::ipc::connect<number>(at, 10s);
        for (const number n : questions_.receiver<number>()) (void)answers.send(n);
    }

    void open(listener& inbox) { rx_ = inbox.receiver<number>(); }
    void hear_client(listener&) { must(rx_.recv().has_value(), "a client is not heard"); }
    ends<sluice::sender<number>, sluice::receiver<number>> ask(listener&) { return {questions_.sender<number>(), rx_}; }

private:
    sluice::ipc::pipe questions_;
    sluice::receiver<number> rx_;
};

// Each client has a session, the one that answers too.
class sessions {
public:
    using client = sluice::ipc::connection<number, number>;

    static client connect(const address& at) { return sluice::ipc::connect<number, number>(at, 10s); }
    static void answer(const address& at) {
        const client own = connect(at);
        for (const number n : own.replies) (void)own.requests.send(n);
    }

    void open(listener&) {}
    void hear_client(listener& inbox) { all_.push_back(inbox.accept<number, number>()); }
    static ends<sluice::sender<number>, sluice::receiver<number>> ask(listener& inbox) {
        auto made = inbox.accept<number, number>();
        return {std::move(made.replies), std::move(made.requests)};
    }

private:
    std::vector<sluice::ipc::session<number, number>> all_;
};

struct figures {
    double seconds_to_connect = 0;
    double seconds_of_trips = 0;  // one way
    double kib_each = 0;
    int io_threads = 0;
};

template <class Hearing>
figures with_crowd(number clients, number round_trips) {
    figures found;
    const address at = sluice::ipc::unix_socket("sluice-bench-crowd-" + std::to_string(::getpid()));
    sluice::ipc::pipe ready, over;
    const child crowd([&] {
        std::vector<typename Hearing::client> all;
        for (number n = 0; n < clients; ++n) all.push_back(Hearing::connect(at));
        must(ready.sender<char>().send('r').has_value(), "ready");
        (void)over.receiver<char>().recv();
    });
    sluice::ipc::options options;
    options.max_clients = static_cast<std::size_t>(clients) + 8;
    options.handshake_timeout = 60s;
    listener inbox(at, options);
    Hearing hearing;
    const double before = resident();
    found.seconds_to_connect = seconds_of([&] {
        hearing.open(inbox);
        for (number n = 0; n < clients; ++n) hearing.hear_client(inbox);
    });
    const auto end = over.sender<char>();
    must(ready.receiver<char>().recv().has_value(), "ready");
    if (clients > 0) found.kib_each = (resident() - before) / static_cast<double>(clients);

    const child answerer([&] { hearing.answer(at); });
    {
        const auto [tx, rx] = hearing.ask(inbox);
        const auto trip = [&tx = tx, &rx = rx] {
            must(tx.send(1).has_value(), "send");
            must(rx.recv().has_value(), "recv");
        };
        trip();  // until then the answerer is not there
        found.seconds_of_trips = seconds_of([&] {
                                     for (number n = 0; n < round_trips; ++n) trip();
                                 }) /
                                 2;
    }
    found.io_threads = io_threads();
    must(end.send('e').has_value(), "end");
    crowd.wait();
    answerer.wait();
    return found;
}

// The listener is in a child too: what one crowd has left behind in the memory of a process does not serve the next.
template <class Hearing>
double measure(benchmark::State& state, number clients, number messages) {
    void* const shared = ::mmap(nullptr, sizeof(figures), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(shared != MAP_FAILED, "mmap");
    const child process([&] { ::new (shared) figures(with_crowd<Hearing>(clients, messages)); });
    process.wait();
    const figures found = *static_cast<const figures*>(shared);
    ::munmap(shared, sizeof(figures));
    state.counters["seconds_to_connect"] = found.seconds_to_connect;
    state.counters["kib_each"] = found.kib_each;
    state.counters["io_threads"] = found.io_threads;
    return found.seconds_of_trips;
}

// Raises the limit of descriptors as far as it goes. Each client takes one.
number most_clients(number wanted) {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    return std::min(wanted, static_cast<number>(limit.rlim_cur) - 64);
}

const part crowds([](const plan& p) {
    const number most = most_clients(p.quick ? 1000 : 10'000);
    const effort how{.repetitions = p.repetitions(), .messages = 2000};
    for (const number clients : {number{0}, most / 10, most}) {
        const std::string parameter = std::to_string(clients);
        add_timed("ipc crowd", parameter, "one receiver", how,
                  [clients](benchmark::State& s, number n) { return measure<one_receiver>(s, clients, n); });
        add_timed("ipc crowd", parameter, "sessions", how,
                  [clients](benchmark::State& s, number n) { return measure<sessions>(s, clients, n); });
    }
});

}  // namespace
}  // namespace bench
