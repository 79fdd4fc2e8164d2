// Spinning before a thread blocks, and the delay by which one look at the other end's counter finds a batch.
#pragma once

#include <cstddef>
#include <cstdint>

#include <sluice/detail/compiler.hpp>
#include <sluice/detail/sync.hpp>

namespace sluice::detail {

// A short spin before a thread blocks: some ten microseconds of pauses, which is less than it takes to fall asleep and to
// be woken, and four yields.
class backoff {
public:
    // Waits once; false when the budget is used up.
    bool wait() noexcept {
        if (pauses_left_ > 0) {
            for (unsigned i = 0; i < pauses_; ++i) sync::pause();
            pauses_left_ -= pauses_left_ < pauses_ ? pauses_left_ : pauses_;
            pauses_ = 2;
            return true;
        }
        if (yields_left_ == 0) return false;
        --yields_left_;
        sync::yield();
        return true;
    }

private:
    unsigned pauses_left_ = sync::spin_pauses();
    unsigned pauses_ = 1;
    unsigned yields_left_ = 4;
};

// An adaptive delay before the other end's counter is read again, so that one cache miss yields a batch: each read
// takes the cache line away from the other end, and where both run, an end that takes what it finds at once soon finds
// a single message at every read. It doubles after a delay that helped and is halved after one in vain, since an end
// whose peer waits for an answer delays in vain. From zero, a short one is probed every `probe_interval_` messages.
// Guarded by its end's lock, except for wait(). The bounds are those with which bench/ was fastest.
class batch_delay {
public:
    // For an end that has found `available` of the `count` that the other end has counted so far: whether it is to
    // wait() with its lock released, and then to look again.
    SLUICE_ALWAYS_INLINE bool should_delay(std::size_t available, std::size_t count) noexcept {
        const bool idle = pauses_.load(std::memory_order_relaxed) == 0;
        return !(idle && (count & (probe_interval_ - 1u)) != 0) && start(available, count, idle);
    }

    // Whether an end was told to delay and has not looked again yet.
    bool is_pending() const noexcept { return pending_; }

    // Without the lock.
    void wait() const noexcept {
        for (unsigned left = pauses_.load(std::memory_order_relaxed); left > 0; --left) sync::pause();
    }

    // For an end that looks again and takes what there is.
    SLUICE_ALWAYS_INLINE void adapt(std::size_t count) noexcept {
        if (!pending_) return;
        pending_ = false;
        const unsigned now = pauses_.load(std::memory_order_relaxed);
        if (count_before_ != static_cast<std::uint16_t>(count)) {
            pauses_.store(static_cast<std::uint8_t>(2 * now < max_pauses ? 2 * now : max_pauses),
                          std::memory_order_relaxed);
            probe_interval_ = min_probe_interval;
        } else {
            pauses_.store(static_cast<std::uint8_t>(now > min_pauses ? now / 2 : 0), std::memory_order_relaxed);
            if (now <= min_pauses && probe_interval_ < max_probe_interval)
                probe_interval_ = static_cast<std::uint16_t>(probe_interval_ * 2);
        }
    }

private:
    SLUICE_NOINLINE bool start(std::size_t available, std::size_t count, bool idle) noexcept {
        if (available == 0 || available >= batch || !sync::multicore() || sync::single_threaded()) return false;
        if (idle) pauses_.store(min_pauses, std::memory_order_relaxed);
        count_before_ = static_cast<std::uint16_t>(count);
        pending_ = true;
        return true;
    }

    static constexpr std::size_t batch = 64;
    static constexpr unsigned min_pauses = 16, max_pauses = 128;
    static constexpr std::uint16_t min_probe_interval = 32, max_probe_interval = 1024;  // powers of two

    std::uint16_t count_before_ = 0;
    std::uint16_t probe_interval_ = min_probe_interval;
    sync::atomic<std::uint8_t> pauses_{0};
    bool pending_ = false;
};

}  // namespace sluice::detail
