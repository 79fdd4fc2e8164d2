// When a timer is due, the operations that wait for it, and its case of a select.
#pragma once

#include <atomic>
#include <cstdint>

#include <sluice/detail/backoff.hpp>
#include <sluice/detail/deadline.hpp>
#include <sluice/detail/lock.hpp>
#include <sluice/detail/parker.hpp>
#include <sluice/detail/select_case.hpp>
#include <sluice/detail/stop_callback.hpp>
#include <sluice/detail/sync.hpp>
#include <sluice/detail/waiter.hpp>
#include <sluice/result.hpp>

namespace sluice::detail {

// What a timer has for who receives from it.
enum class timer_phase : std::uint8_t {
    pending,    // nothing yet
    due,        // a tick
    over,       // nothing any more, until it is reset: its only tick was received
    cancelled,  // likewise, since it was cancelled
};

// What a look at a timer has found.
struct timer_look {
    timer_phase phase = timer_phase::pending;
    std::uint64_t changes = 0;  // how many ticks, resets and cancels there were before

    bool is_end() const noexcept { return phase == timer_phase::over || phase == timer_phase::cancelled; }
};

// Of which end of a timer an operation hears, as of something to receive.
enum class timer_end : std::uint8_t { none, cancel, any };

// What stands in the line of a timer.
struct timer_waiter : waiter {
    enum class news : std::uint8_t { none, under_way, told };

    timer_waiter() noexcept { looks_again = true; }
    // Whether it was taken out of the line, to look again.
    bool was_told() const noexcept { return told.load(std::memory_order_acquire) != news::none; }

    sync::atomic<news> told{news::none};  // of one that is no thread
};

// When a timer is due next, and which operations wait for that. There is no thread of the library: of the threads that
// wait, the first in `line_` sleeps until the timer is due, and the others until they are interrupted (the pattern of a
// leader and its followers). When the first leaves the line, with a tick or without one, it interrupts the one that is
// first then, which looks at the clock in its turn. So one thread watches the clock, however many wait. The end of the
// timer interrupts all, and a reset the first, so that it watches for the new time. An operation that goes on without
// the timer when that has ended stays in line, for a reset.
//
// `lock_` guards everything. It is taken after the locks of claims and channels, and before the mutex of a parker. A
// thread is interrupted with `lock_` held, so that it still exists: leaving the line takes the lock. Any other waiter is
// taken out of the line, and told by its callback once the lock is released, to stand in line again; it is there
// until that has returned, since it waits for that before it leaves or stands in line. Where such a one was first, those behind it are told too, up to a thread: so whoever is first watches the clock, or is about to look.
class timer_core {
public:
    using clock = sync::clock;

    // Due at `first`, and then every `period`; where that is zero, only once. A time point of `never` does not come.
    timer_core(clock::time_point first, clock::duration period) noexcept
        : repeats_(period != clock::duration::zero()), next_(first), period_(period) {}

    // Whether it is due again and again: that never changes.
    bool repeats() const noexcept { return repeats_; }

    // Starts anew, as if made with these: what was due, and the end, are forgotten.
    void reset(clock::time_point first, clock::duration period) {
        told_waiters told;
        const spin_lock_guard held(lock_);
        next_ = first;
        period_ = period;
        end_ = timer_phase::pending;
        ++changes_;
        interrupt_first(told);
    }
    // Ends it until it is reset.
    void cancel() {
        told_waiters told;
        const spin_lock_guard held(lock_);
        end_locked(timer_phase::cancelled, told);
    }

