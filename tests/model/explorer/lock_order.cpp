// The order in which the mutexes of an execution are locked, closed under transitivity.
#include <model/explorer/lock_order.hpp>

#include <algorithm>

namespace model {

void lock_order::clear() {
    for (std::uint32_t i = 0; i < used_; ++i) {
        for (auto& word : after_[i]) word = 0;
    }
    used_ = 0;
}

bool lock_order::add(std::uint32_t before, std::uint32_t after) {
    if (before >= max_objects || after >= max_objects || has(before, after)) return true;
    if (has(after, before)) return false;
    used_ = std::max(used_, std::max(before, after) + 1);
    // Whatever comes before `before` comes before `after`, and before all that comes after it.
    for (std::uint32_t i = 0; i < used_; ++i) {
        if (i != before && !has(i, before)) continue;
        after_[i][after / 64] |= std::uint64_t{1} << (after % 64);
        for (std::uint32_t w = 0; w < max_objects / 64; ++w) after_[i][w] |= after_[after][w];
    }
    return true;
}

}  // namespace model
