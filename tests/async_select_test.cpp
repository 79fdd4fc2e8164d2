// What coroutines await of several channels, of timers and of groups; and operations in coroutines of other types.
#include "catch.hpp"
#include "support/clocks.hpp"
#include "support/detached.hpp"
#include "support/kinds.hpp"
#include "support/names.hpp"
#include "support/payload.hpp"
#include "support/task.hpp"

#include <sluice/async.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <coroutine>
#include <cstddef>
#include <deque>
#include <map>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace test;
using sluice::sync_wait;

sluice::task<> forward(sluice::receiver<int> a, sluice::receiver<int> b, std::vector<int>& to) {
    std::optional<int> first, second;
    for (;;) {
        const auto chosen = co_await sluice::async_select(on_recv(a, first), on_recv(b, second));
        if (!chosen) {
            CHECK(chosen.error() == errc::closed);
            break;
        }
        to.push_back(*chosen == 0 ? *first : *second);
        CHECK(first.has_value() == (*chosen == 0));
        CHECK(second.has_value() == (*chosen == 1));
    }
}

sluice::task<> send_numbers(sluice::sender<int> tx, int from, int to) {
    for (; from < to; ++from) {
        const auto sent = co_await tx.async_send(from);
        sent.value();  // no CHECK, which is for one thread
    }
}

// ---- A coroutine type and executors of another library

/// Resumes in one thread what was posted by handle, and timers in the order of their times.
struct plain_context {
    std::deque<std::coroutine_handle<>> ready;
    std::multimap<std::chrono::steady_clock::time_point, sluice::timer_node*> timers;
    int posted = 0;

    void run() {
        while (!ready.empty() || !timers.empty()) {
            if (!ready.empty()) {
                const auto next = ready.front();
                ready.pop_front();
                next.resume();
            } else if (timers.begin()->first <= std::chrono::steady_clock::now()) {
                sluice::timer_node* const due = timers.begin()->second;
                timers.erase(timers.begin());
                due->expire();
            }
        }
    }
};
struct plain_executor {
    plain_context* context;
    void post(std::coroutine_handle<> h) const noexcept {
        context->ready.push_back(h);
        ++context->posted;
    }
};
struct plain_timed_executor : plain_executor {
    void post_at(std::chrono::steady_clock::time_point when, sluice::timer_node& node) const noexcept {
        context->timers.emplace(when, &node);
    }
    bool cancel(sluice::timer_node& node) const noexcept {
        return std::erase_if(context->timers, [&](const auto& entry) { return entry.second == &node; }) > 0;
    }
};

}  // namespace

TEST_CASE("a coroutine selects until all is closed", "[async]") {
    const kind one = GENERATE(kind::rendezvous, kind::one, kind::unbounded),
               other = GENERATE(kind::rendezvous, kind::three);
    auto [tx1, rx1] = test::make_channel<int>(one);
    auto [tx2, rx2] = test::make_channel<int>(other);
    std::vector<int> ids;
    sluice::run_loop loop;
    loop.spawn(forward(std::move(rx1), std::move(rx2), ids));
    loop.spawn(send_numbers(std::move(tx1), 0, 200));
    loop.spawn(send_numbers(std::move(tx2), 200, 400));
    loop.run();
    std::sort(ids.begin(), ids.end());
    CHECK(ids == test::numbers(0, 400));
}

TEST_CASE("selects of coroutines meet selects of threads on a rendezvous", "[async]") {
    auto [tx1, rx1] = sluice::rendezvous<int>();
    auto [tx2, rx2] = sluice::rendezvous<int>();
    constexpr int count = 2000;
    std::vector<int> ids;
    test::task sender([&, &tx1 = tx1, &tx2 = tx2] {
        for (int id = 0; id < count; ++id) {
            if (!sluice::select(on_send(tx1, id), on_send(tx2, id))) {
                return false;
            }
        }
        tx1 = {};
        tx2 = {};
        return true;
    });
    sync_wait(forward(std::move(rx1), std::move(rx2), ids));
    CHECK(sender.get());
    CHECK(ids == test::numbers(0, count));
}

