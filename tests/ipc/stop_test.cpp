// Stopping is prompt, and leaves nothing behind: threads, descriptors, files.
#include "support.hpp"

#include <filesystem>
#include <functional>
#include <future>
#include <stdexcept>

#include <pthread.h>

using namespace std::chrono_literals;
using sluice::errc;
using test::family;

namespace {

// Far above what it takes, a time slice or two, and far below the time-out of the tests.
constexpr auto promptly = test::sanitized || test::emulated ? 5000ms : 1000ms;

template <class F>
bool prompt(F f) {
    const test::stopwatch watch;
    f();
    return watch.elapsed() < promptly;
}

struct two_ends {
    int fds[2];
    two_ends() { REQUIRE(::pipe2(fds, O_CLOEXEC) == 0); }
    sluice::ipc::pipe link(sluice::ipc::options chosen = {}) {
        return sluice::ipc::pipe(fds[0], -1, std::move(chosen));
    }
};

// Sends until nothing goes any more: the kernel's buffer is full, and then the channel.
void fill(const sluice::sender<std::string>& tx) {
    while (tx.send_timeout(std::string(1 << 16, 'x'), 50ms)) {
    }
}

// A codec that does as it is told.
struct told {
    int n;
};
std::function<void(int)> when_decoding;

}  // namespace

template <>
struct sluice::codec<told> {
    static constexpr std::string_view name = "told";
    static void encode(const told& t, std::vector<std::byte>& out) { codec<int>::encode(t.n, out); }
    static told decode(std::span<const std::byte> bytes) {
        const told t{codec<int>::decode(bytes)};
        if (when_decoding) when_decoding(t.n);
        return t;
    }
};

TEST_CASE("an end that waits for the system goes when its handle is dropped") {
    const test::no_leaks none;
    SECTION("a receiver of a pipe") {
        two_ends p;
        sluice::ipc::pipe link = p.link();
        auto rx = link.receiver<int>();
        CHECK(rx.recv_timeout(5ms) == errc::timeout);
        CHECK(prompt([&] {
            rx = {};
            CHECK(none.threads_gone());
        }));
        ::close(p.fds[1]);
    }
    SECTION("a sender that has nothing to send") {
        two_ends p;
        sluice::ipc::pipe link(-1, p.fds[1]);
        auto tx = link.sender<int>();
        CHECK(prompt([&] {
            tx = {};
            CHECK(none.threads_gone());
        }));
        ::close(p.fds[0]);
    }
    SECTION("a listener's receiver, with its clients") {
        sluice::ipc::listener inbox(test::fresh_address(family::unix_socket));
        auto rx = inbox.receiver<int>();
        const auto tx = sluice::ipc::connect<int>(inbox.address());
        CHECK(tx.send(1));
        CHECK(rx.recv() == 1);
        CHECK(prompt([&] {
            rx = {};
            CHECK(test::eventually([&] { return tx.is_closed(); }));
        }));
        CHECK(test::eventually([&] { return !std::filesystem::exists(inbox.address().path()); }));
    }
    SECTION("a receiver whose channel is full") {
        sluice::ipc::listener inbox(test::fresh_address(family::unix_socket));
        auto rx = inbox.receiver<std::string>();
        const auto tx = sluice::ipc::connect<std::string>(inbox.address());
        fill(tx);
        CHECK(prompt([&] {
            rx = {};
            CHECK(test::eventually([&] { return tx.is_closed(); }));
        }));
    }
    CHECK(none.hold());
}

TEST_CASE("a sender that is closed while it is blocked writes out what was sent") {
    const test::no_leaks none;
    {
        sluice::ipc::listener inbox(test::fresh_address(family::unix_socket));
        const auto rx = inbox.receiver<std::string>();
        auto tx = sluice::ipc::connect<std::string>(inbox.address());
        std::size_t sent = 0;
        while (tx.send_timeout(std::string(1 << 16, 'x'), 50ms)) ++sent;
        CHECK(sent > 0);
        SECTION("closed") { CHECK(tx.close()); }
        SECTION("dropped") { CHECK_FALSE((tx = {})); }
        std::size_t received = 0;
        while (received < sent && rx.recv_timeout(test::patience)) ++received;
        CHECK(received == sent);
        CHECK_FALSE(inbox.error());
    }
    CHECK(none.hold());
}

