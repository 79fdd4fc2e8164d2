// The channel itself: two locks, the queue, those who wait, and the counts of handles. Knows nothing of select but its
// claims.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <limits>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>

#include <sluice/detail/feeder.hpp>
#include <sluice/detail/queue.hpp>
#include <sluice/detail/sync.hpp>
#include <sluice/detail/throw.hpp>
#include <sluice/detail/wait.hpp>
#include <sluice/result.hpp>

namespace sluice::detail {

// A channel of every kind: unbounded, bounded, and rendezvous, which is bounded with no room at all.
//
// Locks. `back_lock_` is held to push, `front_lock_` to pop; a send takes only the one and a receive only the other, so
// a producer and a consumer that keep up with each other share no lock, and look at each other's counter only when the
// messages or the room that they know of are used up. Both together are held to begin to wait, to close, and by a
// receiver that finds senders waiting. Order: front, back, then the claims of selects. Under a lock the elements' moves
// run (and the end of an element that was just moved from), but no wake-up, no copy, no handler and no destructor of a
// message: what comes after is left to a wake_list or to queue_contents, declared before the guards.
//
//              guarded by
//   back_      back_lock_                 the front reads its counter
//   front_     front_lock_                the back reads its counter
//   receivers_ back_lock_, which those hold who serve them; added to with both held
//   senders_   front_lock_, likewise
//   watchers_  both
//   closed_    written with both held, read with either
//
// Invariants, whenever both locks are free:
//   1. While a receiver waits that can still be completed, the queue is empty. It began to wait when it saw no message
//      with both locks held; since then every send has found it in `receivers_`. (A waiting receiver whose select was
//      decided may stand in line a little longer; whoever meets it removes it.)
//   2. While a sender waits that can still be completed, there is no room. It began to wait when it saw none with both
//      locks held; since then every receive has found it in `senders_` and let the first in line put its message in
//      before it let go of the front lock.
//   3. So a message is never passed by a later one, and of two that wait on the same side the first is served first.
//   4. Not both senders and receivers wait that could be completed by each other; a select does not count as its own
//      peer.
//   5. After close nobody waits and nothing is pushed.
// That no wake-up is lost follows from 1 and 2: a thread that begins to wait has looked for its message or its room with
// every lock held under which it could come, and stands in line before it lets go of them.
//
// Why it is built like this. With one lock, a producer and a consumer take its cache line from each other at every
// message, and a queue that is swapped between two locks takes both of them whenever it runs dry. Here the ends meet
// only at two counters, each on a pair of cache lines that its owner writes and the other reads, and reads only when
// what it knows of is used up; `patience` sees to it that there is then a batch, and not a single message, where the
// other side is under way. Where there can be only one, as at capacity 1, the message lies on the counter's line and
// comes along with it. A thread that blocks backs off with its eye on the counter for two microseconds, without a
// lock, before it stands in line and parks; on a rendezvous, where nothing can happen before somebody stands in line, it
// does so at once and backs off with its eye on its own parker. What waits is on the lock's line, which a hand-over needs
// anyway. What a message does that meets nobody is inlined as a whole, by order: left to itself, GCC spends half as
// many instructions again on calls.

// How an attempt ended.
enum class attempt : std::uint8_t {
    done,
    blocked,  // no message, no room
    closed,
    lost,  // the select that made it had been decided before, or its precondition does not hold; nothing was done
};

template <class T>
struct waiting_receiver : waiter {
    result<T>* message = nullptr;  // where the message goes
};

template <class T>
struct waiting_sender : waiter {
    // Makes a T of the message: in `*to`, or if that is null, at `slot`.
    void (*give)(void* message, result<T>* to, T* slot) = nullptr;
    void* message = nullptr;
    std::exception_ptr error;  // what its move threw, when a receiver took it, or tried to put it into the queue

