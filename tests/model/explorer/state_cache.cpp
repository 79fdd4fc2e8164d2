// The states that an exploration has met, in a hash table with linear probing.
#include <model/explorer/state_cache.hpp>

#include <algorithm>

#include <model/explorer/memory.hpp>

namespace model {

namespace {

// Seven budgets in seven bits each, a byte apart, so that the free bit catches the borrow of a subtraction. More
// than 127 count as 127: an exhaustive search with more could end at a state that it met before with less. The tests
// give more to random searches only, which look nothing up.
std::uint64_t packed(const budgets& b) noexcept {
    const auto clamped = [](int n) { return static_cast<std::uint64_t>(std::clamp(n, 0, 127)); };
    return clamped(b.preemptions) | clamped(b.stale_reads) << 8 | clamped(b.spurious_wakeups) << 16 |
           clamped(b.failing_try_locks) << 24 | clamped(b.ticks) << 32 | clamped(b.faults) << 40 |
           clamped(b.detours) << 48;
}

// Whether each of the budgets in `a` is at least that in `b`. With the high bit of each byte set in `a`, the byte of
// `b` is subtracted without a borrow from the next byte, and the bit survives where `a` has as much.
bool covers(std::uint64_t a, std::uint64_t b) noexcept {
    constexpr std::uint64_t high = 0x8080808080808080u;
    return (((a | high) - b) & high) == high;
}

}  // namespace

void state_cache::clear() {
    entries_.clear();
    size_ = 0;
}

// The table is at most half full, so that a search ends soon at an empty slot. The entries of one state may change
// places among each other here: is_known() looks at all of them.
void state_cache::grow() {
    std::vector<entry> old(entries_.empty() ? 1 << 12 : entries_.size() * 2);
    old.swap(entries_);
    for (const entry& e : old) {
        if (e.state == 0) continue;
        std::size_t i = slot_of(e.state);
        while (entries_[i].state != 0) i = next(i);
        entries_[i] = e;
    }
}

// The entry is made when the state is met, before what follows has been explored. That is sound because the search goes
// depth first and no state comes back within an execution: whoever meets it again comes from another branch, after the
// future of the first meeting was explored with all that was left then. With less of one budget and more of another,
// neither meeting covers the other.
bool state_cache::is_known(std::uint64_t state, const budgets& left) {
    const outside_of_model allocates;
    // 0 is the mark of an empty slot.
    if (state == 0) state = 1;
    const std::uint64_t now = packed(left);
    if (size_ * 2 >= entries_.size()) grow();
    std::size_t i = slot_of(state);
    // One state may have several entries, none of which covers another.
    for (; entries_[i].state != 0; i = next(i)) {
        if (entries_[i].state != state) continue;
        if (covers(entries_[i].left, now)) return true;
        // From now on more is known of it.
        if (covers(now, entries_[i].left)) {
            entries_[i].left = now;
            return false;
        }
    }
    entries_[i] = {state, now};
    ++size_;
    return false;
}

}  // namespace model
