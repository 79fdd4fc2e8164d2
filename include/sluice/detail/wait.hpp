// One blocked operation: how it backs off and parks, how long it waits, its place in a wait queue, and who may complete
// it.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <limits>
#include <mutex>
#include <ratio>
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
    int step_ = sync::several_cpus() ? 0 : pausing;  // alone on a CPU, only giving it away helps
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
            pauses_.store(static_cast<std::uint8_t>((std::min)(2 * now, longest)), std::memory_order_relaxed);
            gap_ = shortest_gap;
        } else {
            pauses_.store(static_cast<std::uint8_t>(now > shortest ? now / 2 : 0), std::memory_order_relaxed);
            if (now <= shortest && gap_ < longest_gap) gap_ = static_cast<std::uint16_t>(gap_ * 2);
        }
    }

private:
    [[gnu::noinline]] bool decide_to_wait(std::size_t there, std::size_t count, bool idle) noexcept {
        if (there == 0 || there >= batch || !sync::several_cpus() || sync::single_threaded()) return false;
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
// library is held for some ten nanoseconds, a visit to the kernel takes microseconds. Held also while the process has
// only one thread, as the moves of messages and the allocator may start the first other one under the lock; a mutex of
// the C library knows by itself when it needs no locked instruction.
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
        if (sync::single_threaded()) {
            mutex_.lock();
        } else if (!mutex_.try_lock()) {
            lock_slowly();
        }
        owns_ = true;
    }

