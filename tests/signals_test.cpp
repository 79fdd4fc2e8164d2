// receive_signals, with real signals. What needs a process of its own is in programs/signals.cpp.
#include "catch.hpp"
#include "support/outcomes.hpp"
#include "support/scale.hpp"
#include "support/task.hpp"

#include <sluice/signals.hpp>
#include <sluice/sluice.hpp>

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <list>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace test;
using namespace std::chrono_literals;
using sluice::errc;
using sluice::receive_signals;

namespace {

void send_to_process(int signal) { REQUIRE(::kill(::getpid(), signal) == 0); }

std::atomic<int> handled{0};
void count_it(int) { ++handled; }
void ignore_it(int) {}

/// Sets what is done at a signal, and puts back what was done before.
class disposition {
public:
    disposition(int signal, void (*handler)(int)) : signal_(signal) {
        struct sigaction wanted {};
        wanted.sa_handler = handler;
        wanted.sa_flags = SA_NODEFER;
        sigaddset(&wanted.sa_mask, SIGWINCH);
        REQUIRE(::sigaction(signal, &wanted, &before_) == 0);
    }
    disposition(const disposition&) = delete;
    disposition& operator=(const disposition&) = delete;
    ~disposition() { ::sigaction(signal_, &before_, nullptr); }

private:
    int signal_;
    struct sigaction before_ {};
};

void (*handler_of(int signal))(int) {
    struct sigaction now {};
    REQUIRE(::sigaction(signal, nullptr, &now) == 0);
    return now.sa_handler;
}

int threads_named(const std::string& name) {
    int count = 0;
    for (const auto& each : std::filesystem::directory_iterator("/proc/self/task")) {
        std::ifstream comm(each.path() / "comm");
        std::string line;
        count += std::getline(comm, line) && line == name;
    }
    return count;
}

}  // namespace

TEST_CASE("a signal is a message to every receiver that asked for it", "[signals]") {
    const disposition quiet(SIGUSR1, SIG_IGN), quiet_too(SIGUSR2, SIG_IGN);
    const auto both = receive_signals({SIGUSR1, SIGUSR2, SIGUSR1});
    const auto one = receive_signals({SIGUSR1}), other = receive_signals({SIGUSR2});
    send_to_process(SIGUSR1);
    CHECK(both.recv().value() == SIGUSR1);
    CHECK(one.recv().value() == SIGUSR1);
    send_to_process(SIGUSR2);
    CHECK(both.recv().value() == SIGUSR2);
    CHECK(other.recv().value() == SIGUSR2);  // and it was the first
    CHECK(error_in(one.try_recv()) == errc::empty);
    REQUIRE(::pthread_kill(::pthread_self(), SIGUSR1) == 0);
    CHECK(both.recv().value() == SIGUSR1);
    CHECK(one.recv().value() == SIGUSR1);
    CHECK_FALSE(both.is_closed());
}

TEST_CASE("a signal takes part in select, and its copies share the messages", "[signals]") {
    const disposition quiet(SIGUSR1, SIG_IGN);
    auto signals = receive_signals({SIGUSR1});
    const auto copy = signals;
    auto [tx, rx] = sluice::unbounded<int>();
    task selecting([&, &rx = rx] {
        int came = 0;
        sluice::select(sluice::on_recv(rx, [](int) {}), sluice::on_recv(copy, [&](int signal) { came = signal; }));
        return came;
    });
    REQUIRE(wait_until_asleep(selecting));
    signals = {};
    CHECK(handler_of(SIGUSR1) != SIG_IGN);
    send_to_process(SIGUSR1);
    CHECK(selecting.get() == SIGUSR1);
}

TEST_CASE("any number of signals is at least one message", "[signals]") {
    const disposition quiet(SIGUSR1, SIG_IGN), quiet_too(SIGUSR2, SIG_IGN);
    const auto signals = receive_signals({SIGUSR1, SIGUSR2});
    for (int i = 0; i < scaled(1000); ++i) {
        send_to_process(SIGUSR1);
        send_to_process(SIGUSR2);
    }
    REQUIRE(eventually([&] { return signals.size() == 2; }));
    for (int i = 0; i < scaled(1000); ++i) {
        send_to_process(SIGUSR2);
        REQUIRE(signals.size() <= 2);
    }
    std::vector<int> got{signals.recv().value(), signals.recv().value()};
    std::sort(got.begin(), got.end());
    CHECK(got == std::vector<int>{(std::min)(SIGUSR1, SIGUSR2), (std::max)(SIGUSR1, SIGUSR2)});

    // Whenever a signal comes, a message is received after it.
    std::atomic<long> messages{0};
    std::stop_source stop;
    task receiver([&] {
        for (const int signal : signals.until(stop.get_token())) messages += signal > 0;
        return true;
    });
    for (int i = 0; i < scaled(2000); ++i) {
        const long before = messages;
        send_to_process(i % 3 == 0 ? SIGUSR2 : SIGUSR1);
        REQUIRE(eventually([&] { return messages > before; }));
    }
    stop.request_stop();
    CHECK(receiver.get());
}

