// The memory that model programs run in, and what the scheduler tells the hooks that watch it.
#pragma once

#include <cstddef>
#include <cstdint>

#include <model/scheduler.hpp>

namespace model {

// The running thread, if an execution runs; `busy` while the scheduler itself is at work.
struct view_of_thread {
    const vector_clock* now = nullptr;
    int thread = 0;
    bool busy = false;
};
extern view_of_thread view;

void foreign_atomic(const void* where, bool reads, bool writes);
bool allocation_fails();

namespace memory {

inline constexpr std::size_t stack_size = 1 << 20;

// What comes from operator new in an execution lies in one region, where no address is used twice; a new execution begins anew.
void reset();
std::size_t live_blocks();
void* stack(int thread);

}  // namespace memory

}  // namespace model
