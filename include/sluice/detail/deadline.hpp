// When an operation gives up: durations and time points of any clock, saturated and rounded up.
#pragma once

#include <cstdint>
#include <limits>
#include <ratio>
#include <type_traits>

#include <sluice/detail/sync.hpp>

namespace sluice::detail {

using sync::stop_token;

// rest * Ratio, for a rest below the denominator, rounded up.
template <class Ticks, class Ratio>
constexpr Ticks rounded_up(std::intmax_t rest) {
    if constexpr (Ratio::den <= (std::numeric_limits<std::intmax_t>::max)() / Ratio::num) {
        const std::intmax_t product = rest * Ratio::num;
        return Ticks(product / Ratio::den + (product % Ratio::den > 0 ? 1 : 0));
    } else {
        using wide = std::chrono::duration<long double, typename Ticks::period>;
        return std::chrono::ceil<Ticks>(wide(static_cast<long double>(rest) * Ratio::num / Ratio::den));
    }
}

// The duration in units of `Ticks`, rounded up; what would overflow becomes max() or min(), a NaN min().
template <class Ticks = sync::clock::duration, class Rep, class Period>
Ticks saturated(const std::chrono::duration<Rep, Period>& d) {
    const std::chrono::duration<long double, typename Ticks::period> wide(d);
    // Far from where rounding could overflow.
    constexpr auto bound = static_cast<long double>((Ticks::max)().count() / 2);
    if (wide.count() >= bound) return (Ticks::max)();
    if (!(wide.count() > -bound)) return (Ticks::min)();
    if constexpr (std::is_integral_v<Rep>) {
        // The whole units of `Ticks` and the rest apart, since the product of both, as in duration_cast, may overflow.
        using ratio = std::ratio_divide<Period, typename Ticks::period>;
        using number = std::common_type_t<Rep, std::intmax_t>;
        const auto count = static_cast<number>(d.count());
        constexpr auto num = static_cast<number>(ratio::num), den = static_cast<number>(ratio::den);
        const auto whole = static_cast<typename Ticks::rep>(count / den * num);
        return Ticks(whole) + rounded_up<Ticks, ratio>(static_cast<std::intmax_t>(count % den));
    } else {
        return std::chrono::ceil<Ticks>(wide);
    }
}

// When to give up. Made once, at the start of an operation. Refers to the time point if that is of a clock of the
// user's.
class deadline {
public:
    using clock = sync::clock;

    static constexpr deadline never() noexcept { return deadline((clock::time_point::max)()); }
    static deadline immediate() noexcept { return deadline((clock::time_point::min)()); }

    static deadline at_steady(clock::time_point when) noexcept { return deadline(when); }

    template <class Rep, class Period>
    static deadline after(const std::chrono::duration<Rep, Period>& d) {
        const clock::duration wait = saturated(d);
        if (wait <= clock::duration::zero()) return immediate();
        return wait == (clock::duration::max)() ? never() : deadline(clock::now() + wait);
    }

    // A time point of another clock is compared with that clock again and again, so that its changes are followed.
    template <class Clock, class Duration>
    static deadline at(const std::chrono::time_point<Clock, Duration>& when) {
        if constexpr (std::is_same_v<Clock, clock>) {
            return deadline(clock::time_point(saturated(when.time_since_epoch())));
        } else {
            if (when == (std::chrono::time_point<Clock, Duration>::max)()) return never();
            deadline d = never();
            if constexpr (std::is_same_v<Clock, sync::system_clock>) {
                d.kind_ = clock_kind::system;
                d.system_when_ =
                    sync::system_clock::time_point(saturated<sync::system_clock::duration>(when.time_since_epoch()));
            } else {
                d.kind_ = clock_kind::other;
                d.other_when_ = &when;
                d.other_left_ = [](const void* p) {
                    const auto& point = *static_cast<const std::chrono::time_point<Clock, Duration>*>(p);
                    const auto now = Clock::now();
                    // As wide numbers: the difference of two far points overflows.
                    using wide = std::chrono::duration<long double>;
                    return saturated(wide(point.time_since_epoch()) - wide(now.time_since_epoch()));
                };
            }
            return d;
        }
    }

    // The sooner of the two, as far as one wait can follow two clocks: see wake_time().
    static deadline sooner(const deadline& a, const deadline& b) {
        if (a.is_never()) return b;
        if (b.is_never()) return a;
        return deadline(sooner_of(a.wake_time(), b.wake_time()));
    }

    bool is_never() const noexcept { return kind_ == clock_kind::steady && when_ == (clock::time_point::max)(); }
    // Whether the caller wrote a duration that is not positive: the operation is tried once.
    bool is_immediate() const noexcept { return kind_ == clock_kind::steady && when_ == (clock::time_point::min)(); }

    bool is_on_other_clock() const noexcept { return kind_ == clock_kind::other; }

    bool passed() const {
        switch (kind_) {
            case clock_kind::system: return sync::system_clock::now() >= system_when_;
            case clock_kind::other: return other_left_(other_when_) <= clock::duration::zero();
            case clock_kind::steady: break;
        }
        return is_immediate() || (!is_never() && clock::now() >= when_);
    }

    // Sleeps in `sleeper` until it is notified, or for so long that passed() is to be asked again.
    template <class Sleeper, class Lock>
    void sleep(Sleeper& sleeper, Lock& lock) const {
        if (is_never()) {
            sleeper.wait(lock);
        } else if (kind_ == clock_kind::system) {
            sleeper.wait_until(lock, system_when_);
        } else {
            sleeper.wait_until(lock, wake_time());
        }
    }

    // Until when to sleep, on the steady clock, before passed() is asked again. What cannot be waited for on it is
    // looked at every 20 ms.
    clock::time_point wake_time() const {
        constexpr clock::duration grain = std::chrono::milliseconds(20);
        switch (kind_) {
            case clock_kind::system: {
                const auto now = sync::system_clock::now();
                if (system_when_ <= now) return clock::now();
                const bool is_near = system_when_ < now + grain;
                return clock::now() +
                       (is_near ? std::chrono::duration_cast<clock::duration>(system_when_ - now) : grain);
            }
            case clock_kind::other: return clock::now() + sooner_of(other_left_(other_when_), grain);
            case clock_kind::steady: break;
        }
        return when_;
    }
    static deadline in(clock::duration wait) { return deadline(clock::now() + wait); }

private:
    // steady and system: a condition variable waits on them, and follows when the system's clock is set.
    enum class clock_kind : std::uint8_t { steady, system, other };

    template <class Time>
    static Time sooner_of(Time a, Time b) noexcept {
        return b < a ? b : a;
    }

    constexpr explicit deadline(clock::time_point when) noexcept : when_(when) {}

    clock::time_point when_;
    clock_kind kind_ = clock_kind::steady;
    sync::system_clock::time_point system_when_{};
    const void* other_when_ = nullptr;
    clock::duration (*other_left_)(const void*) = nullptr;
};

// For what refers to a deadline and has none.
inline constexpr deadline no_deadline = deadline::never();

}  // namespace sluice::detail
