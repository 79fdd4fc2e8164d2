// The loop of coroutines: spawn, run by one thread or several, poll, stop, exceptions, executors and timers.
#include "catch.hpp"
#include "support/gate.hpp"
#include "support/payload.hpp"
#include "support/scale.hpp"
#include "support/task.hpp"

#include <sluice/async.hpp>

#include <atomic>
#include <barrier>
#include <chrono>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace test;
using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

namespace {

sluice::task<> note(std::vector<int>& log, int what) {
    log.push_back(what);
    co_return;
}
sluice::task<> yield_times(int times, std::atomic<int>& ended) {
    for (int i = 0; i < times; ++i) co_await sluice::yield();
    ++ended;
}
sluice::task<> pass(gate& g, std::atomic<int>& passed) {
    co_await g.pass();
    ++passed;
}
sluice::task<> fail(const char* words) {
    co_await sluice::yield();
    throw std::runtime_error(words);
}

/// Notes that it was resumed.
class noted : public sluice::resumption {
public:
    noted(std::vector<int>& log, int what) : resumption(run), log_(log), what_(what) {}

private:
    static void run(resumption& node) {
        auto& self = static_cast<noted&>(node);
        self.log_.push_back(self.what_);
    }
    std::vector<int>& log_;
    int what_;
};

/// Notes that it is due.
class bell : public sluice::timer_node {
public:
    bell(std::vector<int>& log, int what) : timer_node(ring), log_(log), what_(what) {}

private:
    static void ring(timer_node& node) {
        auto& self = static_cast<bell&>(node);
        self.log_.push_back(self.what_);
    }
    std::vector<int>& log_;
    int what_;
};

/// A coroutine of another type, which nobody awaits: it goes on whenever its handle is resumed, and ends by itself.
struct foreign {
    struct promise_type {
        foreign get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
        std::suspend_always initial_suspend() noexcept { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() { std::terminate(); }
    };
    std::coroutine_handle<> handle;
};
foreign note_twice(std::vector<int>& log, sluice::run_loop::executor_type) {
    log.push_back(1);
    co_await std::suspend_always{};
    log.push_back(2);
}

/// Suspends a task until a point in time.
class until : public sluice::timer_node {
public:
    explicit until(steady::time_point time) : timer_node(ring), when_(time) {}
    ~until() {
        if (executor_) executor_->cancel(*this);
    }
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> h) noexcept {
        coroutine_ = h;
        const auto executor = executor_.emplace(h.promise().sluice_executor());
        executor.post_at(when_, *this);
    }
    void await_resume() noexcept { executor_.reset(); }

private:
    static void ring(timer_node& node) { static_cast<until&>(node).coroutine_.resume(); }
    steady::time_point when_;
    std::coroutine_handle<> coroutine_;
    std::optional<sluice::run_loop::executor_type> executor_;
};

/// Suspends a task, and posts it by its handle.
class posted_by_handle {
public:
    posted_by_handle() noexcept {}
    bool await_ready() const noexcept { return false; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> h) const noexcept {
        h.promise().sluice_executor().post(h);
    }
    void await_resume() const noexcept {}
};

}  // namespace

TEST_CASE("What is spawned begins inside run(), in the order of spawning") {
    std::vector<int> log;
    sluice::run_loop loop;
    for (int i = 0; i < 3; ++i) loop.spawn(note(log, i));
    loop.spawn([&log]() -> sluice::task<> { return note(log, 3); });
    CHECK(log.empty());
    loop.run();
    CHECK(log == std::vector{0, 1, 2, 3});
}

TEST_CASE("A task may spawn others, which begin in the same run(), after what is ready already") {
    std::vector<int> log;
    sluice::run_loop loop;
    loop.spawn([&]() -> sluice::task<> {
        loop.spawn(note(log, 3));
        log.push_back(1);
        co_return;
    });
    loop.spawn(note(log, 2));
    loop.run();
    CHECK(log == std::vector{1, 2, 3});
}

