// One blocked operation: its place in a line, the claim by which the cases of a select exclude each other, and the
// section that wakes the operations completed in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <utility>

#include <sluice/detail/lock.hpp>
#include <sluice/detail/parker.hpp>
#include <sluice/detail/queue.hpp>
#include <sluice/detail/sync.hpp>

namespace sluice::detail {

class claim;

// How an attempt ended.
enum class op_status : std::uint8_t {
    done,
    blocked,  // no message, no room
    closed,
    superseded,  // the select that made it was decided before, or another of its cases comes first; nothing was done
};

// A waiter: an operation that stands in a line, of a channel or a timer. All its members are guarded by the locks that
// guard the line while it is linked; once unlinked it belongs to the operation that has completed it, until that has
// woken it, and then to its own thread. To add a kind of waiter that is no thread, give it a `callback`: that is called
// in place of waking a parker, with no lock held, and nothing else changes.
struct waiter {
    enum class status : std::uint8_t { pending, done, closed, failed };

    waiter() = default;
    waiter(const waiter&) = delete;
    waiter& operator=(const waiter&) = delete;

    // For the thread that has completed it, once that has released its locks; the waiter may no longer exist after it.
    void wake() {
        if (has_callback) {
            callback(*this);
        } else {
            sleeper->wake();
        }
    }

    waiter* next = nullptr;
    waiter* previous = nullptr;
    std::uintptr_t times_empty = 0;  // of the first in line: what the line is to hold when it is empty again
    claim* decision = nullptr;       // of its select; none for a plain operation, which is completed by unlinking it
    union {
        parker* sleeper = nullptr;
        void (*callback)(waiter&) noexcept;  // of a waiter that is no thread
    };
    bool has_callback = false;
    bool linked = false;
    bool ignores_close = false;    // a select's case that just drops out when its channel closes
    bool yields_to_timer = false;  // a timer of its select that is due comes first
    bool carries_message = false;  // see blocked_op
    bool watches = false;          // see watcher
    bool looks_again = false;      // of a timer: its callback completes nothing
    status state = status::pending;
};

// An operation that waits in the line of a channel. A small message may travel in it, so that its peer touches one cache
// line less; the parker that wakes its thread begins on the same line (see blocking.hpp).
struct blocked_op : waiter {
    blocked_op() noexcept {}
    ~blocked_op() {
        if (state == status::failed) error.~exception_ptr();
    }

    // For the peer that could not move the message of this sender.
    void fail(std::exception_ptr&& e) noexcept {
        ::new (static_cast<void*>(&error)) std::exception_ptr(std::move(e));
        state = status::failed;
    }
    // For the sender that has failed.
    [[noreturn]] void rethrow() {
        const std::exception_ptr e = std::move(error);
        error.~exception_ptr();
        state = status::done;
        std::rethrow_exception(e);
    }

    // Of a sender: where its message is.
    void* source() noexcept { return carries_message ? carried : message; }

    union {
        void* message = nullptr;  // of a sender: where its message is; of a receiver: the result<T> into which one goes
        alignas(8) std::byte carried[8];  // if it carries_message
        std::exception_ptr error;         // if it has failed: what the move of the message threw, run by another thread
    };
};

// A line of waiters, first come, first served: a ring, entered at its first. Used under a lock, but for the first four.
class wait_queue {
public:
    bool empty() const noexcept { return is_empty(snapshot()); }
    std::uintptr_t snapshot() const noexcept { return first_.load(std::memory_order_acquire); }
    static bool is_empty(std::uintptr_t seen) noexcept { return (seen & 1) != 0; }
    // Whether it was empty when that was seen, and has been all the time since.
    bool stays_empty(std::uintptr_t seen) const noexcept { return is_empty(seen) && snapshot() == seen; }

    waiter* front() const noexcept {
        const std::uintptr_t first = first_.load(std::memory_order_relaxed);
        return is_empty(first) ? nullptr : reinterpret_cast<waiter*>(first);
    }
    // The one behind `w`, or null.
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

// Tells whether a timer of a select is due. Asked under locks of channels and claims.
class timer_watch {
public:
    timer_watch() = default;
    timer_watch(const timer_watch&) = delete;
    timer_watch& operator=(const timer_watch&) = delete;
    virtual bool is_timer_due() const = 0;

protected:
    ~timer_watch() = default;
};

enum class claim_result : std::uint8_t { won, self_lost, peer_lost, peer_failed, peer_late };

// What the cases of one blocked select have in common, so that at most one of them is completed. It is undecided at
// first, and decided once: by a peer, for the case that it completes; by the select itself, for a case or for none; by
// the close of a channel, for none. Every transition is made here, with its lock held, in the same critical section as
// the transfer that goes with it. Locks of claims come after those of channels and before those of timers; two of them
// are taken in the order of their addresses. A select is told from its peer by its claim, never by its thread.
class claim {
public:
    // ---- For the select

    // Before it registers: with the number of its cases that may still become ready, and what watches its timers, if it
    // has any, for the cases that yield to them.
    void begin(std::size_t live_cases, const timer_watch* timers) noexcept {
        live_cases_ = live_cases;
        timers_ = timers;
    }
    bool is_decided() {
        const auto held = spin_lock_guard::unless_alone(lock_);
        return decided_;
    }
    // One of its cases can't become ready any more.
    void drop_case() {
        const auto held = spin_lock_guard::unless_alone(lock_);
        if (--live_cases_ == 0) decided_ = true;
    }
    // From now on no peer decides it. True if one has, which wakes the select after that.
    bool end() {
        const auto held = spin_lock_guard::unless_alone(lock_);
        decided_ = true;
        return by_peer_;
    }
    // Once it has ended: the case that was completed; none if the select is to look at its cases again.
    waiter* selected() const noexcept { return selected_; }

