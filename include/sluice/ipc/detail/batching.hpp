// How much an end holds: messages in its channel, bytes in a batch, and memory while it is idle.
#pragma once

#include <algorithm>
#include <cstddef>

#include <sluice/ipc/detail/plain.hpp>

namespace sluice::ipc::detail {

// The capacity of an end's channel: as chosen, or 256 KiB of messages within 16 and 1024; of types that own memory,
// each of which may be large, 64.
template <class T>
std::size_t capacity_for(std::size_t chosen) {
    if (chosen != 0) return chosen;
    if constexpr (plain<T>) return std::clamp<std::size_t>((256 * 1024) / sizeof(T), 16, 1024);
    return 64;
}

// A batch is complete with so many bytes: then they are written, or handed over.
inline constexpr std::size_t batch_bytes = 64 * 1024;

// An idle end keeps at most so much memory for its next messages.
inline constexpr std::size_t max_idle_bytes = 512;

// A message in a std::vector: std::vector<bool> has no objects to refer to.
template <class T>
struct boxed {
    T message;
};

}  // namespace sluice::ipc::detail