TEST_CASE("A callable that is spawned is kept until its task has ended") {
    const audit books;
    std::atomic<int> seen{0};
    gate g;
    sluice::run_loop loop;
    loop.spawn([w = witness(7), &seen, &g]() -> sluice::task<> {
        co_await g.pass();
        seen = w.id();
    });
    CHECK(loop.poll() == 1);
    CHECK(books.alive() == 1);
    g.open();
    loop.run();
    CHECK(seen == 7);
    CHECK(books.balanced());
}

TEST_CASE("A callable may return a task of any type; its value is dropped, its exception is not") {
    sluice::run_loop loop;
    loop.spawn([]() -> sluice::task<std::string> { co_return "dropped"; });
    loop.spawn([]() -> sluice::task<int> {
        throw std::runtime_error("of a callable's task");
        co_return 1;
    });
    CHECK_THROWS_WITH(loop.run(), "of a callable's task");
    loop.spawn([]() -> sluice::task<> { throw std::runtime_error("of the callable itself"); });
    CHECK_THROWS_WITH(loop.run(), "of the callable itself");
}

TEST_CASE("run() of a loop with nothing spawned returns at once, and a loop may be run again") {
    std::vector<int> log;
    sluice::run_loop loop;
    loop.run();
    loop.spawn(note(log, 1));
    loop.run();
    loop.spawn(note(log, 2));
    loop.run();
    CHECK(log == std::vector{1, 2});
}

TEST_CASE("poll() runs what is ready, leaves for the next call what becomes so meanwhile, and counts") {
    std::atomic<int> ended{0};
    gate g;
    sluice::run_loop loop;
    CHECK(loop.poll() == 0);
    loop.spawn(yield_times(2, ended));
    loop.spawn(pass(g, ended));
    CHECK(loop.poll() == 2);
    CHECK(loop.poll() == 1);
    CHECK(ended == 0);
    CHECK(loop.poll() == 1);
    CHECK(ended == 1);
    CHECK(loop.poll() == 0);
    g.open();
    CHECK(ended == 1);  // it is posted, not resumed
    CHECK(loop.poll() == 1);
    CHECK(ended == 2);
}

TEST_CASE("stop() with no run() under way ends the next one before it resumes anything, and only that one") {
    std::vector<int> log;
    sluice::run_loop loop;
    loop.spawn(note(log, 1));
    loop.stop();
    loop.stop();
    loop.run();
    CHECK(log.empty());
    loop.run();
    CHECK(log == std::vector{1});
}

TEST_CASE("stop() ends the run() under way after the coroutine that it resumes; the rest goes on with the next") {
    std::vector<int> log;
    sluice::run_loop loop;
    loop.spawn([&]() -> sluice::task<> {
        loop.stop();
        log.push_back(1);
        co_await sluice::yield();
        log.push_back(3);
    });
    loop.spawn(note(log, 2));
    loop.run();
    CHECK(log == std::vector{1});
    loop.run();
    CHECK(log == std::vector{1, 2, 3});
}

TEST_CASE("stop() ends the run() under way also where several timers are due") {
    std::vector<int> log;
    sluice::run_loop loop;
    for (int i = 0; i < 3; ++i) {
        loop.spawn([](sluice::run_loop& on, std::vector<int>& l, int what) -> sluice::task<> {
            co_await until(steady::now() - 1h);
            on.stop();
            l.push_back(what);
        }(loop, log, i));
    }
    CHECK(loop.poll() == 3);
    for (std::size_t runs = 1; runs <= 3; ++runs) {
        loop.run();
        CHECK(log.size() == runs);
    }
}

TEST_CASE("stop() of another thread ends every run() that sleeps") {
    std::atomic<int> passed{0};
    gate g;
    sluice::run_loop loop;
    loop.spawn(pass(g, passed));
    {
        task a([&] { return loop.run(), 0; });
        task b([&] { return loop.run(), 0; });
        CHECK(wait_until_asleep(a));
        CHECK(wait_until_asleep(b));
        loop.stop();
    }
    CHECK(passed == 0);
    g.open();
    loop.run();
    CHECK(passed == 1);
}