    template <class U>
    void offer(U& source) noexcept {
        message = const_cast<void*>(static_cast<const volatile void*>(std::addressof(source)));
        give = [](void* m, result<T>* to, T* slot) {
            auto& u = *static_cast<U*>(m);
            if (to) {
                to->emplace(std::move(u));
            } else {
                ::new (static_cast<void*>(slot)) T(std::move(u));
            }
        };
    }
};

// What a look at a channel found to be so, for telling later whether it has been so all the time since then.
using snapshot = std::uintptr_t;

template <class T>
class core {
    static_assert(std::is_move_constructible_v<T> && std::is_destructible_v<T>,
                  "sluice: a message must be movable; send a std::unique_ptr to what cannot move");

public:
    // At most `limit` messages fit; without one, any number. Starts with one receiver and with one sender, or with
    // none: a channel into which nobody will ever send, and which is open all the same. `first` is the number of the first
    // message; only tests begin elsewhere.
    static core* make(std::optional<std::size_t> limit, std::size_t senders = 1, std::size_t first = 0) {
        // Aligned by hand: aligned operator new costs several times what all the rest of a channel does.
        std::size_t space = sizeof(core) + 2 * cache_line - __STDCPP_DEFAULT_NEW_ALIGNMENT__;
        void* const memory = ::operator new(space);
        void* second_line = static_cast<std::byte*>(memory) + cache_line;
        std::align(2 * cache_line, sizeof(core) - cache_line, second_line, space -= cache_line);
        return ::new (static_cast<void*>(static_cast<std::byte*>(second_line) - cache_line))
            core(memory, limit, senders, first);
    }

    // ---- Handles. The channel is gone when the last one of both kinds is.

    void add_sender() noexcept { sender_count_.fetch_add(1, std::memory_order_relaxed); }
    void add_receiver() noexcept { receiver_count_.fetch_add(1, std::memory_order_relaxed); }
    void drop_sender() {
        if (was_last(sender_count_)) leave(false);
    }
    void drop_receiver() {
        if (was_last(receiver_count_)) leave(true);
    }

    // True for the call that closed the channel.
    bool close() {
        wake_list wakes;
        const guard front(front_lock_);
        const guard back(back_lock_);
        return close_locked(wakes);
    }

    // ---- Observers, without a lock: what they tell was so at some moment of the call.

    bool is_closed() const noexcept { return closed_.load(std::memory_order_acquire); }
    std::optional<std::size_t> capacity() const noexcept { return bounded_ ? std::optional(limit_) : std::nullopt; }
    bool is_rendezvous() const noexcept { return limit_ == 0; }
    std::size_t size() const noexcept {
        for (;;) {
            const std::size_t received = front_.received();
            const std::size_t sent = back_.sent();
            // More than fit for the moment in which one replaces another.
            if (front_.received() == received) return (std::min)(sent - received, limit_);
        }
    }
    // How many more messages fit, about.
    std::size_t room() const noexcept { return limit_ - (std::min)(size(), limit_); }
    bool full() const noexcept { return bounded_ && size() >= limit_; }
    std::size_t sender_count() const noexcept { return sender_count_.load(std::memory_order_acquire); }
    std::size_t receiver_count() const noexcept { return receiver_count_.load(std::memory_order_acquire); }

    // Whether an attempt can do anything but block. `false` is exact: there was a moment during the call at which an
    // attempt would have blocked. `sent` is read again at the end since a sender that was let in has left the line before
    // the look at it.
    //
    // receive_stays_blocked() and send_stays_blocked() then tell, of what was `seen`, whether that has been so all the
    // time from the end of that call to the beginning of this one:
    //   - with room for messages, a receive stays blocked as long as nothing is sent: nobody waits to send, as there is
    //     room. The counters only grow;
    //   - likewise a send as long as nothing is received; who waits to receive does not count, as it waits for an empty
    //     queue;
    //   - on a rendezvous both depend on who waits, and the line says whether it was empty all the time;
    //   - a channel that is not closed has not been closed before.
    bool may_receive(snapshot& seen) const noexcept {
        if (is_rendezvous()) {
            seen = senders_.look();
            return !wait_queue::is_empty(seen) || is_closed();
        }
        const std::size_t received = front_.received();
        seen = back_.sent();
        return seen != received || !senders_.empty() || is_closed() || back_.sent() != seen;
    }
    bool may_send(snapshot& seen) const noexcept {
        if (!bounded_) return true;
        if (is_rendezvous()) {
            seen = receivers_.look();
            return !wait_queue::is_empty(seen) || is_closed();
        }
        const std::size_t sent = back_.sent();
        seen = front_.received();
        return sent - seen != limit_ || is_closed();
    }
    bool receive_stays_blocked(snapshot seen) const noexcept {
        return (is_rendezvous() ? senders_.stays_empty(seen) : back_.sent() == seen) && !is_closed();
    }
    bool send_stays_blocked(snapshot seen) const noexcept {
        return (is_rendezvous() ? receivers_.stays_empty(seen) : front_.received() == seen) && !is_closed();
    }
    bool may_receive() const noexcept {
        snapshot seen;
        return may_receive(seen);
    }
    bool may_send() const noexcept {
        snapshot seen;
        return may_send(seen);
    }

