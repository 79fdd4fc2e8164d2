// Operations by the completion tokens of Asio: what they come to, and with which tokens.
#include "net.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <thread>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

using namespace test;
using namespace std::chrono_literals;

namespace {

net::awaitable<void> serve(sluice::receiver<int> in, sluice::sender<int> out, bool& over) {
    while (auto r = co_await sluice::async_recv(in, net::use_awaitable)) {
        if (!co_await sluice::async_send(out, *r + 1, net::use_awaitable)) break;
    }
    over = true;
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("A callback gets the message, whether it is there, or comes", "", payloads) {
    const audit balance;
    {
        net::io_context loop;
        auto [tx, rx] = sluice::bounded<TestType>(1);
        std::optional<sluice::result<TestType>> first, second;
        CHECK(tx.send(TestType(1)));
        sluice::async_recv(rx, into(first, loop.get_executor()));
        sluice::async_recv(rx, into(second, loop.get_executor()));
        CHECK(rx.empty());
        CHECK(!first);
        loop.poll();
        REQUIRE(first);
        CHECK(id_in(*first) == 1);
        CHECK(!second);
        CHECK(tx.send(TestType(2)));
        CHECK(!second);
        loop.run();
        REQUIRE(second);
        CHECK(id_in(*second) == 2);
    }
    CHECK(balance.balanced());
}

TEMPLATE_LIST_TEST_CASE("A send completes when there is room, in its turn", "", payloads) {
    const audit balance;
    {
        net::io_context loop;
        auto [tx, rx] = sluice::bounded<TestType>(1);
        std::optional<sluice::result<void>> sent[3];
        for (int i = 0; i < 3; ++i) sluice::async_send(tx, TestType(i), into(sent[i], loop.get_executor()));
        CHECK(!sent[0]);
        loop.poll();
        CHECK(sent[0]);
        CHECK(!sent[1]);
        CHECK(id_in(rx.recv()) == 0);
        loop.poll();
        CHECK(sent[1]);
        CHECK(!sent[2]);
        CHECK(id_in(rx.recv()) == 1);
        CHECK(id_in(rx.recv()) == 2);
        loop.run();
        for (const auto& s : sent) CHECK((s && *s));
    }
    CHECK(balance.balanced());
}

TEST_CASE("Closing ends receives and sends, and an empty handle has ended already") {
    net::io_context loop;
    const audit balance;
    auto [tx, rx] = sluice::bounded<move_only>(1);
    std::optional<sluice::result<move_only>> received, of_nothing;
    std::optional<sluice::result<void>> sent, to_nothing;
    sluice::async_recv(sluice::receiver<move_only>(), into(of_nothing, loop.get_executor()));
    sluice::async_send(sluice::sender<move_only>(), move_only(1), into(to_nothing, loop.get_executor()));
    sluice::async_recv(rx, into(received, loop.get_executor()));
    rx.close();
    sluice::async_send(tx, move_only(2), into(sent, loop.get_executor()));
    loop.run();
    CHECK(error_in(*received) == sluice::errc::closed);
    CHECK(error_in(*of_nothing) == sluice::errc::closed);
    CHECK(error_in(*sent) == sluice::errc::closed);
    CHECK(error_in(*to_nothing) == sluice::errc::closed);
    CHECK(balance.balanced());
}

TEST_CASE("An operation owns its handle and its message") {
    const audit balance;
    net::io_context loop;
    std::optional<sluice::result<void>> sent;
    {
        auto [tx, rx] = sluice::rendezvous<move_only>();
        sluice::async_send(std::as_const(tx), move_only(7), into(sent, loop.get_executor()));
        tx = {};
        loop.poll();
        CHECK(!sent);
        CHECK(id_in(rx.recv()) == 7);
        loop.run();
        CHECK(error_in(rx.recv()) == sluice::errc::closed);
    }
    CHECK(sent.has_value());
    CHECK(balance.balanced());
}

TEST_CASE("Deferred operations are kept, and begin when they are called") {
    const audit balance;
    {
        net::io_context loop;
        auto [tx, rx] = sluice::bounded<move_only>(2);
        auto send = sluice::async_send(tx, move_only(3), deferred);
        auto never = sluice::async_send(tx, move_only(4), deferred);
        auto receive = sluice::async_recv(rx, deferred);
        CHECK(rx.empty());
        std::optional<sluice::result<void>> sent;
        std::optional<sluice::result<move_only>> received;
        std::move(send)(into(sent, loop.get_executor()));
        std::move(receive)(into(received, loop.get_executor()));
        loop.run();
        CHECK(id_in(*received) == 3);
        CHECK(rx.empty());
    }
    CHECK(balance.balanced());
}

TEST_CASE("A future gets the outcome, also of a select with a timeout") {
    auto [tx, rx] = sluice::bounded<move_only>(1);
    auto received = sluice::async_recv(rx, net::use_future);
    auto sent = sluice::async_send(tx, move_only(5), net::use_future);
    CHECK(id_in(received.get()) == 5);
    CHECK(sent.get());
    auto chosen = sluice::async_select(net::use_future, sluice::on_recv(rx, [](move_only) {}), sluice::on_timeout(1ms));
    CHECK(ran(chosen.get()) == 1);
}

TEST_CASE("Coroutines of Asio and threads stand in the same lines") {
    net::io_context loop;
    auto [requests, served] = sluice::rendezvous<int>();
    auto [replies, answers] = sluice::rendezvous<int>();
    bool over = false;
    net::co_spawn(loop, serve(std::move(served), std::move(replies), over), net::detached);
    task client([tx = std::move(requests), rx = std::move(answers)]() mutable {
        int sum = 0;
        for (int i = 0; i < 500; ++i) {
            if (!tx.send(i)) break;
            sum += rx.recv().value() - i;
        }
        return sum;
    });
    loop.run();
    CHECK(client.get() == 500);
    CHECK(over);
}

TEST_CASE("A select does one thing, and runs its handler on the executor") {
    net::io_context loop;
    auto [tx, rx] = sluice::bounded<int>(1);
    auto [other, filled] = sluice::bounded<int>(1);
    CHECK(other.send(0));
    int got = 0;
    std::optional<sluice::result<std::size_t>> chosen;
    sluice::async_select(into(chosen, loop.get_executor()), sluice::on_recv(rx, [&](int v) { got = v; }),
                         sluice::on_send(other, 9));
    loop.poll();
    CHECK(!chosen);
    CHECK(tx.send(3));
    CHECK(got == 0);
    loop.run();
    CHECK(got == 3);
    CHECK(ran(*chosen) == 0);
    CHECK(id_in(filled.try_recv()) == 0);
    CHECK(filled.empty());
}

TEST_CASE("A select sends its message, which it owns") {
    const audit balance;
    {
        net::io_context loop;
        auto [tx, rx] = sluice::rendezvous<move_only>();
        std::optional<sluice::result<std::size_t>> chosen;
        sluice::async_select(into(chosen, loop.get_executor()), sluice::on_send(tx, move_only(8)),
                             sluice::on_timeout(std::chrono::hours(1)));
        CHECK(id_in(rx.recv()) == 8);
        loop.run();
        CHECK(ran(*chosen) == 0);
    }
    CHECK(balance.balanced());
}

TEST_CASE("Timeouts, deadlines and timers of a select come without another event") {
    net::io_context loop;
    auto [tx, rx] = sluice::bounded<int>(1);
    std::optional<sluice::result<std::size_t>> chosen[3];
    const auto before = std::chrono::steady_clock::now();
    int ticks = 0;
    sluice::async_select(into(chosen[0], loop.get_executor()), sluice::on_recv(rx, [](int) {}),
                         sluice::on_timeout(3ms));
    sluice::async_select(into(chosen[1], loop.get_executor()), sluice::on_recv(rx, [](int) {}),
                         sluice::on_deadline(before + 3ms));
    const sluice::timer soon = sluice::after(3ms);
    sluice::async_select(into(chosen[2], loop.get_executor()), sluice::on_recv(rx, [](int) {}),
                         sluice::on_recv(soon, [&](auto) { ++ticks; }));
    loop.run();
    CHECK(std::chrono::steady_clock::now() >= before + 3ms);
    for (const auto& c : chosen) CHECK(ran(*c) == 1);
    CHECK(ticks == 1);
    rx = {};
    CHECK(tx.is_closed());
}

TEST_CASE("A timer that is reset while a select waits for it is followed") {
    net::io_context loop;
    sluice::timer when = sluice::after(1h);
    std::optional<sluice::result<std::size_t>> chosen;
    sluice::async_select(into(chosen, loop.get_executor()), sluice::on_recv(when, [](auto) {}));
    loop.poll();
    CHECK(!chosen);
    when.reset(1ms);
    loop.run();
    CHECK(ran(*chosen) == 0);
}

TEST_CASE("What the move of a sent message throws leaves run, and nothing was sent") {
    const audit balance;
    {
        net::io_context loop;
        auto [tx, rx] = sluice::bounded<throwing_move>(1);
        fate f;
        // Moves to where it is kept come first, and then the one into the channel.
        bool left_run = false;
        for (int steps = 1; steps < 20 && f.called == 0 && !left_run; ++steps) {
            net::io_context own;
            throw_after() = 0;
            auto attempt = sluice::async_send(tx, throwing_move(1), deferred);
            throw_after() = steps;
            try {
                std::move(attempt)(net::bind_executor(own, fateful<void>(f)));
            } catch (const injected_error&) {
                CHECK(rx.empty());
                continue;
            }
            try {
                own.run();
            } catch (const injected_error&) {
                left_run = true;
            }
            throw_after() = 0;
            CHECK((left_run ? rx.empty() : rx.size() == 1));
        }
        throw_after() = 0;
        CHECK(left_run);
        CHECK(f.called == 0);
        CHECK(rx.empty());
    }
    CHECK(balance.balanced());
}

TEST_CASE("What the handler of a case throws leaves run, and the completion handler is destroyed") {
    net::io_context loop;
    auto [tx, rx] = sluice::bounded<int>(1);
    fate f;
    CHECK(tx.send(1));
    sluice::async_select(net::bind_executor(loop, fateful<std::size_t>(f)),
                         sluice::on_recv(rx, [](int) { throw injected_error(); }));
    CHECK_THROWS_AS(loop.run(), injected_error);
    CHECK(f.called == 0);
    CHECK(f.destroyed == 1);
    CHECK(rx.empty());
}