    // Runs attempt() unless it was decided before; attempt() returns whether it has completed one of the cases.
    template <class F>
    bool try_decide(F&& attempt) {
        const spin_lock_guard held(lock_);
        if (decided_) return false;
        decided_ = attempt();
        return true;
    }

    // ---- For channels, timers and stop callbacks

    // The channel of `w` has closed. True if its select is to be woken, decided for no case, to look at its cases
    // again; not so if it was decided before, or if the case just drops out and others are still live.
    static bool claim_for_close(waiter& w) {
        claim& of = *w.decision;
        const spin_lock_guard held(of.lock_);
        if (of.decided_ || (w.ignores_close && --of.live_cases_ > 0)) return false;
        of.decide_as_peer(nullptr);
        return true;
    }

    // Completes `self` (a case of a select that is registered elsewhere, or none) and `peer` (a waiter in line, or
    // none) together, by running transfer(); both must belong to different selects. Nothing happens where one of them
    // was decided before. If transfer() returns false, the peer's own message could not be moved: the peer is
    // completed, with the exception, and the select of `self` stays undecided. If transfer() throws, the peer stays as
    // it was and the select of `self` is over, decided for no case. A select that yields to a timer which is due by now
    // is to look at that first: `self` has lost then, and a peer is late: decided for no case, and to be woken.
    template <class F>
    static claim_result try_claim(waiter* self, waiter* peer, F&& transfer) {
        claim* const mine = self ? self->decision : nullptr;
        claim* const theirs = peer ? peer->decision : nullptr;
        if (!mine && !theirs) return transfer() ? claim_result::won : claim_result::peer_failed;
        claim* first = mine ? mine : theirs;
        claim* second = mine ? theirs : nullptr;
        if (second && reinterpret_cast<std::uintptr_t>(second) < reinterpret_cast<std::uintptr_t>(first)) {
            first = theirs;
            second = mine;
        }
        const spin_lock_guard outer(first->lock_);
        spin_lock_guard inner;
        if (second) inner.lock(second->lock_);

        if (mine && (mine->decided_ || mine->is_late(*self))) return claim_result::self_lost;
        if (theirs && theirs->decided_) return claim_result::peer_lost;
        if (theirs && theirs->is_late(*peer)) {
            theirs->decide_as_peer(nullptr);
            return claim_result::peer_late;
        }
        if (mine) mine->decided_ = true;
        const bool transferred = transfer();
        if (mine) {
            mine->decided_ = transferred;
            mine->selected_ = transferred ? self : nullptr;
        }
        if (theirs) theirs->decide_as_peer(peer);
        return transferred ? claim_result::won : claim_result::peer_failed;
    }

    // Decides the select of `w` for it, with nothing to transfer; whether the caller is to wake it.
    static bool claim_without_transfer(waiter& w) {
        const claim_result c = try_claim(nullptr, &w, [] { return true; });
        return c == claim_result::won || c == claim_result::peer_late;
    }

    // Decides a select that is registered for one of its own cases.
    static op_status claim_own(waiter& self) {
        return try_claim(&self, nullptr, [] { return true; }) == claim_result::won ? op_status::done
                                                                                   : op_status::superseded;
    }

private:
    void decide_as_peer(waiter* selected) noexcept {
        decided_ = by_peer_ = true;
        selected_ = selected;
    }
    bool is_late(const waiter& w) const { return w.yields_to_timer && timers_ && timers_->is_timer_due(); }

    sync::mutex lock_;
    bool decided_ = false;
    bool by_peer_ = false;
    waiter* selected_ = nullptr;
    std::size_t live_cases_ = 0;
    const timer_watch* timers_ = nullptr;  // written before the select registers
};

// Asked under the lock of a channel, just before an attempt is made for a select that prefers other cases: whether none
// of those has become ready meanwhile. The attempt is `superseded` if one has.
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

// What runs under the locks of a channel. When it ends it releases them, then wakes the waiters that it has completed,
// and then destroys the messages that it has taken out, so that neither happens under a lock.
class section {
public:
    explicit section(spin_lock_guard&& held) noexcept : first_(std::move(held)) {}
    explicit section(sync::mutex& only) : first_(only) {}
    // The second lock comes after the first, or is the same.
    section(sync::mutex& first, sync::mutex& second) : first_(first) { lock_also(second); }
    section(const section&) = delete;
    section& operator=(const section&) = delete;

    // Has the second lock too from here on.
    void lock_also(sync::mutex& second) {
        if (!second_ && !first_.holds(second)) second_.lock(second);
    }
    // `w` is unlinked and completed.
    void wake_after(waiter& w) noexcept { completed_.add(w); }
    void destroy_after(detached_queue&& messages) noexcept { taken_out_ = std::move(messages); }

private:
    class completed_waiters {
    public:
        completed_waiters() = default;
        completed_waiters(const completed_waiters&) = delete;
        completed_waiters& operator=(const completed_waiters&) = delete;
        ~completed_waiters() {
            if (first_) wake_all();
        }
        void add(waiter& w) noexcept {
            w.next = nullptr;
            (last_ ? last_->next : first_) = &w;
            last_ = &w;
        }

    private:
        void wake_all() {
            while (waiter* const w = first_) {
                first_ = w->next;  // before wake(): after it, `w` may be gone
                w->wake();
            }
        }

        waiter* first_ = nullptr;
        waiter* last_ = nullptr;
    };

    // Declared in the opposite of the order in which they end.
    detached_queue taken_out_;
    completed_waiters completed_;
    spin_lock_guard first_, second_;
};

}  // namespace sluice::detail
