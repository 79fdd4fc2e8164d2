// Listeners and their clients, over socket files and TCP: all messages, their ends, names, and that clients do not
// disturb each other.
#include "support.hpp"

#include <array>
#include <filesystem>
#include <thread>

using namespace std::chrono_literals;
using sluice::errc;
using test::family;
using test::serial;

namespace {

constexpr serial million = test::sanitized || test::emulated ? 100'000 : 1'000'000;

using tagged = std::array<serial, 2>;

}  // namespace

TEST_CASE("a million messages go to a client and come back, in order") {
    const auto kind = GENERATE(family::unix_socket, family::tcp);
    const test::no_leaks none;
    {
        sluice::ipc::listener inbox(test::fresh_address(kind));
        test::peer client({"echo", test::spelled(inbox.address())});
        auto session = inbox.accept<serial, serial>();
        REQUIRE(session);
        test::task sending([&tx = session.replies] {
            serial n = 0;
            while (n < million && tx.send(n)) ++n;
            tx = {};
            return n;
        });
        serial next = 0;
        bool in_order = true;
        for (const serial n : session.requests) in_order = in_order && n == next++;
        CHECK(in_order);
        CHECK(next == million);
        CHECK(sending.get() == million);
        CHECK(client.wait() == test::success);
        CHECK_FALSE(inbox.error());
    }
    CHECK(none.hold());
}

TEST_CASE("a hundred clients in processes of their own share one listener") {
    const auto kind = GENERATE(family::unix_socket, family::tcp);
    constexpr int clients = test::sanitized || test::emulated ? 20 : 100;
    constexpr serial each = 1000;
    const test::no_leaks none;
    {
        sluice::ipc::listener inbox(test::fresh_address(kind));
        const auto rx = inbox.receiver<tagged>();
        std::vector<test::peer> peers;
        for (int c = 0; c < clients; ++c) {
            peers.push_back(
                test::peer({"tagged_client", test::spelled(inbox.address()), std::to_string(c), std::to_string(each)}));
        }
        std::vector<serial> next(clients);
        bool in_order = true;
        for (serial n = 0; n < clients * each; ++n) {
            const auto message = rx.recv_timeout(test::patience);
            REQUIRE(message);
            in_order = in_order && (*message)[1] == next.at(static_cast<std::size_t>((*message)[0]))++;
        }
        CHECK(in_order);
        int failed = 0;
        for (test::peer& p : peers) failed += p.wait() == test::success ? 0 : 1;
        CHECK(failed == 0);
        CHECK(rx.try_recv() == errc::empty);
        CHECK_FALSE(inbox.error());
    }
    CHECK(none.hold());
}

TEST_CASE("one thread serves all clients of a listener") {
    sluice::ipc::listener inbox(test::fresh_address(family::unix_socket));
    const auto rx = inbox.receiver<int>();
    const auto first = sluice::ipc::connect<int>(inbox.address());
    CHECK(first.send(1));
    CHECK(rx.recv() == 1);
    const test::holdings before;
    std::vector<test::plain_client> none_of_ours;
    std::vector<std::unique_ptr<test::plain_client>> clients;
    for (int i = 0; i < 20; ++i) {
        clients.push_back(std::make_unique<test::plain_client>(inbox.address()));
        clients.back()->send_handshake<int>();
        clients.back()->write(std::uint32_t{sizeof(int)});
        clients.back()->write(i);
        CHECK(rx.recv() == i);
    }
    CHECK(test::holdings().threads == before.threads);
}

TEST_CASE("what was sent is written out although the program ends at once") {
    const auto kind = GENERATE(family::unix_socket, family::tcp);
    sluice::ipc::listener inbox(test::fresh_address(kind));
    const auto rx = inbox.receiver<serial>();
    test::peer client({"send_and_exit", test::spelled(inbox.address()), "5000"});
    serial received = 0;
    while (received < 5000 && rx.recv_timeout(test::patience) == received) ++received;
    CHECK(received == 5000);
    CHECK(client.wait() == test::success);
    CHECK_FALSE(inbox.error());
}

