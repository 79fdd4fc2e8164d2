// Vector clocks: which steps of which threads happened before.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace model {

inline constexpr int max_threads = 8;  // of one execution

// For each thread the number of its last step that happened before.
struct vector_clock {
    std::array<std::uint32_t, max_threads> at{};

    std::uint32_t& operator[](int thread) noexcept { return at[static_cast<std::size_t>(thread)]; }
    std::uint32_t operator[](int thread) const noexcept { return at[static_cast<std::size_t>(thread)]; }

    void join(const vector_clock& other) noexcept {
        for (std::size_t i = 0; i < at.size(); ++i) {
            if (other.at[i] > at[i]) at[i] = other.at[i];
        }
    }
    bool knows(int thread, std::uint32_t step) const noexcept { return (*this)[thread] >= step; }
};

}  // namespace model
