// The modelled atomics, and those of the standard library that a program uses.
#include <model/explorer/atomic.hpp>

#include <algorithm>
#include <vector>

#include <model/explorer/memory.hpp>
#include <model/explorer/scheduler.hpp>

namespace model {

namespace {

using printed = unsigned long long;

// consume is taken for acquire, as compilers do.
bool acquires(std::memory_order o) noexcept {
    return o == std::memory_order_acquire || o == std::memory_order_acq_rel || o == std::memory_order_seq_cst ||
           o == std::memory_order_consume;
}
bool releases(std::memory_order o) noexcept {
    return o == std::memory_order_release || o == std::memory_order_acq_rel || o == std::memory_order_seq_cst;
}

}  // namespace

// The initial value counts as a write of its maker: sync_object checks that each user knows of it, so all may read it.
atomic_cell::atomic_cell(std::uint64_t initial) noexcept : sync_object('a') {
    scheduler& s = scheduler::the;
    writes_[0] = {initial, 1, s.in_execution() ? s.me().now : vector_clock{}, made_at(), maker()};
}

// Coherence: nothing older than the newest write that the thread knows of, or that was read in a step it knows of.
// Neither bound goes down as a thread takes steps, so no thread sees an atomic go back. What has left the ring is
// given up, which loses schedules only.
std::uint32_t atomic_cell::oldest_readable() const noexcept {
    const vector_clock& now = scheduler::the.me().now;
    std::uint32_t oldest = std::max(at_least_, count_ > max_writes ? count_ - max_writes : 0);
    // From the newest down: the first that is known ends the search.
    for (std::uint32_t i = count_; i-- > oldest;) {
        if (now.knows(at(i).thread, at(i).step)) {
            oldest = i;
            break;
        }
    }
    // Read-read coherence: a step that the thread knows of has read that write, so it reads nothing older.
    for (std::uint32_t i = 0; i < read_count_; ++i) {
        const read& r = reads_[i];
        if (r.index > oldest && now.knows(r.thread, r.step)) oldest = r.index;
    }
    return oldest;
}

// Called before the load learns anything: the step that has read is the load itself, and who learns of that step later,
// by whatever way, reads nothing older. A thread has a note for each newer write that it comes to: older ones stay, for
// those that know of the older step alone.
void atomic_cell::note_read(std::uint32_t index) const noexcept {
    const thread_state& me = scheduler::the.me();
    for (std::uint32_t i = 0; i < read_count_; ++i) {
        if (reads_[i].thread == me.number && reads_[i].index >= index) return;
    }
    if (read_count_ == max_reads) {
        // No room: values that one of the readers has passed are given up for all, which loses schedules only.
        for (const read& r : reads_) at_least_ = std::max(at_least_, r.index);
        read_count_ = 0;
    }
    reads_[read_count_++] = {index, me.last_step(), me.number};
}

std::uint64_t atomic_cell::load(std::memory_order order) const noexcept {
    scheduler& s = scheduler::the;
    s.step(action::load, this);
    thread_state& me = s.me();
    // 0 of the choice is the newest value. The choice itself is not observed: which write was found says it.
    std::uint32_t index = count_ - 1;
    if (const std::uint32_t oldest = oldest_readable();
        order != std::memory_order_seq_cst && oldest < index && s.left().stale_reads > 0) {
        if (const std::uint32_t back = s.choose(index - oldest + 1, 4); back > 0) {
            index -= back;
            --s.left().stale_reads;
        }
    }
    note_read(index);
    const write& w = at(index);
    // A relaxed load observes the write, too, in the hash: what the thread does next depends on the value, whether or
    // not it learns anything of the thread that stored it.
    if (acquires(order)) me.now.join(w.released);
    me.observe(w.past_hash);
    note("loads %#llx from a%u%s", static_cast<printed>(w.value), number(),
         index + 1 == count_ ? "" : ", which is an old value");
    return w.value;
}

// Becomes the newest value, and is kept with its step: a thread that knows of that step reads nothing older.
void atomic_cell::store(std::uint64_t value, std::memory_order order) noexcept {
    scheduler& s = scheduler::the;
    s.step(action::store, this);
    thread_state& me = s.me();
    me.observe(newest().past_hash);  // the order of the stores tells states from each other
    // Others can notice a store: a spin that makes one may be left at its next yield.
    me.yields_in_vain = 0;
    writes_[count_ % max_writes] = {value, mix(me.past_hash, value), releases(order) ? me.now : vector_clock{},
                                    me.last_step(), me.number};
    // A store that does not release ends the release sequence before it, as it has since C++20.
    if (releases(order)) me.advance();
    ++count_;
    note("stores %#llx to a%u", static_cast<printed>(value), number());
}

// Calls f(value), which changes the value or returns false; returns the value before. The write that it makes carries
// on what was released with the one before: a release sequence.
template <class F>
std::uint64_t atomic_cell::modify(std::memory_order order, F&& f) {
    scheduler& s = scheduler::the;
    s.step(action::modify, this);
    thread_state& me = s.me();
    // The newest always, whatever the order: that is what makes it atomic, and it costs no stale read.
    const write before = newest();
    if (acquires(order)) me.now.join(before.released);
    me.observe(before.past_hash);
    me.yields_in_vain = 0;
    std::uint64_t value = before.value;
    // A failed compare_exchange is a load with the order of the success, which is at least as strong.
    if (!f(value)) {
        note("compares a%u, which is %#llx, in vain", number(), static_cast<printed>(value));
        return before.value;
    }
    write& w = writes_[count_ % max_writes];
    // The clock that was released with the value before stays in it, joined with that of this thread if it releases: an
    // acquire load that finds this value synchronises with all stores of the sequence.
    w = {value, mix(me.past_hash, value), before.released, me.last_step(), me.number};
    if (releases(order)) {
        w.released.join(me.now);
        me.advance();
    }
    ++count_;
    note("modifies a%u from %#llx to %#llx", number(), static_cast<printed>(before.value), static_cast<printed>(value));
    return before.value;
}

std::uint64_t atomic_cell::exchange(std::uint64_t value, std::memory_order order) noexcept {
    return modify(order, [&](std::uint64_t& v) {
        v = value;
        return true;
    });
}
std::uint64_t atomic_cell::fetch_add(std::uint64_t difference, std::memory_order order) noexcept {
    return modify(order, [&](std::uint64_t& v) {
        v += difference;
        return true;
    });
}
std::uint64_t atomic_cell::fetch_or(std::uint64_t bits, std::memory_order order) noexcept {
    return modify(order, [&](std::uint64_t& v) {
        v |= bits;
        return true;
    });
}
std::uint64_t atomic_cell::fetch_and(std::uint64_t bits, std::memory_order order) noexcept {
    return modify(order, [&](std::uint64_t& v) {
        v &= bits;
        return true;
    });
}
// Never fails for no reason. `expected` is set to what was found, which is itself where it succeeds.
bool atomic_cell::compare_exchange(std::uint64_t& expected, std::uint64_t value, std::memory_order order) noexcept {
    bool done = false;
    expected = modify(order, [&, wanted = expected](std::uint64_t& v) {
        done = v == wanted;
        if (done) v = value;
        return done;
    });
    return done;
}

// ---- Atomics of the standard library

namespace {

// What is known of one, which has no place for it: they are few.
struct foreign {
    const void* where;
    std::uint64_t past_hash;
    vector_clock released;
};
// Outside of the model's memory, and not cleared by the end of an execution that is broken off: see
// forget_foreign_atomics().
std::vector<foreign> foreigners;

foreign& foreign_at(const void* where) {
    for (foreign& f : foreigners) {
        if (f.where == where) return f;
    }
    return foreigners.emplace_back(foreign{where, 1, {}});
}

}  // namespace

// They are known by address, and an execution begins with none.
void forget_foreign_atomics() { foreigners.clear(); }

// All orders are taken for acq_rel, and no value is old.
void foreign_atomic(const void* where, bool reads, bool writes) {
    scheduler& s = scheduler::the;
    s.step(action::modify);
    // Only from here on: during the step other threads of the program run.
    const outside_of_model allocates;
    thread_state& me = s.me();
    foreign& f = foreign_at(where);
    if (reads) me.now.join(f.released);
    me.observe(f.past_hash);
    if (writes) {
        f.past_hash = mix(me.past_hash, 0xf0);
        f.released.join(me.now);
        me.advance();
    }
    note("uses an atomic of the standard library");
}

}  // namespace model
