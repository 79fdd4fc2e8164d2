// The guard of a loop's mutex.
#pragma once

#include <mutex>

#include <sluice/detail/sync.hpp>

namespace sluice::detail {

// Holds the mutex of a loop, or, while the process has only one thread, does nothing. So nothing that runs under it
// may start a thread: it links nodes, counts, and reads the clock.
class loop_lock {
public:
    explicit loop_lock(sync::mutex& m) : lock_(m, std::defer_lock) { lock(); }
    loop_lock(const loop_lock&) = delete;
    loop_lock& operator=(const loop_lock&) = delete;

    // Has no effect if it is held already.
    void lock() {
        if (!sync::single_threaded() && !lock_.owns_lock()) lock_.lock();
    }
    void unlock() {
        if (lock_.owns_lock()) lock_.unlock();
    }
    // For a condition variable, which wants the mutex itself.
    std::unique_lock<sync::mutex>& to_sleep() {
        if (!lock_.owns_lock()) lock_.lock();
        return lock_;
    }

private:
    std::unique_lock<sync::mutex> lock_;
};

}  // namespace sluice::detail