    // One, before anyone receives; later none any more.
    void feed_by(feeder* f) {
        const guard front(front_lock_);
        feeder_.store(f, std::memory_order_release);
    }

    // What is kept for a stream; see queue.hpp. For a receiver that has slept for a while.
    bool retains_memory() const noexcept { return back_.retains(); }
    void give_back_memory() { shrink(guard(front_lock_), true); }

    // ---- Attempts, which never block; one that is `patient` may take a microsecond to let a batch gather. A message
    // is moved from only by an attempt that is `done`. If its move throws, it stays where it was.

    template <class U>
    [[gnu::always_inline]] attempt try_send(U& message, bool patient = false) {
        if (sends_alone(message)) return attempt::done;
        guard back(back_lock_);
        if (!closed_under_lock() && receivers_.empty()) {
            if (push(message, patient)) return attempt::done;
            if (!patient || !back_.awaits_more()) return attempt::blocked;
        }
        return try_send_slowly(message, std::move(back));
    }

    [[gnu::always_inline]] attempt try_receive(result<T>& out, bool patient = false) {
        if (receives_alone(out)) return attempt::done;
        guard front(front_lock_);
        if (senders_.empty()) {
            if (front_.available(back_, patient) > 0) {
                pop_into(out);
                shrink_if_empty(std::move(front));
                return attempt::done;
            }
            if (!patient || !front_.awaits_more()) return closed_under_lock() ? attempt::closed : attempt::blocked;
        }
        return try_receive_slowly(out, std::move(front));
    }

    // Sends `at(sent)` and what follows it, up to `at(count - 1)`, under one lock while there is room, counting in
    // `sent`.
    template <class At>
    attempt try_send_some(At&& at, std::size_t count, std::size_t& sent) {
        wake_list wakes;
        const guard back(back_lock_);
        while (sent != count) {
            if (closed_under_lock() || !receivers_.empty()) {
                if (const attempt one = put(at(sent), nullptr, wakes); one != attempt::done) return one;
                ++sent;
                continue;
            }
            std::size_t room = (std::min)(back_.room(limit_, front_), count - sent);
            if (room == 0) return attempt::blocked;
            std::size_t number = back_.next();
            const auto publish = [&] { back_.publish(number); };
            const at_end<decltype(publish)> published{publish};
            for (; room > 0; --room, ++sent, ++number) {
                ::new (static_cast<void*>(back_.slot(number, limit_, front_))) T(std::move(at(sent)));
            }
        }
        return attempt::done;
    }

    // Hands up to `count` queued messages to `sink`, under one lock; returns how many. Those who wait to send on a
    // rendezvous channel are not served.
    template <class Sink>
    std::size_t try_receive_some(Sink&& sink, std::size_t count) {
        wake_list wakes;
        guard front(front_lock_);
        const std::size_t there = (std::min)(front_.available(back_), count);
        if (there == 0) return 0;
        {
            std::size_t number = front_.next();
            const auto settle = [&] {
                front_.publish(number);
                if (senders_.empty()) return;
                const guard back(back_lock_);
                admit(wakes);
            };
            const at_end<decltype(settle)> settled{settle};  // whatever the sink throws
            for (const std::size_t end = number + there; number != end; ++number) {
                T& message = front_.message(number);
                sink(std::move(message));
                std::destroy_at(std::addressof(message));
            }
        }
        shrink_if_empty(std::move(front));
        return there;
    }

