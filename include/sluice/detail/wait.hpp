// One blocked operation: how it backs off and parks, how long it waits, its place in a wait queue, and who may complete
// it.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <mutex>
#include <type_traits>
#include <utility>

#include <sluice/detail/sync.hpp>

namespace sluice::detail {

// ---- Backing off

// Short waits between looks, for about two microseconds in all; then it is time to park.
class backoff {
public:
    // Waits once; false when the budget is used up.
    bool wait() noexcept {
        if (step_ == steps) return false;
        if (step_ < pausing) {
            for (; pauses_ > 0; --pauses_) sync::pause();
            pauses_ = 4;
        } else {
            sync::yield();
        }
        ++step_;
        return true;
    }

private:
    static constexpr int pausing = 40, steps = 44;
    int step_ = sync::several_cpus ? 0 : pausing;  // alone on a CPU, only giving it away helps
    unsigned pauses_ = 1;
};

// Whether an end that looks at the other, and finds a few messages or places, had better wait a little for more. Each
// look takes the other side's cache line away from it; where both sides are under way, one that takes what it finds at
// once soon finds one at every look, and both crawl. But where a single message goes to and fro, somebody waits for the
// answer. So what helps is tried out: a wait in which more has come makes the next one longer, one in vain makes it
// shorter; and an end that does not wait tries a short one now and then. Used under the lock of its end.
class patience {
public:
    // For one who sees that `there` are available, of all that the other end has counted up to `count`.
    [[gnu::always_inline]] bool asks_for_more(std::size_t there, std::size_t count) noexcept {
        const bool idle = pauses_.load(std::memory_order_relaxed) == 0;
        return !(idle && (count & (gap_ - 1u)) != 0) && decide_to_wait(there, count, idle);
    }

    // Whether somebody who was told to wait has not looked again yet.
    bool is_waiting() const noexcept { return waiting_; }

    // Without the lock.
    void wait() const noexcept {
        for (unsigned left = pauses_.load(std::memory_order_relaxed); left > 0; --left) sync::pause();
    }

    // For one who looks again, and takes what there is.
    [[gnu::always_inline]] void learn(std::size_t count) noexcept {
        if (!waiting_) return;
        waiting_ = false;
        const unsigned now = pauses_.load(std::memory_order_relaxed);
        if (seen_ != static_cast<std::uint16_t>(count)) {
            pauses_.store(static_cast<std::uint8_t>(std::min(2 * now, longest)), std::memory_order_relaxed);
            gap_ = shortest_gap;
        } else {
            pauses_.store(static_cast<std::uint8_t>(now > shortest ? now / 2 : 0), std::memory_order_relaxed);
            if (now <= shortest && gap_ < longest_gap) gap_ = static_cast<std::uint16_t>(gap_ * 2);
        }
    }

private:
    [[gnu::noinline]] bool decide_to_wait(std::size_t there, std::size_t count, bool idle) noexcept {
        if (there == 0 || there >= batch || !sync::several_cpus || sync::single_threaded()) return false;
        if (idle) pauses_.store(shortest, std::memory_order_relaxed);
        seen_ = static_cast<std::uint16_t>(count);
        waiting_ = true;
        return true;
    }

    static constexpr std::size_t batch = 64;
    static constexpr unsigned shortest = 16, longest = 128;
    static constexpr std::uint16_t shortest_gap = 32, longest_gap = 1024;

    std::uint16_t seen_ = 0;
    std::uint16_t gap_ = shortest_gap;  // messages between one try of a short wait and the next; a power of two
    sync::atomic<std::uint8_t> pauses_{0};
    bool waiting_ = false;
};

// Holds a mutex. One that is taken is tried again a few times before the kernel is asked to wait: a lock of this
// library is held for some ten nanoseconds, a visit to the kernel takes microseconds. While the process has only one
// thread, holds nothing.
class guard {
public:
    explicit guard(sync::mutex& m) : mutex_(m) { lock(); }
    guard(sync::mutex& m, std::defer_lock_t) noexcept : mutex_(m) {}
    guard(guard&& other) noexcept : mutex_(other.mutex_), owns_(std::exchange(other.owns_, false)) {}
    guard& operator=(const guard&) = delete;
    ~guard() {
        if (owns_) mutex_.unlock();
    }

