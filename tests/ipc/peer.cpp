// The other process of the tests: each task is a mode of its own, and its exit status says whether it went well.
#include <sluice/ipc.hpp>
#include <sluice/sluice.hpp>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <semaphore>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace std::chrono_literals;
using words = std::vector<std::string>;
using number = std::uint64_t;

constexpr int failed = 1, unknown = 2;  // exit statuses

sluice::ipc::address address_of(const std::string& text) {
    if (text.starts_with("tcp:"))
        return sluice::ipc::tcp("127.0.0.1", static_cast<std::uint16_t>(std::stoi(text.substr(text.rfind(':') + 1))));
    return sluice::ipc::unix_socket(text);
}

// Tells the test that something is done, and waits until it lets this process go on.
void tell(const std::string& what) {
    std::printf("%s\n", what.c_str());
    std::fflush(stdout);
}
void wait_for_the_test() {
    for (int c = 0; c != EOF && c != '\n';) c = std::getchar();
}

bool send_numbers(const sluice::sender<number>& tx, number count) {
    for (number n = 0; n < count; ++n) {
        if (!tx.send(n)) return false;
    }
    return true;
}
bool receive_numbers(const sluice::receiver<number>& rx, number count) {
    number next = 0;
    for (const number n : rx) {
        if (n != next++) return false;
    }
    return next == count;
}

// ---- A name server that never answers

bool never_answers = false;

// Leaves the question behind, and ends.
bool silent_name_server(const words&) {
    never_answers = true;
    try {
        (void)sluice::ipc::connect<number>(sluice::ipc::tcp("silent.test", 80), 50ms);
    } catch (const std::system_error& e) {
        return e.code() == std::errc::timed_out;
    }
    return false;
}

// ---- Over inherited descriptors

bool pipe_send(const words& w) {
    return send_numbers(sluice::ipc::pipe(-1, std::stoi(w[0])).sender<number>(), std::stoull(w[1]));
}
bool pipe_recv(const words& w) {
    sluice::ipc::pipe link(std::stoi(w[0]), -1);
    const bool outcome = receive_numbers(link.receiver<number>(), std::stoull(w[1]));
    return !link.error() && outcome;
}
bool pipe_hold(const words& w) {
    const auto rx = sluice::ipc::pipe(std::stoi(w[0]), -1).receiver<number>();
    tell("open");
    wait_for_the_test();
    return true;
}

// ---- Fork without exec: here, where no other thread runs yet

template <class F>
pid_t child_that(F body) {
    const pid_t child = ::fork();
    if (child == 0) std::exit(body() ? 0 : failed);
    return child;
}
bool ended_well(pid_t child) {
    int status = 0;
    return child > 0 && ::waitpid(child, &status, 0) == child && status == 0;
}

bool fork_both_ways(const words& w) {
    const number count = std::stoull(w[0]);
    sluice::ipc::pipe requests, replies;
    const pid_t child = child_that([&] {
        const auto rx = requests.receiver<number>();
        const auto tx = replies.sender<number>();
        for (const number n : rx) {
            if (!tx.send(n)) return false;
        }
        return !requests.error();
    });
    const auto rx = replies.receiver<number>();
    std::thread sending([&] { send_numbers(requests.sender<number>(), count); });
    const bool outcome = receive_numbers(rx, count);
    sending.join();
    return ended_well(child) && outcome && !replies.error();
}

// Each child is forked while the pipes to the earlier ones are open: they must not keep each other's open.
bool fork_several(const words&) {
    std::vector<sluice::sender<number>> senders;
    std::vector<pid_t> children;
    for (int i = 0; i < 5; ++i) {
        sluice::ipc::pipe link;
        children.push_back(child_that([&] { return receive_numbers(link.receiver<number>(), 3); }));
        senders.push_back(link.sender<number>());
    }
    bool well = true;
    for (std::size_t i = 0; i < children.size(); ++i) {
        well = send_numbers(senders[i], 3) && well;
        senders[i] = {};
        well = ended_well(children[i]) && well;
    }
    return well;
}

// A child that just lives on keeps no reading end open, so that the writer hears when the reader goes.
bool fork_and_drop(const words&) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return false;
    sluice::ipc::pipe in(ends[0], -1), out(-1, ends[1]);
    auto rx = in.receiver<number>();
    const auto tx = out.sender<number>();
    if (!tx.send(number{1}) || rx.recv() != number{1}) return false;
    const pid_t child = ::fork();
    if (child == 0) {
        ::pause();
        ::_exit(failed);
    }
    rx = {};
    const auto late = std::chrono::steady_clock::now() + 10s;
    while (!tx.is_closed() && std::chrono::steady_clock::now() < late) std::this_thread::yield();
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    return tx.is_closed();
}

