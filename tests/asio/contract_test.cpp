// Operations of Asio as their handlers see them: executor, allocator, work, cancellation, and the end of the context.
#include "net.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

using namespace test;
using namespace std::chrono_literals;

namespace {

struct tally {
    long allocated = 0;
    long alive = 0;
};

template <class T>
struct counting_allocator {
    using value_type = T;
    explicit counting_allocator(tally& t) noexcept : of(&t) {}
    template <class U>
    counting_allocator(const counting_allocator<U>& other) noexcept : of(other.of) {}
    T* allocate(std::size_t n) {
        ++of->allocated;
        ++of->alive;
        return std::allocator<T>().allocate(n);
    }
    void deallocate(T* p, std::size_t n) {
        --of->alive;
        std::allocator<T>().deallocate(p, n);
    }
    friend bool operator==(const counting_allocator& a, const counting_allocator& b) noexcept { return a.of == b.of; }
    tally* of;
};

/// A handler of which everything is associated.
template <class T>
struct handler {
    using executor_type = net::io_context::executor_type;
    using allocator_type = counting_allocator<char>;
    using cancellation_slot_type = net::cancellation_slot;

    executor_type get_executor() const noexcept { return loop->get_executor(); }
    allocator_type get_allocator() const noexcept { return counting_allocator<char>(*memory); }
    cancellation_slot_type get_cancellation_slot() const noexcept { return slot; }
    void operator()(sluice::result<T> r) {
        alive_when_called = memory->alive;
        in_executor = loop->get_executor().running_in_this_thread();
        out->emplace(std::move(r));
    }

    net::io_context* loop;
    tally* memory;
    net::cancellation_slot slot;
    std::optional<sluice::result<T>>* out;
    long& alive_when_called;
    bool& in_executor;
};

template <class T>
struct observed {
    explicit observed(net::io_context& l) : loop(l) {}
    auto operator()() { return handler<T>{&loop, &memory, signal.slot(), &out, alive_when_called, in_executor}; }
    net::io_context& loop;
    tally memory;
    net::cancellation_signal signal;
    std::optional<sluice::result<T>> out;
    long alive_when_called = -1;
    bool in_executor = false;
};

const net::cancellation_type each_type[] = {net::cancellation_type::terminal, net::cancellation_type::partial,
                                            net::cancellation_type::total};

}  // namespace

TEST_CASE("The handler is called by its executor, and its memory has been given back") {
    net::io_context loop;
    auto [tx, rx] = sluice::bounded<int>(1);
    observed<int> ready(loop), waiting(loop);
    observed<std::size_t> select(loop), timeout(loop);
    CHECK(tx.send(1));
    sluice::async_recv(rx, ready());
    CHECK(ready.memory.allocated > 0);
    sluice::async_recv(rx, waiting());
    CHECK(waiting.memory.allocated == 1);
    sluice::async_select(timeout(), sluice::on_recv(rx, [](int) {}), sluice::on_timeout(1ms));
    loop.poll();
    CHECK(tx.send(2));
    loop.run();
    loop.restart();
    sluice::async_select(select(), sluice::on_recv(rx, [](int) {}), sluice::on_timeout(1h));
    task sender([tx = tx] { return tx.send(3).has_value(); });
    loop.run();
    CHECK(sender.get());
    const auto check = [](const auto& o) {
        REQUIRE(o.out);
        CHECK(o.out->has_value());
        CHECK(o.alive_when_called == 0);
        CHECK(o.in_executor);
        CHECK(o.memory.alive == 0);
    };
    check(ready);
    check(waiting);
    check(select);
    check(timeout);
    CHECK(ran(*timeout.out) == 1);
    CHECK(ran(*select.out) == 0);
}

TEST_CASE("A pending operation is work of its executor, and no work is left behind") {
    net::io_context loop;
    auto [tx, rx] = sluice::bounded<int>(1);
    std::optional<sluice::result<int>> got;
    sluice::async_recv(rx, into(got, loop.get_executor()));
    loop.poll();
    CHECK(!loop.stopped());
    task runner([&] {
        loop.run();
        return got.has_value();
    });
    CHECK(wait_until_asleep(runner));
    CHECK(tx.send(4));
    CHECK(runner.get());
    CHECK(loop.stopped());
}

TEST_CASE("The handler is never called within the initiating function, not even on the executor's thread") {
    net::io_context loop;
    auto [tx, rx] = sluice::unbounded<int>();
    int depth = 0, called = 0;
    CHECK(tx.send(1));
    net::post(loop, [&, rx = rx] {
        ++depth;
        sluice::async_recv(rx, net::bind_executor(loop, [&](sluice::result<int>) {
                               CHECK(depth == 0);
                               ++called;
                           }));
        --depth;
    });
    loop.run();
    CHECK(called == 1);
}