TEST_CASE("poll() is not stopped, and leaves a stop for the next run()") {
    std::vector<int> log;
    sluice::run_loop loop;
    loop.spawn(note(log, 1));
    loop.stop();
    CHECK(loop.poll() == 1);
    loop.spawn(note(log, 2));
    loop.run();
    CHECK(log == std::vector{1});
    loop.run();
    CHECK(log == std::vector{1, 2});
}

TEST_CASE("An exception of a spawned task leaves run() or poll(), and the others go on in the next") {
    std::atomic<int> ended{0};
    sluice::run_loop loop;
    loop.spawn(yield_times(1, ended));
    loop.spawn(fail("one"));
    loop.spawn(yield_times(1, ended));
    loop.spawn(fail("two"));
    CHECK_THROWS_WITH(loop.run(), "one");
    CHECK_THROWS_WITH(loop.run(), "two");
    loop.run();
    CHECK(ended == 2);
    loop.spawn(fail("three"));
    CHECK(loop.poll() == 1);
    CHECK_THROWS_WITH(loop.poll(), "three");
    CHECK(loop.poll() == 0);
}

TEST_CASE("A run() that sleeps is woken by what is posted, spawned, and by a timer that comes to be the soonest") {
    std::atomic<int> ended{0};
    std::vector<int> log;
    gate g;
    sluice::run_loop loop;
    loop.spawn(pass(g, ended));
    bell late(log, 1), soon(log, 2);
    loop.executor().post_at(steady::now() + 10h, late);
    task runner([&] { return loop.run(), 0; });
    CHECK(wait_until_asleep(runner));
    loop.spawn(yield_times(3, ended));
    CHECK(eventually([&] { return ended == 1; }));
    CHECK(wait_until_asleep(runner));
    std::atomic<bool> woken{false};
    loop.spawn([&]() -> sluice::task<> {
        loop.executor().post_at(steady::now(), soon);
        woken = true;
        co_return;
    });
    CHECK(eventually([&] { return woken.load(); }));
    CHECK(wait_until_asleep(runner));
    g.open();
    runner.get();
    CHECK(ended == 2);
    CHECK(log == std::vector{2});
    CHECK(loop.executor().cancel(late));
}

TEST_CASE(
    "Threads that run a loop at once share its work, also what a coroutine that blocks has spawned before they came") {
    sluice::run_loop loop;
    std::barrier both(2);
    std::atomic<int> met{0};
    for (int i = 0; i < scaled(1000); ++i) {
        loop.spawn([&]() -> sluice::task<> {
            for (int k = 0; k < 2; ++k) {
                loop.spawn([&]() -> sluice::task<> {
                    both.arrive_and_wait();  // only two threads get beyond
                    ++met;
                    co_return;
                });
            }
            co_return;
        });
        task a([&] { return loop.run(), 0; });
        task b([&] { return loop.run(), 0; });
    }
    CHECK(met == 2 * scaled(1000));
}

TEST_CASE("Every run() of several returns when all that was spawned has ended, whoever spawns and whoever runs") {
    sluice::run_loop loop;
    std::atomic<int> ended{0};
    const int each = scaled(2000);
    {
        task a([&] {
            for (int i = 0; i < each; ++i) loop.spawn(yield_times(i % 4, ended));
            loop.run();
            return 0;
        });
        task b([&] {
            for (int i = 0; i < each; ++i) loop.spawn(yield_times(i % 4, ended));
            loop.run();
            return 0;
        });
        task c([&] {
            for (int i = 0; i < each; ++i) {
                loop.spawn(yield_times(i % 4, ended));
                loop.poll();
            }
            loop.run();
            return 0;
        });
    }
    CHECK(ended == 3 * each);
    CHECK(loop.poll() == 0);
}

TEST_CASE("Of two run()s at once each gets an exception of a task that it has run, and no exception is lost") {
    sluice::run_loop loop;
    const int count = scaled(500);
    std::atomic<int> thrown{0};
    for (int i = 0; i < count; ++i) loop.spawn(fail("any"));
    const auto body = [&] {
        for (;;) {
            try {
                loop.run();
                return 0;
            } catch (const std::runtime_error&) {
                ++thrown;
            }
        }
    };
    {
        task a(body);
        task b(body);
    }
    CHECK(thrown == count);
}