    // Sends; where there is no room, the oldest message makes some and comes out in `displaced`. Passes those who wait
    // to send, so it is only for channels on which nobody does. Throws before anything has changed, or not at all.
    attempt send_displacing(T& message, std::optional<T>& displaced) {
        static_assert(std::is_nothrow_move_constructible_v<T>);
        wake_list wakes;
        const guard front(front_lock_);
        const guard back(back_lock_);
        const attempt tried = put(message, nullptr, wakes);
        if (tried != attempt::blocked || front_.available(back_) == 0) return tried;
        back_.prepare_replacing(front_);
        // The new one is counted before the old one is not counted any more, so that no look finds room, or too little.
        const std::size_t oldest = front_.next(), newest = back_.next();
        T& message_before = front_.message(oldest);
        displaced.emplace(std::move(message_before));
        std::destroy_at(std::addressof(message_before));
        ::new (static_cast<void*>(back_.slot(newest, limit_, front_, oldest + 1))) T(std::move(message));
        back_.publish(newest + 1);
        front_.publish(oldest + 1);
        return attempt::done;
    }

    // The same for a select that may have to prefer another case.

    template <class U>
    attempt try_send_if(const precondition* others, U& message) {
        if (!others) return try_send(message);
        wake_list wakes;
        const guard back(back_lock_);
        if (closed_under_lock()) return attempt::closed;
        // Room only grows under this lock, and whoever is completed below was waiting before.
        if (receivers_.empty() && back_.room(limit_, front_) == 0) return attempt::blocked;
        return others->holds() ? put(message, nullptr, wakes) : attempt::lost;
    }

    attempt try_receive_if(const precondition* others, result<T>& out) {
        if (!others) return try_receive(out);
        wake_list wakes;
        guard front(front_lock_);
        if (front_.available(back_) == 0 && senders_.empty())
            return closed_under_lock() ? attempt::closed : attempt::blocked;
        if (!others->holds()) return attempt::lost;
        const attempt tried = take(out, nullptr, wakes);
        shrink_if_empty(std::move(front));
        return tried;
    }

    // ---- Operations that block. errc{} says that they have succeeded.

    // A stop that was requested before wins over everything. Where a stop and a deadline may both come, even the first
    // attempt is left to the slow path, which learns of the stop as it comes and so knows which was first.

    template <class U>
    errc send(U& message, const deadline& until, const stop_token& stop) {
        if (stop.stop_requested()) return errc::stopped;
        if ((!is_rendezvous() || may_send()) && !(stop.stop_possible() && !until.is_never())) {
            const attempt tried = try_send(message, true);
            if (tried == attempt::done) return {};
            if (tried == attempt::closed) return errc::closed;
        }
        return send_later(message, until, stop);
    }

    errc receive(result<T>& out, const deadline& until, const stop_token& stop) {
        if (stop.stop_requested()) return errc::stopped;
        if ((!is_rendezvous() || may_receive()) && !(stop.stop_possible() && !until.is_never())) {
            const attempt tried = try_receive(out, true);
            if (tried == attempt::done) return {};
            if (tried == attempt::closed) return errc::closed;
        }
        return receive_later(out, until, stop);
    }

    // ---- Waiting. enlist() looks once more with both locks held, and where it would block puts `self` in line. For
    // the case of a select the attempt is `lost` if the select was decided before.

    template <class U>
    attempt enlist(U& message, waiting_sender<T>& self) {
        wake_list wakes;
        const guard front(front_lock_);
        const guard back(back_lock_);
        const attempt tried = put(message, &self, wakes);
        if (tried == attempt::blocked) {
            self.offer(message);
            stand(senders_, self);
        }
        return tried;
    }

    attempt enlist(result<T>& out, waiting_receiver<T>& self) {
        wake_list wakes;
        const guard front(front_lock_);
        const guard back(back_lock_);
        const attempt tried = take(out, &self, wakes);
        if (tried == attempt::blocked) {
            self.message = &out;
            stand(receivers_, self);
        }
        return tried;
    }

    // Leaves the line; false for one that is not in it, because it was completed.
    bool withdraw(waiting_sender<T>& self) {
        const guard front(front_lock_);
        if (!self.linked) return false;
        senders_.remove(self);
        return true;
    }
    bool withdraw(waiting_receiver<T>& self) {
        const guard back(back_lock_);
        if (!self.linked) return false;
        receivers_.remove(self);
        return true;
    }

