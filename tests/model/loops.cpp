// Loops of coroutines: no post, spawn, stop or timer is lost to a thread that goes to sleep, threads that share a loop all come
// back, and a loop or a group may end as soon as nothing of it is left to wait for.
#include <model/models.hpp>

#include <sluice/async.hpp>

#include <coroutine>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include <support/gate.hpp>

namespace model {

namespace {

namespace sync = sluice::detail::sync;
using sluice::run_loop;
using sluice::task;

using gate = test::basic_gate<sync::mutex>;

task<> pass(gate& g, int& passed) {
    co_await g.pass();
    ++passed;
}
task<> pass_inside(gate& g, int& passed) { co_await pass(g, passed); }
task<> yield_once(int& ended) {
    co_await sluice::yield();
    ++ended;
}
task<> yield_twice(int& turns) {
    for (int i = 0; i < 2; ++i) {
        co_await sluice::yield();
        ++turns;
    }
}
task<> yield_inside(int& turns) { co_await yield_twice(turns); }
task<> add_to(int& sum) {
    ++sum;
    co_return;
}
task<> throw_it() {
    co_await sluice::yield();
    throw injected_error();
}

class timed : public sluice::timer_node {
public:
    timed() : timer_node([](timer_node& t) { static_cast<timed&>(t).expired = true; }) {}
    bool expired = false;
};
class noted : public sluice::resumption {
public:
    noted() : resumption([](resumption& r) { ++static_cast<noted&>(r).resumed; }) {}
    int resumed = 0;
};

// Suspends, and is resumed by a thread of its own.
class on_other_thread {
public:
    explicit on_other_thread(std::optional<thread>& t) noexcept : thread_(t) {}
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> h) const {
        thread_.emplace([h] { h.resume(); });
    }
    void await_resume() const noexcept {}

private:
    std::optional<thread>& thread_;
};

task<> go_on_elsewhere(std::optional<thread>& other, int& sum) {
    co_await on_other_thread(other);
    ++sum;
}

// Three operations, of which the first two stand in one expression: all of them wait in the one place of the promise.
template <class M>
task<> exchange(sluice::receiver<M> in, sluice::sender<M> out, int& sum) {
    sum += (co_await in.async_recv())->id() * 10 + (co_await in.async_recv())->id();
    const M answer(3);
    if (co_await out.async_send(answer)) sum += 100;
}
template <class M>
void exchange_with_thread(std::size_t capacity) {
    auto [tx, in] = sluice::bounded<M>(capacity);
    auto [out, rx] = sluice::bounded<M>(capacity);
    int sum = 0, answer = 0;
    run_loop loop;
    loop.spawn(exchange<M>(in, out, sum));
    thread peer([&tx = tx, &rx = rx, &answer] {
        for (int i = 1; i <= 2; ++i) expect(tx.send(M(i)).has_value(), "a send to a task fails");
        answer = rx.recv()->id();
    });
    loop.run();
    peer.join();
    expect(sum == 112 && answer == 3, "a task and a thread do not hear what they tell each other");
}
template <class M>
void destroy_in_exchange() {
    auto [tx, in] = sluice::rendezvous<M>();
    auto [out, rx] = sluice::rendezvous<M>();
    int sum = 0, sent = 0;
    std::optional<run_loop> loop(std::in_place);
    loop->spawn(exchange<M>(in, out, sum));
    loop->poll();
    thread peer([&tx = tx, &sent] {
        while (sent < 2 && tx.try_send(M(sent + 1))) ++sent;
    });
    loop->poll();
    loop.reset();
    peer.join();
    // Of the first message a task that goes on to wait for the second has the rest.
    expect(static_cast<int>(in.dropped()) <= sent, "a message is counted that was not sent");
    expect(sent < 2 || in.dropped() <= 1, "a message that was received is counted as dropped");
    expect(in.size() == 0 && tx.try_send(M(9)) == sluice::errc::full, "a task that is gone stands in line");
}

}  // namespace