TEST_CASE("What is posted is resumed in the order of posting, and not inside the call") {
    std::vector<int> log;
    sluice::run_loop loop;
    noted one(log, 1), two(log, 2), three(log, 3);
    const auto executor = loop.executor();
    executor.post(one);
    executor.post(two);
    executor.post(three);
    CHECK(log.empty());
    CHECK(loop.poll() == 3);
    CHECK(log == std::vector{1, 2, 3});
    executor.post(two);  // a node may be posted again
    loop.run();          // what is ready runs, though nothing was spawned
    CHECK(log == std::vector{1, 2, 3, 2});
}

TEST_CASE("A coroutine of any type may be posted by its handle") {
    std::vector<int> log;
    sluice::run_loop loop;
    for (int i = 0; i < 3; ++i) {
        const foreign f = note_twice(log, loop.executor());
        loop.executor().post(f.handle);
        CHECK(loop.poll() == 1);
        loop.executor().post(f.handle);
        loop.run();
    }
    CHECK(log == std::vector{1, 2, 1, 2, 1, 2});
}

TEST_CASE("What was posted can be revoked until it is resumed") {
    std::vector<int> log;
    sluice::run_loop loop;
    noted one(log, 1), two(log, 2), three(log, 3);
    const auto executor = loop.executor();
    CHECK(!executor.revoke(one));
    executor.post(one);
    executor.post(two);
    executor.post(three);
    CHECK(executor.revoke(two));
    CHECK(!executor.revoke(two));
    CHECK(loop.poll() == 2);
    CHECK(log == std::vector{1, 3});
    CHECK(!executor.revoke(one));
}

TEST_CASE("A coroutine may revoke what is ready beside it") {
    std::vector<int> log;
    sluice::run_loop loop;
    noted victim(log, 1);
    bool revoked = false;
    loop.spawn([&]() -> sluice::task<> {
        revoked = loop.executor().revoke(victim);
        co_return;
    });
    loop.executor().post(victim);
    loop.run();
    CHECK(revoked);
    CHECK(log.empty());
}

TEST_CASE("Timers are due in the order of their times, and never early") {
    std::vector<int> log;
    sluice::run_loop loop;
    const auto begin = steady::now();
    loop.spawn([](std::vector<int>& l, steady::time_point t) -> sluice::task<> {
        co_await until(t + 30ms);
        l.push_back(3);
    }(log, begin));
    loop.spawn([](std::vector<int>& l, steady::time_point t) -> sluice::task<> {
        co_await until(t + 10ms);
        l.push_back(1);
        co_await until(t + 20ms);
        l.push_back(2);
    }(log, begin));
    loop.run();
    CHECK(steady::now() >= begin + 30ms);
    CHECK(log == std::vector{1, 2, 3});
}

TEST_CASE("A timer in the past is due at once, one at the end of time never, and a cancelled one never") {
    std::vector<int> log;
    sluice::run_loop loop;
    const auto executor = loop.executor();
    bell past(log, 1), never(log, 2), cancelled(log, 3), first(log, 4);
    CHECK(!executor.cancel(past));
    executor.post_at(steady::time_point::min(), first);
    executor.post_at(steady::now() - 1h, past);
    executor.post_at(steady::time_point::max(), never);
    executor.post_at(steady::now() - 1h, cancelled);
    CHECK(executor.cancel(cancelled));
    CHECK(!executor.cancel(cancelled));
    CHECK(loop.poll() == 2);
    CHECK(loop.poll() == 0);
    CHECK(log == std::vector{4, 1});
    CHECK(!executor.cancel(past));
    CHECK(executor.cancel(never));
}

TEST_CASE("Any number of timers, some of them cancelled in any order, are due by their times") {
    std::vector<int> log;
    sluice::run_loop loop;
    const auto executor = loop.executor();
    std::vector<std::unique_ptr<bell>> bells;
    const auto past = steady::now() - 1h;
    constexpr int count = 500;
    for (int i = 0; i < count; ++i) {
        const int place = i * 271 % count;  // each once
        bells.push_back(std::make_unique<bell>(log, place));
        executor.post_at(past + place * 1ms, *bells.back());
    }
    std::vector<int> expected;
    for (int i = 0; i < count; ++i) {
        const int place = i * 271 % count;
        if (place % 3 == 0) CHECK(executor.cancel(*bells[static_cast<std::size_t>(i)]));
    }
    for (int place = 0; place < count; ++place)
        if (place % 3 != 0) expected.push_back(place);
    CHECK(loop.poll() == expected.size());
    CHECK(log == expected);
}

