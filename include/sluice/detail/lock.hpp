// The guard of a mutex, which spins before it blocks.
#pragma once

#include <utility>

#include <sluice/detail/sync.hpp>

namespace sluice::detail {

// Holds a mutex, or none. One that is held by another thread is tried again a few times before the kernel is asked to
// wait: a lock of this library is held, as a rule, for less time than a visit to the kernel takes. The mutex is taken
// also while the process has only one thread, as the move of a message and the allocator run under it and may start the
// first other thread; a mutex of the C library avoids locked instructions by itself then.
class spin_lock_guard {
public:
    spin_lock_guard() = default;
    explicit spin_lock_guard(sync::mutex& m) { lock(m); }
    // For what can't start a thread: it runs no code of the user's, and neither takes nor frees memory. Holds none while
    // the process has only one thread.
    static spin_lock_guard unless_alone(sync::mutex& m) {
        return sync::single_threaded() ? spin_lock_guard() : spin_lock_guard(m);
    }
    spin_lock_guard(spin_lock_guard&& other) noexcept : mutex_(std::exchange(other.mutex_, nullptr)) {}
    spin_lock_guard& operator=(const spin_lock_guard&) = delete;
    ~spin_lock_guard() {
        if (mutex_) mutex_->unlock();
    }

    explicit operator bool() const noexcept { return mutex_ != nullptr; }
    bool holds(const sync::mutex& m) const noexcept { return mutex_ == &m; }

    // Requires that it holds none.
    void lock(sync::mutex& m) {
        if (sync::single_threaded()) {
            m.lock();
        } else if (!m.try_lock()) {
            lock_contended(m);
        }
        mutex_ = &m;
    }

private:
    static void lock_contended(sync::mutex& m) {
        // At growing intervals: so a holder that takes the mutex again at once is not disturbed, and keeps its cache
        // lines.
        for (int pauses = 16; sync::multicore() && pauses <= 256; pauses *= 2) {
            for (int i = 0; i < pauses; ++i) sync::pause();
            if (m.try_lock()) return;
        }
        m.lock();
    }

    sync::mutex* mutex_ = nullptr;
};

}  // namespace sluice::detail