TEST_CASE("Each type of cancellation ends each operation with stopped, and nothing was taken or sent") {
    const audit balance;
    for (const auto type : each_type) {
        net::io_context loop;
        auto [tx, rx] = sluice::bounded<move_only>(1);
        auto [full, filled] = sluice::bounded<move_only>(1);
        CHECK(full.send(move_only(0)));
        observed<move_only> receive(loop);
        observed<void> send(loop);
        observed<std::size_t> select(loop), timed(loop);
        sluice::async_recv(rx, receive());
        sluice::async_send(full, move_only(1), send());
        sluice::async_select(select(), sluice::on_recv(rx, [](move_only) {}), sluice::on_send(full, move_only(2)));
        sluice::async_select(timed(), sluice::on_recv(rx, [](move_only) {}), sluice::on_timeout(1h));
        loop.poll();
        receive.signal.emit(type);
        send.signal.emit(type);
        select.signal.emit(type);
        timed.signal.emit(type);
        receive.signal.emit(type);
        select.signal.emit(type);
        CHECK(!receive.out);
        CHECK(tx.send(move_only(3)));
        CHECK(id_in(filled.recv()) == 0);
        loop.run();
        CHECK(error_in(*receive.out) == sluice::errc::stopped);
        CHECK(error_in(*send.out) == sluice::errc::stopped);
        CHECK(error_in(*select.out) == sluice::errc::stopped);
        CHECK(error_in(*timed.out) == sluice::errc::stopped);
        CHECK(filled.empty());
        CHECK(id_in(rx.try_recv()) == 3);
        CHECK(send.memory.alive == 0);
        CHECK(!send.signal.slot().has_handler());
        CHECK(!timed.signal.slot().has_handler());
        send.signal.emit(type);
    }
    CHECK(balance.balanced());
}

TEST_CASE("A cancellation after the completion changes nothing") {
    net::io_context loop;
    auto [tx, rx] = sluice::bounded<int>(1);
    observed<int> receive(loop), ready(loop);
    observed<std::size_t> select(loop);
    sluice::async_recv(rx, receive());
    CHECK(tx.send(1));
    receive.signal.emit(net::cancellation_type::all);
    CHECK(tx.send(2));
    sluice::async_recv(rx, ready());
    ready.signal.emit(net::cancellation_type::all);
    CHECK(tx.send(3));
    sluice::async_select(select(), sluice::on_recv(rx, [](int) {}));
    select.signal.emit(net::cancellation_type::all);
    loop.run();
    CHECK(id_in(*receive.out) == 1);
    CHECK(id_in(*ready.out) == 2);
    CHECK(ran(*select.out) == 0);
}

TEST_CASE("A cancellation that meets a peer: the message is received, or stays") {
    for (int round = 0; round < 200; ++round) {
        net::io_context loop;
        auto [tx, rx] = sluice::bounded<int>(1);
        observed<int> receive(loop);
        observed<std::size_t> select(loop);
        const bool selects = round % 2 == 1;
        if (selects) {
            sluice::async_select(select(), sluice::on_recv(rx, [](int) {}), sluice::on_timeout(1h));
        } else {
            sluice::async_recv(rx, receive());
        }
        task peer([tx = tx] { return tx.send(1).has_value(); });
        net::post(loop, [&] { (selects ? select.signal : receive.signal).emit(net::cancellation_type::total); });
        loop.run();
        CHECK(peer.get());
        const bool got = selects ? select.out->has_value() : receive.out->has_value();
        CHECK(rx.size() == (got ? 0U : 1U));
        if (!got) CHECK((selects ? error_in(*select.out) : error_in(*receive.out)) == sluice::errc::stopped);
    }
}

TEST_CASE("A context that ends withdraws what is pending, and destroys the handlers") {
    const audit balance;
    fate f;
    net::cancellation_signal outlives;
    auto [tx, rx] = sluice::bounded<move_only>(1);
    auto [full, filled] = sluice::bounded<move_only>(1);
    CHECK(full.send(move_only(0)));
    {
        net::io_context loop;
        const auto on_loop = [&] { return net::bind_executor(loop, fateful<std::size_t>(f)); };
        sluice::async_recv(
            rx, net::bind_cancellation_slot(outlives.slot(), net::bind_executor(loop, fateful<move_only>(f))));
        sluice::async_recv(rx, net::bind_executor(net::make_strand(loop), fateful<move_only>(f)));
        sluice::async_send(full, move_only(1), net::bind_executor(loop, fateful<void>(f)));
        sluice::async_select(on_loop(), sluice::on_recv(rx, [](move_only) {}), sluice::on_send(full, move_only(2)));
        sluice::async_select(on_loop(), sluice::on_recv(rx, [](move_only) {}), sluice::on_timeout(1h));
        loop.poll();
    }
    CHECK(f.called == 0);
    CHECK(f.destroyed == 5);
    outlives.emit(net::cancellation_type::all);
    CHECK(tx.send(move_only(3)));
    CHECK(id_in(rx.try_recv()) == 3);
    CHECK(id_in(filled.try_recv()) == 0);
    CHECK(filled.empty());
    rx = {};
    full = {};
    CHECK(tx.is_closed());
    CHECK(filled.is_closed());
    CHECK(balance.balanced());
}

