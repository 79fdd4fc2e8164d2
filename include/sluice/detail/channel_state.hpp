// What a channel consists of, whatever the type of its messages: two locks, the queue, the lines of waiters, and the
// counts of handles; what an observer sees of it; closing and the end. Of select it knows only the claims.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <limits>
#include <memory>
#include <new>
#include <optional>
#include <utility>

#include <sluice/detail/compiler.hpp>
#include <sluice/detail/feeder.hpp>
#include <sluice/detail/lock.hpp>
#include <sluice/detail/queue.hpp>
#include <sluice/detail/sync.hpp>
#include <sluice/detail/waiter.hpp>
#include <sluice/detail/watch.hpp>
#include <sluice/overflow.hpp>

namespace sluice::detail {

// A channel of every kind: unbounded, bounded, and rendezvous, which is bounded with no room at all.
//
// Locks. The back lock is held to push, `front_lock_` to pop; a send takes only the one and a receive only the other, so
// a producer and a consumer that keep up with each other share no lock, and read each other's counter only when the
// messages or the room that they know of are used up. Both together are held to register a waiter, to close, and by a
// receiver that finds blocked senders. A rendezvous, where every send meets a receive, has one lock for both:
// `front_lock_` is its back lock too, and is taken once where both are to be held. Order: front, back, then the claims
// of selects, then the lock of a timer. Under a lock of a channel the moves of messages run, with the allocations of
// the queue (and the destructor of a message that was just moved from), but no wake-up, no copy, no handler and no
// destructor of a message: a section does what comes after.
// While the process has only one thread there is nobody to exclude. Then what can't start another thread on its way, as it
// runs no code of the user's and takes and frees no memory, does without the locks: see spin_lock_guard::unless_alone(),
// and what is called `alone` in channel_steps.hpp and channel_base.hpp. Whatever it completes is woken as its last step.
//
//              guarded by                at capacity 0
//   producer_  back lock                 not in use       the front reads its counter
//   consumer_  front_lock_               not in use       the back reads its counter; for what it writes there see
//                                                         producer_end
//   receivers_ back lock to read and     front_lock_      empty() without a lock is a hint
//              remove, both to insert
//   senders_   front_lock_ to read and   front_lock_      likewise
//              remove, both to insert
//   close_observers_  both               front_lock_
//   message_watchers, room_watchers      front_lock_      empty but there
//   closed_    written with both held,   front_lock_
//              read with either
//   feeder_    front_lock_ to write      front_lock_      read without it as a hint
//
// Invariants, whenever both locks are free:
//   1. While a receiver waits that can still be completed, the queue is empty. It registered when it saw no message
//      with both locks held; since then every send has found it in `receivers_`. (A receiver whose select was decided
//      may stand in line a little longer; an operation that meets it removes it.)
//   2. While a sender waits that can still be completed, there is no room. It registered when it saw none with both
//      locks held; since then every receive has found it in `senders_` and let the first in line put its message in
//      before it let go of the front lock.
//   3. So a message is never passed by a later one, and of two that wait on the same side the first is served first.
//      (But a forced send passes those of blocked senders: it takes a message out and puts its own in, both locks held,
//      and leaves as little room as there was. On a channel that discards no send blocks.)
//   4. Not both senders and receivers wait that could be completed by each other; a select does not count as its own
//      peer.
//      A watcher (see watch.hpp) is not meant: it stands in the same lines, but waits for no message and no room of its
//      own, and is passed over by who completes a waiter.
//   5. After close no waiter is in line, and nothing is pushed. That no wake-up is lost follows from 1 and 2: a thread
//      that registers has looked for its message or its room with every lock held under which it could come, and stands
//      in line before it lets go of them.
//
// Why it is built like this. With one lock, a producer and a consumer take its cache line from each other at every
// message, and a queue that is swapped between two locks takes both of them whenever it runs dry. Here the ends meet
// only at two counters, each on a pair of cache lines that its owner writes and the other reads, and reads only when
// what it knows of is used up; batch_delay makes it likely that there is a batch then, and not a single message, where
// the other side is under way. Where there can be only one, as at capacity 1, the message lies on the counter's cache
// line and comes along with it. The line of waiters is on the lock's cache line, which a hand-over needs anyway.
//
// The cause of a closing. It is written once, by the call that closes the channel, before `closed_` is stored with
// release; from then on it only is read, so that a look at it takes no lock. Whoever has seen the channel closed sees
// the cause: it has loaded `closed_` with acquire; or has read it under a lock that the closing held; or was woken by
// the closing, which wakes after it has released them, also where the claim of a select was decided before the store,
// since who loses a claim to a peer waits for that wake-up. It is destroyed when both sides are gone, with no lock held.
//
// Where the time goes. A send or a receive that meets nobody is mostly the lock and the unlock of its mutex, and a locked
// instruction waits until the stores before it are done. A store to a slot whose cache line the consumer has read when
// it was last in use is done only once that line has come back; so the producer asks for the line of a slot well before
// it writes there (known_slot() in queue.hpp). On a rendezvous the time goes into cache lines that change hands: the
// lock's, and that of the waiter, in which a small message and the wake-up of its thread travel together.

// What a look at a channel found to be so, for telling later whether it has been so all the time since then.
using snapshot = std::uintptr_t;

class channel_state {
public:
    channel_state(const channel_state&) = delete;
    channel_state& operator=(const channel_state&) = delete;

