// after, at, tick and never: time as something to receive from.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include <sluice/channel.hpp>
#include <sluice/detail/cases.hpp>
#include <sluice/detail/deadline.hpp>
#include <sluice/detail/select_engine.hpp>
#include <sluice/detail/sync.hpp>
#include <sluice/detail/throw.hpp>
#include <sluice/detail/timer_core.hpp>
#include <sluice/result.hpp>
#include <sluice/select.hpp>

namespace sluice {

namespace detail {

// `is_stored`: in a selector.
template <class Timer, class Handler, bool is_stored = false>
struct timer_case;

}  // namespace detail

/// The receiving half of a timer: a copyable handle, whose copies share the ticks; each goes to one of them. Its
/// operations are those of a receiver, for the time points at which the timer was due, and may be called from any
/// number of threads at once.
class timer {
    using deadline = detail::deadline;
    using stop_token = detail::stop_token;

public:
    using value_type = detail::timer_core::clock::time_point;
    using iterator = detail::message_iterator<timer>;

    /// An empty handle; its operations report `closed`.
    timer() = default;
    explicit timer(std::shared_ptr<detail::timer_core> core) noexcept : core_(std::move(core)) {}

    explicit operator bool() const noexcept { return core_ != nullptr; }
    friend bool operator==(const timer&, const timer&) noexcept = default;

    /// Waits until the timer is due. Fails with `closed` when it is over, or `stopped`.
    [[nodiscard]] result<value_type> recv(const stop_token& stop = {}) const {
        return recv_by(deadline::never(), stop);
    }
    /// Receives if the timer is due. Fails with `empty` or `closed`. Never blocks.
    [[nodiscard]] result<value_type> try_recv() const { return recv_by(deadline::immediate(), {}, errc::empty); }
    /// Waits for at most `timeout`, or until `when`. Fails with `closed`, `stopped` or `timeout`; a timer that is due by
    /// then is received.
    template <class Rep, class Period>
    [[nodiscard]] result<value_type> recv_timeout(const std::chrono::duration<Rep, Period>& timeout,
                                                  const stop_token& stop = {}) const {
        return recv_by(deadline::after(timeout), stop);
    }
    template <class Clock, class Duration>
    [[nodiscard]] result<value_type> recv_until(const std::chrono::time_point<Clock, Duration>& when,
                                                const stop_token& stop = {}) const {
        return recv_by(deadline::at(when), stop);
    }

    /// Iterates over the ticks until the timer is over.
    iterator begin() const { return iterator(*this); }
    std::default_sentinel_t end() const noexcept { return {}; }
    /// The same until a stop is requested.
    [[nodiscard]] detail::message_range<timer> until(stop_token stop) const { return {*this, std::move(stop)}; }

private:
    friend iterator;
    template <class Timer, class Handler, bool is_stored>
    friend struct detail::timer_case;

    // The deadline and the token are looked at before the timer: what was due by then is received.
    void recv_into(result<value_type>& tick, const deadline& until, const stop_token& stop,
                   errc on_expiry = errc::timeout) const {
        detail::timer_registration due(core_.get(), tick, false);
        const std::array<detail::select_case*, 1> cases{&due};
        std::array<std::uint32_t, 1> order;
        const auto chosen =
            detail::select_engine(cases, order, detail::preference::listed).choose(until, on_expiry, stop);
        if (!chosen) tick = unexpected(chosen.error());
    }

    result<value_type> recv_by(const deadline& until, const stop_token& stop, errc on_expiry = errc::timeout) const {
        result<value_type> tick = unexpected(errc::closed);
        recv_into(tick, until, stop, on_expiry);
        return tick;
    }

    std::shared_ptr<detail::timer_core> core_;
};

namespace detail {

// `wait` is not negative; a sum that overflows is never.
inline sync::clock::time_point from_now(sync::clock::duration wait) {
    const sync::clock::time_point now = sync::clock::now();
    return wait < timer_core::never - now ? now + wait : timer_core::never;
}

inline timer make_timer(sync::clock::time_point first, sync::clock::duration period = sync::clock::duration::zero()) {
    return timer(std::make_shared<timer_core>(first, period));
}

template <class Timer, class Handler, bool is_stored>
struct timer_case {
    static constexpr handler_kind takes = receive_handler<Handler, timer::value_type, parameter_of<Handler>>::kind;

    using stored = timer_case<timer, std::decay_t<Handler>, true>;
    stored into_stored() && { return {std::forward<Timer>(from), std::forward<Handler>(handler)}; }

    Timer from;
    Handler handler;

    class registration final : public timer_registration {
    public:
        // In a selector a timer that is over is never ready.
        explicit registration(timer_case& c)
            : timer_registration(c.from.core_.get(), got_, takes == handler_kind::outcome && !is_stored), case_(c) {}
        void run() override { call<takes>(case_.handler, got_); }

    private:
        timer_case& case_;
        result<timer::value_type> got_ = unexpected(errc::closed);
    };
};

}  // namespace detail

/// A timer that delivers one message `delay` from now, the time point at which it was due, and is closed after it. A
/// delay that is not positive is due at once; one so long that it overflows never comes.
template <class Rep, class Period>
[[nodiscard]] timer after(const std::chrono::duration<Rep, Period>& delay) {
    using clock = detail::sync::clock;
    const clock::duration wait = (std::max)(detail::saturated(delay), clock::duration::zero());
    return detail::make_timer(detail::from_now(wait));
}

/// The same at a time point. One of another clock than steady_clock is converted to it once, when the timer is made.
template <class Clock, class Duration>
[[nodiscard]] timer at(const std::chrono::time_point<Clock, Duration>& when) {
    using clock = detail::sync::clock;
    if constexpr (std::is_same_v<Clock, clock>) {
        return detail::make_timer(clock::time_point(detail::saturated(when.time_since_epoch())));
    } else {
        using wide = std::chrono::duration<long double>;
        return after(wide(when.time_since_epoch()) - wide(Clock::now().time_since_epoch()));
    }
}

/// A timer that is due every `period` from now, on a fixed grid. Who comes late gets one tick for all that were missed,
/// the oldest, and then the next one on the grid. Throws std::invalid_argument if the period is not positive.
template <class Rep, class Period>
[[nodiscard]] timer tick(const std::chrono::duration<Rep, Period>& period) {
    using clock = detail::sync::clock;
    if (!(period > std::chrono::duration<Rep, Period>::zero()))
        detail::throw_error(std::invalid_argument("sluice: the period of a tick must be positive"));
    const clock::duration step = detail::saturated(period);
    return detail::make_timer(detail::from_now(step), step);
}

/// A receiver of a channel of its own, into which nobody sends; it stays open until close().
template <class T>
[[nodiscard]] receiver<T> never() {
    return receiver<T>(detail::channel_core<T>::make(std::nullopt, 0));
}

/// Ready when the timer is due. The handler takes the time point, or a `result` of it; a timer that is over is like a
/// closed channel.
template <class Handler>
[[nodiscard]] detail::timer_case<const timer&, Handler> on_recv(const timer& t, Handler&& handler) {
    return {t, std::forward<Handler>(handler)};
}
template <class Handler>
[[nodiscard]] detail::timer_case<timer, Handler> on_recv(timer&& t, Handler&& handler) {
    return {std::move(t), std::forward<Handler>(handler)};
}

}  // namespace sluice
