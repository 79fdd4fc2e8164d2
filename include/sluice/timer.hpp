// after, at, tick and never: time as something to receive from.
#pragma once

#include <cstddef>
#include <iterator>
#include <memory>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include <sluice/channel.hpp>
#include <sluice/detail/cases.hpp>
#include <sluice/detail/deadline.hpp>
#include <sluice/detail/sync.hpp>
#include <sluice/detail/throw.hpp>
#include <sluice/detail/timer_core.hpp>
#include <sluice/result.hpp>
#include <sluice/select.hpp>

namespace sluice {

namespace detail {

// A timer among the cases of a select; `is_stored` in a selector, which keeps it.
template <class Timer, class Handler, bool is_stored = false>
struct timer_case;

}  // namespace detail

/// A handle of a timer, made by after(), at() or tick(): something to receive time points from, each the one at which
/// the timer was due. The operations are those of the receiver of a channel, and it takes part in select by on_recv().
///
/// A copy is a handle of the same timer; each tick goes to one of those that receive, by whatever handle. Which one, if
/// several wait, is not specified. A timer has no thread: the waiting threads watch the clock, one of them at a time.
/// What is received may be late, by as long as the system takes to wake a thread, but never early.
///
/// reset() and cancel() change a timer for all its handles, and for whoever waits for it: see there.
///
/// All operations may be called from any number of threads at once, on one handle or on copies; assigning to a handle
/// beside its use is not safe. On an empty handle (default constructed or moved from) all report `closed`.
///
/// With a stop token: a stop that was requested before the call always wins, and reports `stopped`. A stop during the
/// call, and a deadline, win only over a timer that is not due by then, and of these two the earlier counts.
class timer {
    using deadline = detail::deadline;
    using stop_token = detail::stop_token;

public:
    /// What it delivers: a `std::chrono::steady_clock::time_point`.
    using value_type = detail::timer_core::clock::time_point;
    /// An input iterator over the ticks.
    using iterator = detail::message_iterator<timer>;

    /// An empty handle.
    timer() = default;
    /// For the library's own use; timers are made by after(), at() and tick().
    explicit timer(std::shared_ptr<detail::timer_core> core) noexcept : core_(std::move(core)) {}

    /// Whether it is a handle of a timer: not if it is empty.
    explicit operator bool() const noexcept { return core_ != nullptr; }
    /// Whether both are handles of the same timer, or both empty.
    friend bool operator==(const timer&, const timer&) noexcept = default;

    /// Receives the next tick, and blocks until the timer is due. Fails with `closed` when the timer is over (also if
    /// it ends meanwhile, because another has received its only tick), or with `stopped`.
    [[nodiscard]] result<value_type> recv(const stop_token& stop = {}) const {
        return recv_by(deadline::never(), stop);
    }
    /// Receives a tick if the timer is due. Never blocks. Fails with `empty` if it is not due yet, or with `closed`.
    [[nodiscard]] result<value_type> try_recv() const { return recv_by(deadline::immediate(), {}, errc::empty); }
    /// @{
    /// Receives the next tick, and blocks until the timer is due, but for at most `timeout` (of any unit; zero and less
    /// is one try), or until `when` (of any clock, whose changes are followed). Fails with `closed`, `stopped`, or
    /// `timeout` if the timer is not due by then.
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
    /// @}

    /// @{
    /// The same for a coroutine, which awaits them: see receiver::async_recv(). Its executor must be a timed_executor.
    template <class Async = detail::async_header>
    [[nodiscard]] auto async_recv(const stop_token& stop = {}) const {
        return detail::async_forms<Async>::recv(*this, Async::not_limited, stop);
    }
    template <class Rep, class Period, class Async = detail::async_header>
    [[nodiscard]] auto async_recv_timeout(const std::chrono::duration<Rep, Period>& timeout,
                                          const stop_token& stop = {}) const {
        return detail::async_forms<Async>::recv(*this, timeout, stop);
    }
    template <class Clock, class Duration, class Async = detail::async_header>
    [[nodiscard]] auto async_recv_until(const std::chrono::time_point<Clock, Duration>& when,
                                        const stop_token& stop = {}) const {
        return detail::async_forms<Async>::recv(*this, when, stop);
    }
    /// @}

    /// Sets the timer anew, for all its handles: one of after() or at() is due `delay` from now, once, also if it was
    /// over or cancelled; one of tick() begins a new grid with that period. A tick that was due and is not received yet
    /// is dropped. After the call nobody gets the old time point, and whoever waits for the timer, in a receive, a
    /// select or a selector, waits for the new time, be it sooner or later. Never blocks. Throws std::invalid_argument,
    /// and changes nothing, for a period of a tick() that is not positive. On an empty handle it does nothing. May be
    /// called by any thread, also by a handler of the timer.
    template <class Rep, class Period>
    void reset(const std::chrono::duration<Rep, Period>& delay) const;
    /// Ends the timer, for all its handles, until it is reset: as that of a channel that is closed and drained, its
    /// receives report `closed`, also those that wait, and its cases are out of the race; in a selector they remove
    /// themselves. A tick that was due and is not received yet is dropped. Never blocks. On an empty handle it does
    /// nothing. May be called by any thread, also by a handler of the timer.
    void cancel() const {
        if (core_) core_->cancel();
    }

    /// @{
    /// The ticks as a range: `for (auto due : timer)`. Blocks for each element as recv() does, and ends when the timer
    /// is over. The handle must outlive the iterators.
    iterator begin() const { return iterator(*this); }
    std::default_sentinel_t end() const noexcept { return {}; }
    /// @}
    /// The same as a range that also ends when a stop is requested: `for (auto due : timer.until(stop))`. Holds a copy
    /// of the handle.
    [[nodiscard]] detail::message_range<timer> until(stop_token stop) const { return {*this, std::move(stop)}; }

private:
    friend iterator;
    template <class Timer, class Handler, bool is_stored>
    friend struct detail::timer_case;