    // ---- Handles. The messages go with the last receiver, and all that the channel holds when the last handle of both
    // kinds is gone; its memory then too, or with the last weak handle.

    void add_sender() noexcept { sender_count_.fetch_add(1, std::memory_order_relaxed); }
    void add_receiver() noexcept { receiver_count_.fetch_add(1, std::memory_order_relaxed); }
    void drop_sender(const message_ops& ops) {
        if (release_ref(sender_count_)) drop_side(false, ops);
    }
    void drop_receiver(const message_ops& ops) {
        if (release_ref(receiver_count_)) drop_side(true, ops);
    }

    // For a handle that is not weak.
    void add_first_weak() noexcept {
        had_weak_.store(true, std::memory_order_relaxed);
        add_weak();
    }
    // For a weak one.
    void add_weak() noexcept { seldom_.weak_count.fetch_add(1, std::memory_order_relaxed); }
    void drop_weak() noexcept {
        if (seldom_.weak_count.fetch_sub(1, std::memory_order_acq_rel) == 1) free();
    }
    // One more handle of that side, unless its last one is gone: then there will be none again.
    bool try_add_sender() noexcept { return try_add_ref(sender_count_); }
    bool try_add_receiver() noexcept { return try_add_ref(receiver_count_); }

    // True for the call that closed the channel; otherwise the caller destroys the cause, after the locks.
    bool close(std::exception_ptr cause = nullptr) {
        section both(front_lock_, back_lock());
        return close_locked(both, std::move(cause));
    }

    // ---- Observers, without a lock: what they tell was so at some moment of the call.

    bool is_closed() const noexcept { return closed_.load(std::memory_order_acquire); }
    std::exception_ptr close_cause() const noexcept { return is_closed() ? seldom_.cause : nullptr; }
    std::optional<std::size_t> capacity() const noexcept {
        return seldom_.bounded ? std::optional(limit_) : std::nullopt;
    }
    bool is_rendezvous() const noexcept { return limit_ == 0; }
    std::size_t size() const noexcept {
        for (;;) {
            const std::size_t head = consumer_.head();
            const std::size_t size = producer_.tail() - head;
            // While an eviction replaces one message by another, both are counted.
            if (consumer_.head() == head) return size < limit_ ? size : limit_;
        }
    }
    // How many more messages fit, at some moment of the call.
    std::size_t room() const noexcept { return limit_ - size(); }
    bool full() const noexcept { return size() >= limit_; }
    // How many messages were discarded for lack of room, and not given to anyone.
    std::size_t dropped() const noexcept { return seldom_.dropped.load(std::memory_order_relaxed); }
    void count_dropped(std::size_t messages = 1) noexcept {
        seldom_.dropped.fetch_add(messages, std::memory_order_relaxed);
    }
    // Whether a send discards a message where there is no room.
    bool discards() const noexcept { return detail::discards(seldom_.rule); }
    std::size_t sender_count() const noexcept { return sender_count_.load(std::memory_order_acquire); }
    std::size_t receiver_count() const noexcept { return receiver_count_.load(std::memory_order_acquire); }

