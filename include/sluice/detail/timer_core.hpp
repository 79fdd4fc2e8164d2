// When a timer is due, the operations that wait for it, and its case of a select.
#pragma once

#include <cstddef>
#include <optional>

#include <sluice/detail/backoff.hpp>
#include <sluice/detail/deadline.hpp>
#include <sluice/detail/lock.hpp>
#include <sluice/detail/parker.hpp>
#include <sluice/detail/select_case.hpp>
#include <sluice/detail/sync.hpp>
#include <sluice/detail/waiter.hpp>
#include <sluice/result.hpp>

namespace sluice::detail {

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
    op_status take(result<clock::time_point>& out) {
        const spin_lock_guard held(lock_);
        return take_locked(out);
    }
    // The same; where no tick is due, `self` is in the line afterwards. The select of `self` is decided along with
    // taking a tick, and `superseded` says that it had been decided before. The end of the timer decides it only if
    // `hears_of_end`.
    op_status try_register(result<clock::time_point>& out, waiter& self, bool hears_of_end) {
        op_status tried = op_status::superseded;
        const auto attempt = [&] {
            const spin_lock_guard held(lock_);
            tried = take_locked(out);
            if (tried == op_status::blocked && !self.linked) line_.push_back(self);
            return tried == op_status::done || (tried == op_status::closed && hears_of_end);
        };
        if (self.decision) {
            self.decision->try_decide(attempt);
        } else {
            attempt();
        }
        return tried;
    }
    // Leaves the line, if `self` is in it.
    void unregister(waiter& self) {
        const spin_lock_guard held(lock_);
        if (!self.linked) return;
        const bool watches = line_.front() == &self;
        line_.remove(self);
        if (watches) interrupt_first();
    }

    // Until when `self`, which is in the line, may sleep without being interrupted.
    clock::time_point wake_time(const waiter& self) const {
        const spin_lock_guard held(lock_);
        return line_.front() == &self ? next_ : never;
    }
    // Whether a look would find a tick, or the end.
    bool is_due() const {
        const spin_lock_guard held(lock_);
        return is_due_locked();
    }
    // When it is due, if that is not yet; nothing if it is due now, or over.
    std::optional<clock::time_point> pending() const {
        const spin_lock_guard held(lock_);
        return is_due_locked() ? std::nullopt : std::optional(next_);
    }

    static constexpr clock::time_point never = (clock::time_point::max)();

private:
    bool is_due_locked() const { return over_ || (next_ != never && clock::now() >= next_); }

    op_status take_locked(result<clock::time_point>& out) {
        if (over_) return op_status::closed;
        if (next_ == never) return op_status::blocked;
        const clock::time_point now = clock::now();
        if (now < next_) return op_status::blocked;
        out.emplace(next_);
        if (period_ == clock::duration::zero()) {
            // All operations that wait look again, and find the end.
            over_ = true;
            for (waiter* w = line_.front(); w; w = line_.after(*w)) w->sleeper->interrupt();
        } else {
            // One tick for all that were missed. No next one where the clock cannot express it.
            const auto steps = (now - next_) / period_ + 1;
            next_ = steps <= (never - next_) / period_ ? next_ + steps * period_ : never;
        }
        return op_status::done;
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

// A thread that receives from a timer. It registers at once, as nothing but the clock can help it.
class timer_wait {
public:
    explicit timer_wait(timer_core& timer) noexcept : timer_(timer) { self_.sleeper = &sleeper_; }
    timer_wait(const timer_wait&) = delete;
    timer_wait& operator=(const timer_wait&) = delete;
    ~timer_wait() { timer_.unregister(self_); }  // also where the thread is cancelled in its sleep

    // Each round reads the stop and the deadline first and the timer after them, so that what was due by then is
    // received. Of a stop and the deadline the earlier counts.
    errc operator()(result<timer_core::clock::time_point>& out, const deadline& until, const stop_token& stop,
                    errc on_expiry) {
        const auto interrupt = [this, &until] {
            if (until.passed()) return;
            stopped_.store(true, std::memory_order_release);
            sleeper_.interrupt();
        };
        const stop_callback<decltype(interrupt)> on_stop(stop, interrupt);
        backoff spin;
        for (;;) {
            const bool stopped = stopped_.load(std::memory_order_acquire), over = stopped || until.passed();
            const op_status tried = over ? timer_.take(out) : timer_.try_register(out, self_, false);
            if (tried == op_status::done) return {};
            if (tried == op_status::closed) return errc::closed;
            if (over) return stopped ? errc::stopped : on_expiry;
            sleeper_.wait(deadline::sooner(until, deadline::at_steady(timer_.wake_time(self_))), spin);
        }
    }

private:
    timer_core& timer_;
    waiter self_;
    parker sleeper_;
    sync::atomic<bool> stopped_{false};
};

class timer_registration : public select_case {
public:
    // Without a core it is never ready. Where it `hears_of_end`, it is ready too once the timer is over.
    timer_registration(timer_core* core, result<timer_core::clock::time_point>& out, bool hears_of_end) noexcept
        : select_case(waiter_), core_(core), out_(out), hears_of_end_(hears_of_end) {}

    void run() override {}
    op_status try_now(const precondition* others) final {
        if (!core_) return op_status::closed;
        seen_ = core_->pending();
        if (seen_) return op_status::blocked;
        if (!holds(others)) return op_status::superseded;
        return noted(core_->take(out_));
    }
    bool is_unchanged() const final { return !core_ || over_ || (seen_ && core_->pending() == seen_); }
    bool maybe_ready() const noexcept final { return is_due(); }
    op_status try_register() final {
        if (!core_ || over_) return op_status::closed;
        return noted(core_->try_register(out_, waiter_, hears_of_end_));
    }
    void unregister() final {
        if (core_) core_->unregister(waiter_);
    }
    deadline wake_time() const final {
        return core_ && !over_ ? deadline::at_steady(core_->wake_time(waiter_)) : deadline::never();
    }
    bool is_due() const final { return core_ && !over_ && core_->is_due(); }
    bool is_timer() const noexcept final { return true; }
    sync::clock::time_point due_time() const final {
        if (!core_ || over_) return timer_core::never;
        return core_->pending().value_or((sync::clock::time_point::min)());
    }

private:
    op_status noted(op_status tried) {
        over_ = tried == op_status::closed;
        return over_ && hears_of_end_ ? op_status::done : tried;
    }

    timer_core* const core_;
    result<timer_core::clock::time_point>& out_;
    const bool hears_of_end_;
    waiter waiter_;
    std::optional<timer_core::clock::time_point> seen_;
    bool over_ = false;  // seen to be closed: can't be ready any more
};

}  // namespace sluice::detail