TEST_CASE("A context that ends destroys what was completed and not called, and counts the message as dropped") {
    const audit balance;
    fate f;
    auto [tx, rx] = sluice::bounded<move_only>(1);
    {
        net::io_context loop;
        auto strand = net::make_strand(loop);
        sluice::async_recv(rx, net::bind_executor(loop, fateful<move_only>(f)));
        sluice::async_recv(rx, net::bind_executor(strand, fateful<move_only>(f)));
        sluice::async_select(net::bind_executor(loop, fateful<std::size_t>(f)), sluice::on_recv(rx, [](move_only) {}),
                             sluice::on_timeout(0ms));
        sluice::async_select(net::bind_executor(loop, fateful<std::size_t>(f)), sluice::on_recv(rx, [](move_only) {}),
                             sluice::on_timeout(1h));
        for (int i = 0; i < 3; ++i) CHECK(tx.send(move_only(i)));
    }
    CHECK(f.called == 0);
    CHECK(f.destroyed == 4);
    CHECK(rx.dropped() == 3);
    CHECK(rx.empty());
    CHECK(balance.balanced());
}

TEST_CASE("A coroutine that waits is destroyed with its context") {
    const audit balance;
    auto [tx, rx] = sluice::bounded<move_only>(1);
    {
        net::io_context loop;
        net::co_spawn(
            loop,
            [](sluice::receiver<move_only> from, witness) -> net::awaitable<void> {
                (void)co_await sluice::async_recv(from, net::use_awaitable);
            }(rx, witness(1)),
            net::detached);
        loop.poll();
        rx = {};
        CHECK(!tx.is_closed());
    }
    CHECK(tx.is_closed());
    CHECK(balance.balanced());
}

TEST_CASE("Peers send while the context ends") {
    for (int round = 0; round < 100; ++round) {
        auto [tx, rx] = sluice::bounded<int>(4);
        fate f;
        std::optional<task<int>> peer;
        {
            net::io_context loop;
            auto strand = net::make_strand(loop);
            for (int i = 0; i < 2; ++i) {
                sluice::async_recv(rx, net::bind_executor(loop, fateful<int>(f)));
                sluice::async_recv(rx, net::bind_executor(strand, fateful<int>(f)));
                sluice::async_select(net::bind_executor(loop, fateful<std::size_t>(f)), sluice::on_recv(rx, [](int) {}),
                                     sluice::on_timeout(1h));
            }
            peer.emplace([tx = tx] {
                int sent = 0;
                while (sent < 4 && tx.send(sent)) ++sent;
                return sent;
            });
        }
        CHECK(peer->get() == 4);
        CHECK(f.called == 0);
        CHECK(f.destroyed == 6);
        CHECK(rx.size() + rx.dropped() == 4);
    }
}

TEST_CASE("Several threads run the loop, with strands and without, and no message is lost") {
    constexpr int each = 300, receivers = 4;
    net::io_context loop;
    auto [tx, rx] = sluice::bounded<int>(2);
    std::atomic<long> sum = 0, ended = 0;
    const auto body = [&sum, &ended](sluice::receiver<int> from, bool selects) -> net::awaitable<void> {
        for (;;) {
            std::optional<int> got;
            if (selects) {
                auto chosen = co_await sluice::async_select(net::use_awaitable, sluice::on_recv(from, got),
                                                            sluice::on_timeout(1ms));
                if (!chosen) break;
                if (*chosen == 1 && from.is_closed() && from.empty()) break;
            } else {
                auto r = co_await sluice::async_recv(from, net::use_awaitable);
                if (!r) break;
                got = *r;
            }
            if (got) sum += *got;
        }
        ++ended;
    };
    for (int i = 0; i < receivers; ++i) {
        if (i % 2 == 0) {
            net::co_spawn(net::make_strand(loop), body(rx, i < 2), net::detached);
        } else {
            net::co_spawn(loop, body(rx, i < 2), net::detached);
        }
    }
    rx = {};
    std::optional<task<int>> senders[2], runners[2];
    for (auto& s : senders) {
        s.emplace([tx = tx] {
            int sent = 0;
            for (int i = 1; i <= each; ++i) sent += tx.send(i) ? i : 0;
            return sent;
        });
    }
    tx = {};
    for (auto& r : runners) {
        r.emplace([&] {
            loop.run();
            return 0;
        });
    }
    long sent = 0;
    for (auto& s : senders) sent += s->get();
    for (auto& r : runners) (void)r->get();
    CHECK(sum == sent);
    CHECK(sent == 2L * each * (each + 1) / 2);
    CHECK(ended == receivers);
}

TEST_CASE("A thread pool, and executors of any type") {
    net::thread_pool pool(2);
    auto [tx, rx] = sluice::bounded<int>(1);
    std::atomic<int> got = 0;
    const net::any_io_executor any = pool.get_executor();
    sluice::async_recv(rx, net::bind_executor(any, [&](sluice::result<int> r) { got += r.value(); }));
    sluice::async_select(net::bind_executor(any, [&](sluice::result<std::size_t>) { got += 100; }),
                         sluice::on_recv(rx, [&](int v) { got += v; }), sluice::on_timeout(1h));
    CHECK(tx.send(1));
    CHECK(tx.send(2));
    pool.join();
    CHECK(got == 103);
}