TEST_CASE("every kind of case of a coroutine's select", "[async]") {
    auto [tx, rx] = sluice::bounded<int>(1);
    std::stop_source stop;
    const auto all = [](sluice::sender<int> to, sluice::receiver<int> from, std::stop_source& s) -> sluice::task<> {
        int ran = 0;
        const auto count = [&ran](auto...) { ++ran; };
        const auto count_int = [&ran](int) { ++ran; };
        const auto none = co_await sluice::async_select(on_recv(from, count_int), otherwise(count));
        CHECK(none == 1u);
        const auto late = co_await sluice::async_select(on_recv(from, count_int), on_timeout(1ms, [&ran] { ++ran; }));
        CHECK(late == 1u);
        const auto when = std::chrono::system_clock::now() + 1ms;
        const auto later =
            co_await sluice::async_select(on_recv(from, count_int), on_deadline(when, [&ran] { ++ran; }));
        CHECK(later == 1u);
        const auto tick = sluice::tick(1ms);
        const auto ticked = co_await sluice::async_select(on_recv(from, count_int), on_recv(tick, count));
        CHECK(ticked == 1u);
        const auto sent = co_await sluice::async_select(on_send(to, 7));
        CHECK(sent == 0u);
        const auto got = co_await sluice::async_select_biased(on_recv(from, count_int), on_send(to, 8));
        CHECK(got == 0u);
        s.request_stop();
        const auto stopped = co_await sluice::async_select(on_send(to, 9), on_stop(s.get_token(), [&ran] { ++ran; }));
        CHECK(stopped == 1u);
        to = {};
        const auto closed = co_await sluice::async_select(on_closed(from, [&ran] { ++ran; }));
        CHECK(closed == 0u);
        const auto over = co_await sluice::async_select(on_recv(from, count_int));
        CHECK(over.error() == errc::closed);
        CHECK(ran == 7);
    };
    sync_wait(all(std::move(tx), std::move(rx), stop));
}

TEST_CASE("a coroutine's select is stopped, closed and told by others while it waits", "[async]") {
    auto [tx, rx] = sluice::rendezvous<int>();
    std::stop_source stop;
    const auto t = sluice::after(1h);
    const auto wait = [](sluice::receiver<int> from, sluice::timer timer,
                         std::stop_token s) -> sluice::task<std::size_t> {
        std::optional<sluice::timer::value_type> due;
        std::optional<int> message;
        const auto chosen =
            co_await sluice::async_select(on_recv(from, message), on_recv(timer, due), on_stop(s), on_closed(from));
        co_return chosen.value_or(99);
    };
    test::task other([&, &rx = rx] { return sync_wait(wait(rx, t, stop.get_token())); });
    REQUIRE(test::wait_until_asleep(other));
    SECTION("by a message") {
        CHECK(tx.try_send(1));
        CHECK(other.get() == 0);
    }
    SECTION("by a timer that is set to a sooner time") {
        t.reset(0s);
        CHECK(other.get() == 1);
    }
    SECTION("by a timer that is set twice") {
        t.reset(2h);
        t.reset(1ms);
        CHECK(other.get() == 1);
    }
    SECTION("by a stop") {
        stop.request_stop();
        CHECK(other.get() == 2);
    }
    SECTION("by the closing") {
        rx.close();
        CHECK(other.get() == 3);
    }
    SECTION("by a timer that ends, which only drops out") {
        t.cancel();
        REQUIRE(test::wait_until_asleep(other));
        tx.close();
        CHECK(other.get() == 3);
    }
}