    // Whether an attempt can do anything but block. `false` is exact: there was a moment during the call at which an
    // attempt would have blocked. `tail` is read again at the end since a sender whose message was put in has left the
    // line before the look at it.
    //
    // recv_stays_blocked() and send_stays_blocked() then tell, of what was `seen`, whether that has been so all the
    // time from the end of that call to the beginning of this one:
    //   - with room for messages, a receive stays blocked as long as nothing is sent, since no sender waits while there
    //     is room. The counters only grow;
    //   - likewise a send as long as nothing is received, since no receiver waits while there are messages;
    //   - on a rendezvous both depend on the line of the other side, which says whether it was empty all the time;
    //   - a channel that is not closed has not been closed before.
    bool maybe_ready_to_recv(snapshot& seen) const noexcept {
        if (is_rendezvous()) {
            seen = senders_.snapshot();
            return !wait_queue::is_empty(seen) || is_closed();
        }
        const std::size_t head = consumer_.head();
        seen = producer_.tail();
        return seen != head || !senders_.empty() || is_closed() || producer_.tail() != seen;
    }
    bool maybe_ready_to_send(snapshot& seen) const noexcept { return !send_blocks_ || maybe_fits(seen); }
    // The same for an attempt that discards nothing.
    bool maybe_fits(snapshot& seen) const noexcept {
        if (is_rendezvous()) {
            seen = receivers_.snapshot();
            return !wait_queue::is_empty(seen) || is_closed();
        }
        const std::size_t tail = producer_.tail();
        seen = consumer_.head();
        return tail - seen != limit_ || is_closed();
    }
    bool recv_stays_blocked(snapshot seen) const noexcept {
        return (is_rendezvous() ? senders_.stays_empty(seen) : producer_.tail() == seen) && !is_closed();
    }
    bool send_stays_blocked(snapshot seen) const noexcept {
        return (is_rendezvous() ? receivers_.stays_empty(seen) : consumer_.head() == seen) && !is_closed();
    }
    bool maybe_ready_to_recv() const noexcept {
        snapshot seen;
        return consumer_.head() != producer_.tail() || maybe_ready_to_recv(seen);
    }
    bool maybe_ready_to_send() const noexcept {
        snapshot seen;
        return producer_.tail() - consumer_.head() != limit_ || maybe_ready_to_send(seen);
    }

    bool maybe_fits() const noexcept {
        snapshot seen;
        return maybe_fits(seen);
    }

    // Sets the feeder, before the first receive, or takes it away for good: null.
    void feed_by(feeder* f) {
        const spin_lock_guard front(front_lock_);
        feeder_.store(f, std::memory_order_release);
    }

    // Has `self` completed, as closed, when the channel closes; false if it is closed already.
    bool observe_close(waiter& self) {
        const section both(front_lock_, back_lock());
        if (closed_under_lock()) return false;
        close_observers_.push_back(self);
        return true;
    }
    // Ends that; false if `self` was completed, or told.
    bool unobserve_close(waiter& self) {
        const section both(front_lock_, back_lock());
        if (!self.linked) return false;
        close_observers_.remove(self);
        return true;
    }

protected:
    // What is used seldom, or by few channels.
    struct seldom_used {
        void* memory;
        const overflow rule;
        const bool bounded;
        sync::atomic<bool> abandoned{false};
        sync::atomic<std::size_t> weak_count{1};  // and one for all other handles together
        sync::atomic<std::size_t> dropped{0};
        std::exception_ptr cause = nullptr;  // of the closing; see the head
        // Of a rendezvous: of those that are told when a sender, or a receiver, gets in line.
        wait_queue message_watchers{}, room_watchers{};
    };

    // Memory for a channel, and where in it the channel and the rest of it are to begin.
    struct allocation {
        void* memory;
        void* place;
        void* place_of_seldom_used;
    };
    // Aligned by hand, since aligned operator new is slower. The alignment leaves a gap before or behind the channel, and
    // in one of the two there is room for what is seldom used, as a rule.
    static allocation allocate() {
        static_assert(alignof(seldom_used) <= alignof(channel_state));
        constexpr std::size_t seldom = sizeof(seldom_used), missing = seldom <= cache_line ? 0 : seldom;
        std::size_t space = sizeof(channel_state) + 2 * cache_line - __STDCPP_DEFAULT_NEW_ALIGNMENT__ + missing;
        auto* const memory = static_cast<std::byte*>(::operator new(space));
        void* second_line = memory + cache_line;
        std::align(2 * cache_line, sizeof(channel_state) - cache_line, second_line, space -= cache_line);
        std::byte* const place = static_cast<std::byte*>(second_line) - cache_line;
        const bool is_before = static_cast<std::size_t>(place - memory) >= seldom;
        return {memory, place, is_before ? memory : place + sizeof(channel_state)};
    }

    // At most `limit` messages fit; without one, any number. Starts with one receiver, and with one sender or none.
    // `first` is the number of the first message.
    channel_state(const allocation& in, std::optional<std::size_t> limit, overflow rule, std::size_t senders,
                  std::size_t first) noexcept
        : consumer_(first),
          limit_(limit.value_or((std::numeric_limits<std::size_t>::max)())),
          send_blocks_(limit.has_value() && rule == overflow::block),
          one_side_gone_(senders == 0),
          made_in_(sync::fork_count()),
          seldom_(*::new (in.place_of_seldom_used)
                      seldom_used{.memory = in.memory, .rule = rule, .bounded = limit.has_value()}),
          sender_count_(senders),
          producer_(first) {}
    ~channel_state() { std::destroy_at(&seldom_); }

    // ---- Under a lock

