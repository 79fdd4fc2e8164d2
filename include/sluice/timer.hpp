// after, at, tick and never: time as something to receive from.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>

#include <sluice/channel.hpp>
#include <sluice/detail/core.hpp>
#include <sluice/detail/selection.hpp>
#include <sluice/detail/sync.hpp>
#include <sluice/detail/throw.hpp>
#include <sluice/detail/wait.hpp>
#include <sluice/result.hpp>
#include <sluice/select.hpp>

namespace sluice {

namespace detail {

// When a timer is due next, and which operations wait for that. There is no thread of the library: of the threads that
// wait, the first in `line_` sleeps until the timer is due, and the others until they are interrupted (the pattern of a
// leader and its followers). When the first leaves the line, with a tick or without one, it interrupts the one that is
// first then, which looks at the clock in its turn. So one thread watches the clock, however many wait. The end of the
// timer interrupts all.
//
// `lock_` guards everything. It is taken after the locks of claims and channels, and before the mutex of a parker. A
// waiter is interrupted with `lock_` held, so that it still exists: leaving the line takes the lock.
class timer_core {
public:
    using clock = sync::clock;

    // Due at `first`, and then every `period`; where that is zero, only once. A time point of `never` does not come.
    timer_core(clock::time_point first, clock::duration period) noexcept : next_(first), period_(period) {}

    // Takes the tick that is due, or says why there is none. Registers nothing.
    attempt take(result<clock::time_point>& out) {
        const guard held(lock_);
        return take_locked(out);
    }
    // The same; where no tick is due, `self` is in the line afterwards. If `self` belongs to a select, it is decided
    // along with taking a tick, and `lost` says that it had been decided before. The end of the timer decides it only
    // if `hears_of_end`.
    attempt enlist(result<clock::time_point>& out, waiter& self, bool hears_of_end) {
        claim* const owner = self.owner;
        std::optional<guard> decision;
        if (owner) {
            decision.emplace(owner->lock);
            if (owner->decided) return attempt::lost;
        }
        const guard held(lock_);
        const attempt tried = take_locked(out);
        if (tried == attempt::blocked && !self.linked) line_.push_back(self);
        if (owner && (tried == attempt::done || (tried == attempt::closed && hears_of_end))) owner->decided = true;
        return tried;
    }
    // Leaves the line, if `self` is in it.
    void withdraw(waiter& self) {
        const guard held(lock_);
        if (!self.linked) return;
        const bool watches = line_.front() == &self;
        line_.remove(self);
        if (watches) interrupt_first();
    }

    // Until when `self`, which is in the line, may sleep without being interrupted.
    clock::time_point next_look(const waiter& self) const {
        const guard held(lock_);
        return line_.front() == &self ? next_ : never;
    }
    // Whether a look would find a tick, or the end.
    bool due() const {
        const guard held(lock_);
        return is_due();
    }
    // When it is due, if that is not yet; nothing if it is due now, or over.
    std::optional<clock::time_point> pending() const {
        const guard held(lock_);
        return is_due() ? std::nullopt : std::optional(next_);
    }

    static constexpr clock::time_point never = (clock::time_point::max)();

private:
    bool is_due() const { return over_ || (next_ != never && clock::now() >= next_); }

    attempt take_locked(result<clock::time_point>& out) {
        if (over_) return attempt::closed;
        if (next_ == never) return attempt::blocked;
        const clock::time_point now = clock::now();
        if (now < next_) return attempt::blocked;
        out.emplace(next_);
        if (period_ == clock::duration::zero()) {
            // All that wait report the end.
            over_ = true;
            for (waiter* w = line_.front(); w; w = line_.after(*w)) w->sleeper->interrupt();
        } else {
            // One tick for all that were missed. No next one where the clock cannot express it.
            const auto steps = (now - next_) / period_ + 1;
            next_ = steps <= (never - next_) / period_ ? next_ + steps * period_ : never;
        }
        return attempt::done;
    }
    void interrupt_first() {
        if (waiter* const first = line_.front()) first->sleeper->interrupt();
    }

    mutable sync::mutex lock_;
    clock::time_point next_;
    const clock::duration period_;
    bool over_ = false;
    wait_queue line_;
};

// A timer among the cases of a select; `is_owned` by a selector, which keeps it.
template <class Timer, class Handler, bool is_owned = false>
struct timer_case;

}  // namespace detail

/// A handle of a timer, made by after(), at() or tick(): something to receive time points from, each the one at which
/// the timer was due. The operations are those of the receiver of a channel, and it takes part in select by on_recv().
///
/// A copy is a handle of the same timer; each tick goes to one of those that receive, by whatever handle. Which one, if
/// several wait, is not specified. A timer has no thread: the waiting threads watch the clock, one of them at a time.
/// What is received may be late, by as long as the system takes to wake a thread, but never early.
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
    [[nodiscard]] result<value_type> try_recv() const { return recv_by(deadline::passed_already(), {}, errc::empty); }
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
    template <class Timer, class Handler, bool is_owned>
    friend struct detail::timer_case;

    // A thread that waits for a timer; leaves the line in every case.
    struct in_line {
        explicit in_line(detail::timer_core& c) noexcept : core(c) { self.sleeper = &sleeper; }
        in_line(const in_line&) = delete;
        in_line& operator=(const in_line&) = delete;
        ~in_line() { core.withdraw(self); }

        detail::timer_core& core;
        detail::waiter self;
        detail::parker sleeper;
        detail::sync::atomic<bool> stopped{false};  // a stop was requested before the deadline
    };