// Two threads that each make a pipe and fork a child which reads it: when one writer goes its child must hear of it,
// although the other's child was forked in between.
bool fork_beside_another_thread(const words&) {
    std::array<sluice::ipc::pipe, 2> links;
    std::array<pid_t, 2> children{};
    std::array<std::binary_semaphore, 2> made{std::binary_semaphore{0}, std::binary_semaphore{0}};
    const auto serve = [&](std::size_t i) {
        links[i] = sluice::ipc::pipe();
        made[i].release();
        made[1 - i].acquire();  // both are there, and neither is forked for
        children[i] = child_that([&] {
            ::alarm(60);  // it must not outlive a test that was given up
            if (!receive_numbers(links[i].receiver<number>(), 3)) return false;
            try {
                (void)links[1 - i].receiver<number>();
            } catch (const std::system_error& e) {
                return std::string(e.what()).find("another thread") != std::string::npos;
            }
            return false;
        });
    };
    std::thread second([&] { serve(1); });
    serve(0);
    second.join();
    bool well = true;
    for (const std::size_t i : {0u, 1u}) {
        well = send_numbers(links[i].sender<number>(), 3) && well;  // dropped at once
        well = ended_well(children[i]) && well;
    }
    return well;
}

// A pipe that one thread makes and another forks for: it moves it first.
bool fork_after_moving(const words&) {
    sluice::ipc::pipe link;
    bool outcome = false;
    std::thread([&] {
        sluice::ipc::pipe mine = std::move(link);
        const pid_t child = child_that([&] { return receive_numbers(mine.receiver<number>(), 3); });
        const bool sent = send_numbers(mine.sender<number>(), 3);
        outcome = ended_well(child) && sent;
    }).join();
    return outcome;
}

bool fork_and_die(const words&) {
    sluice::ipc::pipe link;
    const pid_t child = ::fork();
    if (child == 0) {
        auto tx = link.sender<number>();
        if (!tx.send(number{1})) std::_Exit(failed);
        tell("sent");
        wait_for_the_test();
        std::_Exit(failed);
    }
    const auto rx = link.receiver<number>();
    const bool whole = rx.recv() == number{1};
    ::kill(child, SIGKILL);
    const bool end = rx.recv() == sluice::errc::closed && link.error() == std::errc::connection_reset;
    ::waitpid(child, nullptr, 0);
    return whole && end;
}

// The reader goes while SIGPIPE would end the process: before a write of this thread, and at any time.
bool sigpipe(const words&) {
    std::signal(SIGPIPE, SIG_DFL);
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return false;
    ::close(ends[0]);
    iovec part{ends, sizeof ends};
    namespace detail = sluice::ipc::detail;
    if (detail::write_pipe(ends[1], &part, 1) != -1 || errno != EPIPE) return false;
    ::close(ends[1]);

    sluice::ipc::pipe link;
    const pid_t child = child_that([&] { return link.receiver<number>().recv() == number{0}; });
    const auto tx = link.sender<number>();
    number n = 0;
    while (tx.send(n)) ++n;
    return ended_well(child) && n > 0 && !link.error();
}

// What was sent is written out although main returns at once.
bool send_and_exit(const words& w) {
    static sluice::sender<number> kept;  // never dropped
    kept = sluice::ipc::connect<number>(address_of(w[0]), 10s);
    return send_numbers(kept, std::stoull(w[1]));
}

// The reader takes less than is sent, so that something is left to be written out when main returns.
bool block_and_exit(const words& w) {
    static sluice::sender<std::string> kept;
    kept = sluice::ipc::connect<std::string>(address_of(w[0]), 10s);
    int sent = 0;
    while (kept.send_timeout(std::string(1 << 16, 'x'), 200ms)) ++sent;
    tell(std::to_string(sent));
    return true;
}

// What exec leaves open.
bool descriptors(const words&) {
    int open = 0;
    for (int fd = 3; fd < 256; ++fd) open += ::fcntl(fd, F_GETFD) != -1 ? 1 : 0;
    tell(std::to_string(open));
    return true;
}

// ---- Over sockets

bool client(const words& w) {
    return send_numbers(sluice::ipc::connect<number>(address_of(w[0]), 10s), std::stoull(w[1]));
}

bool late_client(const words& w) {
    tell("ready");
    wait_for_the_test();
    return client(w);
}

