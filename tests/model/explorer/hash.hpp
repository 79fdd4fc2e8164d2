// The hash of what threads have observed, and of states.
#pragma once

#include <cstdint>

namespace model {

// Order matters: mix(mix(a, b), c) is what was a, then observed b, then c.
inline std::uint64_t mix(std::uint64_t a, std::uint64_t b) noexcept {
    std::uint64_t z = a ^ (b + 0x9e3779b97f4a7c15u + (a << 6) + (a >> 2));
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

}  // namespace model