TEST_CASE("A timer that is due gets its turn though something is always ready") {
    std::vector<int> log;
    sluice::run_loop loop;
    bell rung(log, 1);
    loop.executor().post_at(steady::now(), rung);
    loop.spawn([](std::vector<int>& l) -> sluice::task<> {
        while (l.empty()) co_await sluice::yield();
    }(log));
    loop.run();
    CHECK(log == std::vector{1});
}

TEST_CASE("A timer may be cancelled, and its node end, while several threads sleep until it is due") {
    auto [tx, rx] = sluice::unbounded<int>();
    auto [end_tx, end_rx] = sluice::unbounded<int>();
    std::atomic<bool> received{false};
    sluice::run_loop loop;
    loop.spawn([](sluice::receiver<int> from, std::atomic<bool>& to) -> sluice::task<> {
        const auto got = co_await from.async_recv_timeout(300ms);
        to = got.has_value();
    }(rx, received));
    loop.spawn([](sluice::receiver<int> from) -> sluice::task<> { (void)co_await from.async_recv(); }(end_rx));
    task a([&] { return loop.run(), 0; });
    task b([&] { return loop.run(), 0; });
    CHECK(wait_until_asleep(a));
    CHECK(wait_until_asleep(b));
    REQUIRE(tx.try_send(1));
    // The sleep of the thread that was not woken ends at the time that it was given.
    std::this_thread::sleep_for(400ms);
    REQUIRE(end_tx.try_send(1));
    CHECK(a.get() + b.get() == 0);
    CHECK(received);
}

TEST_CASE("What waits for the past again and again leaves the others their turns, and poll() returns") {
    bool ended = false;
    const auto wait_for_past = [&]() -> sluice::task<> {
        for (int i = 0; i < 1000 && !ended; ++i) co_await until(steady::time_point::min());
    };
    const auto end = [&]() -> sluice::task<> {
        for (int i = 0; i < 10; ++i) co_await sluice::yield();
        ended = true;
    };
    sluice::run_loop loop;
    loop.spawn(wait_for_past);
    loop.spawn(wait_for_past);
    loop.spawn(end);
    for (int i = 0; i < 5; ++i) CHECK(loop.poll() == 3);
    loop.run();
    CHECK(ended);
}

TEST_CASE("poll() leaves for the next call what a timer that is due makes ready") {
    std::vector<int> log;
    sluice::run_loop loop;
    loop.spawn([](std::vector<int>& l) -> sluice::task<> {
        co_await until(steady::now() - 1h);
        l.push_back(1);
        co_await sluice::yield();
        l.push_back(2);
    }(log));
    CHECK(loop.poll() == 1);
    CHECK(loop.poll() == 1);
    CHECK(log == std::vector{1});
    CHECK(loop.poll() == 1);
    CHECK(log == std::vector{1, 2});
}

TEST_CASE("A loop may be destroyed with tasks that were posted by their handles") {
    const audit books;
    {
        sluice::run_loop loop;
        for (int i = 0; i < 3; ++i) {
            loop.spawn([](witness) -> sluice::task<> {
                for (;;) co_await posted_by_handle();
            }(witness(i)));
        }
        CHECK(loop.poll() == 3);
        CHECK(loop.poll() == 3);
    }
    CHECK(books.balanced());
}