TEST_CASE("a program that ends waits for its readers, but not for long") {
    sluice::ipc::listener inbox(test::fresh_address(family::unix_socket));
    test::peer client({"block_and_exit", test::spelled(inbox.address())});
    SECTION("slow") {
        const auto rx = inbox.receiver<std::string>();
        const auto first = rx.recv_timeout(test::patience);
        CHECK(first);
        const std::string left = client.line();
        const auto slowly = sluice::tick(1s);
        int received = 1;
        for (int seconds = 0; seconds < 2; ++seconds) {
            CHECK(slowly.recv());
            received += rx.recv_timeout(test::patience) ? 1 : 0;
        }
        for (const std::string& message : rx) {
            received += message.size() == 1 << 16 ? 1 : 0;
            if (std::to_string(received) == left) break;
        }
        CHECK(std::to_string(received) == left);
        CHECK(client.wait() == test::success);
        CHECK_FALSE(inbox.error());
    }
    SECTION("too slow") {
        const auto rx = inbox.receiver<std::string>();
        CHECK(client.line() != "");
        const test::stopwatch watch;
        std::jthread reads([&rx](std::stop_token stop) {
            const auto slowly = sluice::tick(200ms);
            while (slowly.recv(stop) && rx.recv(stop)) {
            }
        });
        CHECK(client.wait() == test::success);
        CHECK(watch.elapsed() < 9s);
    }
    SECTION("nothing is taken") {
        CHECK(client.line() != "");
        const test::stopwatch watch;
        CHECK(client.wait() == test::success);
        CHECK(watch.elapsed() > 1s);
        CHECK(watch.elapsed() < 9s);
    }
}

TEST_CASE("a client gets the reason for which its end has closed") {
    const test::no_leaks none;
    {
        const auto errors = std::make_shared<sluice::ipc::error_sink>();
        sluice::ipc::listener inbox(test::fresh_address(family::unix_socket));
        const auto rx = inbox.receiver<std::string>();
        SECTION("its own message was too large") {
            const auto tx =
                sluice::ipc::connect<std::string>(inbox.address(), {.max_message = 10, .error_sink = errors});
            CHECK(tx.send(std::string(11, 'x')));
            CHECK(test::eventually([&] { return tx.is_closed(); }));
            CHECK(errors->error() == std::errc::message_size);
        }
        SECTION("the listener wanted others") {
            auto [requests, replies] = sluice::ipc::connect<int, int>(inbox.address(), {.error_sink = errors});
            CHECK(replies.recv() == errc::closed);
            CHECK(errors->error() == sluice::ipc::ipc_errc::wrong_type);
            CHECK(inbox.error() == sluice::ipc::ipc_errc::wrong_type);
        }
        SECTION("the listener has gone, which is no error") {
            const auto tx = sluice::ipc::connect<std::string>(inbox.address(), {.error_sink = errors});
            CHECK(tx.send("hello"));
            CHECK(rx.recv() == "hello");
            inbox.close();
            CHECK(test::eventually([&] { return tx.is_closed(); }));
            CHECK_FALSE(errors->error());
        }
    }
    CHECK(none.hold());
}

TEST_CASE("of several clients that wait, the first that has come gets the first session") {
    sluice::ipc::listener inbox(test::fresh_address(family::unix_socket));
    std::vector<std::unique_ptr<test::plain_client>> clients;
    for (int c = 0; c < 5; ++c) clients.push_back(std::make_unique<test::plain_client>(inbox.address()));
    const auto say = [&clients](int c) {
        auto& client = *clients.at(static_cast<std::size_t>(c));
        client.send_handshake<int>(sluice::ipc::detail::type_id<int>());
        client.write(std::uint32_t{sizeof(int)});
        client.write(c);
    };
    say(4);  // so that the listener knows of the others when they begin to speak
    CHECK(inbox.accept<int, int>().requests.recv() == 4);
    for (int c = 0; c < 4; ++c) say(c);
    for (int c = 0; c < 4; ++c) CHECK(inbox.accept<int, int>().requests.recv() == c);
}

TEST_CASE("a host is known by its name") {
    sluice::ipc::listener inbox(sluice::ipc::tcp("localhost", 0));
    const auto rx = inbox.receiver<int>();
    CHECK(inbox.address().port() != 0);
    const auto tx = sluice::ipc::connect<int>(sluice::ipc::tcp("localhost", inbox.address().port()));
    CHECK(tx.send(1));
    CHECK(rx.recv_timeout(test::patience) == 1);
    CHECK(sluice::ipc::tcp("::1", 80).to_string() == "tcp:[::1]:80");
}

