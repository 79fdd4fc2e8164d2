// Where one blocked thread sleeps.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <utility>

#include <sluice/detail/backoff.hpp>
#include <sluice/detail/deadline.hpp>
#include <sluice/detail/sync.hpp>

namespace sluice::detail {

// Wakes a thread that sleeps elsewhere than in its parker.
class bell {
public:
    bell() = default;
    bell(const bell&) = delete;
    bell& operator=(const bell&) = delete;
    virtual void ring() noexcept = 0;

protected:
    ~bell() = default;
};

// Where one blocked thread sleeps until wake(). It lies in that thread's stack frame, so wake() must not touch it once
// the thread may have left. The argument:
//   - `state_` goes from `awake` to `woken` at most once, by the exchange in wake(). A thread that sees `woken` without
//     ever having announced `parked` leaves at once; wake() then saw `awake` and its exchange was its last access.
//   - A thread announces `parked` with mutex_ held and gives it up only inside the condition variable, or by taking the
//     announcement back. If wake() saw `parked`, it sets `notified_` with mutex_ held, and the thread leaves only after
//     it has seen `notified_` with mutex_ held: after wake() has notified, and has released the mutex.
//   - No wake-up is lost: either wake()'s exchange comes first, then the announcement fails and the thread does not
//     sleep; or it comes second, then it sees `parked` and notifies with the mutex held, so not between the thread's
//     last look and its sleep.
// A thread that is cancelled as it sleeps leaves `parked` announced; wait_for_wake() takes up from there.
class parker {
public:
    // Waits until wake(), the deadline or interrupt(); true after wake(). While `spin` has a budget left, spins first.
    bool wait(const deadline& until, backoff& spin) {
        do {
            if (woken()) return true;
        } while (spin.wait());
        if (!until.is_on_other_clock()) return sleep(until) == event::woken;
        // That clock is the user's, and is not read under a lock.
        while (!until.passed()) {
            const event e = sleep(deadline::at_steady(until.wake_time()));
            if (e != event::passed) return e == event::woken;
        }
        return woken();
    }

    // Waits for a wake() that is certain to come.
    void wait_for_wake() {
        backoff spin;
        while (!announced_) {
            if (woken()) return;
            if (!spin.wait()) break;
        }
        std::unique_lock<sync::mutex> lock(mutex_);
        if (!announced_ && !announce()) return;
        while (!notified_) sleeper_.wait(lock);
    }

    // Called once, by the thread that has completed the operation, as its last access to it.
    void wake() {
        if (state_.exchange(state::woken, std::memory_order_acq_rel) == state::awake) return;
        const std::lock_guard<sync::mutex> lock(mutex_);
        notified_ = true;
        notify();
    }

    // Makes wait() return, so that the thread looks again at what it waits for. The caller makes sure that the parker
    // still exists.
    void interrupt() {
        const std::lock_guard<sync::mutex> lock(mutex_);
        interrupted_ = true;
        notify();
    }

    enum class event : std::uint8_t { woken, interrupted, passed };

    // Sleeps in `sleep`, which a ring of `b` ends, unless it was woken or interrupted. `passed` says that neither has
    // happened.
    template <class F>
    event sleep_by(bell& b, F&& sleep) {
        {
            const std::lock_guard<sync::mutex> lock(mutex_);
            if (!announce()) return event::woken;
            if (!interrupted_) bell_ = &b;
        }
        if (bell_) sleep();
        std::unique_lock<sync::mutex> lock(mutex_);
        bell_ = nullptr;
        return get_up(lock);
    }

    bool woken() const noexcept { return state_.load(std::memory_order_acquire) == state::woken; }

private:
    friend struct layout_of_channel;

    enum class state : std::uint8_t { awake, parked, woken };

    event sleep(const deadline& until) {
        std::unique_lock<sync::mutex> lock(mutex_);
        if (!announce()) return event::woken;
        while (!notified_ && !interrupted_ && !until.passed()) until.sleep(sleeper_, lock);
        return get_up(lock);
    }

    // With mutex_ held; false if wake() came first.
    bool announce() {
        state expected = state::awake;
        return announced_ = state_.compare_exchange_strong(expected, state::parked, std::memory_order_acq_rel);
    }
    // Takes the announcement back. With mutex_ held.
    event get_up(std::unique_lock<sync::mutex>& lock) {
        state expected = state::parked;
        if (!notified_ && state_.compare_exchange_strong(expected, state::awake, std::memory_order_acq_rel)) {
            announced_ = false;
            return std::exchange(interrupted_, false) ? event::interrupted : event::passed;
        }
        while (!notified_) sleeper_.wait(lock);
        return event::woken;
    }
    // With mutex_ held.
    void notify() {
        sleeper_.notify_one();
        if (bell_) bell_->ring();
    }

    sync::atomic<state> state_{state::awake};  // first, next to the waiter: see blocked_op
    bool announced_ = false;                   // of the thread alone
    bool notified_ = false;                    // under mutex_
    bool interrupted_ = false;                 // under mutex_
    bell* bell_ = nullptr;                     // written under mutex_, by the thread alone
    sync::mutex mutex_;
    sync::condition_variable sleeper_;
};

}  // namespace sluice::detail