    // Has `self` completed, as closed, when the channel closes; false if it is closed already.
    bool watch_closing(waiter& self) {
        const guard front(front_lock_);
        const guard back(back_lock_);
        if (closed_under_lock()) return false;
        watchers_.push_back(self);
        return true;
    }
    // No longer; false if it was completed.
    bool unwatch_closing(waiter& self) {
        const guard front(front_lock_);
        const guard back(back_lock_);
        if (!self.linked) return false;
        watchers_.remove(self);
        return true;
    }

private:
    core(void* memory, std::optional<std::size_t> limit, std::size_t senders, std::size_t first) noexcept
        : front_(first),
          limit_(limit.value_or((std::numeric_limits<std::size_t>::max)())),
          bounded_(limit.has_value()),
          one_side_gone_(senders == 0),
          made_in_(sync::fork_count()),
          memory_(memory),
          sender_count_(senders),
          back_(first) {}
    ~core() = default;

    template <class F>
    struct at_end {
        const F& f;
        ~at_end() { f(); }
    };

    // ---- Under a lock

    bool closed_under_lock() const noexcept { return closed_.load(std::memory_order_relaxed); }

    // Both locks held.
    void stand(wait_queue& line, waiter& self) noexcept {
        self.what = waiter::outcome::none;
        line.push_back(self);
    }

    // Hands the message to the first receiver in line, or puts it into the queue. Back lock held; front lock too if
    // `self` is given.
    template <class U>
    attempt put(U& message, waiter* self, wake_list& wakes) {
        if (closed_under_lock()) return attempt::closed;
        if (!receivers_.empty()) {
            const auto hand_over = [&message](waiting_receiver<T>& peer) {
                peer.message->emplace(std::move(message));
                return true;
            };
            const attempt tried = serve<waiting_receiver<T>>(receivers_, self, wakes, hand_over);
            if (tried != attempt::blocked) return tried;
        }
        if (!self) return push(message) ? attempt::done : attempt::blocked;
        if (back_.room(limit_, front_) == 0) return attempt::blocked;
        const auto enqueue = [&] { return push(message); };
        return contend(self, nullptr, enqueue) == contest::won ? attempt::done : attempt::lost;
    }

    // Sends without a lock, where the process has only one thread and nothing on the way can start another: no code of
    // the message's, no allocator. False, and nothing is done, where that is not so, or there is more to do. Likewise
    // receives_alone().
    template <class U>
    [[gnu::always_inline]] bool sends_alone(U& message) {
        if constexpr (std::is_trivially_copyable_v<T> && std::is_same_v<U, T>) {
            return sync::single_threaded() && !closed_under_lock() && receivers_.empty() &&
                   back_.has_free_slot(limit_, front_) && push(message);
        } else {
            return false;
        }
    }
    [[gnu::always_inline]] bool receives_alone(result<T>& out) {
        if constexpr (std::is_trivially_copyable_v<T>) {
            if (!sync::single_threaded() || !senders_.empty() || front_.available(back_) == 0 ||
                front_.frees_memory(back_))
                return false;
            pop_into(out);
            return true;
        } else {
            return false;
        }
    }

    // Puts the message into the queue; false if there is no room.
    template <class U>
    [[gnu::always_inline]] bool push(U& message, bool patient = false) {
        T* const slot = back_.free_slot(limit_, front_, patient);
        if (!slot) return false;
        ::new (static_cast<void*>(slot)) T(std::move(message));
        back_.publish(back_.next() + 1);
        return true;
    }

    // Completes the first in line that can be, by running `transfer` with it; blocked if none can. One whose own message
    // could not be moved is completed as well, to hear of it, and the next one takes its turn. The lock that guards the
    // line is held.
    template <class Waiter, class Transfer>
    static attempt serve(wait_queue& line, waiter* self, wake_list& wakes, Transfer&& transfer) {
        for (waiter* next = line.front(); waiter* const w = next;) {
            next = line.after(*w);
            if (same_select(self, w)) continue;
            const contest c = contend(self, w, [&] { return transfer(static_cast<Waiter&>(*w)); });
            if (c == contest::self_lost) return attempt::lost;
            line.remove(*w);
            if (c == contest::peer_lost) continue;
            if (c != contest::peer_late) w->what = waiter::outcome::done;
            wakes.add(*w);
            if (c == contest::won) return attempt::done;
        }
        return attempt::blocked;
    }