    // Takes the tick that is due, or says why there is none. Registers nothing. `found` is told what it has seen.
    op_status take(result<clock::time_point>& out, timer_look& found) {
        told_waiters told;
        const spin_lock_guard held(lock_);
        return take_locked(out, found, told);
    }
    // The same, unless the timer has changed since `found`: then the attempt is `superseded`.
    op_status take_unchanged(result<clock::time_point>& out, timer_look& found) {
        told_waiters told;
        const spin_lock_guard held(lock_);
        return changes_ == found.changes ? take_locked(out, found, told) : op_status::superseded;
    }
    // The same as take(); where no tick is taken, `self` is in the line afterwards. The select of `self` is decided
    // along with taking a tick, or with an end that it `hears` of, and `superseded` says that it had been decided
    // before.
    op_status try_register(result<clock::time_point>& out, timer_waiter& self, timer_end hears, timer_look& found) {
        told_waiters told;
        op_status tried = op_status::superseded;
        bool is_being_told = false;
        const auto attempt = [&] {
            const spin_lock_guard held(lock_);
            is_being_told = self.told.load(std::memory_order_acquire) == timer_waiter::news::under_way;
            if (is_being_told) return false;
            self.told.store(timer_waiter::news::none, std::memory_order_relaxed);
            tried = take_locked(out, found, told);
            if (tried == op_status::done) return true;
            if (!self.linked) line_.push_back(self);
            return hears_of(hears, found.phase);
        };
        do {
            wait_until_told(self);
            is_being_told = false;
            if (self.decision) {
                self.decision->try_decide(attempt);
            } else {
                attempt();
            }
        } while (is_being_told);
        return tried;
    }
    // Leaves the line, if `self` is in it.
    void unregister(timer_waiter& self) {
        {
            told_waiters told;
            const spin_lock_guard held(lock_);
            if (self.linked) {
                const bool watches = line_.front() == &self;
                line_.remove(self);
                if (watches) interrupt_first(told);
            }
        }
        wait_until_told(self);
    }

    // Until when `self`, which is in the line, may sleep without being interrupted.
    clock::time_point wake_time(const timer_waiter& self) const {
        const spin_lock_guard held(lock_);
        return line_.front() == &self ? next_ : never;
    }
    timer_look look() const {
        const spin_lock_guard held(lock_);
        return look_locked(now());
    }

    static bool hears_of(timer_end hears, timer_phase phase) noexcept {
        return (phase == timer_phase::cancelled && hears != timer_end::none) ||
               (phase == timer_phase::over && hears == timer_end::any);
    }

    static constexpr clock::time_point never = (clock::time_point::max)();

private:
    // Does not look at the clock for what never comes.
    clock::time_point now() const { return next_ == never ? (clock::time_point::min)() : clock::now(); }
    timer_look look_locked(clock::time_point now) const {
        return {next_ != never && now >= next_ ? timer_phase::due : end_, changes_};
    }

    // Those that are told when the lock is released: it ends after the guard.
    class told_waiters {
    public:
        told_waiters() = default;
        told_waiters(const told_waiters&) = delete;
        told_waiters& operator=(const told_waiters&) = delete;
        ~told_waiters() {
            while (timer_waiter* const w = first_) {
                first_ = static_cast<timer_waiter*>(w->next);
                w->wake();
                w->told.store(timer_waiter::news::told, std::memory_order_release);
            }
        }
        void add(timer_waiter& w) noexcept {
            w.told.store(timer_waiter::news::under_way, std::memory_order_relaxed);
            w.next = first_;
            first_ = &w;
        }

    private:
        timer_waiter* first_ = nullptr;
    };
    static void wait_until_told(const timer_waiter& self) noexcept {
        while (self.told.load(std::memory_order_acquire) == timer_waiter::news::under_way) sync::yield();
    }

