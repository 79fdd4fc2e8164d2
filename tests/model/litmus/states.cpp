// States that the search must tell from each other, or it ends an execution that it does not know. In each program two
// orders of the same steps lead to states that differ in one thing, and the failure comes after the one that is met
// last: who takes it for the first passes the program.
#include <model/explorer/atomic.hpp>
#include <model/explorer/clock.hpp>
#include <model/explorer/control.hpp>
#include <model/explorer/mutex.hpp>
#include <model/explorer/stop_token.hpp>
#include <model/litmus/litmus.hpp>
#include <model/memory_orders.hpp>

#include <mutex>
#include <optional>
#include <vector>

namespace model {

namespace {

// The two run without preemptions, the one before the other. Then there is a choice between two more, so that the state
// is looked up.
template <class A, class B>
void in_either_order(A first, B second) {
    { thread a(first), b(second); }
    thread c([] {}), d([] {});
}

// Each gives the mutex back by an unlock, or as it falls asleep; then they wake up one after the other, in one order.
void lock_in_turn(bool sleeps) {
    mutex m;
    condition_variable never;
    int last = 0;
    const auto write = [&](int value) {
        std::unique_lock lock(m);
        last = value;
        if (sleeps) never.wait_until(lock, clock::time_point(value * clock::tick));
    };
    in_either_order([&] { write(1); }, [&] { write(2); });
    expect(last == 2, "the first was last");
}

// A stop runs the callback first that was added last.
void add_callbacks() {
    stop_source source;
    int last = 0;
    const auto one = [&] { last = 1; };
    const auto two = [&] { last = 2; };
    std::optional<stop_callback<decltype(one)>> first;
    std::optional<stop_callback<decltype(two)>> second;
    in_either_order([&] { first.emplace(source.get_token(), one); }, [&] { second.emplace(source.get_token(), two); });
    source.request_stop();
    expect(last == 1, "the second was first");
}

void ask_for_stop() {
    stop_source source;
    bool requested = false;
    in_either_order([&] { requested = source.get_token().stop_requested(); }, [&] { source.request_stop(); });
    expect(!requested, "a stop was seen");
}

// One notification finds one thread asleep: the first, or, once the deadline of that has passed, the second. In both
// cases the first sleeps before the notification, and wakes up after it.
void notify_one_of_two() {
    mutex m;
    condition_variable changed;
    atomic<bool> notified = false;
    bool before = true, after = false, woken = false;
    clock::time_point second_sleeps_at{};
    {
        thread first([&] {
            before = notified.load();
            std::unique_lock lock(m);
            changed.wait_until(lock, clock::time_point(clock::tick));
            after = notified.load();
        });
        thread notifier([&] {
            changed.notify_one();
            notified.store(true);
        });
        thread second([&] {
            second_sleeps_at = clock::now();
            const auto until = second_sleeps_at + clock::tick;
            std::unique_lock lock(m);
            changed.wait_until(lock, until);
            woken = clock::now() < until;
        });
    }
    const bool first_slept_meanwhile = !before && after;
    const bool first_was_due = second_sleeps_at == clock::time_point(clock::tick);
    expect(!(first_slept_meanwhile && first_was_due && woken), "the second is woken");
}

}  // namespace

std::vector<litmus> states() {
    const budgets orders{.preemptions = 0, .stale_reads = 0, .ticks = 0};
    const budgets deadlines{.preemptions = 0, .stale_reads = 0, .ticks = 2};
    return {
        {"states/who-locked-last", "the first was last", [] { lock_in_turn(false); }, orders},
        {"states/who-slept-last", "the first was last", [] { lock_in_turn(true); }, orders},
        {"states/order-of-callbacks", "the second was first", add_callbacks, orders},
        {"states/stop-requested", "a stop was seen", ask_for_stop, orders},
        {"states/notified", "the second is woken", notify_one_of_two, deadlines},
    };
}

}  // namespace model
