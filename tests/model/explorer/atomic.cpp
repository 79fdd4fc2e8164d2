// The modelled atomics, and those of the standard library that a program uses.
#include <model/explorer/atomic.hpp>

#include <algorithm>
#include <vector>

#include <model/explorer/memory.hpp>
#include <model/explorer/scheduler.hpp>

namespace model {

namespace {

using printed = unsigned long long;

bool acquires(std::memory_order o) noexcept {
    return o == std::memory_order_acquire || o == std::memory_order_acq_rel || o == std::memory_order_seq_cst ||
           o == std::memory_order_consume;
}
bool releases(std::memory_order o) noexcept {
    return o == std::memory_order_release || o == std::memory_order_acq_rel || o == std::memory_order_seq_cst;
}

}  // namespace

atomic_cell::atomic_cell(std::uint64_t initial) noexcept : sync_object('a') {
    scheduler& s = scheduler::the;
    writes_[0] = {initial, 1, s.in_execution() ? s.me().now : vector_clock{}, made_at(), maker()};
}

// Coherence: nothing older than the newest write that the thread knows of, or that was read in a step it knows of.
std::uint32_t atomic_cell::oldest_readable() const noexcept {
    const vector_clock& now = scheduler::the.me().now;
    std::uint32_t oldest = std::max(at_least_, count_ > max_writes ? count_ - max_writes : 0);
    for (std::uint32_t i = count_; i-- > oldest;) {
        if (now.knows(at(i).thread, at(i).step)) {
            oldest = i;
            break;
        }
    }
    for (std::uint32_t i = 0; i < read_count_; ++i) {
        const read& r = reads_[i];
        if (r.index > oldest && now.knows(r.thread, r.step)) oldest = r.index;
    }
    return oldest;
}

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
    if (acquires(order)) me.now.join(w.released);
    me.observe(w.past_hash);
    note("loads %#llx from a%u%s", static_cast<printed>(w.value), number(),
         index + 1 == count_ ? "" : ", which is an old value");
    return w.value;
}

void atomic_cell::store(std::uint64_t value, std::memory_order order) noexcept {
    scheduler& s = scheduler::the;
    s.step(action::store, this);
    thread_state& me = s.me();
    me.observe(newest().past_hash);  // the order of the stores tells states from each other
    me.yielded_in_vain = false;
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
    const write before = newest();
    if (acquires(order)) me.now.join(before.released);
    me.observe(before.past_hash);
    me.yielded_in_vain = false;
    std::uint64_t value = before.value;
    if (!f(value)) {
        note("compares a%u, which is %#llx, in vain", number(), static_cast<printed>(value));
        return before.value;
    }
    write& w = writes_[count_ % max_writes];
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
std::vector<foreign> foreigners;

foreign& foreign_at(const void* where) {
    for (foreign& f : foreigners) {
        if (f.where == where) return f;
    }
    return foreigners.emplace_back(foreign{where, 1, {}});
}

}  // namespace

void forget_foreign_atomics() { foreigners.clear(); }

// All orders are taken for acq_rel, and no value is old.
void foreign_atomic(const void* where, bool reads, bool writes) {
    scheduler& s = scheduler::the;
    s.step(action::modify);
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