[[maybe_unused]] static const bool added = [] {
    constexpr budgets limits{.preemptions = 3, .stale_reads = 1, .ticks = 0};
    constexpr budgets larger{.preemptions = 2, .stale_reads = 0, .ticks = 0};
    constexpr budgets timed_limits{.preemptions = 2, .stale_reads = 0, .ticks = 2};

    for (const bool spins : {false, true}) {
        add(std::string("loop/post") + (spins ? "-spinning" : ""),
            "A coroutine that is posted runs, whether the loop runs, spins, goes to sleep or sleeps.",
            spins ? larger : limits, [spins] {
                several_cpus = spins;
                int passed = 0;
                gate g;
                run_loop loop;
                loop.spawn(pass(g, passed));
                thread a([&] { loop.run(); });
                g.open();
                a.join();
                expect(passed == 1, "run() returns before its task has ended");
            });
    }

    for (const std::size_t capacity : {std::size_t{0}, std::size_t{1}}) {
        const std::string of = capacity == 0 ? "rendezvous" : "one";
        add("loop/exchange/" + of, "A task waits in its promise, for one operation after the other.", larger,
            [capacity] { exchange_with_thread<number>(capacity); });
        add("loop/exchange-small/" + of, "So it does where messages travel in what waits.", larger,
            [capacity] { exchange_with_thread<small>(capacity); });
    }
    add("loop/exchange-destroy", "A task that is destroyed as it waits in its promise leaves the line.", limits,
        [] { destroy_in_exchange<number>(); });
    add("loop/exchange-destroy-small", "So it does where a message has come to it.", limits,
        [] { destroy_in_exchange<small>(); });

    add("loop/spawn", "A task that is spawned wakes a loop that goes to sleep.", limits, [] {
        int passed = 0;
        gate g;
        run_loop loop;
        loop.spawn(pass(g, passed));
        thread a([&] { loop.run(); });
        loop.spawn([&]() -> task<> {
            g.open();
            co_return;
        });
        a.join();
        expect(passed == 1, "run() returns before its task has ended");
    });

    add("loop/stop", "A stop ends the run() under way or the next, and one only.", limits, [] {
        int passed = 0;
        gate g;
        run_loop loop;
        loop.spawn(pass(g, passed));
        thread a([&] { loop.run(); });
        loop.stop();
        a.join();
        expect(passed == 0, "a task has passed a closed gate");
        g.open();
        loop.run();
        expect(passed == 1, "a stop has ended two runs");
    });

    add("loop/two-run", "Two threads that run a loop share its tasks, and both return.", larger, [] {
        int first = 0, second = 0;
        run_loop loop;
        loop.spawn(yield_once(first));
        loop.spawn(yield_once(second));
        {
            thread a([&] { loop.run(); });
            loop.run();
            expect(first == 1 && second == 1, "run() returns before the tasks have ended");
        }
    });
    add("loop/two-sleep", "Two threads that sleep in a loop both return when its last task has ended.", larger, [] {
        int passed = 0;
        gate g;
        run_loop loop;
        loop.spawn(pass_inside(g, passed));
        thread a([&] { loop.run(); });
        thread b([&] { loop.run(); });
        g.open();
        a.join();
        b.join();
        expect(passed == 1, "run() returns before its task has ended");
    });
    add("loop/two-stop", "A stop ends both of two run()s under way, or the one that comes next.", larger, [] {
        int passed = 0;
        gate g;
        run_loop loop;
        loop.spawn(pass(g, passed));
        thread a([&] { loop.run(); });
        thread b([&] { loop.run(); });
        expect(wait_until_asleep(a) && wait_until_asleep(b), "a run() ends though a task waits");
        loop.stop();
        a.join();
        b.join();
        g.open();
        loop.stop();
        loop.run();
        expect(passed == 0, "a stop with no run under way does not end the next");
        loop.run();
        expect(passed == 1, "a stop has ended another run too");
    });
    add("loop/exception", "Each exception leaves one run(), and the other tasks end.", larger, [] {
        int ended = 0, thrown = 0;
        run_loop loop;
        loop.spawn(throw_it());
        loop.spawn(yield_once(ended));
        sync::mutex m;
        const auto run = [&] {
            try {
                loop.run();
            } catch (const injected_error&) {
                const std::unique_lock lock(m);
                ++thrown;
            }
        };
        {
            thread a(run);
            run();
        }
        loop.run();
        expect(thrown == 1, "an exception is lost or heard twice");
        expect(ended == 1, "a task is lost");
    });

    add("loop/destroy", "A loop is destroyed while a thread posts what its task waits for.", limits, [] {
        int passed = 0;
        gate g;
        std::optional<run_loop> loop(std::in_place);
        loop->spawn(pass_inside(g, passed));
        loop->poll();
        thread a([&] { g.open(); });
        loop.reset();
        a.join();
        expect(passed == 0, "a task goes on in a destructor");
    });
    add("loop/destroy-after-run", "A loop is destroyed as soon as run() has returned.", limits, [] {
        int passed = 0;
        gate g;
        auto loop = std::make_unique<run_loop>();
        loop->spawn(pass(g, passed));
        thread a([&] { g.open(); });
        loop->run();
        loop.reset();
        expect(passed == 1, "run() returns before its task has ended");
    });

    add("loop/revoke", "What is posted is resumed or revoked, one or the other.", limits, [] {
        run_loop loop;
        noted node;
        thread a([&] { loop.executor().post(node); });
        loop.poll();
        const bool revoked = loop.executor().revoke(node);
        a.join();
        const std::size_t later = loop.poll();
        expect(node.resumed == (revoked ? 0 : 1), "what was revoked was resumed, or what was not, was not");
        expect(later == 0 || !revoked, "what was revoked is resumed");
    });
    add("loop/revoke-among-two", "What two threads run is resumed or revoked by one of them.", larger, [] {
        run_loop loop;
        noted node;
        bool revoked = false;
        loop.spawn([&]() -> task<> {
            revoked = loop.executor().revoke(node);
            co_return;
        });
        loop.executor().post(node);
        {
            thread a([&] { loop.run(); });
            loop.run();
        }
        loop.run();
        expect(node.resumed == (revoked ? 0 : 1), "what was revoked was resumed, or what was not, was not");
    });

    add("loop/timer", "A timer that comes to be the soonest is not slept over.", timed_limits, [] {
        int passed = 0;
        gate g;
        run_loop loop;
        loop.spawn(pass(g, passed));
        struct opening : sluice::timer_node {
            explicit opening(gate& what)
                : timer_node([](timer_node& t) { static_cast<opening&>(t).to_open.open(); }), to_open(what) {}
            gate& to_open;
        } soon(g);
        timed late;
        const auto begin = sync::clock::now();
        loop.executor().post_at(begin + std::chrono::hours(1), late);
        thread a([&] { loop.run(); });
        loop.executor().post_at(begin + std::chrono::milliseconds(1), soon);
        a.join();
        expect(passed == 1, "run() returns before its task has ended");
        expect(!late.expired && loop.executor().cancel(late), "a timer is early");
    });
    add("loop/cancel", "A timer is expired or cancelled, one or the other.", timed_limits, [] {
        run_loop loop;
        timed node;
        loop.executor().post_at(sync::clock::now(), node);
        thread a([&] { loop.poll(); });
        const bool cancelled = loop.executor().cancel(node);
        a.join();
        expect(node.expired != cancelled, "what was cancelled has expired, or what was not, has not");
    });

    add("loop/foreign-end", "A task that ends on a foreign thread comes back to its loop, though that goes to sleep.",
        larger, [] {
            int sum = 0;
            std::optional<thread> other;
            run_loop loop;
            loop.spawn([&]() -> task<> {
                co_await [](std::optional<thread>& t) -> task<> { co_await on_other_thread(t); }(other);
                ++sum;
            });
            loop.run();
            expect(sum == 1, "a task is lost");
        });

    add("loop/foreign-end/spawned", "A spawned task that ends on a foreign thread is ended by its loop, once.", larger,
        [] {
            int sum = 0;
            std::optional<thread> other;
            run_loop loop;
            loop.spawn(go_on_elsewhere(other, sum));
            loop.run();
            expect(sum == 1, "a task is lost");
        });

    add("loop/foreign-loop", "What a task awaits runs on its own loop, whichever loop has resumed it.", larger, [] {
        int sum = 0;
        std::coroutine_handle<> left;
        run_loop home, other;
        home.spawn([&]() -> task<> {
            co_await test::leave_handle(left);
            co_await add_to(sum);
        });
        home.poll();
        other.spawn([&]() -> task<> {
            left.resume();
            co_return;
        });
        other.run();
        expect(sum == 0, "a task runs on a loop that is not its own");
        home.run();
        expect(sum == 1, "a task is lost");
    });

    add("loop/yield", "What yields lets go on what is posted meanwhile, on whichever thread.", larger, [] {
        int turns = 0, passed = 0;
        gate g;
        run_loop loop;
        loop.spawn(yield_twice(turns));
        loop.spawn(pass(g, passed));
        {
            thread a([&] { loop.run(); });
            thread b([&] { g.open(); });
            loop.run();
            expect(turns == 2 && passed == 1, "run() returns before the tasks have ended");
        }
    });
    for (const bool is_destroyed : {false, true}) {
        add(std::string("loop/yield-stop") + (is_destroyed ? "-destroy" : ""),
            "A stop comes as a task yields: it goes on in the next run(), or ends with its loop.", larger,
            [is_destroyed] {
                int turns = 0;
                std::optional<run_loop> loop(std::in_place);
                loop->spawn(yield_inside(turns));
                {
                    thread a([&] { loop->run(); });
                    loop->stop();
                }
                const int before = turns;
                if (is_destroyed) {
                    loop.reset();
                    expect(turns == before, "a task goes on in a destructor");
                } else {
                    loop->run();
                    expect(turns == 2, "a task is lost as it yields");
                }
            });
    }
    add("loop/yield-destroy", "A loop is destroyed as a task yields, and a thread posts what another waits for.",
        limits, [] {
            int turns = 0, passed = 0;
            gate g;
            std::optional<run_loop> loop(std::in_place);
            loop->spawn(yield_inside(turns));
            loop->spawn(pass(g, passed));
            thread a([&] { g.open(); });
            for (auto polls = choose_below(3); polls > 0; --polls) loop->poll();
            const int turns_before = turns, passed_before = passed;
            loop.reset();
            expect(turns == turns_before && passed == passed_before, "a task goes on in a destructor");
        });

    add("group/join",
        "join() goes on when the last task has ended, and sees what all have done; the group may end at once.", larger,
        [] {
            int first = 0, second = 0, sum = 0;
            run_loop loop;
            loop.spawn([&]() -> task<> {
                sluice::task_group g(co_await sluice::this_executor());
                g.spawn(yield_once(first));
                g.spawn(add_to(second));
                co_await g.join();
                sum = first + second;
            });
            {
                thread a([&] { loop.run(); });
                loop.run();
            }
            expect(sum == 2, "join() does not wait for all");
        });
    add("group/exception", "The first exception requests a stop and leaves join(), which waits for all.", larger, [] {
        int ended = 0;
        bool thrown = false, stopped = false;
        run_loop loop;
        loop.spawn([&]() -> task<> {
            sluice::task_group g(co_await sluice::this_executor());
            const auto stop = g.stop_token();
            g.spawn(throw_it());
            g.spawn(add_to(ended));
            try {
                co_await g.join();
            } catch (const injected_error&) {
                thrown = true;
                stopped = stop.stop_requested() && !g.stop_token().stop_requested();
            }
        });
        {
            thread a([&] { loop.run(); });
            loop.run();
        }
        expect(thrown && ended == 1, "join() does not throw, or does not wait");
        expect(stopped, "no stop is requested, or the group is of no more use");
    });
    return true;
}();

}  // namespace model