TEST_CASE("coroutines and threads wait for one timer", "[async]") {
    const auto ticks = sluice::tick(1ms);
    std::atomic<int> received{0};
    const auto receive = [](sluice::timer t, std::atomic<int>& count) -> sluice::task<> {
        for (int i = 0; i < 10; ++i) {
            const auto got = co_await t.async_recv();
            CHECK(got.has_value());
            ++count;
        }
    };
    test::task thread([&] {
        for (int i = 0; i < 10; ++i) {
            if (!ticks.recv()) {
                return false;
            }
        }
        return true;
    });
    sluice::run_loop loop;
    for (int i = 0; i < 3; ++i) {
        loop.spawn(receive(ticks, received));
    }
    loop.run();
    CHECK(thread.get());
    CHECK(received == 30);

    const auto never = sluice::after(1h);
    const auto outcome = [](sluice::timer t, std::stop_token s) -> sluice::task<errc> {
        const auto got = co_await t.async_recv(s);
        co_return got.error();
    };
    std::stop_source stop;
    test::task stopped([&] { return sync_wait(outcome(never, stop.get_token())); });
    test::task cancelled([&] { return sync_wait(outcome(never, {})); });
    REQUIRE(test::wait_until_asleep(stopped));
    REQUIRE(test::wait_until_asleep(cancelled));
    stop.request_stop();
    CHECK(stopped.get() == errc::stopped);
    never.cancel();
    CHECK(cancelled.get() == errc::closed);
    const auto limited = [](sluice::timer t) -> sluice::task<errc> {
        const auto got = co_await t.async_recv_timeout(1ms);
        co_return got.error();
    };
    CHECK(sync_wait(limited(sluice::after(1h))) == errc::timeout);
}

TEST_CASE("a group waits in a coroutine", "[async]") {
    auto [tx1, rx1] = sluice::bounded<int>(2);
    auto [tx2, rx2] = sluice::rendezvous<int>();
    const auto wait_for_all = [](sluice::receiver<int> a, sluice::receiver<int> b,
                                 std::vector<int>& to) -> sluice::task<> {
        sluice::selector group;
        group.add(on_recv(std::move(a), [&to](int id) { to.push_back(id); }));
        group.add(on_recv(std::move(b), [&to](int id) { to.push_back(id); }));
        while (co_await group.async_wait()) {
        }
        CHECK(group.empty());
        const auto none = co_await group.async_wait();
        CHECK(none.error() == errc::closed);
    };
    std::vector<int> ids;
    sluice::run_loop loop;
    loop.spawn(wait_for_all(std::move(rx1), std::move(rx2), ids));
    loop.spawn(send_numbers(std::move(tx1), 0, 300));
    test::task thread([&, &tx2 = tx2] {
        for (int id = 300; id < 600; ++id) {
            (void)tx2.send(id);
        }
        tx2 = {};
        return 0;
    });
    loop.run();
    CHECK(thread.get() == 0);
    std::sort(ids.begin(), ids.end());
    CHECK(ids == test::numbers(0, 600));

    const auto limited = [](std::stop_source& s) -> sluice::task<> {
        sluice::selector group;
        group.add(on_recv(sluice::never<int>(), [](int) {}));
        const auto late = co_await group.async_wait_timeout(1ms);
        CHECK(late.error() == errc::timeout);
        const auto when = std::chrono::steady_clock::now() + 1ms;
        const auto later = co_await group.async_wait_until(when);
        CHECK(later.error() == errc::timeout);
        s.request_stop();
        const auto stopped = co_await group.async_wait(s.get_token());
        CHECK(stopped.error() == errc::stopped);
    };
    std::stop_source stop;
    sync_wait(limited(stop));
}

TEST_CASE("what a handler throws leaves the co_await of a select", "[async]") {
    auto [tx, rx] = sluice::bounded<int>(1);
    REQUIRE(tx.try_send(1));
    const auto select = [](sluice::receiver<int> from) -> sluice::task<> {
        const auto fail = [](int) { throw std::runtime_error("handler"); };
        (void)co_await sluice::async_select(on_recv(from, fail));
    };
    CHECK_THROWS_AS(sync_wait(select(rx)), std::runtime_error);
    CHECK(rx.empty());
}

namespace {

/// What throws where it is moved, once it is armed.
struct bomb {
    explicit bomb(bool is_armed) : armed(is_armed) {}
    bomb(bomb&& other) : armed(other.armed) {
        if (armed) {
            throw std::runtime_error("move");
        }
    }
    bool armed;
};

/// What does something where it is copied.
struct acts_when_copied {
    void (*act)(void*) = nullptr;
    void* context = nullptr;

