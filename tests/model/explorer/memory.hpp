// The memory that model programs run in, and what the scheduler tells the hooks that watch it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include <model/explorer/vector_clock.hpp>

namespace model {

// The running thread, if an execution runs; `busy` while the explorer itself is at work.
struct view_of_thread {
    const vector_clock* now = nullptr;
    int thread = 0;
    bool busy = false;
};
inline view_of_thread view;

// While it lives, what the explorer does is not watched, and its memory is not that of the model.
struct outside_of_model {
    outside_of_model() = default;
    outside_of_model(const outside_of_model&) = delete;
    outside_of_model& operator=(const outside_of_model&) = delete;
    ~outside_of_model() { view.busy = before; }
    const bool before = std::exchange(view.busy, true);
};

// A real atomic of the standard library, such as the count of a std::shared_ptr: a step of the running thread.
void foreign_atomic(const void* where, bool reads, bool writes);
void forget_foreign_atomics();

// Whether this allocation fails: see scarce_memory.
bool allocation_fails();

namespace memory {

inline constexpr std::size_t stack_size = 1 << 20;

// What comes from operator new in an execution lies in one region, where no address is used twice; a new execution
// begins anew.
void reset();
std::size_t live_blocks();
char* stack(int thread);

}  // namespace memory

}  // namespace model