bool tagged_client(const words& w) {
    using tagged = std::array<number, 2>;
    const auto tx = sluice::ipc::connect<tagged>(address_of(w[0]), 10s);
    for (number n = 0; n < std::stoull(w[2]); ++n) {
        if (!tx.send(tagged{std::stoull(w[1]), n})) return false;
    }
    return true;
}

bool echo(const words& w) {
    auto [requests, replies] = sluice::ipc::connect<number, number>(address_of(w[0]), 10s);
    for (const number n : replies) {
        if (!requests.send(n)) return false;
    }
    return true;
}

bool blocks(const words& w) {
    const auto tx = sluice::ipc::connect<std::string>(address_of(w[0]), 10s);
    tell("connected");
    for (char c = 'a'; tx.send(std::string(1 << 20, c)); c = c == 'z' ? 'a' : static_cast<char>(c + 1)) {
    }
    return true;
}

bool serve(const words& w) {
    sluice::ipc::listener inbox(address_of(w[0]));
    const auto rx = inbox.receiver<number>();
    tell(inbox.address().to_string());
    wait_for_the_test();
    return true;
}

// Receives the numbers from 0 on until one that is out of order, which must be the word for the end.
bool receive_all(const words& w) {
    sluice::ipc::listener inbox(address_of(w[0]));
    const auto rx = inbox.receiver<number>();
    tell(inbox.address().to_string());
    for (number next = 0;; ++next) {
        const auto n = rx.recv();
        if (n != next) return n == ~number{0} && next > 0;
    }
}

bool name_in_use(const words& w) {
    try {
        const sluice::ipc::listener inbox(address_of(w[0]));
        return false;
    } catch (const std::system_error& e) {
        return e.code() == std::errc::address_in_use && std::string(e.what()).find(w[0]) != std::string::npos;
    }
}

// ---- Over a queue of the system

#if defined(__linux__)
bool queue_send(const words& w) {
    return send_numbers(sluice::ipc::message_queue(w[0]).sender<number>(), std::stoull(w[1]));
}
bool queue_recv(const words& w) {
    const auto rx = sluice::ipc::message_queue(w[0]).receiver<number>();
    for (number n = 0; n < std::stoull(w[1]); ++n) {
        if (rx.recv_timeout(20s) != n) return false;
    }
    return true;
}
#endif

}  // namespace

// Children of this program, which has threads, start threads of their own.
#if defined(__SANITIZE_THREAD__)
#define SLUICE_TEST_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SLUICE_TEST_THREAD_SANITIZER 1
#endif
#endif
#if defined(SLUICE_TEST_THREAD_SANITIZER)
extern "C" const char* __tsan_default_options() { return "die_after_fork=0"; }
#endif

// Instead of the C library's.
extern "C" int getaddrinfo(const char* host, const char* service, const addrinfo* hints, addrinfo** found) {
    static const auto original = reinterpret_cast<decltype(&::getaddrinfo)>(::dlsym(RTLD_NEXT, "getaddrinfo"));
    while (never_answers && std::string(host) == "silent.test" && (hints->ai_flags & AI_NUMERICHOST) == 0) ::pause();
    return original(host, service, hints, found);
}

int main(int argc, char** argv) {
    const std::map<std::string, std::function<bool(const words&)>> modes = {
        {"pipe_send", pipe_send},
        {"pipe_recv", pipe_recv},
        {"pipe_hold", pipe_hold},
        {"fork_both_ways", fork_both_ways},
        {"fork_several", fork_several},
        {"fork_beside_another_thread", fork_beside_another_thread},
        {"fork_after_moving", fork_after_moving},
        {"fork_and_die", fork_and_die},
        {"fork_and_drop", fork_and_drop},
        {"silent_name_server", silent_name_server},
        {"sigpipe", sigpipe},
        {"send_and_exit", send_and_exit},
        {"block_and_exit", block_and_exit},
        {"descriptors", descriptors},
        {"client", client},
        {"late_client", late_client},
        {"tagged_client", tagged_client},
        {"echo", echo},
        {"blocks", blocks},
        {"serve", serve},
        {"receive_all", receive_all},
        {"name_in_use", name_in_use},
#if defined(__linux__)
        {"queue_send", queue_send},
        {"queue_recv", queue_recv},
#endif
    };
    try {
        if (argc < 2) return unknown;
        return modes.at(argv[1])(words(argv + 2, argv + argc)) ? 0 : failed;
    } catch (const std::exception& e) {
        std::fprintf(stderr, "peer %s: %s\n", argc > 1 ? argv[1] : "", e.what());
        return unknown;
    }
}
