// error_sink: where remote ends note why they have closed.
#pragma once

#include <mutex>
#include <system_error>

#include <sluice/detail/sync.hpp>

namespace sluice::ipc {

/// Keeps the last error of the ends that were opened with it: see options::error_sink. An error is noted before the
/// channel of its end closes, so it is found here once an operation has reported `closed`.
///
/// No member blocks for longer than a moment; all may be called from any thread.
class error_sink {
public:
    /// The last error that was noted; none if there was none.
    [[nodiscard]] std::error_code error() const {
        const std::lock_guard<sluice::detail::sync::mutex> held(mutex_);
        return error_;
    }
    /// Replaces the error by `e`, unless that is no error.
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
