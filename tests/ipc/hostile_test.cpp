// What a client may do wrong, and that it is the only one to suffer from it.
#include "support.hpp"

#include <array>
#include <random>

using sluice::errc;
using sluice::ipc::detail::handshake;
using test::family;

namespace {

// A listener with a client that behaves, before and after the other one.
struct fixture {
    explicit fixture(family kind) : inbox(test::fresh_address(kind), {.max_message = 1 << 20}) {}

    sluice::ipc::listener inbox;
    sluice::receiver<std::string> rx = inbox.receiver<std::string>();
    sluice::sender<std::string> good = sluice::ipc::connect<std::string>(inbox.address());

    bool undisturbed() {
        static int round = 0;
        const std::string message = "round " + std::to_string(++round);
        return good.send(message) && rx.recv_timeout(test::patience) == message;
    }
    bool reports(std::errc e) {
        return test::eventually([&] { return inbox.error() == e; });
    }
};

struct hello {
    handshake words;
    hello() { words.sent_type = sluice::ipc::detail::type_id<std::string>(); }
};

}  // namespace

TEST_CASE("a client that breaks the rules is thrown out, and no other") {
    const auto kind = GENERATE(family::unix_socket, family::tcp);
    const test::no_leaks none;
    {
        fixture s(kind);
        CHECK(s.undisturbed());
        test::plain_client bad(s.inbox.address());

        SECTION("garbage") {
            std::mt19937 random(7);
            std::string noise(100'000, '\0');
            for (char& c : noise) c = static_cast<char>(random());
            bad.write(noise.data(), noise.size());
            CHECK(bad.hung_up());
            CHECK(s.reports(std::errc::bad_message));
        }
        SECTION("one wrong byte is enough") {
            bad.write('?');
            CHECK(bad.hung_up());
            CHECK(s.reports(std::errc::bad_message));
        }
        SECTION("another version") {
            hello h;
            h.words.version_number = sluice::ipc::detail::version + 1;
            bad.write(h.words);
            CHECK(bad.hung_up());
            CHECK(s.reports(std::errc::protocol_not_supported));
        }
        SECTION("another type") {
            bad.send_handshake<int>();
            CHECK(bad.hung_up());
            CHECK(s.reports(std::errc::wrong_protocol_type));
        }
        SECTION("a client that expects replies") {
            hello h;
            h.words.returned_type = 1;
            bad.write(h.words);
            CHECK(bad.hung_up());
            CHECK(s.reports(std::errc::wrong_protocol_type));
        }
        SECTION("a frame that is too large") {
            bad.send_handshake<std::string>();
            bad.write(std::uint32_t{(1 << 20) + 1});
            CHECK(bad.hung_up());
            CHECK(s.reports(std::errc::message_size));
        }
        SECTION("whole messages before the wrong one count") {
            bad.send_handshake<std::string>();
            bad.write(std::uint32_t{2});
            bad.write("ok", 2);
            bad.write(std::uint32_t{0xffff'0000});
            CHECK(s.rx.recv_timeout(test::patience) == "ok");
            CHECK(bad.hung_up());
            CHECK(s.reports(std::errc::message_size));
        }
        SECTION("a truncated handshake") {
            bad.write(hello().words.magic_number);
            bad.close();
            CHECK(s.reports(std::errc::connection_reset));
        }
        SECTION("a truncated frame") {
            bad.send_handshake<std::string>();
            bad.write(std::uint32_t{1000});
            bad.write("only this", 9);
            bad.close();
            CHECK(s.reports(std::errc::connection_reset));
        }
        SECTION("an end without a reason") {
            bad.send_handshake<std::string>();
            bad.write(sluice::ipc::detail::error_frame{});
            CHECK(bad.hung_up());
            CHECK(s.reports(std::errc::bad_message));
        }
        SECTION("words after the last one") {
            bad.send_handshake<std::string>();
            bad.write(sluice::ipc::detail::end_of_stream);
            CHECK(bad.hung_up());
            CHECK(s.undisturbed());
            CHECK_FALSE(s.inbox.error());
        }
        SECTION("nothing at all") {
            bad.close();
            CHECK(s.undisturbed());
            CHECK_FALSE(s.inbox.error());
        }
        CHECK(s.undisturbed());
    }
    CHECK(none.hold());
}

TEST_CASE("a promise of a large message takes no memory") {
    fixture s(family::unix_socket);
    std::vector<std::unique_ptr<test::plain_client>> clients;
    for (int i = 0; i < 20; ++i) {
        clients.push_back(std::make_unique<test::plain_client>(s.inbox.address()));
        clients.back()->send_handshake<std::string>();
        clients.back()->write(std::uint32_t{1 << 20});
        clients.back()->write('x');
    }
    CHECK(s.undisturbed());
    using sluice::ipc::detail::early_allocation;
    sluice::ipc::detail::decoder one(2 * early_allocation::max_total);
    std::vector<std::byte> scratch(1 << 16);
    const auto feed = [&one, &scratch](const auto& value) {
        const auto bytes = std::as_bytes(std::span(&value, 1));
        std::copy(bytes.begin(), bytes.end(), one.space(scratch).begin());
        one.received(bytes.size());
    };
    feed(hello().words);
    feed(static_cast<std::uint32_t>(early_allocation::max_total + 1));
    std::span<const std::byte> payload;
    CHECK(one.next(payload) == sluice::ipc::detail::decoder::found::handshake);
    CHECK(one.next(payload) == sluice::ipc::detail::decoder::found::nothing);
    one.release_scratch();
    CHECK(one.capacity() <= 1024);
    feed(std::array<char, 40'000>{});
    CHECK(one.next(payload) == sluice::ipc::detail::decoder::found::nothing);
    one.release_scratch();
    CHECK(one.capacity() <= 2 * 40'010);
    CHECK_FALSE(one.space(scratch).empty());
    CHECK(one.capacity() <= 4 * 40'010);
}

TEST_CASE("a few large messages may be put together where they stay, before half of them has arrived") {
    using sluice::ipc::detail::decoder;
    using sluice::ipc::detail::early_allocation;
    constexpr std::size_t length = early_allocation::max_total / 3;
    std::vector<std::byte> scratch(1 << 16), storage(length);
    std::span<const std::byte> payload;
    // Of a peer that has sent one such message, and has announced another.
    const auto promised = [&] {
        decoder d(length);
        const auto feed = [&](const auto& value) {
            const auto bytes = std::as_bytes(std::span(&value, 1));
            std::copy(bytes.begin(), bytes.end(), d.space(scratch).begin());
            d.received(bytes.size());
        };
        feed(hello().words);
        feed(static_cast<std::uint32_t>(length));
        CHECK(d.next(payload) == decoder::found::handshake);
        CHECK(d.next(payload) == decoder::found::nothing);
        std::vector<std::byte> before(length);
        decoder::found last{};
        for (std::size_t left = length; left > 0;) {
            const std::size_t size = std::min(left, d.space(scratch).size());
            std::fill_n(d.space(scratch).begin(), size, std::byte{0});
            d.received(size);
            left -= size;
            last = d.next(payload);
            if (last == decoder::found::large) d.read_direct(before);
        }
        CHECK(last == decoder::found::direct_message);
        feed(static_cast<std::uint32_t>(length));
        d.release_scratch();
        return d;
    };
    const auto is_large = [&](decoder& d) { return d.next(payload) == decoder::found::large; };
    decoder first = promised(), second = promised(), fourth = promised();
    std::optional<decoder> third(promised());
    CHECK(is_large(first));
    CHECK(is_large(second));
    CHECK(is_large(*third));
    CHECK_FALSE(is_large(fourth));
    SECTION("until one is complete") {
        first.read_direct(storage);
        while (!first.space(scratch).empty()) first.received(first.space(scratch).size());
        CHECK(first.next(payload) == decoder::found::direct_message);
        CHECK(is_large(fourth));
    }
    SECTION("until one is not put together there") {
        CHECK_FALSE(is_large(second));
        CHECK(is_large(fourth));
    }
    SECTION("until the storage of one goes away") {
        first.read_direct(storage);
        first.abandon_direct();
        CHECK(is_large(fourth));
    }
    SECTION("until one is gone") {
        third.reset();
        CHECK(is_large(fourth));
    }
}

TEST_CASE("a message that its codec does not take closes that one connection") {
    const test::no_leaks none;
    {
        sluice::ipc::listener inbox(test::fresh_address(family::unix_socket));
        const auto rx = inbox.receiver<int>();
        test::plain_client bad(inbox.address());
        bad.send_handshake<int>();
        bad.write(std::uint32_t{3});
        bad.write("abc", 3);
        CHECK(bad.hung_up());
        CHECK(test::eventually([&] { return inbox.error() == std::errc::bad_message; }));
        const auto good = sluice::ipc::connect<int>(inbox.address());
        CHECK(good.send(5));
        CHECK(rx.recv() == 5);
    }
    CHECK(none.hold());
}

TEST_CASE("a client that sends no such handshake gets no session") {
    const test::no_leaks none;
    {
        sluice::ipc::listener inbox(test::fresh_address(family::unix_socket));
        test::plain_client silent(inbox.address()), garbage(inbox.address());
        garbage.write("GET / HTTP/1.1\r\n\r\n", 18);
        auto [requests, replies] = sluice::ipc::connect<int, int>(inbox.address());
        CHECK(requests.send(1));
        const auto session = inbox.accept<int, int>();
        REQUIRE(session);
        CHECK(session.requests.recv() == 1);
        CHECK(garbage.hung_up());
        CHECK(inbox.error() == std::errc::bad_message);
        CHECK(session.replies.send(2));
        CHECK(replies.recv() == 2);
    }
    CHECK(none.hold());
}

TEST_CASE("both ends must name the same type") {
    sluice::ipc::listener inbox(test::fresh_address(family::unix_socket));
    const auto rx = inbox.receiver<int>();
    const auto tx = sluice::ipc::connect<unsigned>(inbox.address());
    CHECK(test::eventually([&] { return tx.is_closed(); }));
    CHECK(tx.send(1U) == errc::closed);
    CHECK(inbox.error() == std::errc::wrong_protocol_type);
}
