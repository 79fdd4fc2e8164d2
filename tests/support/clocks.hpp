// Clocks that stand still until a test moves them.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <utility>

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

/// Stands at zero until it is read for the nth time. Then a scene of the test's own is played first, and the time that
/// is read, from then on, is `later`.
struct stage_clock {
    using duration = std::chrono::milliseconds;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<stage_clock>;
    static constexpr bool is_steady = false;
    static constexpr time_point later{std::chrono::hours(2)};

    static time_point now() {
        if (reads_.fetch_add(1) + 1 == cue_) {
            scene_();
            now_ = later.time_since_epoch().count();
        }
        return time_point(duration(now_.load()));
    }

    /// Before anyone reads it.
    static void play(int at_reading, std::function<void()> scene) {
        now_ = 0;
        reads_ = 0;
        cue_ = at_reading;
        scene_ = std::move(scene);
    }

private:
    static inline std::atomic<rep> now_{0};
    static inline std::atomic<int> reads_{0};
    static inline int cue_ = 0;
    static inline std::function<void()> scene_;
};

}  // namespace test
