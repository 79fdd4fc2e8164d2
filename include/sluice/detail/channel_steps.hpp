// The steps of which operations on a channel are made: with its locks held, or, where the process has only one thread, without.
#pragma once

#include <cstddef>
#include <exception>
#include <utility>

#include <sluice/detail/channel_state.hpp>
#include <sluice/detail/compiler.hpp>
#include <sluice/detail/lock.hpp>
#include <sluice/detail/queue.hpp>
#include <sluice/detail/throw.hpp>
#include <sluice/detail/waiter.hpp>
#include <sluice/detail/watch.hpp>

namespace sluice::detail {

class channel_steps : public channel_state {
protected:
    using channel_state::channel_state;

    // ---- Under a lock

    // Where those watch that wait for a message, or for room.
    wait_queue& message_watchers() noexcept { return is_rendezvous() ? seldom_.message_watchers : receivers_; }
    wait_queue& room_watchers() noexcept { return is_rendezvous() ? seldom_.room_watchers : senders_; }

    // Both locks held.
    void insert_sender(const message_ops& ops, void* message, blocked_op& self) {
        if (self.carries_message) {
            ops.put(message, self.carried);
        } else {
            self.message = message;
        }
        self.state = waiter::status::pending;
        senders_.push_back(self);
    }
    void insert_receiver(void* out, blocked_op& self) noexcept {
        if (!self.carries_message) self.message = out;
        self.state = waiter::status::pending;
        receivers_.push_back(self);
    }

    // ---- In place of the locks, where the process has only one thread and nothing on the way can start another

    // Whether an attempt would find nobody, and nothing to do but to stand in line, where nobody watches for that.
    bool send_only_blocks() noexcept {
        return !closed_under_lock() && receivers_.empty() && producer_.room(limit_, consumer_) == 0 &&
               (!is_rendezvous() || seldom_.message_watchers.empty());
    }
    bool recv_only_blocks() noexcept {
        return !closed_under_lock() && senders_.empty() && consumer_.available(producer_) == 0 &&
               (!is_rendezvous() || seldom_.room_watchers.empty());
    }
    // The first in line, where a message travels in it, as in no case of a select.
    static blocked_op* carrier(const wait_queue& line) noexcept {
        waiter* const first = line.front();
        return first->carries_message ? static_cast<blocked_op*>(first) : nullptr;
    }
    // These require that one is in line. False, with nothing done, where there is more to do: for the other one, where
    // somebody stands behind the first, who may watch for the room that is seen in between.
    SLUICE_NOINLINE bool hand_over_alone(const message_ops& ops, void* message) {
        blocked_op* const receiver = carrier(receivers_);
        if (!receiver) return false;
        ops.put(message, receiver->carried);
        complete_alone(receivers_, *receiver);
        return true;
    }
    SLUICE_NOINLINE bool take_over_alone(const message_ops& ops, void* out) {
        blocked_op* const sender = carrier(senders_);
        if (!sender || senders_.after(*sender)) return false;
        if (consumer_.available(producer_) == 0) {
            ops.take(sender->carried, out);
        } else if (consumer_.frees_memory(producer_)) {
            return false;
        } else {
            pop(erased_messages(ops), out);
            push(erased_messages(ops), sender->carried, false);
        }
        complete_alone(senders_, *sender);
        return true;
    }
    static void complete_alone(wait_queue& line, blocked_op& first) {
        line.remove(first);
        first.state = waiter::status::done;
        first.wake();
    }

    // ---- Under a lock

    // Hands the message to the first receiver in line, or puts it into the queue. Requires the back lock, and the front
    // lock too if `self` is given.
    op_status send_locked(const message_ops& ops, void* message, waiter* self, section& locked) {
        if (closed_under_lock()) return op_status::closed;
        if (!receivers_.empty()) {
            const auto hand_over = [&](blocked_op& receiver) {
                if (receiver.carries_message) {
                    ops.put(message, receiver.carried);
                } else {
                    ops.deliver(message, receiver.message);
                }
                return true;
            };
            const op_status tried = complete_first_waiter(receivers_, self, locked, hand_over);
            if (tried != op_status::blocked) return tried;
            tell_watchers(receivers_, locked);
        }
        if (!self) return push(erased_messages(ops), message, false) ? op_status::done : op_status::blocked;
        if (producer_.room(limit_, consumer_) == 0) return op_status::blocked;
        const auto enqueue = [&] { return push(erased_messages(ops), message, false); };
        return claim::try_claim(self, nullptr, enqueue) == claim_result::won ? op_status::done : op_status::superseded;
    }

    // Where there is no room: takes the oldest message out, into `out`, and puts the new one in; `blocked` if there is no
    // message either, on a rendezvous. Requires both locks. It passes those who are blocked in a send, and they stay
    // blocked: there is as little room after it as before.
    op_status evict_locked(const message_ops& ops, void* message, waiter* self, void* out) {
        if (consumer_.available(producer_) == 0) return op_status::blocked;
        const auto replace = [&] {
            producer_.reserve_for_eviction(consumer_, ops);
            const std::size_t oldest = consumer_.own_head(), newest = producer_.own_tail();
            ops.take(consumer_.message(erased_messages(ops), oldest), out);
            ops.put(message, producer_.slot(erased_messages(ops), newest, limit_, consumer_, oldest + 1));
            // The new one is counted before the old one is not counted any more, so that no look finds room, or too
            // little.
            producer_.publish(newest + 1);
            consumer_.publish(oldest + 1);
            return true;
        };
        return claim::try_claim(self, nullptr, replace) == claim_result::won ? op_status::done : op_status::superseded;
    }

