// The states that an exploration has met.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <model/explorer/explorer.hpp>

namespace model {

// A hash table of states, each with the budgets that were left when it was met.
class state_cache {
public:
    void clear();
    // Whether the state was met before with as much of every budget left; otherwise it has been now.
    bool is_known(std::uint64_t state, const budgets& left);
    std::uint64_t size() const noexcept { return size_; }

private:
    struct entry {
        std::uint64_t state = 0;  // 0: empty
        std::uint64_t left = 0;
    };

    std::size_t slot_of(std::uint64_t state) const noexcept { return state & (entries_.size() - 1); }
    std::size_t next(std::size_t slot) const noexcept { return (slot + 1) & (entries_.size() - 1); }
    void grow();

    std::vector<entry> entries_;
    std::size_t size_ = 0;
};

}  // namespace model
