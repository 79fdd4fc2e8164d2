// A receiver that does not keep up: memory stays bounded, senders block, and no message is lost.
#include "support.hpp"

using namespace std::chrono_literals;
using sluice::errc;
using test::family;

namespace {

constexpr std::size_t large = 1 << 16;

struct blocked_link {
    explicit blocked_link(family kind)
        : inbox(test::fresh_address(kind), {.capacity = 4}),
          rx(inbox.receiver<std::string>()),
          tx(sluice::ipc::connect<std::string>(inbox.address(), {.capacity = 4})) {}

    sluice::ipc::listener inbox;
    sluice::receiver<std::string> rx;
    sluice::sender<std::string> tx;
};

std::string numbered(std::size_t n) {
    std::string message = std::to_string(n);
    message.resize(large, ' ');
    return message;
}

// Sends until no message has gone for a while; how many went.
std::size_t send_until_blocked(const sluice::sender<std::string>& tx) {
    std::size_t sent = 0;
    while (tx.send_timeout(numbered(sent), 200ms)) ++sent;
    return sent;
}

}  // namespace

TEST_CASE("a receiver that stops reading blocks the sender, whose messages wait") {
    const auto kind = GENERATE(family::unix_socket, family::tcp);
    const test::no_leaks none;
    {
        blocked_link link(kind);
        const std::size_t sent = send_until_blocked(link.tx);
        CHECK(sent > 4);
        // The channels, the loops' buffers and the kernel's: some megabytes, however much more is sent.
        CHECK(sent * large < 32'000'000);
        CHECK(link.tx.full());

        std::string kept = numbered(sent);
        CHECK(link.tx.send_timeout(std::move(kept), 10ms) == errc::timeout);
        CHECK(kept == numbered(sent));
        CHECK(link.tx.try_send(std::move(kept)) == errc::full);
        CHECK(kept == numbered(sent));

        test::task last([&] { return link.tx.send(std::move(kept)).has_value(); });
        CHECK(test::wait_until_asleep(last));
        bool in_order = true;
        for (std::size_t n = 0; n <= sent; ++n)
            in_order = in_order && link.rx.recv_timeout(test::patience) == numbered(n);
        CHECK(in_order);
        CHECK(last.get());
        CHECK_FALSE(link.inbox.error());
    }
    CHECK(none.hold());
}

TEST_CASE("a select sends when there is room again") {
    blocked_link link(family::unix_socket);
    const std::size_t sent = send_until_blocked(link.tx);
    const std::string next = numbered(sent);
    CHECK(sluice::select(sluice::on_send(link.tx, next), sluice::on_timeout(1ms, [] {})) == 1U);
    CHECK(link.rx.recv() == numbered(0));
    std::size_t received = 1;
    bool went = false;
    while (!went) {
        (void)sluice::select(
            sluice::on_send(link.tx, next, [&] { went = true; }),
            sluice::on_recv(link.rx, [&](std::string message) { CHECK(message == numbered(received++)); }));
    }
    while (received <= sent) CHECK(link.rx.recv() == numbered(received++));
    CHECK(link.rx.try_recv() == errc::empty);
}

TEST_CASE("a process that is stopped blocks its sender, and loses nothing") {
    const std::string name = test::fresh_name();
    test::peer server({"receive_all", name});
    CHECK(server.line() == sluice::ipc::unix_socket(name).to_string());
    const auto tx = sluice::ipc::connect<test::serial>(sluice::ipc::unix_socket(name), {.capacity = 16});
    server.signal(SIGSTOP);
    test::serial sent = 0;
    while (tx.send_timeout(sent, 200ms)) ++sent;
    CHECK(sent > 16);
    CHECK_FALSE(tx.is_closed());
    server.signal(SIGCONT);
    for (int more = 0; more < 1000 && tx.send(sent); ++more) ++sent;
    CHECK(tx.send(~test::serial{0}));
    CHECK(server.wait() == test::success);
    CHECK(test::eventually([&] { return tx.is_closed(); }));
}
