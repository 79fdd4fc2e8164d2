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

// When a timer is due next. It has no thread: those who wait stand in line, and the first one sleeps until the timer is
// due, takes the tick, and wakes the next one to do likewise; so however many wait, one of them watches the clock. When
// the first one leaves, it hands the watch to the next.
//
// `lock_` guards everything, and comes after the locks of claims and channels and before that of a parker. A waiter is
// interrupted with it held, so that it is still there: to leave the line takes the lock.
class timer_core {
public:
    using clock = sync::clock;

    // A period of zero: due only once.
    timer_core(clock::time_point first, clock::duration period) noexcept : next_(first), period_(period) {}

    attempt take(result<clock::time_point>& out) {
        const guard held(lock_);
        return take_locked(out);
    }
    // Also decides the select of `self`; where the timer is not due, puts `self` in line.
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
    void withdraw(waiter& self) {
        const guard held(lock_);
        if (!self.linked) return;
        const bool watches = line_.front() == &self;
        line_.remove(self);
        if (watches) interrupt_first();
    }

    // When `self` is to look again: if it is the first in line, when the timer is due.
    clock::time_point next_look(const waiter& self) const {
        const guard held(lock_);
        return line_.front() == &self ? next_ : never;
    }
    bool due() const {
        const guard held(lock_);
        return is_due();
    }
    // A look: when it is due, if it is not due now; nothing if it is.
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
            // Everyone who waits hears of the end.
            over_ = true;
            for (waiter* w = line_.front(); w; w = line_.after(*w)) w->sleeper->interrupt();
        } else {
            // The last one on the grid, if the next is too far off for the clock.
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

// `is_owned`: by a selector.
template <class Timer, class Handler, bool is_owned = false>
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
    [[nodiscard]] result<value_type> try_recv() const { return recv_by(deadline::passed_already(), {}, errc::empty); }
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
    template <class Timer, class Handler, bool is_owned>
    friend struct detail::timer_case;

    // A thread in the line of a timer. Leaves it however this ends.
    struct in_line {
        explicit in_line(detail::timer_core& c) noexcept : core(c) { self.sleeper = &sleeper; }
        in_line(const in_line&) = delete;
        in_line& operator=(const in_line&) = delete;
        ~in_line() { core.withdraw(self); }

        detail::timer_core& core;
        detail::waiter self;
        detail::parker sleeper;
        detail::sync::atomic<bool> stopped{false};  // before the deadline
    };

    // The deadline and the token are looked at before the timer: what was due by then is received.
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
        bool over_ = false;  // seen to be closed: out of the race
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
    return receiver<T>(detail::core<T>::make(std::nullopt, 0));
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