TEST_CASE("the former disposition comes back with the last receiver, and the thread ends", "[signals]") {
    const disposition counting(SIGUSR1, count_it), quiet(SIGUSR2, SIG_IGN), standard(SIGWINCH, SIG_DFL);
    handled = 0;
    {
        auto first = receive_signals({SIGUSR1, SIGUSR2, SIGWINCH});
        CHECK(eventually([] { return threads_named("sluice-signals") == 1; }));
        auto second = receive_signals({SIGUSR1});
        CHECK(eventually([] { return threads_named("sluice-signals") == 1; }));
        CHECK(handler_of(SIGUSR1) != &count_it);
        first = {};
        CHECK(handler_of(SIGUSR1) != &count_it);
        CHECK(handler_of(SIGUSR2) == SIG_IGN);
        CHECK(handler_of(SIGWINCH) == SIG_DFL);
        send_to_process(SIGUSR1);
        CHECK(second.recv().value() == SIGUSR1);
        CHECK(handled == 0);
    }
    struct sigaction now {};
    REQUIRE(::sigaction(SIGUSR1, nullptr, &now) == 0);
    CHECK(now.sa_handler == &count_it);
    CHECK((now.sa_flags & SA_NODEFER) != 0);
    CHECK(sigismember(&now.sa_mask, SIGWINCH) == 1);
    REQUIRE(::raise(SIGUSR1) == 0);
    CHECK(handled == 1);
    CHECK(eventually([] { return threads_named("sluice-signals") == 0; }));
}

TEST_CASE("a disposition that somebody else has set meanwhile is left alone", "[signals]") {
    const disposition counting(SIGUSR1, count_it);
    auto signals = receive_signals({SIGUSR1});
    {
        const disposition other(SIGUSR1, ignore_it);
        signals = {};
        CHECK(handler_of(SIGUSR1) == &ignore_it);
        REQUIRE(::raise(SIGUSR1) == 0);
    }
    // That one has put back what it found, for which there is no receiver any more: the first to be set gets the signal.
    handled = 0;
    REQUIRE(::raise(SIGUSR1) == 0);
    CHECK(handled == 1);
    CHECK(handler_of(SIGUSR1) == &count_it);

    signals = receive_signals({SIGUSR1});
    send_to_process(SIGUSR1);
    CHECK(signals.recv().value() == SIGUSR1);
    signals = {};
    CHECK(handler_of(SIGUSR1) == &count_it);
    CHECK(handled == 1);
}

TEST_CASE("closing the channel is dropping its receivers", "[signals]") {
    const disposition counting(SIGUSR1, count_it);
    const auto signals = receive_signals({SIGUSR1});
    send_to_process(SIGUSR1);
    REQUIRE(eventually([&] { return signals.size() == 1; }));
    CHECK(signals.close());
    CHECK(handler_of(SIGUSR1) == &count_it);
    CHECK(signals.recv().value() == SIGUSR1);
    CHECK(error_in(signals.recv()) == errc::closed);
}

TEST_CASE("signals that cannot be received are refused", "[signals]") {
    const disposition counting(SIGUSR1, count_it);
    for (const int signal : {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL, 0, -1, NSIG, 32, 1 << 20}) {
        CAPTURE(signal);
        CHECK_THROWS_AS(receive_signals({signal}), std::invalid_argument);
        CHECK_THROWS_AS(receive_signals({SIGUSR1, signal}), std::invalid_argument);
    }
    CHECK(handler_of(SIGUSR1) == &count_it);
    CHECK(eventually([] { return threads_named("sluice-signals") == 0; }));
    const auto none = receive_signals({});
    CHECK(error_in(none.try_recv()) == errc::empty);
    const int highest = emulated ? SIGRTMIN + 1 : SIGRTMAX;  // qemu keeps some for itself
    const auto last = receive_signals({highest});
    send_to_process(highest);
    CHECK(last.recv().value() == highest);
}

TEST_CASE("receivers come and go while signals come", "[signals]") {
    const disposition quiet(SIGUSR1, SIG_IGN), quiet_too(SIGUSR2, SIG_IGN);
    std::stop_source stop;
    task raising([&] {
        while (!stop.stop_requested()) {
            ::kill(::getpid(), SIGUSR1);
            ::kill(::getpid(), SIGUSR2);
            std::this_thread::yield();
        }
        return true;
    });
    std::list<task<bool>> others;
    for (int i = 0; i < 3; ++i) {
        others.emplace_back([i] {
            bool right = true;
            for (int round = 0; round < scaled(100); ++round) {
                const auto signals =
                    (i + round) % 2 == 0 ? receive_signals({SIGUSR1}) : receive_signals({SIGUSR2, SIGUSR1});
                const auto came = signals.recv();
                right = right && came && (*came == SIGUSR1 || *came == SIGUSR2);
            }
            return right;
        });
    }
    for (auto& other : others) CHECK(other.get());
    stop.request_stop();
    CHECK(raising.get());
    CHECK(handler_of(SIGUSR1) == SIG_IGN);
    CHECK(handler_of(SIGUSR2) == SIG_IGN);
}