    // Moves the message of a waiting sender by f(). What that throws is the sender's to hear; false then.
    template <class F>
    static bool move_for(waiting_sender<T>& sender, F&& f) {
        std::exception_ptr error = thrown_by(std::forward<F>(f));
        if (!error) return true;  // without a look at its second cache line
        sender.error = std::move(error);
        return false;
    }

    // The rest of an attempt that has met somebody, or has found so little that it waits a while and looks again. Out
    // of the way of the others.
    template <class U>
    [[gnu::noinline]] attempt try_send_slowly(U& message, guard&& held) {
        {
            wake_list wakes;
            const guard back(std::move(held));
            if (closed_under_lock() || !receivers_.empty()) return put(message, nullptr, wakes);
        }
        back_.wait();
        return try_send(message);
    }

    // Takes the oldest message from the queue and lets those in who wait for the room; where there is none, as on a
    // rendezvous, takes from the first sender in line. Front lock held; the back lock too if `self` is given, else it
    // is taken here if need be.
    attempt take(result<T>& out, waiter* self, wake_list& wakes) {
        if (front_.available(back_) == 0) {
            const auto take_over = [&out](waiting_sender<T>& peer) {
                return move_for(peer, [&] { peer.give(peer.message, &out, nullptr); });
            };
            const attempt tried = serve<waiting_sender<T>>(senders_, self, wakes, take_over);
            return tried == attempt::blocked && closed_under_lock() ? attempt::closed : tried;
        }
        if (self) {
            const auto dequeue = [&] {
                pop_into(out);
                return true;
            };
            if (contend(self, nullptr, dequeue) != contest::won) return attempt::lost;
            admit(wakes);
        } else {
            pop_into(out);
            const guard back(back_lock_);
            admit(wakes);
        }
        return attempt::done;
    }

    // `out` is a result or an optional.
    [[gnu::always_inline]] void pop_into(auto& out) {
        const std::size_t number = front_.next();
        T& message = front_.message(number);
        out.emplace(std::move(message));
        std::destroy_at(std::addressof(message));
        front_.publish(number + 1);
    }

    [[gnu::noinline]] attempt try_receive_slowly(result<T>& out, guard&& held) {
        {
            wake_list wakes;
            guard front(std::move(held));
            if (!senders_.empty()) {
                const attempt tried = take(out, nullptr, wakes);
                shrink_if_empty(std::move(front));
                return tried;
            }
        }
        front_.wait();
        return try_receive(out);
    }

    // After messages were taken: whoever finds the queue empty by that gives back what a burst took.
    [[gnu::always_inline]] void shrink_if_empty(guard&& front) {
        if (front_.used_up() && back_.outgrown()) shrink(std::move(front), false);
    }

    // If the queue is empty, gives back what a burst took; also what is kept for a stream, if it has stood `idle`.
    [[gnu::noinline]] void shrink(guard&& held, bool idle) {
        queue_contents<T> memory;
        const guard front(std::move(held));
        const guard back(back_lock_);
        if (front_.available(back_) != 0) return;
        if (idle) {
            back_.forget_growth();
            memory = front_.reset(back_);
        } else if (back_.outgrown()) {
            memory = back_.keep_or_reset(front_);
        }
    }

    // Puts the messages of waiting senders into the queue while there is room. Both locks held.
    void admit(wake_list& wakes) {
        const auto enqueue = [this](waiting_sender<T>& sender) {
            return move_for(sender, [&] {
                const std::size_t number = back_.next();
                sender.give(sender.message, nullptr, back_.slot(number, limit_, front_));
                back_.publish(number + 1);
            });
        };
        while (!senders_.empty() && back_.room(limit_, front_) > 0) {
            if (serve<waiting_sender<T>>(senders_, nullptr, wakes, enqueue) != attempt::done) return;
        }
    }

