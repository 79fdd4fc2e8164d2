// Why a remote end has closed: the cause that its handles tell.
#include "support.hpp"

#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>

using sluice::errc;
using sluice::ipc::ipc_errc;
using test::family;
using test::serial;

namespace {

/// A message that cannot be encoded, or not decoded, if its number says so.
struct fussy {
    int number = 0;
};
constexpr int not_encoded = 1, not_decoded = 2;

/// The error of a cause; none if there is no cause. Any other exception fails the test.
std::error_code code_of(const std::exception_ptr& cause) {
    if (!cause) return {};
    try {
        std::rethrow_exception(cause);
    } catch (const std::system_error& e) {
        return e.code();
    }
}
template <class Handle>
std::error_code closed_by(const Handle& handle) {
    CHECK(test::eventually([&] { return handle.is_closed(); }));
    return code_of(handle.close_cause());
}

/// Both ends of a pipe in this process.
struct whole_pipe {
    explicit whole_pipe(const sluice::ipc::options& chosen = {})
        : out(-1, ends.write, chosen), in(ends.read, -1, chosen) {}
    struct descriptors {
        int read = -1, write = -1;
        descriptors() {
            int both[2];
            REQUIRE(::pipe2(both, O_CLOEXEC) == 0);
            read = both[0];
            write = both[1];
        }
    } ends;
    sluice::ipc::pipe out, in;
};

struct queue_name {
    std::string name = "/" + test::fresh_name();
    ~queue_name() { sluice::ipc::message_queue::remove(name); }
};

}  // namespace

template <>
struct sluice::codec<fussy> {
    static void encode(const fussy& message, std::vector<std::byte>& out) {
        if (message.number == not_encoded) throw std::runtime_error("not this one");
        out.push_back(static_cast<std::byte>(message.number));
    }
    static fussy decode(std::span<const std::byte> bytes) {
        const fussy message{static_cast<int>(bytes.front())};
        if (message.number == not_decoded) throw std::runtime_error("nor this one");
        return message;
    }
};

TEST_CASE("an end that has sent what is too large tells that, and its peer's end does") {
    whole_pipe link({.max_message = 100});
    const auto rx = link.in.receiver<std::string>();
    const auto tx = link.out.sender<std::string>();
    CHECK(tx.close_cause() == nullptr);
    CHECK(tx.send(std::string(100, 'x')));
    CHECK(tx.send(std::string(101, 'x')));
    CHECK(closed_by(tx) == ipc_errc::too_large);
    CHECK(rx.recv() == std::string(100, 'x'));
    CHECK(rx.recv() == errc::closed);
    CHECK(closed_by(rx) == ipc_errc::too_large);
    CHECK(link.out.error() == ipc_errc::too_large);
    CHECK(link.in.error() == ipc_errc::too_large);
}

TEST_CASE("a codec that throws is the cause at both ends, and in both directions") {
    const auto kind = GENERATE(family::unix_socket, family::tcp);
    const auto errors = std::make_shared<sluice::ipc::error_sink>();
    sluice::ipc::listener inbox(test::fresh_address(kind));
    auto [requests, replies] = sluice::ipc::connect<fussy, int>(inbox.address(), {.error_sink = errors});
    const auto session = inbox.accept<fussy, int>();
    REQUIRE(session);
    CHECK(requests.send(fussy{7}));
    CHECK(session.requests.recv().value().number == 7);
    SECTION("as it encodes") {
        CHECK(requests.send(fussy{not_encoded}));
        CHECK(closed_by(requests) == ipc_errc::not_encoded);
        CHECK(closed_by(replies) == ipc_errc::not_encoded);
        CHECK(closed_by(session.requests) == ipc_errc::not_encoded);
        CHECK(closed_by(session.replies) == ipc_errc::not_encoded);
        CHECK(errors->error() == ipc_errc::not_encoded);
    }
    SECTION("as it decodes") {
        CHECK(requests.send(fussy{not_decoded}));
        CHECK(closed_by(session.requests) == ipc_errc::not_decoded);
        CHECK(closed_by(session.replies) == ipc_errc::not_decoded);
        CHECK(closed_by(replies) == ipc_errc::not_decoded);
        CHECK(closed_by(requests) == ipc_errc::not_decoded);
        CHECK(inbox.error() == ipc_errc::not_decoded);
    }
}

TEST_CASE("ends of different types tell that") {
    sluice::ipc::listener inbox(test::fresh_address(family::unix_socket));
    const auto rx = inbox.receiver<std::string>();
    auto [requests, replies] = sluice::ipc::connect<int, int>(inbox.address());
    CHECK(closed_by(replies) == ipc_errc::wrong_type);
    CHECK(closed_by(requests) == ipc_errc::wrong_type);
    SECTION("and the channel of all clients is none of them") {
        const auto good = sluice::ipc::connect<std::string>(inbox.address());
        CHECK(good.send("hello"));
        CHECK(rx.recv() == "hello");
        CHECK(rx.close_cause() == nullptr);
    }
}

TEST_CASE("an end of a queue tells what ended it, and no other") {
    const queue_name q;
    const sluice::ipc::message_queue jobs(q.name, {.max_message = 100});
    SECTION("another type") {
        const auto rx = jobs.receiver<serial>();
        const auto tx = jobs.sender<int>();
        CHECK(tx.send(1));
        CHECK(rx.recv() == errc::closed);
        CHECK(closed_by(rx) == ipc_errc::wrong_type);
        CHECK_FALSE(tx.is_closed());
        CHECK(tx.close_cause() == nullptr);
    }
    SECTION("too large") {
        const auto tx = jobs.sender<std::string>();
        CHECK(tx.send(std::string(101, 'x')));
        CHECK(closed_by(tx) == ipc_errc::too_large);
    }
}

TEST_CASE("a peer that dies is the cause, after its whole messages") {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    sluice::ipc::pipe link(ends[0], -1);
    const auto rx = link.receiver<serial>();
    ::close(ends[1]);  // without an end of the stream
    CHECK(rx.recv() == errc::closed);
    CHECK(closed_by(rx) == link.error());
    CHECK(link.error() == std::errc::connection_reset);
}

TEST_CASE("a clean end has no cause") {
    whole_pipe link;
    auto rx = link.in.receiver<int>();
    auto tx = link.out.sender<int>();
    SECTION("the sender goes") {
        CHECK(tx.send(1));
        tx = {};
        CHECK(rx.recv() == 1);
        CHECK(rx.recv() == errc::closed);
        CHECK(closed_by(rx) == std::error_code());
    }
    SECTION("the receiver goes") {
        rx = {};
        while (tx.send(1)) std::this_thread::yield();
        CHECK(closed_by(tx) == std::error_code());
    }
    SECTION("this side closes it with a cause of its own") {
        CHECK(tx.close(std::make_exception_ptr(std::system_error(std::make_error_code(std::errc::owner_dead)))));
        CHECK(closed_by(tx) == std::errc::owner_dead);
        CHECK(rx.recv() == errc::closed);
        CHECK(closed_by(rx) == std::error_code());
    }
    CHECK_FALSE(link.in.error());
    CHECK_FALSE(link.out.error());
}

TEST_CASE("a stop is a cause, as it is an error of the end") {
    std::stop_source source;
    whole_pipe link({.stop = source.get_token()});
    const auto rx = link.in.receiver<int>();
    const auto tx = link.out.sender<int>();
    source.request_stop();
    CHECK(closed_by(tx) == std::errc::operation_canceled);
    CHECK(closed_by(rx) == std::errc::operation_canceled);
    CHECK(link.out.error() == std::errc::operation_canceled);
}