    // The lock to push under.
    sync::mutex& back_lock() noexcept { return is_rendezvous() ? front_lock_ : back_lock_; }
    bool closed_under_lock() const noexcept { return closed_.load(std::memory_order_relaxed); }

    // Requires both locks.
    bool close_locked(section& locked, std::exception_ptr&& cause) {
        if (closed_under_lock()) return false;
        std::swap(seldom_.cause, cause);
        for (wait_queue* const line :
             {&receivers_, &senders_, &close_observers_, &seldom_.message_watchers, &seldom_.room_watchers}) {
            tell_watchers(*line, locked);
            while (waiter* const w = line->front()) {
                line->remove(*w);
                w->state = waiter::status::closed;
                if (!w->decision || claim::claim_for_close(*w)) locked.wake_after(*w);
            }
        }
        // Last, when the closing has decided the selects in line: so for them, a deadline that passes after a thread
        // has seen the channel closed comes too late.
        closed_.store(true, std::memory_order_release);
        return true;
    }

private:
    friend struct layout_of_channel;

    // ---- The end

    bool release_ref(sync::atomic<std::size_t>& count) noexcept {
        // The only handle is this one, which no other thread may copy now: so no other thread changes the count, unless
        // it locks a weak handle. There is none if none was ever made: it would have been made from this handle, before
        // its end, or from one whose drop the load of the count has acquired. That one was, and is gone, would not
        // suffice: a thread may have locked it and dropped it between two looks.
        if (count.load(std::memory_order_acquire) == 1 && !had_weak_.load(std::memory_order_relaxed)) {
            count.store(0, std::memory_order_relaxed);
            return true;
        }
        return count.fetch_sub(1, std::memory_order_acq_rel) == 1;
    }

    static bool try_add_ref(sync::atomic<std::size_t>& count) noexcept {
        std::size_t seen = count.load(std::memory_order_acquire);
        while (seen != 0 && !count.compare_exchange_weak(seen, seen + 1, std::memory_order_acquire)) {
        }
        return seen != 0;
    }

    // The last handle of one side is gone. If the other side is still there the channel closes; likewise if that never
    // was there, since weak handles may have somebody wait for the closing. If both leave at the same time both may
    // close it, of which the second does nothing, and then the exchange of `one_side_gone_` tells them apart: to the side
    // that comes first it is the last access, and the one that comes second ends the channel.
    SLUICE_NOINLINE void drop_side(bool discard, const message_ops& ops) {
        if (made_in_ != sync::fork_count()) return abandon();
        if (!one_side_gone_.load(std::memory_order_acquire) || !is_closed()) {
            section both(front_lock_, back_lock());
            close_locked(both, nullptr);
            if (discard) both.destroy_after(consumer_.reset(producer_, ops));
        }
        if (!one_side_gone_.exchange(true, std::memory_order_acq_rel)) return;
        if (discard) {
            const detached_queue rest = consumer_.reset(producer_, ops);
        }
        // Nobody can ask for the cause any more. What it holds may be weak handles of this channel.
        seldom_.cause = nullptr;
        if (had_weak_.load(std::memory_order_relaxed)) return drop_weak();
        free();
    }

    void free() noexcept {
        void* const memory = seldom_.memory;
        this->~channel_state();
        ::operator delete(memory);
    }

    // In the child of a fork the locks may be held, and the messages half moved, by threads that are not there: leaves
    // everything as it is, where a leak checker finds it.
    void abandon() noexcept {
        static std::atomic<channel_state*> all{nullptr};
        if (!seldom_.abandoned.exchange(true, std::memory_order_relaxed)) seldom_.memory = all.exchange(this);
    }

protected:
    // On cache lines: the front's lock, with the line of senders and what only the consumer uses; the front's counter,
    // at which the back looks; what is seldom written, on two lines; and the back's lock and counter likewise.
    // Processors fetch a pair of lines at a time, so a channel begins with the second half of one: no line that is
    // written all the time shares a pair with another. (Not by alignas, which would lengthen the last line.)
    // tests/layout_test.cpp checks it.
    sync::mutex front_lock_;
    wait_queue senders_;
    consumer_end consumer_;

    const std::size_t limit_;
    const bool send_blocks_;  // where there is no room
    sync::atomic<bool> closed_{false};
    sync::atomic<bool> one_side_gone_;
    sync::atomic<bool> had_weak_{false};  // whether a weak handle was ever made
    const unsigned made_in_;              // the fork_count()
    wait_queue close_observers_;
    seldom_used& seldom_;
    sync::atomic<std::size_t> sender_count_;
    sync::atomic<std::size_t> receiver_count_{1};
    sync::atomic<feeder*> feeder_{nullptr};  // most channels have none

    sync::mutex back_lock_;
    wait_queue receivers_;
    producer_end producer_;
};

}  // namespace sluice::detail