TEST_CASE("each way of a connection ends for itself") {
    const auto kind = GENERATE(family::unix_socket, family::tcp);
    const test::no_leaks none;
    {
        sluice::ipc::listener inbox(test::fresh_address(kind));
        auto [requests, replies] = sluice::ipc::connect<int, std::string>(inbox.address(), test::patience);
        auto session = inbox.accept<int, std::string>();
        REQUIRE(session);

        SECTION("the sender goes first") {
            CHECK(requests.send(1));
            requests = {};
            CHECK(session.requests.recv() == 1);
            CHECK(session.requests.recv() == errc::closed);
            CHECK(session.replies.send("one"));
            CHECK(replies.recv() == "one");
            session.replies = {};
            CHECK(replies.recv() == errc::closed);
        }
        SECTION("the receiver goes first") {
            session.requests = {};
            CHECK(test::eventually([&tx = requests] { return tx.is_closed(); }));
            CHECK(session.replies.send("still there"));
            CHECK(replies.recv() == "still there");
        }
        SECTION("the receiver goes in the middle of a large message") {
            CHECK(session.replies.send(
                std::string(300'000, 'a')));  // a peer that has sent much gets memory for what it announces
            CHECK(replies.recv() == std::string(300'000, 'a'));
            test::task sending([&tx = session.replies] {
                while (tx.send(std::string(300'000, 'b'))) {
                }
                return true;
            });
            CHECK(replies.recv() == std::string(300'000, 'b'));
            replies = {};
            CHECK(sending.get());
            for (int i = 0; i < 100; ++i) CHECK(requests.send(i));
            for (int i = 0; i < 100; ++i) CHECK(session.requests.recv() == i);
        }
        SECTION("one side goes altogether, having sent") {
            for (int i = 0; i < 100; ++i) CHECK(requests.send(i));
            requests = {};
            replies = {};
            for (int i = 0; i < 100; ++i) CHECK(session.requests.recv() == i);
            CHECK(session.requests.recv() == errc::closed);
            CHECK(test::eventually([&] { return session.replies.is_closed(); }));
        }
        CHECK_FALSE(inbox.error());
    }
    CHECK(none.hold());
}

TEST_CASE("a peer that is killed ends its stream after its last whole message, and no other") {
    const auto kind = GENERATE(family::unix_socket, family::tcp);
    const test::no_leaks none;
    {
        sluice::ipc::listener inbox(test::fresh_address(kind));
        const auto rx = inbox.receiver<std::string>();
        const auto other = sluice::ipc::connect<std::string>(inbox.address());
        test::peer sender({"blocks", test::spelled(inbox.address())});
        CHECK(sender.line() == "connected");
        // It sends messages larger than the system's buffers without a pause: it dies in the middle of one.
        char next = 'a';
        const auto expected = [&next] {
            const std::string message(1 << 20, next);
            next = next == 'z' ? 'a' : static_cast<char>(next + 1);
            return message;
        };
        for (int i = 0; i < 10; ++i) CHECK(rx.recv() == expected());
        sender.signal(SIGKILL);
        CHECK((sender.wait() == test::exit_status{0, SIGKILL}));
        CHECK(other.send("alive"));
        bool whole = true;
        for (bool more = true; more;) {
            const auto message = rx.recv_timeout(test::patience);
            REQUIRE(message);
            more = *message != "alive";
            if (more) whole = *message == expected() && whole;
        }
        CHECK(whole);
        CHECK(test::eventually([&] { return inbox.error() == std::errc::connection_reset; }));
        CHECK(other.send("alive"));
        bool arrived = false;
        while (!arrived) {
            const auto message = rx.recv_timeout(test::patience);
            REQUIRE(message);
            arrived = *message == "alive";
        }
    }
    CHECK(none.hold());
}

TEST_CASE("a name has one living listener, and a dead one's is taken over") {
    const std::string name = test::fresh_name();
    const auto address = sluice::ipc::unix_socket(name);
    {
        test::peer server({"serve", name});
        CHECK(server.line() == address.to_string());
        CHECK(std::filesystem::exists(address.path()));
        CHECK_THROWS_AS(sluice::ipc::listener(address), std::system_error);
        try {
            const sluice::ipc::listener second(address);
        } catch (const std::system_error& e) {
            CHECK(e.code() == std::errc::address_in_use);
            CHECK(std::string(e.what()).find(address.path()) != std::string::npos);
        }
        server.signal(SIGKILL);
        CHECK((server.wait() == test::exit_status{0, SIGKILL}));
        CHECK(std::filesystem::exists(address.path()));
    }
    {
        sluice::ipc::listener again(address);
        const auto rx = again.receiver<serial>();
        CHECK(test::peer({"name_in_use", name}).wait() == test::success);
        CHECK(test::peer({"client", name, "10"}).wait() == test::success);
        for (serial n = 0; n < 10; ++n) CHECK(rx.recv() == n);
        CHECK_FALSE(again.error());  // whoever looked for a living listener was none of its clients
    }
    CHECK_FALSE(std::filesystem::exists(address.path()));
}

TEST_CASE("a file that is no socket is not replaced") {
    const auto address = sluice::ipc::unix_socket(test::fresh_name());
    const int fd = ::open(address.path().c_str(), O_CREAT | O_CLOEXEC | O_WRONLY, 0600);
    REQUIRE(fd >= 0);
    ::close(fd);
    CHECK_THROWS_AS(sluice::ipc::listener(address), std::system_error);
    CHECK(std::filesystem::remove(address.path()));
}

TEST_CASE("a listener is restarted on the same name") {
    const auto kind = GENERATE(family::unix_socket, family::tcp);
    auto address = test::fresh_address(kind);
    const test::no_leaks none;
    for (int round = 0; round < 3; ++round) {
        sluice::ipc::listener inbox(address);
        address = inbox.address();
        const auto rx = inbox.receiver<serial>();
        const auto orphan = sluice::ipc::connect<serial>(address);
        CHECK(orphan.send(serial{7}));
        CHECK(rx.recv() == serial{7});
        CHECK(test::peer({"client", test::spelled(address), "10"}).wait() == test::success);
        for (serial n = 0; n < 10; ++n) CHECK(rx.recv() == n);
        inbox.close();
        CHECK(rx.recv() == errc::closed);
        CHECK(test::eventually([&] { return orphan.is_closed(); }));
        CHECK_FALSE(inbox.error());
        CHECK_THROWS_AS(sluice::ipc::connect<serial>(address), std::system_error);
    }
    CHECK(none.hold());
}

TEST_CASE("a socket file is for its owner alone") {
    const sluice::ipc::listener inbox(test::fresh_address(family::unix_socket));
    using std::filesystem::perms;
    const perms found = std::filesystem::status(inbox.address().path()).permissions();
    CHECK((found & (perms::group_all | perms::others_all)) == perms::none);
}

TEST_CASE("connecting waits for a listener, as long as it is told to") {
    const auto address = sluice::ipc::unix_socket(test::fresh_name());
    CHECK_THROWS_AS(sluice::ipc::connect<serial>(address), std::system_error);
    try {
        (void)sluice::ipc::connect<serial>(address, 20ms);
        FAIL("nobody listens");
    } catch (const std::system_error& e) {
        CHECK(e.code() == std::errc::timed_out);
        CHECK(std::string(e.what()).find(address.path()) != std::string::npos);
    }
    test::peer client({"client", address.path(), "3"});
    sluice::ipc::listener inbox(address);
    const auto rx = inbox.receiver<serial>();
    for (serial n = 0; n < 3; ++n) CHECK(rx.recv_timeout(test::patience) == n);
    CHECK(client.wait() == test::success);
}

TEST_CASE("types of messages are not taken for durations") {
    using rep = std::chrono::seconds::rep;
    sluice::ipc::listener inbox(test::fresh_address(family::unix_socket));
    auto [requests, replies] = sluice::ipc::connect<rep, rep>(inbox.address(), test::patience);
    const auto session = inbox.accept<rep, rep>();
    CHECK(requests.send(rep{1}));
    CHECK(session.requests.recv() == rep{1});
    CHECK(session.replies.send(rep{2}));
    CHECK(replies.recv() == rep{2});
}

TEST_CASE("an address that cannot be is refused by name") {
    const std::string endless(200, 'x');
    try {
        const sluice::ipc::listener inbox(sluice::ipc::unix_socket(endless));
        FAIL("the path is too long");
    } catch (const std::system_error& e) {
        CHECK(e.code() == std::errc::filename_too_long);
        CHECK(std::string(e.what()).find(endless) != std::string::npos);
    }
    CHECK_THROWS_AS(sluice::ipc::listener(sluice::ipc::unix_socket("no/such/folder")), std::system_error);
}
