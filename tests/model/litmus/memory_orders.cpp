// What each memory order guarantees, and what it leaves open.
#include <model/explorer/atomic.hpp>
#include <model/explorer/control.hpp>
#include <model/explorer/mutex.hpp>
#include <model/litmus/litmus.hpp>
#include <model/memory_orders.hpp>

#include <cstdint>
#include <mutex>
#include <vector>

namespace model {

namespace {

using number = std::uint64_t;

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

}  // namespace

std::vector<litmus> memory_orders() {
    const char* const race_of_read = "data race: a read that is not ordered after a write";
    const budgets two_stale = with(&budgets::stale_reads, 2);
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
    };
}

}  // namespace model