    bool close_locked(wake_list& wakes) {
        if (closed_under_lock()) return false;
        const auto turn_away = [&wakes](waiter& w) {
            w.what = waiter::outcome::closed;
            if (!w.owner || tell_closed(w)) wakes.add(w);
        };
        while (waiter* const w = receivers_.front()) {
            receivers_.remove(*w);
            turn_away(*w);
        }
        while (waiter* const w = senders_.front()) {
            senders_.remove(*w);
            turn_away(*w);
        }
        while (waiter* const w = watchers_.front()) {
            watchers_.remove(*w);
            turn_away(*w);
        }
        // Last: once anyone sees that the channel is closed, no select that waits on it takes its deadline for the first.
        closed_.store(true, std::memory_order_release);
        return true;
    }

    static bool same_select(const waiter* self, const waiter* w) noexcept {
        return self && self->owner && self->owner == w->owner;
    }

    // ---- Blocking

    template <class U>
    [[gnu::noinline]] errc send_later(U& message, const deadline& until, const stop_token& stop) {
        return wait_for<waiting_sender<T>>(
            message, until, stop, [&] { return try_send(message, true); }, [this] { return may_send(); });
    }

    [[gnu::noinline]] errc receive_later(result<T>& out, const deadline& until, const stop_token& stop) {
        return wait_for<waiting_receiver<T>>(
            out, until, stop, [&] { return try_receive(out, true); }, [this] { return may_receive(); });
    }

    // An operation that is blocked, and its thread. Leaves the line however this ends, also where the thread is
    // cancelled in its sleep. What a peer touches lies together.
    template <class Waiter>
    struct alignas(cache_line) blocked {
        explicit blocked(core& c) noexcept : channel(c) { self.sleeper = &sleeper; }
        blocked(const blocked&) = delete;
        blocked& operator=(const blocked&) = delete;
        ~blocked() {
            if (in_line) leave();
        }

        // False if it was completed, by one that has nothing more to do with it now. Not over until then: the thread may
        // be cancelled as it waits for that.
        bool leave() {
            const bool withdrawn = channel.withdraw(self);
            if (!withdrawn) sleeper.wait_for_wake();
            in_line = false;
            return withdrawn;
        }

        Waiter self;
        parker sleeper;
        core& channel;
        bool in_line = false;
        sync::atomic<bool> stopped{false};  // before the deadline
    };

    // A receiver's thread at the feeder, if there is one.
    struct visit {
        visit(core& c, bool receives) {
            if (!receives || !c.feeder_.load(std::memory_order_acquire)) return;
            const guard front(c.front_lock_);
            of = c.feeder_.load(std::memory_order_relaxed);
            if (of) of->enter();
        }
        visit(const visit&) = delete;
        visit& operator=(const visit&) = delete;
        ~visit() {
            if (of) of->leave();
        }
        bool fetches() const noexcept { return of && of->fetches(); }
        feeder* of = nullptr;
    };

    // What a blocking operation does after its first attempt, if it made one: backs off, stands in line, parks. That
    // it is told of a stop, or has seen its deadline pass, counts only if it finds nothing after that.
    template <class Waiter, class Message, class Try, class May>
    errc wait_for(Message& message, const deadline& until, const stop_token& stop, Try&& try_again, May&& may_succeed) {
        std::optional<blocked<Waiter>> me;  // late, if it may be: it takes time to make
        const auto interrupt = [&me, &until] {
            if (until.passed()) return;
            me->stopped.store(true, std::memory_order_release);
            me->sleeper.interrupt();
        };
        std::optional<stop_callback<decltype(interrupt)>> on_stop;
        attempt tried = attempt::blocked;
        if (stop.stop_possible()) {
            me.emplace(*this);
            on_stop.emplace(stop, interrupt);
        } else if (until.was_passed()) {
            return errc::timeout;  // before the attempt that was made
        }
        if (!until.is_never()) {
            const bool passed = until.passed();
            if (passed || stop.stop_possible()) tried = try_again();
            if (passed && tried == attempt::blocked)
                return me && me->stopped.load(std::memory_order_acquire) ? errc::stopped : errc::timeout;
        }
        backoff spin;
        const visit source(*this, std::is_same_v<Waiter, waiting_receiver<T>>);
        // On a rendezvous nothing can happen before one side stands in line.
        const bool hopeless = is_rendezvous() || source.fetches();
        while (!hopeless && tried == attempt::blocked && spin.wait()) {
            if (may_succeed()) tried = try_again();
        }
        if (tried == attempt::blocked) {
            if (!me) me.emplace(*this);
            tried = enlist(message, me->self);
            if (tried == attempt::blocked) return park(*me, source.of, until, spin);
        }
        return tried == attempt::done ? errc{} : errc::closed;
    }

