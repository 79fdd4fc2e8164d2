// wake_up: a descriptor by which one thread wakes another that polls; and the timeouts of poll().
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <optional>

#include <poll.h>
#include <time.h>

#include <sluice/detail/event_signal.hpp>
#include <sluice/detail/sync.hpp>
#include <sluice/detail/waiter.hpp>
#include <sluice/ipc/detail/descriptor.hpp>

namespace sluice::ipc::detail {

// A timeout for poll(): rounded up, at most a minute, and -1 for no deadline.
inline int milliseconds_until(const std::optional<sluice::detail::sync::clock::time_point>& when) noexcept {
    if (!when) return -1;
    const auto now = sluice::detail::sync::clock::now();
    if (*when <= now) return 0;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*when - now);
    return static_cast<int>((std::min<std::chrono::milliseconds::rep>)(left.count(), 60'000));
}

// Waits until one of two descriptors is readable or its peer has gone, or until it is time to check `until` again.
// Returns whether the second one is.
inline bool wait_for_either(int first, int second, const sluice::detail::deadline& until) {
    pollfd waiting[] = {{first, POLLIN, 0}, {second, POLLIN, 0}};
#if defined(__linux__)
    timespec left{};
    if (!until.is_never()) {
        const auto now = sluice::detail::sync::clock::now();
        const auto rest = (std::min<sluice::detail::sync::clock::duration>)((std::max)(until.wake_time(), now) - now,
                                                                            std::chrono::hours(1));
        const std::chrono::duration<decltype(left.tv_sec)> seconds = std::chrono::floor<std::chrono::seconds>(rest);
        const std::chrono::duration<decltype(left.tv_nsec), std::nano> fraction = rest - seconds;
        left.tv_sec = seconds.count();
        left.tv_nsec = fraction.count();
    }
    (void)::ppoll(waiting, 2, until.is_never() ? nullptr : &left, nullptr);
#else
    (void)::poll(waiting, 2, milliseconds_until(until.is_never() ? std::nullopt : std::optional(until.wake_time())));
#endif
    return waiting[1].revents != 0;
}

// Makes poll() return in the one thread that waits: that thread polls fd(), and calls clear() before it reads what
// other threads have left for it. signal() makes no system call while an earlier signal is pending: the waiting thread
// reads after it has cleared the flag.
class wake_up {
public:
    int fd() const noexcept { return event_.fd(); }

    void signal() noexcept {
        if (!flag_.exchange(true, std::memory_order_acq_rel)) event_.set();
    }

    void clear() noexcept {
        event_.clear();
        flag_.exchange(false, std::memory_order_acq_rel);
    }

private:
    sluice::detail::event_signal<descriptor> event_;
    std::atomic<bool> flag_{false};
};

}  // namespace sluice::ipc::detail
