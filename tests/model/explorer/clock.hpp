// The clock of the model.
#pragma once

#include <chrono>

namespace model {

// Starts at 0, and moves on by a tick when the scheduler says so, or to the next deadline when nothing else can happen.
struct clock {
    using duration = std::chrono::nanoseconds;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<clock>;
    static constexpr bool is_steady = true;
    static constexpr duration tick = std::chrono::milliseconds(1);
    static time_point now() noexcept;
};

}  // namespace model