    // Sleeps until the operation, which stands in line, is completed, or it is time to give up. A receiver that has
    // slept for a while gives back the memory that is kept for a stream.
    template <class Waiter>
    errc park(blocked<Waiter>& me, feeder* source, const deadline& until, backoff& spin) {
        constexpr bool receives = std::is_same_v<Waiter, waiting_receiver<T>>;
        me.in_line = true;
        const auto gives_up = [&] { return me.stopped.load(std::memory_order_acquire) || until.passed(); };
        const auto sleep = [&](const deadline& d) {
            return source ? source->wait(me.sleeper, d, spin) : me.sleeper.wait(d, spin);
        };
        bool woken = false, over = false;
        if (receives && retains_memory()) {
            const deadline idle = deadline::after(std::chrono::milliseconds(10));
            woken = sleep(deadline::sooner(until, idle));
            over = !woken && gives_up();
            if (!woken && !over) give_back_memory();
        }
        while (!woken && !over) {
            woken = sleep(until);
            over = !woken && gives_up();
        }
        if (!woken && me.leave()) return me.stopped.load(std::memory_order_acquire) ? errc::stopped : errc::timeout;
        me.in_line = false;
        if constexpr (!receives) {
            if (me.self.error) std::rethrow_exception(me.self.error);
        }
        return me.self.what == waiter::outcome::done ? errc{} : errc::closed;
    }

    // ---- The end

    static bool was_last(sync::atomic<std::size_t>& count) noexcept {
        // Of a single handle nobody else can make a copy, so nobody else can be counting.
        if (count.load(std::memory_order_acquire) == 1) {
            count.store(0, std::memory_order_relaxed);
            return true;
        }
        return count.fetch_sub(1, std::memory_order_acq_rel) == 1;
    }

    // The last handle of one side is gone. The side that comes second frees the channel; to the one that comes first,
    // its exchange of `one_side_gone_` is the last access.
    void leave(bool discard) {
        if (made_in_ != sync::fork_count()) return abandon();
        if (!one_side_gone_.load(std::memory_order_acquire)) {
            queue_contents<T> garbage;
            wake_list wakes;
            const guard front(front_lock_);
            const guard back(back_lock_);
            close_locked(wakes);
            if (discard) garbage = front_.reset(back_);
        }
        if (!one_side_gone_.exchange(true, std::memory_order_acq_rel)) return;
        if (discard) {
            const queue_contents<T> garbage = front_.reset(back_);
        }
        void* const memory = memory_;
        this->~core();
        ::operator delete(memory);
    }

    // In the child of a fork the locks may be held, and the messages half moved, by threads that are not there: leaves
    // everything as it is, where a leak checker finds it.
    void abandon() noexcept {
        static std::atomic<core*> all{nullptr};
        if (!abandoned_.exchange(true, std::memory_order_relaxed)) memory_ = all.exchange(this);
    }

    // On cache lines: the front's lock with those who wait for what is done under it and what is used up by it; the
    // front's counter, at which the back looks; what is seldom written, on two lines; and the back's lock and counter
    // likewise. Processors fetch a pair of lines at a time, so make() begins with the second half of one: no line that
    // is written all the time shares a pair with another. (Not by alignas, which would lengthen the last line.)
    sync::mutex front_lock_;
    wait_queue senders_;
    queue_front<T> front_;

    const std::size_t limit_;
    const bool bounded_;
    sync::atomic<bool> closed_{false};
    sync::atomic<bool> one_side_gone_;
    sync::atomic<bool> abandoned_{false};
    const unsigned made_in_;  // the fork_count()
    wait_queue watchers_;
    void* memory_;
    sync::atomic<std::size_t> sender_count_;
    sync::atomic<std::size_t> receiver_count_{1};
    sync::atomic<feeder*> feeder_{nullptr};  // of most there is none; written with the front lock held

    sync::mutex back_lock_;
    wait_queue receivers_;
    queue_back<T> back_;
};

}  // namespace sluice::detail