    acts_when_copied(void (*a)(void*), void* c) : act(a), context(c) {}
    acts_when_copied(acts_when_copied&&) noexcept = default;
    acts_when_copied(const acts_when_copied& other) : act(other.act), context(other.context) { act(context); }
};

}  // namespace

TEST_CASE("a select whose message throws as it enters the lines stands in none of them", "[async]") {
    auto [quiet, quiet_end] = sluice::rendezvous<int>();
    auto [bombs, target] = sluice::rendezvous<bomb>();
    auto [full, full_end] = sluice::bounded<acts_when_copied>(1);
    // The select copies its message for `full` just before it enters the lines. Then a receiver of bombs appears.
    struct late_receiver {
        sluice::run_loop loop;
        sluice::receiver<bomb> from;
    } late{{}, target};
    const auto appear = [](void* context) {
        auto& self = *static_cast<late_receiver*>(context);
        self.loop.spawn([&self]() -> sluice::task<> {
            const auto got = co_await self.from.async_recv();
            CHECK(got.error() == errc::closed);
        });
        CHECK(self.loop.poll() == 1);
    };
    const acts_when_copied message(+appear, &late);
    REQUIRE(full.try_send(acts_when_copied(nullptr, nullptr)));
    const auto select = [&message](sluice::receiver<int> from, sluice::sender<acts_when_copied> to,
                                   sluice::sender<bomb> to_peer) -> sluice::task<> {
        std::optional<int> number;
        bomb armed(true);
        (void)co_await sluice::async_select_biased(on_recv(from, number), on_send(to, message),
                                                   on_send(to_peer, std::move(armed)));
    };
    CHECK_THROWS_AS(sync_wait(select(quiet_end, full, bombs)), std::runtime_error);
    CHECK(quiet.try_send(1).error() == errc::full);
    CHECK(full_end.try_recv());
    CHECK(full_end.try_recv().error() == errc::empty);
    target.close();
    late.loop.run();
}

TEST_CASE("what a user's clock throws leaves the co_await of a select, and it stands in no line", "[async]") {
    const auto wait = [](sluice::receiver<int> rx) -> sluice::task<bool> {
        std::optional<int> into;
        try {
            co_await sluice::async_select(on_recv(rx, into), on_deadline(test::stage_clock::later));
        } catch (const std::runtime_error&) {
            co_return true;
        }
        co_return false;
    };
    // Read by the first look, as it enters the lines, for when to look again; and by the next step.
    for (int reading = 1; reading <= 5; ++reading) {
        auto [tx, rx] = sluice::rendezvous<int>();
        test::stage_clock::play(reading, [] { throw std::runtime_error("a clock"); });
        CAPTURE(reading);
        CHECK(sync_wait(wait(rx)));
        CHECK(tx.try_send(1) == errc::full);
    }
}

TEST_CASE("a coroutine that is destroyed withdraws its select", "[async]") {
    const audit books;
    {
        auto [tx, rx] = sluice::rendezvous<test::move_only>();
        auto [tx2, rx2] = sluice::bounded<test::move_only>(1);
        REQUIRE(tx2.try_send(test::move_only(0)));
        const auto t = sluice::after(1h);
        const auto select = [](sluice::receiver<test::move_only> from, sluice::sender<test::move_only> to,
                               sluice::timer timer) -> sluice::task<> {
            std::optional<test::move_only> message;
            std::optional<sluice::timer::value_type> due;
            test::move_only mine(5);
            (void)co_await sluice::async_select(on_recv(from, message), on_send(to, std::move(mine)),
                                                on_recv(timer, due));
        };
        const int how = GENERATE(0, 1, 2, 3);
        {
            sluice::run_loop loop;
            loop.spawn(select(rx, tx2, t));
            (void)loop.poll();
            if (how == 1) {
                REQUIRE(tx.try_send(test::move_only(1)));
            } else if (how == 2) {
                CHECK(test::drain(rx2) == std::vector{0, 5});
            } else if (how == 3) {
                t.reset(0s);
            }
        }
        CHECK(rx.dropped() == (how == 1 ? 1 : 0));
        CHECK(tx.try_send(test::move_only(2)).error() == errc::full);
        CHECK(test::drain(rx2) == (how == 2 ? std::vector<int>{} : std::vector{0}));
        CHECK(tx2.try_send(test::move_only(6)));
    }
    CHECK(books.balanced());
}

