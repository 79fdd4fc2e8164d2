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
#include <sluice/detail/wait.hpp>
#include <sluice/result.hpp>
#include <sluice/select.hpp>

namespace sluice {

namespace detail {

// When a timer is due next. It has no thread and no line of waiters: whoever waits sleeps until it is due and then
// tries to take the tick; who comes too late sleeps on, until the next one. That serves because a timer is never due
// earlier than it was before.
class timer_core {
public:
    using clock = sync::clock;

    // A period of zero: due only once.
    timer_core(clock::time_point first, clock::duration period) noexcept : next_(first), period_(period) {}

    attempt take(result<clock::time_point>& out) {
        const guard held(lock_);
        if (over_) return attempt::closed;
        if (next_ == never) return attempt::blocked;
        const clock::time_point now = clock::now();
        if (now < next_) return attempt::blocked;
        out.emplace(next_);
        if (period_ == clock::duration::zero()) {
            over_ = true;
        } else {
            next_ += ((now - next_) / period_ + 1) * period_;
        }
        return attempt::done;
    }

    // When take() may next do more than block: at once, if it is over.
    clock::time_point next_look() const {
        const guard held(lock_);
        return over_ ? clock::time_point::min() : next_;
    }

    static constexpr clock::time_point never = clock::time_point::max();

private:
    mutable sync::mutex lock_;
    clock::time_point next_;
    const clock::duration period_;
    bool over_ = false;
};

template <class Timer, class Handler>
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

    [[nodiscard]] result<value_type> recv(const stop_token& stop = {}) const {
        return recv_by(deadline::never(), stop);
    }
    [[nodiscard]] result<value_type> try_recv() const { return recv_by(deadline::passed_already(), {}, errc::empty); }
    template <class Rep, class Period>
    [[nodiscard]] result<value_type> recv_timeout(const std::chrono::duration<Rep, Period>& patience,
                                                  const stop_token& stop = {}) const {
        return recv_by(deadline::after(patience), stop);
    }
    template <class Clock, class Duration>
    [[nodiscard]] result<value_type> recv_until(const std::chrono::time_point<Clock, Duration>& when,
                                                const stop_token& stop = {}) const {
        return recv_by(deadline::at(when), stop);
    }

    iterator begin() const { return iterator(*this); }
    std::default_sentinel_t end() const noexcept { return {}; }

private:
    friend iterator;
    template <class Timer, class Handler>
    friend struct detail::timer_case;

    void receive_into(result<value_type>& tick, const deadline& until, const stop_token& stop,
                      errc too_late = errc::timeout) const {
        detail::parker sleeper;
        const auto interrupt = [&sleeper] { sleeper.interrupt(); };
        std::optional<detail::stop_callback<decltype(interrupt)>> on_stop;
        for (;;) {
            const detail::attempt tried = core_ ? core_->take(tick) : detail::attempt::closed;
            if (tried == detail::attempt::done) return;
            const bool stopped = stop.stop_requested();
            tick = unexpected(tried == detail::attempt::closed ? errc::closed : stopped ? errc::stopped : too_late);
            if (tried == detail::attempt::closed || stopped || until.passed()) return;
            if (!on_stop) on_stop.emplace(stop, interrupt);
            detail::backoff spin;
            sleeper.wait(deadline::at_steady(std::min(core_->next_look(), until.next_look())), spin);
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

inline timer make_timer(sync::clock::time_point first, sync::clock::duration period = sync::clock::duration::zero()) {
    return timer(std::make_shared<timer_core>(first, period));
}

template <class Timer, class Handler>
struct timer_case {
    static constexpr wants handler_wants = wanted<Handler, result<timer::value_type>, timer::value_type>();
    static_assert(handler_wants != wants::neither,
                  "sluice: the handler of on_recv must take the time point, or a sluice::result of it to hear of the "
                  "end as well");

    using owned = timer_case<timer, std::decay_t<Handler>>;
    owned own() && { return {std::forward<Timer>(from), std::forward<Handler>(handler)}; }

    Timer from;
    Handler handler;

    class runner final : public select_case {
    public:
        explicit runner(timer_case& c) : select_case(self_), case_(c), core_(c.from.core_.get()) {}

        void start() override {
            got_ = unexpected(errc::closed);
            over_ = false;
        }
        void run() override { call<handler_wants>(case_.handler, got_); }
        attempt try_now() override {
            if (!core_) return attempt::closed;
            const attempt tried = core_->take(got_);
            over_ = tried == attempt::closed;
            return over_ && handler_wants == wants::outcome ? attempt::done : tried;
        }
        bool may_be_ready() const noexcept override { return due(); }
        // Takes the tick and decides the select in one step.
        attempt enlist() override {
            if (!core_) return attempt::closed;
            const guard held(self_.owner->lock);
            if (self_.owner->decided) return attempt::lost;
            const attempt tried = try_now();
            if (tried == attempt::done) self_.owner->decided = true;
            return tried;
        }
        sync::clock::time_point next_look() const override {
            return core_ && !over_ ? core_->next_look() : timer_core::never;
        }
        bool due() const override { return core_ && !over_ && sync::clock::now() >= core_->next_look(); }

    private:
        timer_case& case_;
        timer_core* const core_;
        waiter self_;
        result<timer::value_type> got_ = unexpected(errc::closed);
        bool over_ = false;  // seen to be closed: out of the race
    };
};

}  // namespace detail

/// A timer that delivers one message `delay` from now, the time point at which it was due, and is closed after it. A
/// delay that is not positive is due at once; one so long that it overflows never comes.
template <class Rep, class Period>
[[nodiscard]] timer after(const std::chrono::duration<Rep, Period>& delay) {
    using clock = detail::sync::clock;
    const clock::duration wait = std::max(detail::saturated(delay), clock::duration::zero());
    return detail::make_timer(wait == clock::duration::max() ? detail::timer_core::never : clock::now() + wait);
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
        throw std::invalid_argument("sluice: the period of a tick must be positive");
    const clock::duration step = detail::saturated(period);
    return detail::make_timer(step == clock::duration::max() ? detail::timer_core::never : clock::now() + step, step);
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