    // Takes the oldest message from the queue, and puts those of blocked senders into the room; where the queue is
    // empty, as on a rendezvous, takes the message of the first sender in line. Requires the front lock, and the back
    // lock too if `self` is given; else takes it if need be.
    op_status recv_locked(const message_ops& ops, void* out, waiter* self, section& locked) {
        if (consumer_.available(producer_) == 0) {
            const auto take_over = [&](blocked_op& sender) {
                return move_for(sender, [&] { ops.deliver(sender.source(), out); });
            };
            const op_status tried = complete_first_waiter(senders_, self, locked, take_over);
            return tried == op_status::blocked && closed_under_lock() ? op_status::closed : tried;
        }
        tell_watchers(senders_, locked);
        if (self) {
            const auto dequeue = [&] {
                pop(erased_messages(ops), out);
                return true;
            };
            if (claim::try_claim(self, nullptr, dequeue) != claim_result::won) return op_status::superseded;
        } else {
            pop(erased_messages(ops), out);
            if (senders_.empty()) return op_status::done;
            locked.lock_also(back_lock());
        }
        refill_from_blocked_senders(ops, locked);
        return op_status::done;
    }

    // Puts the messages of blocked senders into the queue while there is room. Requires both locks.
    void refill_from_blocked_senders(const message_ops& ops, section& locked) {
        const auto enqueue = [&](blocked_op& sender) {
            return move_for(sender, [&] {
                const std::size_t number = producer_.own_tail();
                ops.put(sender.source(), producer_.slot(erased_messages(ops), number, limit_, consumer_));
                producer_.publish(number + 1);
            });
        };
        while (!senders_.empty() && producer_.room(limit_, consumer_) > 0) {
            if (complete_first_waiter(senders_, nullptr, locked, enqueue) != op_status::done) return;
        }
    }

    // Puts the message into the queue; false if there is no room.
    template <class Messages>
    SLUICE_ALWAYS_INLINE bool push(Messages messages, void* message, bool may_delay) {
        void* const slot = producer_.free_slot(messages, limit_, consumer_, may_delay);
        if (!slot) return false;
        messages.put(message, slot);
        producer_.publish(producer_.own_tail() + 1);
        return true;
    }

    // Takes the oldest message out of the queue.
    template <class Messages>
    SLUICE_ALWAYS_INLINE void pop(Messages messages, void* out) {
        const std::size_t number = consumer_.own_head();
        messages.take(consumer_.message(messages, number), out);
        consumer_.publish(number + 1);
    }

    // Completes the first waiter in line that can be, by running transfer() with it; `blocked` if none can. One whose
    // own message could not be moved is completed as well, with the exception, and the next one is tried. Requires the
    // lock that guards the line.
    template <class Transfer>
    static op_status complete_first_waiter(wait_queue& line, waiter* self, section& locked, Transfer&& transfer) {
        for (waiter* next = line.front(); waiter* const w = next;) {
            next = line.after(*w);
            if (w->watches || is_same_select(self, w)) continue;
            const claim_result c = claim::try_claim(self, w, [&] { return transfer(static_cast<blocked_op&>(*w)); });
            if (c == claim_result::self_lost) return op_status::superseded;
            line.remove(*w);
            if (c == claim_result::peer_lost) continue;
            if (c == claim_result::won) w->state = waiter::status::done;
            locked.wake_after(*w);
            if (c == claim_result::won) return op_status::done;
        }
        return op_status::blocked;
    }
    static bool is_same_select(const waiter* self, const waiter* w) noexcept {
        return self && self->decision && self->decision == w->decision;
    }

    // Moves the message of a blocked sender by f(). If that throws, keeps the exception for the sender, and returns
    // false.
    template <class F>
    static bool move_for(blocked_op& sender, F&& f) {
        std::exception_ptr error = thrown_by(std::forward<F>(f));
        if (!error) return true;
        sender.fail(std::move(error));
        return false;
    }

    // After messages were taken: if that has emptied the queue, gives back what a burst took. Requires the front lock.
    bool may_shrink() const noexcept { return consumer_.is_cache_exhausted() && producer_.has_excess(); }
    void shrink_after_burst(const message_ops& ops, section& locked) {
        if (may_shrink()) shrink(ops, locked, false);
    }
    SLUICE_NOINLINE void shrink_slowly(const message_ops& ops, spin_lock_guard&& front) {
        section locked(std::move(front));
        shrink(ops, locked, false);
    }

    // If the queue is empty, gives back what a burst took; also what is retained for a stream, if it has stood `idle`.
    // Requires the front lock.
    void shrink(const message_ops& ops, section& locked, bool idle) {
        locked.lock_also(back_lock());
        if (consumer_.available(producer_) != 0) return;
        if (idle) {
            producer_.forget_growth();
            locked.destroy_after(consumer_.reset(producer_, ops));
        } else if (producer_.has_excess()) {
            locked.destroy_after(producer_.retain_or_reset(consumer_, ops));
        }
    }
};

}  // namespace sluice::detail
