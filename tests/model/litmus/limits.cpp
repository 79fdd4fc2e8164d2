// What the explorer does not explore, as explorer.hpp says.
#include <model/explorer/atomic.hpp>
#include <model/explorer/control.hpp>
#include <model/explorer/mutex.hpp>
#include <model/litmus/litmus.hpp>
#include <model/memory_orders.hpp>

#include <mutex>
#include <vector>

namespace model {

namespace {

void buffer_loads() {
    atomic<int> x = 0, y = 0;
    int seen_x = 0, seen_y = 0;
    {
        thread a([&] {
            seen_x = x.load(relaxed);
            y.store(1, relaxed);
        });
        thread b([&] {
            seen_y = y.load(relaxed);
            x.store(1, relaxed);
        });
    }
    expect(seen_x == 0 || seen_y == 0, "both loads find what is stored after them");
}

void store_in_opposite_orders() {
    atomic<int> x = 0, y = 0;
    {
        thread a([&] {
            x.store(1, relaxed);
            y.store(2, relaxed);
        });
        thread b([&] {
            y.store(1, relaxed);
            x.store(2, relaxed);
        });
    }
    expect(x.load() == 2 || y.load() == 2, "both first stores are the last");
}

void fail_to_lock_after_last_step() {
    mutex m;
    atomic<bool> last = false;
    thread a([&] {
        const std::lock_guard lock(m);
        last.store(true);
    });
    if (!last.load()) return;
    const std::unique_lock lock(m, std::try_to_lock);
    expect(lock.owns_lock(), "it has seen the last step, and the mutex is locked");
}

}  // namespace

std::vector<litmus> limits() {
    const budgets two_stale = with(&budgets::stale_reads, 2);
    const budgets failing = with(&budgets::failing_try_locks, 1);
    return {
        {"not-explored/load-buffering", "", buffer_loads, two_stale},
        {"not-explored/modification-order", "", store_in_opposite_orders, two_stale},
        {"not-explored/before-unlock", "", fail_to_lock_after_last_step},
        {"not-explored/before-unlock-but-for-try_lock", "the mutex is locked", fail_to_lock_after_last_step, failing},
    };
}

}  // namespace model