#if defined(__cpp_lib_jthread)
TEST_CASE("a stop token ends what is blocked, at either end, at once") {
    const test::no_leaks none;
    std::stop_source stop;
    SECTION("writing") {
        sluice::ipc::listener inbox(test::fresh_address(family::unix_socket));
        const auto rx = inbox.receiver<std::string>();
        const auto tx = sluice::ipc::connect<std::string>(inbox.address(), {.stop = stop.get_token()});
        fill(tx);
        CHECK(prompt([&] {
            stop.request_stop();
            CHECK(tx.send("more") == errc::closed);
        }));
    }
    SECTION("reading") {
        two_ends p;
        sluice::ipc::pipe link = p.link({.stop = stop.get_token()});
        const auto rx = link.receiver<int>();
        test::task waiting([&] { return rx.recv() == errc::closed; });
        CHECK(test::wait_until_asleep(waiting));
        CHECK(prompt([&] {
            stop.request_stop();
            CHECK(waiting.get());
        }));
        CHECK(link.error() == std::errc::operation_canceled);
        ::close(p.fds[1]);
    }
    SECTION("accepting") {
        sluice::ipc::listener inbox(test::fresh_address(family::unix_socket));
        test::task waiting([&] { return !inbox.accept<int, int>(stop.get_token()); });
        CHECK(test::wait_until_asleep(waiting));
        CHECK(prompt([&] {
            stop.request_stop();
            CHECK(waiting.get());
        }));
    }
    SECTION("accepting, while a client says nothing") {
        sluice::ipc::listener inbox(test::fresh_address(family::unix_socket), {.stop = stop.get_token()});
        test::task waiting([&] { return !inbox.accept<int, int>(); });
        CHECK(test::wait_until_asleep(waiting));
        const auto held = test::holdings().descriptors;
        test::plain_client silent(inbox.address());
        CHECK(test::eventually([&] { return test::holdings().descriptors == held + 2; }));
        CHECK(prompt([&] {
            stop.request_stop();
            CHECK(waiting.get());
        }));
        CHECK(silent.hung_up());
    }
    SECTION("writing as fast as it is read") {
        sluice::ipc::listener inbox(test::fresh_address(family::unix_socket));
        const auto rx = inbox.receiver<int>();
        const auto tx = sluice::ipc::connect<int>(inbox.address(), {.stop = stop.get_token()});
        test::task sending([&] {
            for (int n = 0; tx.send(n); ++n) {
            }
            return true;
        });
        for (int n = 0; n < 100'000; ++n) REQUIRE(rx.recv() == n);
        test::task receiving([&] {
            while (rx.recv_timeout(test::patience) != errc::closed) {
            }
            return true;
        });
        CHECK(prompt([&] {
            stop.request_stop();
            CHECK(sending.get());
        }));
        inbox.close();
        CHECK(receiving.get());
    }
    SECTION("waiting for a listener") {
        const auto nowhere = sluice::ipc::unix_socket(test::fresh_name());
        test::task waiting([&] {
            try {
                (void)sluice::ipc::connect<int>(nowhere, 1h, {.stop = stop.get_token()});
                return std::error_code();
            } catch (const std::system_error& e) {
                return e.code();
            }
        });
        CHECK(test::wait_until_asleep(waiting));
        CHECK(prompt([&] {
            stop.request_stop();
            CHECK(waiting.get() == std::errc::operation_canceled);
        }));
    }
    SECTION("before it began") {
        stop.request_stop();
        two_ends p;
        sluice::ipc::pipe link = p.link({.stop = stop.get_token()});
        CHECK(link.receiver<int>().recv() == errc::closed);
        ::close(p.fds[1]);
    }
    CHECK(none.hold());
}
#endif

TEST_CASE("closing a listener ends accept, the connections and the file, at once") {
    const auto kind = GENERATE(family::unix_socket, family::tcp);
    const test::no_leaks none;
    SECTION("accepting") {
        sluice::ipc::listener inbox(test::fresh_address(kind));
        test::task waiting([&] { return !inbox.accept<int, int>(); });
        CHECK(test::wait_until_asleep(waiting));
        CHECK(prompt([&] {
            inbox.close();
            CHECK(waiting.get());
        }));
    }
    SECTION("receiving, while a client is blocked") {
        sluice::ipc::listener inbox(test::fresh_address(kind));
        const auto rx = inbox.receiver<std::string>();
        const auto tx = sluice::ipc::connect<std::string>(inbox.address());
        fill(tx);
        CHECK(prompt([&] { inbox.close(); }));
        CHECK(test::eventually([&] { return tx.is_closed(); }));
        while (const auto message = rx.try_recv()) CHECK(message->size() == 1 << 16);
        CHECK(rx.try_recv() == errc::closed);
    }
    CHECK(none.hold());
}

TEST_CASE("a codec may close the listener, whichever thread calls it") {
    const test::no_leaks none;
    {
        sluice::ipc::listener inbox(test::fresh_address(family::unix_socket));
        const auto client = sluice::ipc::connect<told, int>(inbox.address());
        const auto session = inbox.accept<told, int>();
        when_decoding = [&](int n) {
            if (n != 2) return;
            session.replies.close();  // for which the loop waits while the codec runs
            inbox.close();
        };
        CHECK(client.requests.send({1}));
        CHECK(session.requests.recv().has_value());
        test::task waiting([&] { return session.requests.recv().has_value(); });
        CHECK(test::wait_until_asleep(waiting));
        CHECK(client.requests.send({2}));
        CHECK(prompt([&] { CHECK(waiting.get()); }));
        when_decoding = nullptr;
    }
    CHECK(none.hold());
}

TEST_CASE("a codec may try to receive from the channel that it decodes for") {
    two_ends p;
    sluice::ipc::pipe reading = p.link(), writing(-1, p.fds[1]);
    const auto rx = reading.receiver<told>();
    const auto tx = writing.sender<told>();
    int timed_out = 0;
    when_decoding = [&](int n) {
        if (n == 2 && rx.recv_timeout(1ms) == errc::timeout) ++timed_out;
    };
    for (int i = 0; i < 20; ++i) {
        test::task waiting([&] { return rx.recv().has_value(); });
        CHECK(test::wait_until_asleep(waiting));
        CHECK(tx.send({2}));
        CHECK(waiting.get());
    }
    when_decoding = nullptr;
    CHECK(timed_out == 20);
}

TEST_CASE("an end with a thread of its own has its codec called there, so that a time-out holds") {
    std::promise<void> receive_is_over;
    const auto over = receive_is_over.get_future().share();
    when_decoding = [&](int n) {
        if (n == 1) over.wait_for(test::patience);
    };
    two_ends p;
    sluice::ipc::pipe reading = p.link({.own_thread = true}), writing(-1, p.fds[1]);
    const auto rx = reading.receiver<told>();
    const auto tx = writing.sender<told>();
    CHECK(tx.send({0}));
    CHECK(rx.recv().has_value());
    test::task waiting([&] {
        const bool timed_out = rx.recv_timeout(100ms) == errc::timeout;
        receive_is_over.set_value();
        return timed_out;
    });
    CHECK(test::wait_until_asleep(waiting));
    CHECK(tx.send({1}));
    CHECK(waiting.get());
    CHECK(rx.recv().has_value());
    when_decoding = nullptr;
}

TEST_CASE("a thread that is cancelled as it receives from a session leaves it in order") {
    if (test::sanitized) {
        SUCCEED("ThreadSanitizer does not see the locks of a thread that is cancelled in one of its own functions");
        return;
    }
    sluice::ipc::listener inbox(test::fresh_address(family::unix_socket));
    const auto client = sluice::ipc::connect<int, int>(inbox.address());
    const auto session = inbox.accept<int, int>();
    CHECK(client.requests.send(1));
    CHECK(session.requests.recv() == 1);
    for (int i = 0; i < 300; ++i) {
        pthread_t receiving;
        const auto receive = [](void* rx) -> void* {
            while (static_cast<const sluice::receiver<int>*>(rx)->recv()) {
            }
            return nullptr;
        };
        REQUIRE(::pthread_create(&receiving, nullptr, receive,
                                 const_cast<void*>(static_cast<const void*>(&session.requests))) == 0);
        if (i % 2 == 0) CHECK(client.requests.send(i));
        ::pthread_cancel(receiving);
        void* outcome = nullptr;
        ::pthread_join(receiving, &outcome);
        CHECK(outcome == PTHREAD_CANCELED);
    }
    while (session.requests.recv_timeout(50ms)) {
    }
    CHECK(client.requests.send(2));
    CHECK(session.requests.recv_timeout(test::patience) == 2);
}

TEST_CASE("an idle loop sleeps") {
    const auto loop_switches = [] {
        long all = 0;
        for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task")) {
            std::ifstream status(thread.path() / "status");
            for (std::string line; std::getline(status, line);) {
                if (line.starts_with("voluntary_ctxt_switches:")) all += std::stol(line.substr(24));
            }
        }
        return all;
    };
    sluice::ipc::listener inbox(test::fresh_address(family::unix_socket));
    const auto rx = inbox.receiver<int>();
    const auto tx = sluice::ipc::connect<int>(inbox.address());
    CHECK(tx.send(1));
    CHECK(rx.recv() == 1);
    // Only this thread wakes while it waits: for its own time-out.
    CHECK(rx.recv_timeout(20ms) == errc::timeout);
    const long before = loop_switches();
    CHECK(rx.recv_timeout(300ms) == errc::timeout);
    CHECK(loop_switches() - before < 20);
}

TEST_CASE("exceptions leave nothing behind") {
    const test::no_leaks none;
    SECTION("of the program, while ends are open") {
        CHECK_THROWS_AS(
            [] {
                sluice::ipc::listener inbox(test::fresh_address(family::unix_socket));
                const auto rx = inbox.receiver<int>();
                const auto tx = sluice::ipc::connect<int>(inbox.address());
                (void)tx.send(1);
                throw std::runtime_error("of the test");
            }(),
            std::runtime_error);
    }
    SECTION("of opening") {
        CHECK_THROWS_AS(sluice::ipc::connect<int>(sluice::ipc::unix_socket(test::fresh_name())), std::system_error);
        CHECK_THROWS_AS(sluice::ipc::listener(sluice::ipc::unix_socket("no/such/folder")), std::system_error);
        CHECK_THROWS_AS(sluice::ipc::pipe(-1, -1).sender<int>(), std::system_error);
    }
    CHECK(none.hold());
}