    void lock() {
        if (sync::single_threaded()) return;
        if (!mutex_.try_lock()) lock_slowly();
        owns_ = true;
    }

private:
    void lock_slowly() {
        // At growing distances: so its holder, if he comes back at once, runs on undisturbed and with his cache lines
        // at hand.
        for (int pauses = 16; sync::several_cpus && pauses <= 256; pauses *= 2) {
            for (int i = 0; i < pauses; ++i) sync::pause();
            if (mutex_.try_lock()) return;
        }
        mutex_.lock();
    }

    sync::mutex& mutex_;
    bool owns_ = false;
};

// ---- Deadlines and stop tokens

using sync::stop_callback;
using sync::stop_token;

// The duration in the clock's unit, rounded up; what would overflow becomes max() or min(), a NaN min().
template <class Rep, class Period>
sync::clock::duration saturated(const std::chrono::duration<Rep, Period>& d) {
    using ticks = sync::clock::duration;
    const std::chrono::duration<long double, ticks::period> wide(d);
    // Far from where rounding could overflow.
    constexpr auto bound = static_cast<long double>(ticks::max().count() / 2);
    if (wide.count() >= bound) return ticks::max();
    if (!(wide.count() > -bound)) return ticks::min();
    return std::chrono::ceil<ticks>(d);
}

// When to give up. Made once, at the start of an operation.
class deadline {
public:
    using clock = sync::clock;

    static deadline never() noexcept { return deadline(clock::time_point::max()); }
    static deadline passed_already() noexcept { return deadline(clock::time_point::min()); }

    static deadline at_steady(clock::time_point when) noexcept { return deadline(when); }

    template <class Rep, class Period>
    static deadline after(const std::chrono::duration<Rep, Period>& d) {
        const clock::duration wait = saturated(d);
        if (wait <= clock::duration::zero()) return passed_already();
        return deadline(wait == clock::duration::max() ? clock::time_point::max() : clock::now() + wait);
    }

    // A time point of another clock is kept by reference and compared with that clock again and again, whose changes
    // are so followed.
    template <class Clock, class Duration>
    static deadline at(const std::chrono::time_point<Clock, Duration>& when) {
        if constexpr (std::is_same_v<Clock, clock>) {
            return deadline(clock::time_point(saturated(when.time_since_epoch())));
        } else {
            if (when == std::chrono::time_point<Clock, Duration>::max()) return never();
            deadline d(clock::time_point::max());
            d.foreign_ = &when;
            d.left_ = [](const void* p) {
                const auto& point = *static_cast<const std::chrono::time_point<Clock, Duration>*>(p);
                const auto now = Clock::now();
                // As wide numbers: the difference of two far points overflows.
                using wide = std::chrono::duration<long double>;
                return saturated(wide(point.time_since_epoch()) - wide(now.time_since_epoch()));
            };
            return d;
        }
    }

    bool is_never() const noexcept { return when_ == clock::time_point::max() && !foreign_; }
    bool passed() const {
        if (foreign_) return left_(foreign_) <= clock::duration::zero();
        return when_ == clock::time_point::min() || (when_ != clock::time_point::max() && clock::now() >= when_);
    }
    // Until when to sleep before passed() is asked again.
    clock::time_point next_look() const {
        if (!foreign_) return when_;
        return clock::now() + std::min(left_(foreign_), clock::duration(std::chrono::milliseconds(20)));
    }

private:
    explicit deadline(clock::time_point when) noexcept : when_(when) {}

