// When a timer is due, those who wait for it, and its case of a select, which a plain receive uses too.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>

#include <sluice/detail/deadline.hpp>
#include <sluice/detail/lock.hpp>
#include <sluice/detail/select_case.hpp>
#include <sluice/detail/sync.hpp>
#include <sluice/detail/waiter.hpp>
#include <sluice/result.hpp>

namespace sluice::detail {

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

    op_status take(result<clock::time_point>& out) {
        const spin_lock_guard held(lock_);
        return take_locked(out);
    }
    // Also decides the select of `self`; where the timer is not due, puts `self` in line.
    op_status try_register(result<clock::time_point>& out, waiter& self, bool hears_of_end) {
        op_status tried = op_status::superseded;
        self.decision->try_decide([&] {
            const spin_lock_guard held(lock_);
            tried = take_locked(out);
            if (tried == op_status::blocked && !self.linked) line_.push_back(self);
            return tried == op_status::done || (tried == op_status::closed && hears_of_end);
        });
        return tried;
    }
    void unregister(waiter& self) {
        const spin_lock_guard held(lock_);
        if (!self.linked) return;
        const bool watches = line_.front() == &self;
        line_.remove(self);
        if (watches) interrupt_first();
    }

    // When `self` is to look again: if it is the first in line, when the timer is due.
    clock::time_point wake_time(const waiter& self) const {
        const spin_lock_guard held(lock_);
        return line_.front() == &self ? next_ : never;
    }
    bool is_due() const {
        const spin_lock_guard held(lock_);
        return is_due_locked();
    }
    // A look: when it is due, if it is not due now; nothing if it is.
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
            // Everyone who waits hears of the end.
            over_ = true;
            for (waiter* w = line_.front(); w; w = line_.after(*w)) w->sleeper->interrupt();
        } else {
            // The last one on the grid, if the next is too far off for the clock.
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