    op_status take_locked(result<clock::time_point>& out, timer_look& found, told_waiters& told) {
        const clock::time_point at = now();
        found = look_locked(at);
        if (found.is_end()) return op_status::closed;
        if (found.phase == timer_phase::pending) return op_status::blocked;
        out.emplace(next_);
        if (!repeats_) {
            end_locked(timer_phase::over, told);
        } else {
            // One tick for all that were missed. No next one where the clock cannot express it.
            const auto steps = (at - next_) / period_ + 1;
            next_ = steps <= (never - next_) / period_ ? next_ + steps * period_ : never;
            ++changes_;
        }
        return op_status::done;
    }
    // All operations that wait look again, and find the end.
    void end_locked(timer_phase how, told_waiters& told) {
        next_ = never;
        end_ = how;
        ++changes_;
        for (waiter* next = line_.front(); waiter* const w = next;) {
            next = line_.after(*w);
            interrupt(*w, told);
        }
    }
    void interrupt_first(told_waiters& told) {
        while (waiter* const first = line_.front()) {
            interrupt(*first, told);
            if (first->linked) return;
        }
    }
    void interrupt(waiter& w, told_waiters& told) {
        if (!w.has_callback) return w.sleeper->interrupt();
        line_.remove(w);
        told.add(static_cast<timer_waiter&>(w));
    }
    mutable sync::mutex lock_;
    const bool repeats_;
    clock::time_point next_;  // `never` once it has ended
    clock::duration period_;
    timer_phase end_ = timer_phase::pending;  // how it has ended, or pending
    std::uint64_t changes_ = 0;
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
        timer_look found;
        for (;;) {
            const bool stopped = stopped_.load(std::memory_order_acquire), over = stopped || until.passed();
            const op_status tried =
                over ? timer_.take(out, found) : timer_.try_register(out, self_, timer_end::none, found);
            if (tried == op_status::done) return {};
            if (tried == op_status::closed) return errc::closed;
            if (over) return stopped ? errc::stopped : on_expiry;
            sleeper_.wait(deadline::sooner(until, deadline::at_steady(timer_.wake_time(self_))), spin);
        }
    }

private:
    timer_core& timer_;
    timer_waiter self_;
    parker sleeper_;
    sync::atomic<bool> stopped_{false};
};

// A timer's case of a select or, where it `stays`, of a selector. There it stays when the timer is over, not ready, for
// a reset, and goes when the timer is cancelled.
class timer_registration : public select_case {
public:
    // Without a core it is never ready. One that `hears_of_end` is ready too when the timer ends so that it would go.
    timer_registration(timer_core* core, result<timer_core::clock::time_point>& out, bool hears_of_end,
                       bool stays) noexcept
        : core_(core),
          out_(out),
          stays_(stays),
          hears_(!hears_of_end ? timer_end::none
                 : stays       ? timer_end::cancel
                               : timer_end::any) {}

    void run() override {}
    op_status try_now(const precondition* others) final {
        if (!core_) return op_status::closed;
        seen_ = core_->look();
        if (seen_.phase == timer_phase::pending) return op_status::blocked;
        if (seen_.is_end() && !hears_of_end()) return op_status::closed;
        if (!others) return noted(core_->take(out_, seen_));
        return others->holds() ? noted(core_->take_unchanged(out_, seen_)) : op_status::superseded;
    }
    bool is_unchanged() const final {
        if (!core_) return true;
        const timer_look now = core_->look();
        return now.phase == seen_.phase && now.changes == seen_.changes;
    }
    bool maybe_ready() const noexcept final { return is_due(); }
    waiter* in_line() noexcept final { return &waiter_; }
    op_status try_register() final {
        return core_ ? noted(core_->try_register(out_, waiter_, hears_, seen_)) : op_status::closed;
    }
    void unregister() final {
        if (core_) core_->unregister(waiter_);
    }
    deadline wake_time() const final {
        return core_ ? deadline::at_steady(core_->wake_time(waiter_)) : deadline::never();
    }
    // An end that was seen before is nothing to look at.
    bool is_due() const final {
        if (!core_) return false;
        const timer_look now = core_->look();
        return now.phase == timer_phase::due || (now.is_end() && now.changes != seen_.changes);
    }
    bool is_out_of_line() const noexcept final { return waiter_.was_told(); }
    bool is_timer() const noexcept final { return true; }
    bool is_done(bool chosen) const noexcept final {
        return stays_ && seen_.phase == timer_phase::cancelled && (chosen || hears_ == timer_end::none);
    }

private:
    bool hears_of_end() const noexcept { return timer_core::hears_of(hears_, seen_.phase); }
    // The end that it hears of is something to receive.
    op_status noted(op_status tried) {
        if (tried != op_status::closed || !hears_of_end()) return tried;
        out_ = unexpected(errc::closed);
        return op_status::done;
    }

    timer_core* const core_;
    result<timer_core::clock::time_point>& out_;
    const bool stays_;
    const timer_end hears_;
    timer_waiter waiter_;
    timer_look seen_;  // at the last attempt
};

}  // namespace sluice::detail
