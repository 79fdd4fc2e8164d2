// Litmus tests of the explorer itself: small programs with a fault of each kind, which it must find and name, and
// programs that are right, which it must pass. Those at the end show what it does not explore, as explorer.hpp says.
//
// A litmus test that fails as it should is replayed too; one that passes must have been explored to the end.
#include <model/explorer/atomic.hpp>
#include <model/explorer/control.hpp>
#include <model/explorer/explorer.hpp>
#include <model/explorer/mutex.hpp>
#include <model/explorer/stop_token.hpp>
#include <model/memory_orders.hpp>

#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace model {

namespace {

using number = std::uint64_t;

struct litmus {
    const char* name;
    const char* complaint;  // a part of what must be said; "": nothing
    std::function<void()> body;
    budgets limits{};
};

budgets with(int budgets::*which, int value) {
    budgets b;
    b.*which = value;
    return b;
}

// ---- Memory orders

void pass_message(std::memory_order stores, std::memory_order loads) {
    int message = 0;
    atomic<bool> sent = false;
    thread a([&] {
        message = 1;
        sent.store(true, stores);
    });
    if (sent.load(loads)) expect(message == 1, "the message is old");
}

// Nobody races on an atomic message, but it may be old.
void pass_atomic_message(std::memory_order stores, std::memory_order loads) {
    atomic<int> message = 0;
    atomic<bool> sent = false;
    thread a([&] {
        message.store(1, relaxed);
        sent.store(true, stores);
    });
    if (sent.load(loads)) expect(message.load(relaxed) == 1, "the message is old");
}

// The second thread adds to the flag, or overwrites it, without an order.
void pass_message_by_two(bool adds) {
    int message = 0;
    atomic<number> flag = 0;
    thread a([&] {
        message = 1;
        flag.store(1, release);
    });
    thread b([&] {
        if (flag.load(relaxed) != 1) return;
        adds ? (void)flag.fetch_add(1, relaxed) : flag.store(2, relaxed);
    });
    if (flag.load(acquire) == 2) expect(message == 1, "the message is old");
}

void buffer_stores(std::memory_order stores, std::memory_order loads) {
    atomic<int> x = 0, y = 0;
    int seen_x = -1, seen_y = -1;
    {
        thread a([&] {
            x.store(1, stores);
            seen_y = y.load(loads);
        });
        thread b([&] {
            y.store(1, stores);
            seen_x = x.load(loads);
        });
    }
    expect(seen_x == 1 || seen_y == 1, "both loads are old");
}

void read_twice() {
    atomic<int> x = 0;
    thread a([&] {
        x.store(1, relaxed);
        x.store(2, relaxed);
    });
    const int first = x.load(relaxed);
    expect(x.load(relaxed) >= first, "a variable goes back");
}

// Who knows that another has read a value reads no older one.
void read_after_reader(std::memory_order tells) {
    atomic<int> x = 0, seen = 0;
    thread a([&] { x.store(1, relaxed); });
    thread b([&] { seen.store(x.load(relaxed), tells); });
    if (seen.load(acquire) == 1) expect(x.load(relaxed) == 1, "a variable goes back");
}

// Independent reads of independent writes.
void disagree(std::memory_order stores, std::memory_order loads) {
    atomic<int> x = 0, y = 0;
    int x_first[2] = {}, y_first[2] = {};
    {
        thread a([&] { x.store(1, stores); });
        thread b([&] { y.store(1, stores); });
        thread c([&] {
            x_first[0] = x.load(loads);
            x_first[1] = y.load(loads);
        });
        thread d([&] {
            y_first[0] = y.load(loads);
            y_first[1] = x.load(loads);
        });
    }
    expect(!(x_first[0] == 1 && x_first[1] == 0 && y_first[0] == 1 && y_first[1] == 0), "the readers disagree");
}

void count(bool at_once) {
    atomic<number> counter = 0;
    {
        const auto add = [&] {
            if (at_once) {
                counter.fetch_add(1, relaxed);
            } else {
                counter.store(counter.load(seq_cst) + 1, seq_cst);
            }
        };
        thread a(add), b(add);
    }
    expect(counter.load() == 2, "a count is lost");
}

void exchange_once() {
    atomic<int> owner = 0;
    int winners = 0;
    mutex m;
    {
        const auto take = [&] {
            int nobody = 0;
            if (!owner.compare_exchange_strong(nobody, 1, acq_rel)) return;
            const std::lock_guard lock(m);
            ++winners;
        };
        thread a(take), b(take);
    }
    expect(winners == 1, "not one has won");
}

// ---- Locks and waiting

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

// ---- Memory

void write_both(bool locked) {
    int x = 0;
    mutex m;
    const auto write = [&](int value) {
        std::unique_lock lock(m, std::defer_lock);
        if (locked) lock.lock();
        x = value;
    };
    thread a([&] { write(1); }), b([&] { write(2); });
}

void read_and_write(bool locked) {
    int x = 0, seen = 0;
    mutex m;
    thread a([&] {
        std::unique_lock lock(m, std::defer_lock);
        if (locked) lock.lock();
        seen = x;
    });
    std::unique_lock lock(m, std::defer_lock);
    if (locked) lock.lock();
    x = 1;
}

struct node {
    int value = 1;
};

void allocate(bool frees) {
    node* const n = new node;
    thread a([&] { n->value = 2; });
    a.join();
    if (frees) delete n;
}

// The reader comes before it is deleted, or after that.
void use_shared_node(bool before) {
    node* const n = new node;
    atomic<bool> flag = false;
    int seen = 0;
    thread a([&] {
        if (before) {
            if (flag.load(acquire)) delete n;
        } else {
            delete n;
            flag.store(true, release);
        }
    });
    if (before) {
        seen = n->value;
        flag.store(true, release);
        a.join();
        return;
    }
    if (flag.load(acquire)) seen = n->value;
    expect(seen <= 1, "a value that nobody wrote");
}

void share_node(bool counts) {
    node* const n = new node;
    atomic<number> owners = 2;
    const auto drop = [&] {
        if (!counts || owners.fetch_sub(1, acq_rel) == 1) delete n;
    };
    thread a(drop), b(drop);
}

// ---- Lives of sync objects

// The other thread says that it is done with it, in an order that lets this one destroy it, or not.
void destroy_after_use(std::memory_order stores, std::memory_order loads) {
    auto m = std::make_unique<mutex>();
    atomic<bool> done = false;
    thread a([&, p = m.get()] {
        { const std::lock_guard lock(*p); }
        done.store(true, stores);
    });
    if (!done.load(loads)) a.join();
    m.reset();
}

void use_destroyed(bool destroyed) {
    std::optional<mutex> m;
    m.emplace();
    mutex& same = *m;
    if (destroyed) m.reset();
    same.lock();
    same.unlock();
}

// ---- What is not explored

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

std::vector<litmus> all() {
    const char* const race_of_read = "data race: a read that is not ordered after a write";
    const char* const deadlock = "deadlock: no thread can go on";
    const budgets two_stale = with(&budgets::stale_reads, 2), spurious = with(&budgets::spurious_wakeups, 1),
                  failing = with(&budgets::failing_try_locks, 1), faulty = with(&budgets::faults, 1);
    return {
        {"message/release-acquire", "", [] { pass_message(release, acquire); }},
        {"message/relaxed-acquire", race_of_read, [] { pass_message(relaxed, acquire); }},
        {"message/release-relaxed", race_of_read, [] { pass_message(release, relaxed); }},
        {"message/atomic-release-acquire", "", [] { pass_atomic_message(release, acquire); }, two_stale},
        {"message/atomic-relaxed", "the message is old", [] { pass_atomic_message(relaxed, relaxed); }},
        {"message/release-sequence", "", [] { pass_message_by_two(true); }},
        {"message/no-release-sequence", race_of_read, [] { pass_message_by_two(false); }},
        {"store-buffering/seq_cst", "", [] { buffer_stores(seq_cst, seq_cst); }, two_stale},
        {"store-buffering/release-acquire", "both loads are old", [] { buffer_stores(release, acquire); }},
        {"store-buffering/relaxed", "both loads are old", [] { buffer_stores(relaxed, relaxed); }},
        {"coherence/read-read", "", read_twice, two_stale},
        {"coherence/reader-reader", "", [] { read_after_reader(release); }, two_stale},
        {"coherence/reader-reader-relaxed", "a variable goes back", [] { read_after_reader(relaxed); }, two_stale},
        {"independent-reads/seq_cst", "", [] { disagree(seq_cst, seq_cst); }, two_stale},
        {"independent-reads/release-acquire", "the readers disagree", [] { disagree(release, acquire); }, two_stale},
        {"count/fetch_add", "", [] { count(true); }, two_stale},
        {"count/load-and-store", "a count is lost", [] { count(false); }},
        {"compare_exchange", "", exchange_once, two_stale},

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
        {"stop/callback-ends-first", "", [] { stop(true); }},
        {"stop/callback-outlives", "memory is used after it was freed", [] { stop(false); }},

        {"race/locked-writes", "", [] { write_both(true); }},
        {"race/writes", "data race: two writes", [] { write_both(false); }},
        {"race/locked-read-and-write", "", [] { read_and_write(true); }},
        {"race/read-and-write", "data race: a", [] { read_and_write(false); }},
        {"memory/freed", "", [] { allocate(true); }},
        {"memory/leak", "allocations were never freed", [] { allocate(false); }},
        {"memory/use-after-free", "memory is used after it was freed", [] { use_shared_node(false); }},
        {"memory/counted-owners", "", [] { share_node(true); }},
        {"memory/two-owners", "a block is deleted twice", [] { share_node(false); }},
        {"memory/nowhere", "an access to memory that is not there",
         [] {
             volatile int* volatile nowhere = nullptr;
             *nowhere = 1;
         }},
        {"memory/scarce", "an exception leaves a thread: std::bad_alloc",
         [] {
             const scarce_memory none;
             ::operator delete(::operator new(8));  // a new expression may be optimised away
         },
         faulty},
        {"lives/ordered", "", [] { destroy_after_use(release, acquire); }},
        {"lives/not-ordered", "nothing orders its use by thread 1", [] { destroy_after_use(relaxed, acquire); }},
        {"lives/used", "", [] { use_destroyed(false); }},
        {"lives/used-destroyed", "a sync object is used after its destruction", [] { use_destroyed(true); }},
        {"lives/destroyed-locked", "a mutex is destroyed that is locked",
         [] {
             mutex m;
             m.lock();
         }},

        {"not-explored/load-buffering", "", buffer_loads, two_stale},
        {"not-explored/modification-order", "", store_in_opposite_orders, two_stale},
        {"not-explored/end-of-a-spin", "livelock", [] { spin(1000000); }},
        {"not-explored/before-unlock", "", fail_to_lock_after_last_step},
        {"not-explored/before-unlock-but-for-try_lock", "the mutex is locked", fail_to_lock_after_last_step, failing},
    };
}

// What is wrong with the explorer, or nothing.
std::string problem_of(const litmus& l) {
    settings how;
    how.limits = l.limits;
    const outcome found = explore(l.body, how);
    if (!*l.complaint)
        return found.failed     ? "it complains of what is right: " + found.complaint
               : found.finished ? ""
                                : "it was not explored to the end";
    if (!found.failed) return "it is passed";
    if (found.complaint.find(l.complaint) == std::string::npos)
        return "it complains of something else: " + found.complaint;
    if (replay(l.body, how, found.trace).complaint != found.complaint) return "the replay does not fail likewise";
    return "";
}

}  // namespace

}  // namespace model

int main() {
    int tests = 0, failed = 0;
    for (const model::litmus& l : model::all()) {
        ++tests;
        const std::string problem = model::problem_of(l);
        if (problem.empty()) continue;
        ++failed;
        std::printf("FAILED: %s: %s\n", l.name, problem.c_str());
    }
    std::printf("%d of %d litmus tests passed\n", tests - failed, tests);
    return failed > 0;
}