    void recv_into(result<value_type>& tick, const deadline& until, const stop_token& stop,
                   errc on_expiry = errc::timeout) const {
        const errc e = stop.stop_requested() ? errc::stopped
                       : core_               ? detail::timer_wait(*core_)(tick, until, stop, on_expiry)
                                             : errc::closed;
        if (e != errc{}) tick = unexpected(e);
    }

    result<value_type> recv_by(const deadline& until, const stop_token& stop, errc on_expiry = errc::timeout) const {
        result<value_type> tick = unexpected(errc::closed);
        recv_into(tick, until, stop, on_expiry);
        return tick;
    }

    friend detail::timer_core* core_of(const timer& t) noexcept { return t.core_.get(); }

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
        explicit registration(timer_case& c)
            : timer_registration(c.from.core_.get(), got_, takes == handler_kind::outcome, is_stored), case_(c) {}
        void run() override { detail::call<takes>(case_.handler, got_); }

    private:
        timer_case& case_;
        result<timer::value_type> got_ = unexpected(errc::closed);
    };
};

// How far the first tick is away: a delay that is negative is over, and the period of a tick must be positive.
template <class Rep, class Period>
sync::clock::duration first_wait(const std::chrono::duration<Rep, Period>& d, bool repeats) {
    if (repeats && !(d > std::chrono::duration<Rep, Period>::zero()))
        throw_error(std::invalid_argument("sluice: the period of a tick must be positive"));
    const sync::clock::duration wait = saturated(d);
    return wait < sync::clock::duration::zero() ? sync::clock::duration::zero() : wait;
}

}  // namespace detail

template <class Rep, class Period>
void timer::reset(const std::chrono::duration<Rep, Period>& delay) const {
    if (!core_) return;
    const detail::sync::clock::duration wait = detail::first_wait(delay, core_->repeats());
    core_->reset(detail::from_now(wait), core_->repeats() ? wait : detail::sync::clock::duration::zero());
}

/// A timer that delivers one tick, `delay` from now, and is closed after it. A delay that is not positive is due at
/// once; one so long that the clock cannot express its end never comes. Does not block; throws std::bad_alloc.
template <class Rep, class Period>
[[nodiscard]] timer after(const std::chrono::duration<Rep, Period>& delay) {
    return detail::make_timer(detail::from_now(detail::first_wait(delay, false)));
}

/// A timer that delivers one tick at a time point, and is closed after it. One in the past is due at once, and `max()`
/// of steady_clock never. A time point of another clock is converted once, when the timer is made: later changes of
/// that clock are not followed, and what is received is the time point of steady_clock. Does not block; throws
/// std::bad_alloc.
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

/// A timer that is due on a fixed grid: one `period` from now, two periods, and so on, whatever time it takes to
/// receive. A receive that comes late gets one tick for all that were missed, the oldest of them, and the following
/// receive gets the next one on the grid. The period is rounded up to a whole number of the clock's units (nanoseconds,
/// as a rule).
///
/// Does not block. Throws std::invalid_argument if the period is not positive, and std::bad_alloc.
template <class Rep, class Period>
[[nodiscard]] timer tick(const std::chrono::duration<Rep, Period>& period) {
    const detail::sync::clock::duration step = detail::first_wait(period, true);
    return detail::make_timer(detail::from_now(step), step);
}

/// A receiver of a new channel into which nobody sends: no message ever comes, and it stays open until close(), or until
/// the last receiver is dropped. For a case of a select, or an argument, where nothing shall come. Does not block;
/// throws std::bad_alloc.
template <class T>
[[nodiscard]] receiver<T> never() {
    return receiver<T>(detail::channel_core<T>::make(std::nullopt, 0));
}

/// @{
/// A case of select: ready when the timer is due. If it is chosen, the tick is received and the handler called, with no
/// lock held, with the time point, or with a `result` of it. A timer that is over is like a channel that is closed and
/// drained: the case is out of the race, or, for a handler that is declared to take a result, ready with `closed`. A
/// case of an empty handle is never ready.
///
/// A timer that is an lvalue is referred to until the select returns; a selector keeps a copy. In a selector the case
/// stays when the timer is over, and is not ready then, until a reset, which the handler may make, or until it is
/// removed. When the timer is cancelled the case removes itself, as that of a channel that has closed: a handler that is
/// declared to take a result is then called once with `closed`.
template <class Handler>
[[nodiscard]] detail::timer_case<const timer&, Handler> on_recv(const timer& t, Handler&& handler) {
    return {t, std::forward<Handler>(handler)};
}
template <class Handler>
[[nodiscard]] detail::timer_case<timer, Handler> on_recv(timer&& t, Handler&& handler) {
    return {std::move(t), std::forward<Handler>(handler)};
}
/// @}

/// @{
/// The same without a handler: the time point is stored in `into`, a `std::optional` or a `result` of it, as on_recv()
/// of a channel stores a message.
template <detail::storage_of<timer::value_type> Into>
[[nodiscard]] detail::timer_case<const timer&, detail::store_into<Into>> on_recv(const timer& t, Into& into) {
    return {t, {into}};
}
template <detail::storage_of<timer::value_type> Into>
[[nodiscard]] detail::timer_case<timer, detail::store_into<Into>> on_recv(timer&& t, Into& into) {
    return {std::move(t), {into}};
}
/// @}

}  // namespace sluice
