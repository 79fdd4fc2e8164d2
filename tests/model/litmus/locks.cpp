// Locks and those who wait: on condition variables, for a time, in a spin, for a stop.
#include <model/explorer/atomic.hpp>
#include <model/explorer/clock.hpp>
#include <model/explorer/control.hpp>
#include <model/explorer/mutex.hpp>
#include <model/explorer/stop_token.hpp>
#include <model/litmus/litmus.hpp>
#include <model/memory_orders.hpp>

#include <limits>
#include <memory>
#include <mutex>
#include <vector>

namespace model {

namespace {

void lock_two(bool in_one_order) {
    mutex m, n;
    thread a([&] {
        const std::lock_guard first(m);
        const std::lock_guard second(n);
    });
    const std::lock_guard first(in_one_order ? m : n);
    const std::lock_guard second(in_one_order ? n : m);
}

void join_under_lock(bool same) {
    mutex m, other;
    thread a([&] { const std::lock_guard lock(same ? m : other); });
    const std::lock_guard lock(m);
    a.join();
}

// The waiter looks at the flag with the lock held, or before it takes it.
void wait_for_flag(bool under_lock) {
    atomic<bool> flag = false;
    mutex m;
    condition_variable changed;
    thread a([&] {
        if (!under_lock) {
            if (flag.load()) return;
            std::unique_lock lock(m);
            changed.wait(lock);
        } else {
            std::unique_lock lock(m);
            while (!flag.load()) changed.wait(lock);
        }
    });
    {
        const std::lock_guard lock(m);
        flag.store(true);
    }
    changed.notify_one();
}

// Two wait, and one of them is woken, or both.
void wake_two(bool all) {
    bool flag = false;
    mutex m;
    condition_variable changed;
    const auto wait = [&] {
        std::unique_lock lock(m);
        while (!flag) changed.wait(lock);
    };
    thread a(wait), b(wait);
    {
        const std::lock_guard lock(m);
        flag = true;
    }
    all ? changed.notify_all() : changed.notify_one();
}

void wait_once(bool in_a_loop) {
    bool flag = false;
    mutex m;
    condition_variable changed;
    thread a([&] {
        std::unique_lock lock(m);
        if (in_a_loop) {
            while (!flag) changed.wait(lock);
        } else if (!flag) {
            changed.wait(lock);
        }
        expect(flag, "it woke up for no reason");
    });
    {
        const std::lock_guard lock(m);
        flag = true;
    }
    changed.notify_one();
}

void wait_in_time(bool may_be_late) {
    bool flag = false;
    mutex m;
    condition_variable changed;
    thread a([&] {
        const auto until = clock::now() + clock::tick;
        std::unique_lock lock(m);
        while (!flag && clock::now() < until) changed.wait_until(lock, until);
        expect(flag || may_be_late, "the deadline has passed");
        expect(flag || clock::now() >= until, "it is early");
    });
    {
        const std::lock_guard lock(m);
        flag = true;
    }
    changed.notify_one();
}

void spin(int most) {
    atomic<bool> flag = false;
    thread a([&] { flag.store(true, release); });
    for (int i = 0; i < most && !flag.load(acquire); ++i) yield();
}

void stop(bool waits) {
    stop_source source;
    const stop_token token = source.get_token();
    auto reason = std::make_unique<int>(0);
    thread a([&] { source.request_stop(); });
    const auto set = [p = reason.get()] { *p = 1; };
    if (waits) {
        { const stop_callback<decltype(set)> callback(token, set); }
        reason.reset();
    } else {
        const stop_callback<decltype(set)> callback(token, set);
        reason.reset();
    }
}

}  // namespace

std::vector<litmus> locks() {
    const char* const deadlock = "deadlock: no thread can go on";
    const budgets spurious = with(&budgets::spurious_wakeups, 1);
    return {
        {"locks/in-one-order", "", [] { lock_two(true); }},
        {"locks/in-two-orders", "lock order inversion", [] { lock_two(false); }},
        {"locks/twice", "a thread locks a mutex that it holds",
         [] {
             mutex m;
             m.lock();
             m.lock();
         }},
        {"locks/join", "", [] { join_under_lock(false); }},
        {"locks/join-the-owner", deadlock, [] { join_under_lock(true); }},
        {"wait/under-lock", "", [] { wait_for_flag(true); }},
        {"wait/lost-wake-up", deadlock, [] { wait_for_flag(false); }},
        {"wait/notify-all", "", [] { wake_two(true); }},
        {"wait/notify-one-of-two", deadlock, [] { wake_two(false); }},
        {"wait/in-a-loop", "", [] { wait_once(true); }, spurious},
        {"wait/without-a-loop", "it woke up for no reason", [] { wait_once(false); }, spurious},
        {"wait/deadline", "", [] { wait_in_time(true); }},
        {"wait/deadline-passes", "the deadline has passed", [] { wait_in_time(false); }},
        {"wait/spin", "", [] { spin(100); }},
        {"wait/spin-until-it-is-so", "", [] { spin(std::numeric_limits<int>::max()); }},
        {"stop/callback-ends-first", "", [] { stop(true); }},
        {"stop/callback-outlives", "memory is used after it was freed", [] { stop(false); }},
    };
}

}  // namespace model