    // Each round reads the token and the deadline first and the timer after them, so that what was due by then is
    // received.
    void receive_into(result<value_type>& tick, const deadline& until, const stop_token& stop,
                      errc too_late = errc::timeout) const {
        tick = unexpected(stop.stop_requested() ? errc::stopped : errc::closed);
        if (!core_ || tick.error() == errc::stopped) return;
        in_line me(*core_);
        const auto interrupt = [&me, &until] {
            if (until.passed()) return;
            me.stopped.store(true, std::memory_order_release);
            me.sleeper.interrupt();
        };
        const detail::stop_callback<decltype(interrupt)> on_stop(stop, interrupt);
        detail::backoff spin;
        for (;;) {
            const bool stopped = me.stopped.load(std::memory_order_acquire);
            const bool passed = until.passed();
            const detail::attempt tried = stopped || passed ? core_->take(tick) : core_->enlist(tick, me.self, false);
            if (tried != detail::attempt::blocked) return;
            if (stopped || passed) {
                tick = unexpected(stopped ? errc::stopped : too_late);
                return;
            }
            me.sleeper.wait(deadline::sooner(until, deadline::at_steady(core_->next_look(me.self))), spin);
        }
    }

    result<value_type> recv_by(const deadline& until, const stop_token& stop, errc too_late = errc::timeout) const {
        result<value_type> tick = unexpected(errc::closed);
        receive_into(tick, until, stop, too_late);
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

template <class Timer, class Handler, bool is_owned>
struct timer_case {
    static constexpr wants handler_wants = receive_handler<Handler, timer::value_type, parameter_of<Handler>>::kind;

    using owned = timer_case<timer, std::decay_t<Handler>, true>;
    owned own() && { return {std::forward<Timer>(from), std::forward<Handler>(handler)}; }

    Timer from;
    Handler handler;

    class runner final : public select_case {
    public:
        explicit runner(timer_case& c) : select_case(self_), case_(c), core_(c.from.core_.get()) {}

        void run() override { call<handler_wants>(case_.handler, got_); }
        attempt try_now(const precondition* others) override {
            if (!core_) return attempt::closed;
            seen_ = core_->pending();
            if (seen_) return attempt::blocked;
            if (!holds(others)) return attempt::lost;
            return outcome(core_->take(got_));
        }
        bool unchanged() const override { return !core_ || over_ || (seen_ && core_->pending() == seen_); }
        bool may_be_ready() const noexcept override { return due(); }
        attempt enlist() override {
            if (!core_ || over_) return attempt::closed;
            return outcome(core_->enlist(got_, self_, hears_of_end));
        }
        void withdraw() override {
            if (core_) core_->withdraw(self_);
        }
        deadline next_look() const override {
            return core_ && !over_ ? deadline::at_steady(core_->next_look(self_)) : deadline::never();
        }
        bool due() const override { return core_ && !over_ && core_->due(); }
        bool is_timer() const noexcept override { return true; }
        sync::clock::time_point due_time() const override {
            if (!core_ || over_) return timer_core::never;
            return core_->pending().value_or((sync::clock::time_point::min)());
        }

    private:
        // In a selector a timer that is over is never ready.
        static constexpr bool hears_of_end = handler_wants == wants::outcome && !is_owned;

        attempt outcome(attempt tried) {
            over_ = tried == attempt::closed;
            return over_ && hears_of_end ? attempt::done : tried;
        }

        timer_case& case_;
        timer_core* const core_;
        waiter self_;
        result<timer::value_type> got_ = unexpected(errc::closed);
        std::optional<timer_core::clock::time_point> seen_;
        bool over_ = false;  // the timer was seen to be closed
    };
};

}  // namespace detail

/// A timer that delivers one tick, `delay` from now, and is closed after it. A delay that is not positive is due at
/// once; one so long that the clock cannot express its end never comes. Does not block; throws std::bad_alloc.
template <class Rep, class Period>
[[nodiscard]] timer after(const std::chrono::duration<Rep, Period>& delay) {
    using clock = detail::sync::clock;
    const clock::duration wait = (std::max)(detail::saturated(delay), clock::duration::zero());
    return detail::make_timer(detail::from_now(wait));
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
    using clock = detail::sync::clock;
    if (!(period > std::chrono::duration<Rep, Period>::zero()))
        detail::throw_error(std::invalid_argument("sluice: the period of a tick must be positive"));
    const clock::duration step = detail::saturated(period);
    return detail::make_timer(detail::from_now(step), step);
}

/// A receiver of a new channel into which nobody sends: no message ever comes, and it stays open until close(). For a
/// case of a select, or an argument, where nothing shall come. Does not block; throws std::bad_alloc.
template <class T>
[[nodiscard]] receiver<T> never() {
    return receiver<T>(detail::core<T>::make(std::nullopt, 0));
}

/// @{
/// A case of select: ready when the timer is due. If it is chosen, the tick is received and the handler called, with no
/// lock held, with the time point, or with a `result` of it. A timer that is over is like a channel that is closed and
/// drained: the case is out of the race, or, for a handler that is declared to take a result, ready with `closed`. A
/// case of an empty handle is never ready.
///
/// A timer that is an lvalue is referred to until the select returns; a selector keeps a copy. In a selector the case
/// stays when the timer is over, and is not ready then, until it is removed.
template <class Handler>
[[nodiscard]] detail::timer_case<const timer&, Handler> on_recv(const timer& t, Handler&& handler) {
    return {t, std::forward<Handler>(handler)};
}
template <class Handler>
[[nodiscard]] detail::timer_case<timer, Handler> on_recv(timer&& t, Handler&& handler) {
    return {std::move(t), std::forward<Handler>(handler)};
}
/// @}

}  // namespace sluice