TEST_CASE("via: coroutines of any type, on an executor that only resumes handles", "[async]") {
    const audit books;
    {
        const kind which = GENERATE(kind::rendezvous, kind::one, kind::unbounded);
        auto [tx, rx] = test::make_channel<test::move_only>(which);
        plain_context context;
        const plain_timed_executor on{{&context}};
        std::vector<int> ids;
        const auto receive = [](plain_timed_executor e, sluice::receiver<test::move_only> from,
                                std::vector<int>& to) -> detached {
            for (;;) {
                const auto got = co_await sluice::via(e, from.async_recv());
                if (!got) {
                    CHECK(got.error() == errc::closed);
                    break;
                }
                to.push_back(got->id());
            }
        };
        const auto send = [](plain_timed_executor e, sluice::sender<test::move_only> to) -> detached {
            for (int id = 0; id < 300; ++id) {
                const auto sent = co_await sluice::via(e, to.async_send(test::move_only(id)));
                CHECK(sent.has_value());
            }
        };
        receive(on, std::move(rx), ids);
        send(on, std::move(tx));
        context.run();
        CHECK(ids == test::numbers(0, 300));
        CHECK(context.posted > 0);

        auto [tx2, rx2] = sluice::bounded<int>(1);
        const auto steps = [](plain_timed_executor e, sluice::receiver<int> from, sluice::sender<int> to) -> detached {
            const auto late = co_await sluice::via(e, from.async_recv_timeout(1ms));
            CHECK(late.error() == errc::timeout);
            const auto handler = [](int) {};
            const auto none =
                co_await sluice::via(e, sluice::async_select(on_recv(from, handler), on_timeout(1ms, [] {})));
            CHECK(none == 1u);
            const std::vector<int> numbers{1, 2, 3};
            std::vector<int> got;
            const auto sent = co_await sluice::via(e, to.async_send_many(numbers));
            CHECK(sent == 1u);
        };
        steps(on, rx2, tx2);
        // The deadlines pass, and then the rest of what is sent waits for room until the channel closes.
        while (tx2.size() == 0) {
            context.run();
        }
        rx2.close();
        context.run();
    }
    CHECK(books.balanced());
}

TEST_CASE("via: a select on an executor without time, of a channel that keeps memory", "[async]") {
    auto [tx, rx] = sluice::unbounded<int>();
    for (int round = 0; round < 3; ++round) {
        for (int id = 0; id < 5000; ++id) {
            REQUIRE(tx.try_send(id));
        }
        CHECK(test::drain(rx) == test::numbers(0, 5000));
    }
    plain_context context;
    std::optional<int> got;
    const auto select = [](plain_executor e, sluice::receiver<int> from, std::optional<int>& to) -> detached {
        const auto chosen = co_await sluice::via(e, sluice::async_select(on_recv(from, to)));
        CHECK(chosen == 0u);
    };
    select(plain_executor{&context}, rx, got);
    CHECK_FALSE(got);
    REQUIRE(tx.try_send(1));
    context.run();
    CHECK(got == 1);
}

