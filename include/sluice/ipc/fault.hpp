// fault: why an end has closed, where that was no clean end.
#pragma once

#include <mutex>
#include <system_error>

#include <sluice/detail/sync.hpp>

namespace sluice::ipc {

/// Notes the last error of the ends that were opened with it. It is noted before the channel closes, so that who hears
/// `closed` finds it here. Safe to use from any thread.
class fault {
public:
    /// None, unless there was an error.
    [[nodiscard]] std::error_code error() const {
        const std::lock_guard<sluice::detail::sync::mutex> held(mutex_);
        return error_;
    }
    /// Notes an error; none leaves it as it is.
    void note(std::error_code e) {
        if (!e) return;
        const std::lock_guard<sluice::detail::sync::mutex> held(mutex_);
        error_ = e;
    }

private:
    mutable sluice::detail::sync::mutex mutex_;
    std::error_code error_;
};

}  // namespace sluice::ipc