    clock::time_point when_;
    const void* foreign_ = nullptr;
    clock::duration (*left_)(const void*) = nullptr;
};

// ---- Parking

// Where one blocked thread sleeps until wake(). It stands in that thread's stack frame, so wake() must not touch it
// once the thread may have left. The argument:
//   - `state_` goes from `awake` to `woken` at most once, by the exchange in wake(). A thread that sees `woken` without
//     ever having announced `parked` leaves at once; wake() then saw `awake` and its exchange was its last access.
//   - A thread announces `parked` with mutex_ held and gives it up only inside the condition variable, or by taking the
//     announcement back. If wake() saw `parked`, it sets `notified_` with mutex_ held, and the thread leaves only after
//     it has seen `notified_` with mutex_ held: after wake() has notified, and has released the mutex.
//   - No wake-up is lost: either wake()'s exchange comes first, then the announcement fails and the thread does not
//     sleep; or it comes second, then it sees `parked` and notifies with the mutex held, so not between the thread's
//     last look and its sleep.
class parker {
public:
    // Waits until wake() or the deadline, and also until interrupt() if it is to be heeded; true after wake(). While
    // `spin` has a budget left, spins first.
    bool wait(const deadline& until, backoff& spin, bool heed_interrupt = true) {
        do {
            if (woken()) return true;
        } while (spin.wait());
        std::unique_lock lock(mutex_);
        state expected = state::awake;
        if (!state_.compare_exchange_strong(expected, state::parked, std::memory_order_acq_rel)) return true;
        while (!notified_ && !(interrupted_ && heed_interrupt) && !until.passed()) {
            if (until.is_never()) {
                sleeper_.wait(lock);
            } else {
                sleeper_.wait_until(lock, until.next_look());
            }
        }
        expected = state::parked;
        if (!notified_ && state_.compare_exchange_strong(expected, state::awake, std::memory_order_acq_rel))
            return false;
        while (!notified_) sleeper_.wait(lock);
        return true;
    }

    // Waits for a wake() that is certain to come.
    void wait() {
        backoff spin;
        wait(deadline::never(), spin, false);
    }

    // Called once, by the one who has completed the operation; the last that he does with it.
    void wake() {
        if (state_.exchange(state::woken, std::memory_order_acq_rel) == state::awake) return;
        const std::lock_guard lock(mutex_);
        notified_ = true;
        sleeper_.notify_one();
    }

    // Makes wait() return, to look round. The caller sees to it that the parker is still there.
    void interrupt() {
        const std::lock_guard lock(mutex_);
        interrupted_ = true;
        sleeper_.notify_one();
    }

private:
    enum class state : std::uint8_t { awake, parked, woken };

    bool woken() const noexcept { return state_.load(std::memory_order_acquire) == state::woken; }

    sync::atomic<state> state_{state::awake};  // first, next to the waiter: see sleeping
    bool notified_ = false;                    // under mutex_
    bool interrupted_ = false;                 // under mutex_
    sync::mutex mutex_;
    sync::condition_variable sleeper_;
};

// ---- Waiting in line

struct waiter;

// What the cases of one blocked select have in common: at most one of them is completed. Whoever completes one, be it a
// peer, the select itself or its deadline, must find it undecided, with `lock` held, and decides it. Locks of claims
// come after all others; two of them are taken in the order of their addresses.
struct claim {
    sync::mutex lock;
    bool decided = false;
    bool by_peer = false;  // once decided: by someone else, who wakes the select after it
    waiter* winner = nullptr;    // once decided: the case that was completed; none if the select is to look round again
    std::size_t open_cases = 0;  // what the select still waits for: closing channels take their cases out
};

// A blocked operation in the wait queue of a channel. All its members are guarded by that channel's locks while it is
// linked; once unlinked it belongs to the one who completed it, until he has woken it, and then to its thread.
struct waiter {
    enum class outcome : std::uint8_t { none, done, closed };

    waiter() = default;
    waiter(const waiter&) = delete;
    waiter& operator=(const waiter&) = delete;

    // For the one who has completed it, once he has released his locks; the waiter may be gone after it.
    void wake() {
        if (completed) {
            completed(*this);
        } else {
            sleeper->wake();
        }
    }

