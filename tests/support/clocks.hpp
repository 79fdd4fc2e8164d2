// A clock that stands still until a test moves it.
#pragma once

#include <atomic>
#include <chrono>

namespace test {

/// Counts how often it is read, so that a test can see that someone waits by it.
struct manual_clock {
    using duration = std::chrono::milliseconds;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<manual_clock>;
    static constexpr bool is_steady = false;

    static time_point now() {
        ++reads_;
        return time_point(duration(now_.load()));
    }
    static void set(time_point to) { now_ = to.time_since_epoch().count(); }
    static long reads() { return reads_; }

private:
    static inline std::atomic<rep> now_{0};
    static inline std::atomic<long> reads_{0};
};

}  // namespace test
