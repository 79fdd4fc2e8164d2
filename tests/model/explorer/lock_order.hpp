// The order in which the mutexes of an execution are locked.
#pragma once

#include <cstdint>

namespace model {

// Keeps which mutex was locked while which was held, and what follows from that, for the first 256 sync objects.
class lock_order {
public:
    void clear();
    // `after` is locked while `before` is held. False if it was the other way round before: two threads may deadlock.
    bool add(std::uint32_t before, std::uint32_t after);

private:
    static constexpr std::uint32_t max_objects = 256;

    bool has(std::uint32_t before, std::uint32_t after) const noexcept {
        return (after_[before][after / 64] >> (after % 64) & 1) != 0;
    }

    std::uint64_t after_[max_objects][max_objects / 64] = {};
    std::uint32_t used_ = 0;
};

}  // namespace model