    waiter* next = nullptr;
    waiter* previous = nullptr;
    claim* owner = nullptr;  // none for a plain operation: it is completed by unlinking it
    parker* sleeper = nullptr;
    // Called instead of waking the sleeper, where no thread sleeps here but a loop of another kind.
    void (*completed)(waiter&) noexcept = nullptr;
    bool linked = false;
    bool drops_out = false;  // a select's case that a closed channel takes out of the race
    outcome what = outcome::none;
};

inline constexpr std::size_t cache_line = 64;

// A thread that sleeps for one operation. What its peer touches lies together.
template <class Waiter>
struct alignas(cache_line) sleeping {
    sleeping() noexcept { self.sleeper = &sleeper; }

    Waiter self;
    parker sleeper;
};

// Tells the select of `w` that its channel has closed. True if it is to be woken, decided without a winner, to look
// round again; not so if it was decided before, or if the case just drops out and others are still open.
inline bool tell_closed(waiter& w) {
    const guard held(w.owner->lock);
    if (w.owner->decided || (w.drops_out && --w.owner->open_cases > 0)) return false;
    w.owner->decided = w.owner->by_peer = true;
    return true;
}

// First come, first served: a ring, entered at its first waiter. Used under a lock; empty() also serves without, as a
// hint.
class wait_queue {
public:
    bool empty() const noexcept { return !first_.load(std::memory_order_acquire); }
    waiter* front() const noexcept { return first_.load(std::memory_order_relaxed); }
    // Who is behind `w`, or null.
    waiter* after(const waiter& w) const noexcept { return w.next == front() ? nullptr : w.next; }

    void push_back(waiter& w) noexcept {
        waiter* const first = front();
        w.next = first ? first : &w;
        w.previous = first ? first->previous : &w;
        w.previous->next = &w;
        w.next->previous = &w;
        if (!first) first_.store(&w, std::memory_order_release);
        w.linked = true;
    }
    void remove(waiter& w) noexcept {
        if (&w == front()) first_.store(after(w), std::memory_order_release);
        w.previous->next = w.next;
        w.next->previous = w.previous;
        w.linked = false;
    }

private:
    sync::atomic<waiter*> first_{nullptr};
};

// Those to be woken once the locks are released: declared before the guards, so that it is destroyed after them.
class wake_list {
public:
    wake_list() = default;
    wake_list(const wake_list&) = delete;
    wake_list& operator=(const wake_list&) = delete;
    ~wake_list() {
        while (waiter* const w = first_) {
            first_ = w->next;  // before wake(): after it, `w` may be gone
            w->wake();
        }
    }

    // `w` is unlinked and completed.
    void add(waiter& w) noexcept {
        w.next = nullptr;
        (last_ ? last_->next : first_) = &w;
        last_ = &w;
    }

private:
    waiter* first_ = nullptr;
    waiter* last_ = nullptr;
};

enum class contest : std::uint8_t { won, self_lost, peer_lost };

// Completes `self` (a select that is already enlisted elsewhere, or none) and `peer` (a linked waiter, or none)
// together, by running `transfer`; both must belong to different selects. Nothing happens where one of them was decided
// before. If `transfer` throws, the peer stays as it was and the select of `self` is over, decided without a winner.
template <class F>
contest contend(waiter* self, waiter* peer, F&& transfer) {
    claim* const mine = self ? self->owner : nullptr;
    claim* const theirs = peer ? peer->owner : nullptr;
    if (!mine && !theirs) {
        transfer();
        return contest::won;
    }
    claim* first = mine ? mine : theirs;
    claim* second = mine ? theirs : nullptr;
    if (second && reinterpret_cast<std::uintptr_t>(second) < reinterpret_cast<std::uintptr_t>(first))
        std::swap(first, second);
    const guard outer(first->lock);
    guard inner(second ? second->lock : first->lock, std::defer_lock);
    if (second) inner.lock();

    if (mine && mine->decided) return contest::self_lost;
    if (theirs && theirs->decided) return contest::peer_lost;
    if (mine) mine->decided = true;
    transfer();
    if (mine) mine->winner = self;
    if (theirs) {
        theirs->decided = theirs->by_peer = true;
        theirs->winner = peer;
    }
    return contest::won;
}

}  // namespace sluice::detail