private:
    void lock_slowly() {
        // At growing distances: so its holder, if it comes back at once, runs on undisturbed and with its cache lines
        // at hand.
        for (int pauses = 16; sync::several_cpus() && pauses <= 256; pauses *= 2) {
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

// rest * Ratio, for a rest below the denominator, rounded up.
template <class Ticks, class Ratio>
constexpr Ticks rounded_up(std::intmax_t rest) {
    if constexpr (Ratio::den <= (std::numeric_limits<std::intmax_t>::max)() / Ratio::num) {
        const std::intmax_t product = rest * Ratio::num;
        return Ticks(product / Ratio::den + (product % Ratio::den > 0 ? 1 : 0));
    } else {
        using wide = std::chrono::duration<long double, typename Ticks::period>;
        return std::chrono::ceil<Ticks>(wide(static_cast<long double>(rest) * Ratio::num / Ratio::den));
    }
}

// The duration in units of `Ticks`, rounded up; what would overflow becomes max() or min(), a NaN min().
template <class Ticks = sync::clock::duration, class Rep, class Period>
Ticks saturated(const std::chrono::duration<Rep, Period>& d) {
    const std::chrono::duration<long double, typename Ticks::period> wide(d);
    // Far from where rounding could overflow.
    constexpr auto bound = static_cast<long double>((Ticks::max)().count() / 2);
    if (wide.count() >= bound) return (Ticks::max)();
    if (!(wide.count() > -bound)) return (Ticks::min)();
    if constexpr (std::is_integral_v<Rep>) {
        // The whole units of `Ticks` apart from the rest, as duration_cast's product of both overflows.
        using ratio = std::ratio_divide<Period, typename Ticks::period>;
        using number = std::common_type_t<Rep, std::intmax_t>;
        const auto count = static_cast<number>(d.count());
        constexpr auto num = static_cast<number>(ratio::num), den = static_cast<number>(ratio::den);
        const auto whole = static_cast<typename Ticks::rep>(count / den * num);
        return Ticks(whole) + rounded_up<Ticks, ratio>(static_cast<std::intmax_t>(count % den));
    } else {
        return std::chrono::ceil<Ticks>(wide);
    }
}

// When to give up. Made once, at the start of an operation. Refers to a time point of a clock of the user's.
class deadline {
public:
    using clock = sync::clock;

    static deadline never() noexcept { return deadline((clock::time_point::max)()); }
    static deadline passed_already() noexcept { return deadline((clock::time_point::min)()); }

    static deadline at_steady(clock::time_point when) noexcept { return deadline(when); }

    template <class Rep, class Period>
    static deadline after(const std::chrono::duration<Rep, Period>& d) {
        const clock::duration wait = saturated(d);
        if (wait <= clock::duration::zero()) return passed_already();
        return wait == (clock::duration::max)() ? never() : deadline(clock::now() + wait);
    }

    // A time point of another clock is compared with that clock again and again, whose changes are so followed.
    template <class Clock, class Duration>
    static deadline at(const std::chrono::time_point<Clock, Duration>& when) {
        if constexpr (std::is_same_v<Clock, clock>) {
            return deadline(clock::time_point(saturated(when.time_since_epoch())));
        } else {
            if (when == (std::chrono::time_point<Clock, Duration>::max)()) return never();
            deadline d = never();
            if constexpr (std::is_same_v<Clock, sync::system_clock>) {
                d.kind_ = clock_kind::system;
                d.system_when_ =
                    sync::system_clock::time_point(saturated<sync::system_clock::duration>(when.time_since_epoch()));
            } else {
                d.kind_ = clock_kind::other;
                d.other_when_ = &when;
                d.other_left_ = [](const void* p) {
                    const auto& point = *static_cast<const std::chrono::time_point<Clock, Duration>*>(p);
                    const auto now = Clock::now();
                    // As wide numbers: the difference of two far points overflows.
                    using wide = std::chrono::duration<long double>;
                    return saturated(wide(point.time_since_epoch()) - wide(now.time_since_epoch()));
                };
            }
            return d;
        }
    }

    // The sooner of the two, as far as one wait can follow two clocks: see next_look().
    static deadline sooner(const deadline& a, const deadline& b) {
        if (a.is_never()) return b;
        if (b.is_never()) return a;
        return deadline((std::min)(a.next_look(), b.next_look()));
    }

    bool is_never() const noexcept { return kind_ == clock_kind::steady && when_ == (clock::time_point::max)(); }
    // Whether it had passed before the operation began, by what the caller wrote: a duration that is not positive.
    bool was_passed() const noexcept { return kind_ == clock_kind::steady && when_ == (clock::time_point::min)(); }

    bool is_on_other_clock() const noexcept { return kind_ == clock_kind::other; }

    bool passed() const {
        switch (kind_) {
            case clock_kind::system: return sync::system_clock::now() >= system_when_;
            case clock_kind::other: return other_left_(other_when_) <= clock::duration::zero();
            case clock_kind::steady: break;
        }
        return was_passed() || (!is_never() && clock::now() >= when_);
    }

    // Sleeps in `sleeper` until it is notified, or for so long that passed() is to be asked again.
    template <class Sleeper, class Lock>
    void sleep(Sleeper& sleeper, Lock& lock) const {
        if (is_never()) {
            sleeper.wait(lock);
        } else if (kind_ == clock_kind::system) {
            sleeper.wait_until(lock, system_when_);
        } else {
            sleeper.wait_until(lock, next_look());
        }
    }

    // Until when to sleep, on the steady clock, before passed() is asked again. What cannot be waited for on it is looked
    // at every 20 ms.
    clock::time_point next_look() const {
        constexpr clock::duration grain = std::chrono::milliseconds(20);
        switch (kind_) {
            case clock_kind::system:
                return clock::now() +
                       (std::min)(saturated(std::chrono::duration<long double, sync::system_clock::period>(
                                                system_when_.time_since_epoch()) -
                                            sync::system_clock::now().time_since_epoch()),
                                  grain);
            case clock_kind::other: return clock::now() + (std::min)(other_left_(other_when_), grain);
            case clock_kind::steady: break;
        }
        return when_;
    }

private:
    // steady and system: a condition variable waits on them, and follows when the system's clock is set.
    enum class clock_kind : std::uint8_t { steady, system, other };

    explicit deadline(clock::time_point when) noexcept : when_(when) {}

    clock::time_point when_;
    clock_kind kind_ = clock_kind::steady;
    sync::system_clock::time_point system_when_{};
    const void* other_when_ = nullptr;
    clock::duration (*other_left_)(const void*) = nullptr;
};

// ---- Parking

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
// A thread that is cancelled as it sleeps leaves `parked` announced; wait_for_wake() takes up from there.
class parker {
public:
    // Waits until wake(), the deadline or interrupt(); true after wake(). While `spin` has a budget left, spins first.
    bool wait(const deadline& until, backoff& spin) {
        do {
            if (woken()) return true;
        } while (spin.wait());
        if (!until.is_on_other_clock()) return sleep(until) == event::woken;
        // That clock is the user's, and is not asked under a lock.
        while (!until.passed()) {
            const event e = sleep(deadline::at_steady(until.next_look()));
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

    // Called once, by the one that has completed the operation; the last that it does with it.
    void wake() {
        if (state_.exchange(state::woken, std::memory_order_acq_rel) == state::awake) return;
        const std::lock_guard<sync::mutex> lock(mutex_);
        notified_ = true;
        notify();
    }

    // Makes wait() return, to look round. The caller sees to it that the parker is still there.
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

    sync::atomic<state> state_{state::awake};  // first, next to the waiter: see blocked
    bool announced_ = false;                   // of the thread alone
    bool notified_ = false;                    // under mutex_
    bool interrupted_ = false;                 // under mutex_
    bell* bell_ = nullptr;                     // written under mutex_, by the thread alone
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
    bool by_peer = false;        // once decided: by someone else, who wakes the select after it
    waiter* winner = nullptr;    // once decided: the case that was completed; none if the select is to look round again
    std::size_t open_cases = 0;  // what the select still waits for: closing channels take their cases out
    // When the first of its timers is due, for what comes behind them; set before the select stands in line.
    sync::clock::time_point timer_due = (sync::clock::time_point::max)();
};

// A blocked operation in the wait queue of a channel. All its members are guarded by that channel's locks while it is
// linked; once unlinked it belongs to the thread that completed it, until that has woken it, and then to its own.
struct waiter {
    enum class outcome : std::uint8_t { none, done, closed };

    waiter() = default;
    waiter(const waiter&) = delete;
    waiter& operator=(const waiter&) = delete;

    // For the thread that has completed it, once that has released its locks; the waiter may be gone after it.
    void wake() {
        if (has_callback) {
            callback(*this);
        } else {
            sleeper->wake();
        }
    }

    waiter* next = nullptr;
    waiter* previous = nullptr;
    std::uintptr_t times_empty = 0;  // of the first in line: what the line is to say when it is empty again
    claim* owner = nullptr;          // none for a plain operation: it is completed by unlinking it
    union {
        parker* sleeper = nullptr;
        void (*callback)(waiter&) noexcept;  // where no thread sleeps here but a loop of another kind
    };
    bool has_callback = false;
    bool linked = false;
    bool drops_out = false;     // a select's case that a closed channel takes out of the race
    bool behind_timer = false;  // where a timer of the select that is due is preferred
    outcome what = outcome::none;
};

inline constexpr std::size_t cache_line = 64;

// Tells the select of `w` that its channel has closed. True if it is to be woken, decided without a winner, to look
// round again; not so if it was decided before, or if the case just drops out and others are still open.
inline bool tell_closed(waiter& w) {
    const guard held(w.owner->lock);
    if (w.owner->decided || (w.drops_out && --w.owner->open_cases > 0)) return false;
    w.owner->decided = w.owner->by_peer = true;
    return true;
}

// First come, first served: a ring, entered at its first waiter. Used under a lock; the first four also serve without.
class wait_queue {
public:
    bool empty() const noexcept { return is_empty(look()); }
    std::uintptr_t look() const noexcept { return first_.load(std::memory_order_acquire); }
    static bool is_empty(std::uintptr_t seen) noexcept { return (seen & 1) != 0; }
    // Whether it was empty when that was seen, and has been all the time since.
    bool stays_empty(std::uintptr_t seen) const noexcept { return is_empty(seen) && look() == seen; }

    waiter* front() const noexcept {
        const std::uintptr_t first = first_.load(std::memory_order_relaxed);
        return is_empty(first) ? nullptr : reinterpret_cast<waiter*>(first);
    }
    // Who is behind `w`, or null.
    waiter* after(const waiter& w) const noexcept { return w.next == front() ? nullptr : w.next; }

    void push_back(waiter& w) noexcept {
        if (waiter* const first = front()) {
            w.next = first;
            w.previous = first->previous;
            w.previous->next = first->previous = &w;
        } else {
            w.next = w.previous = &w;
            w.times_empty = first_.load(std::memory_order_relaxed);
            begin_at(w);
        }
        w.linked = true;
    }
    void remove(waiter& w) noexcept {
        if (&w == front()) {
            if (waiter* const second = after(w)) {
                second->times_empty = w.times_empty;
                begin_at(*second);
            } else {
                first_.store(w.times_empty + 2, std::memory_order_release);
            }
        }
        w.previous->next = w.next;
        w.next->previous = w.previous;
        w.linked = false;
    }

private:
    void begin_at(waiter& w) noexcept { first_.store(reinterpret_cast<std::uintptr_t>(&w), std::memory_order_release); }

    // The address of the first waiter, which is even; of an empty line an odd number, another one each time.
    sync::atomic<std::uintptr_t> first_{1};
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

enum class contest : std::uint8_t { won, self_lost, peer_lost, peer_failed, peer_late };

// Completes `self` (a select that is already enlisted elsewhere, or none) and `peer` (a linked waiter, or none)
// together, by running `transfer`; both must belong to different selects. Nothing happens where one of them was decided
// before. If `transfer` returns false, the peer's own message could not be moved: the peer is completed, to hear of it,
// and the select of `self` stays undecided. If `transfer` throws, the peer stays as it was and the select of `self` is
// over, decided without a winner. A select that prefers a timer which is due by now is to look at that first: `self`
// has lost then, and a peer is `late`, decided without a winner, and is woken.
template <class F>
contest contend(waiter* self, waiter* peer, F&& transfer) {
    claim* const mine = self ? self->owner : nullptr;
    claim* const theirs = peer ? peer->owner : nullptr;
    if (!mine && !theirs) return transfer() ? contest::won : contest::peer_failed;
    claim* first = mine ? mine : theirs;
    claim* second = mine ? theirs : nullptr;
    if (second && reinterpret_cast<std::uintptr_t>(second) < reinterpret_cast<std::uintptr_t>(first))
        std::swap(first, second);
    const guard outer(first->lock);
    guard inner(second ? second->lock : first->lock, std::defer_lock);
    if (second) inner.lock();

    const auto is_late = [](const waiter& w) { return w.behind_timer && sync::clock::now() >= w.owner->timer_due; };
    if (mine && (mine->decided || is_late(*self))) return contest::self_lost;
    if (theirs && theirs->decided) return contest::peer_lost;
    if (theirs && is_late(*peer)) {
        theirs->decided = theirs->by_peer = true;
        return contest::peer_late;
    }
    if (mine) mine->decided = true;
    const bool transferred = transfer();
    if (mine) {
        mine->decided = transferred;
        mine->winner = transferred ? self : nullptr;
    }
    if (theirs) {
        theirs->decided = theirs->by_peer = true;
        theirs->winner = peer;
    }
    return transferred ? contest::won : contest::peer_failed;
}

// Decides the select of `w` for it, with nothing to hand over; whether the caller is to wake it.
inline bool decide_as_peer(waiter& w) {
    const contest c = contend(nullptr, &w, [] { return true; });
    return c == contest::won || c == contest::peer_late;
}

// Asked under the lock of a channel, just before an attempt is done for a select that prefers other cases: whether
// none of them has become ready meanwhile. The attempt is `lost` if one has.
class precondition {
public:
    precondition() = default;
    precondition(const precondition&) = delete;
    precondition& operator=(const precondition&) = delete;
    virtual bool holds() const = 0;

protected:
    ~precondition() = default;
};

inline bool holds(const precondition* p) { return !p || p->holds(); }

}  // namespace sluice::detail