TEST_CASE("via: an operation that is kept owns what it needs", "[async]") {
    const audit books;
    {
        auto [tx, rx] = sluice::bounded<test::move_only>(1);
        plain_context context;
        const plain_timed_executor on{{&context}};
        {
            auto unused = sluice::via(on, tx.async_send(test::move_only(1)));
            auto moved = std::move(unused);
            CHECK(tx.sender_count() == 2);
        }
        CHECK(tx.sender_count() == 1);
        CHECK(rx.empty());
        const auto await_later = [](plain_timed_executor e, sluice::sender<test::move_only> to) -> detached {
            auto op = sluice::via(e, to.async_send(test::move_only(2)));
            to = {};
            const auto sent = co_await std::move(op);
            CHECK(sent.has_value());
        };
        await_later(on, tx);
        context.run();
        CHECK(test::drain(rx) == std::vector{2});
        // Counted from when it is awaited.
        const auto limited = [](plain_timed_executor e, sluice::receiver<test::move_only> from,
                                bool& in_time) -> detached {
            auto op = sluice::via(e, from.async_recv_timeout(20ms));
            const auto made = std::chrono::steady_clock::now();
            while (std::chrono::steady_clock::now() < made + 30ms) {
            }
            const auto begun = std::chrono::steady_clock::now();
            const auto got = co_await std::move(op);
            CHECK(got.error() == errc::timeout);
            in_time = std::chrono::steady_clock::now() - begun >= 20ms;
        };
        bool in_time = false;
        limited(on, rx, in_time);
        context.run();
        CHECK(in_time);
    }
    CHECK(books.balanced());
}

TEST_CASE("before the 129th choice in a row that did not suspend, others run", "[async]") {
    auto [tx, rx] = sluice::unbounded<int>();
    for (int id = 0; id < 600; ++id) {
        REQUIRE(tx.try_send(id));
    }
    int received = 0;
    const auto count = [&received](int id) { CHECK(id == received++); };
    const auto by_select = [](const sluice::receiver<int>& from, const auto& handler) -> sluice::task<> {
        for (int left = 300; left > 0; --left) {
            const auto chosen = co_await sluice::async_select(sluice::on_recv(from, handler));
            CHECK(chosen == 0u);
        }
    };
    const auto by_selector = [](const sluice::receiver<int>& from, const auto& handler) -> sluice::task<> {
        sluice::selector cases;
        cases.add(sluice::on_recv(from, handler));
        for (int left = 300; left > 0; --left) {
            const auto chosen = co_await cases.async_wait();
            CHECK(chosen == 0u);
        }
    };
    std::vector<int> seen;
    const auto watch = [&received, &seen]() -> sluice::task<> {
        for (int i = 0; i < 3; ++i) {
            seen.push_back(received);
            co_await sluice::yield();
        }
    };
    sluice::run_loop loop;
    loop.spawn(by_select(rx, count));
    loop.spawn(watch());
    loop.run();
    CHECK(seen == std::vector{128, 257, 300});
    seen.clear();
    loop.spawn(by_selector(rx, count));
    loop.spawn(watch());
    loop.run();
    CHECK(seen == std::vector{428, 557, 600});
}

TEST_CASE("via: operations that suspend are not counted among those in a row that did not", "[async]") {
    auto [tx, rx] = sluice::unbounded<int>();
    plain_context context;
    const auto receive = [](plain_executor e, sluice::receiver<int> from, int& count) -> detached {
        for (; count < 300; ++count) {
            const auto got = co_await sluice::via(e, from.async_recv());
            CHECK(*got == count);
        }
    };
    int received = 0;
    receive(plain_executor{&context}, rx, received);
    for (int id = 0; id < 300; ++id) {
        REQUIRE(tx.try_send(id));
        context.run();
        CHECK(received == id + 1);
    }
    CHECK(context.posted == 300);  // none of them has yielded its turn as well
}

TEST_CASE("via: an operation that is assigned refers to the range of the other", "[async]") {
    auto [tx, rx] = sluice::unbounded<int>();
    const std::vector<int> first{1, 2};
    std::vector<int> second{3, 4, 5}, third{6};
    plain_context context;
    const plain_executor on{&context};
    const auto send = [](plain_executor e, sluice::sender<int> to, std::vector<int>& one,
                         std::vector<int>& other) -> detached {
        auto op = sluice::via(e, to.async_send_many(one));
        op = sluice::via(e, to.async_send_many(other));
        const std::size_t sent = co_await std::move(op);
        CHECK(sent == 1);
    };
    send(on, tx, second, third);
    context.run();
    CHECK(second == std::vector{3, 4, 5});
    CHECK(test::drain(rx) == std::vector{6});
    auto constant = sluice::via(on, tx.async_send_many(first));
    constant = sluice::via(on, tx.async_send_many(first));
}