TEST_CASE("The destructor of a loop destroys its tasks in every state") {
    const audit books;
    std::atomic<int> ended{0};
    gate closed, opened, raced;
    {
        sluice::run_loop loop;
        const auto hold = [](witness, auto inner) -> sluice::task<> {
            const witness local(2);
            co_await inner();
        };
        loop.spawn(hold(witness(1), [&] { return pass(closed, ended); }));    // suspended
        loop.spawn(hold(witness(1), [&] { return pass(opened, ended); }));    // posted
        loop.spawn(hold(witness(1), [&] { return yield_times(9, ended); }));  // ready
        loop.spawn(hold(witness(1), [&] { return yield_times(0, ended); }));  // ended
        loop.spawn([](witness) -> sluice::task<> { co_await until(steady::now() + 10h); }(witness(1)));
        struct nest {
            static sluice::task<> of(int depth, gate& g, std::atomic<int>& n) {
                const witness local(depth);
                if (depth > 0) co_await of(depth - 1, g, n);
                co_await g.pass();
            }
        };
        loop.spawn(nest::of(100, raced, ended));
        CHECK(loop.poll() == 6);
        loop.spawn(hold(witness(1), [&] { return pass(closed, ended); }));  // not begun
        loop.spawn([w = witness(1)]() -> sluice::task<> { co_return; });
        opened.open();
        CHECK(ended == 1);
    }
    CHECK(ended == 1);
    CHECK(!closed.has_waiting());
    CHECK(books.balanced());
}

TEST_CASE("A loop may be destroyed while other threads post what its tasks wait for") {
    const audit books;
    for (int i = 0; i < scaled(1000); ++i) {
        std::atomic<int> passed{0};
        std::atomic<bool> go{false};
        gate a, b;
        std::optional<sluice::run_loop> loop(std::in_place);
        loop->spawn([](gate& g, std::atomic<int>& n, witness) -> sluice::task<> { co_await pass(g, n); }(a, passed,
                                                                                                         witness(1)));
        loop->spawn([](gate& g, std::atomic<int>& n, witness) -> sluice::task<> { co_await pass(g, n); }(b, passed,
                                                                                                         witness(1)));
        loop->poll();
        task opener([&] {
            while (!go) std::this_thread::yield();
            a.open();
            b.open();
            return 0;
        });
        go = true;
        loop.reset();
        opener.get();
        CHECK(passed == 0);
    }
    CHECK(books.balanced());
}

TEST_CASE("A loop may be destroyed as soon as its last run() has returned, though a poster has hardly left") {
    for (int i = 0; i < scaled(2000); ++i) {
        std::atomic<int> passed{0};
        gate g;
        auto loop = std::make_unique<sluice::run_loop>();
        loop->spawn(pass(g, passed));
        task opener([&] { return g.open(), 0; });
        loop->run();
        loop.reset();
        CHECK(passed == 1);
    }
}

TEST_CASE("A coroutine may run another loop") {
    std::vector<int> log;
    sluice::run_loop loop;
    loop.spawn([&]() -> sluice::task<> {
        const int value = sluice::sync_wait([](sluice::run_loop& outer, std::vector<int>& l) -> sluice::task<int> {
            outer.spawn(note(l, 2));
            co_await sluice::yield();
            l.push_back(1);
            co_return 5;
        }(loop, log));
        log.push_back(value);
        co_await note(log, 6);
    });
    loop.run();
    CHECK(log == std::vector{1, 5, 6, 2});
}

TEST_CASE("this_executor() is that of the loop, also in what a task awaits") {
    sluice::run_loop loop, other;
    bool same = false, inner = false, different = true;
    loop.spawn([&]() -> sluice::task<> {
        const auto mine = co_await sluice::this_executor();
        same = mine == loop.executor();
        different = mine == other.executor();
        inner = co_await [](sluice::run_loop& l) -> sluice::task<bool> {
            const auto executor = co_await sluice::this_executor();
            co_return executor == l.executor();
        }(loop);
    });
    loop.run();
    CHECK(same);
    CHECK(inner);
    CHECK(!different);
}

TEST_CASE("yield() lets the others of the loop run, in turn") {
    std::vector<int> log;
    sluice::run_loop loop;
    for (int id = 0; id < 2; ++id) {
        loop.spawn([](std::vector<int>& l, int i) -> sluice::task<> {
            for (int k = 0; k < 3; ++k) {
                l.push_back(i);
                co_await sluice::yield();
            }
        }(log, id));
    }
    loop.run();
    CHECK(log == std::vector{0, 1, 0, 1, 0, 1});
}
