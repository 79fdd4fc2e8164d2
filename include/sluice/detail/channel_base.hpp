// What is done with a channel: attempts to send and to receive, and standing in line. What is inlined into its callers is a
// template on the type of the messages; the rest is compiled once for all types.
#pragma once

#include <cstddef>
#include <exception>
#include <utility>

#include <sluice/detail/channel_steps.hpp>
#include <sluice/detail/compiler.hpp>
#include <sluice/detail/deadline.hpp>
#include <sluice/detail/lock.hpp>
#include <sluice/detail/queue.hpp>
#include <sluice/detail/throw.hpp>
#include <sluice/detail/waiter.hpp>
#include <sluice/detail/watch.hpp>
#include <sluice/result.hpp>

namespace sluice::detail {

class channel_base : public channel_steps {
public:
    // Memory that the queue retains for a stream (see queue.hpp) is given back by a receiver that has slept for a
    // while.
    bool retains_memory() const noexcept { return producer_.has_excess_or_retains(); }
    void give_back_memory(const message_ops& ops) {
        section front(front_lock_);
        shrink(ops, front, true);
    }

    // ---- Attempts, which never block; one that `may_delay` may take a microsecond to let a batch gather. A message is
    // moved from only by an attempt that is `done`. If its move throws, it stays where it was. `Messages` is
    // messages_of<T> or erased_messages; `message` points to a T, `out` to a result<T>.

    // The path of a message that meets no waiter is inlined as a whole; without the attribute GCC makes calls of parts
    // of it.
    template <class Messages>
    SLUICE_ALWAYS_INLINE op_status try_send(Messages messages, void* message, bool may_delay = false) {
        spin_lock_guard back(back_lock());
        if (!closed_under_lock() && receivers_.empty()) {
            if (push(messages, message, may_delay)) return op_status::done;
            if (send_blocks_ && (!may_delay || !producer_.is_batch_pending())) return op_status::blocked;
        }
        return try_send_slowly(messages.ops(), message, std::move(back));
    }

    template <class Messages>
    SLUICE_ALWAYS_INLINE op_status try_recv(Messages messages, void* out, bool may_delay = false) {
        spin_lock_guard front(front_lock_);
        if (senders_.empty()) {
            if (consumer_.available(producer_, may_delay) > 0) {
                pop(messages, out);
                if (may_shrink()) shrink_slowly(messages.ops(), std::move(front));
                return op_status::done;
            }
            if (!may_delay || !consumer_.is_batch_pending())
                return closed_under_lock() ? op_status::closed : op_status::blocked;
        }
        return try_recv_slowly(messages.ops(), out, std::move(front));
    }

    // The same without a lock, where the process has only one thread and nothing on the way can start another: no code
    // of the message's, no allocator. False, with nothing done, where that is not so, or where there is more to do.
    template <class Messages>
    SLUICE_ALWAYS_INLINE bool try_send_alone(Messages messages, void* message) {
        if (!sync::single_threaded() || closed_under_lock()) return false;
        if (!receivers_.empty()) return hand_over_alone(messages.ops(), message);
        return producer_.has_free_slot(limit_, consumer_) && push(messages, message, false);
    }
    template <class Messages>
    SLUICE_ALWAYS_INLINE bool try_recv_alone(Messages messages, void* out) {
        if (!sync::single_threaded()) return false;
        if (!senders_.empty()) return take_over_alone(messages.ops(), out);
        if (consumer_.available(producer_) == 0 || consumer_.frees_memory(producer_)) return false;
        pop(messages, out);
        return true;
    }

    // The same for a select that may have to prefer another case.

    SLUICE_NOINLINE op_status try_send_if(const message_ops& ops, const precondition& others, void* message) {
        if (discards()) return send_discarding(ops, message, nullptr, &others);
        section back(back_lock());
        if (closed_under_lock()) return op_status::closed;
        // Room only grows under this lock, and a receiver that is completed below was in line before.
        if (receivers_.empty() && producer_.room(limit_, consumer_) == 0) return op_status::blocked;
        return others.holds() ? send_locked(ops, message, nullptr, back) : op_status::superseded;
    }
    SLUICE_NOINLINE op_status try_recv_if(const message_ops& ops, const precondition& others, void* out) {
        section front(front_lock_);
        if (consumer_.available(producer_) == 0 && senders_.empty())
            return closed_under_lock() ? op_status::closed : op_status::blocked;
        if (!others.holds()) return op_status::superseded;
        const op_status tried = recv_locked(ops, out, nullptr, front);
        shrink_after_burst(ops, front);
        return tried;
    }

    // ---- Sending where there may be no room. None of these blocks.

    // Sends; where there is no room, the oldest message comes out, into `out`, and the new one goes in, in one step.
    // `blocked` on a rendezvous alone. Like send_by_rule() it requires messages whose moves do not throw, and throws
    // before anything has changed, or not at all.
    SLUICE_NOINLINE op_status force_send(const message_ops& ops, void* message, void* out) {
        {
            const spin_lock_guard back(back_lock());
            if (!closed_under_lock() && receivers_.empty() && push(erased_messages(ops), message, false))
                return op_status::done;
        }
        section both(front_lock_, back_lock());
        const op_status tried = send_locked(ops, message, nullptr, both);
        return tried == op_status::blocked ? evict_locked(ops, message, nullptr, out) : tried;
    }

    // Sends to a channel that discards(); where there is no room, by its rule: the oldest message comes out, into
    // `out`; or the new one is `blocked`, for the caller to discard. What is discarded is counted. For a select, `self`
    // or `others` say whether it may still send: otherwise `superseded`.
    SLUICE_NOINLINE op_status send_by_rule(const message_ops& ops, void* message, void* out, waiter* self = nullptr,
                                           const precondition* others = nullptr) {
        const bool evicts = seldom_.rule == overflow::drop_oldest;
        section locked(evicts ? front_lock_ : back_lock());
        if (evicts) locked.lock_also(back_lock());
        if (closed_under_lock()) return op_status::closed;
        if (!holds(others)) return op_status::superseded;
        const op_status tried = send_locked(ops, message, self, locked);
        if (tried != op_status::blocked) return tried;
        // Counted before a receiver can take a message behind the one that is discarded.
        if (evicts) {
            const op_status evicted = evict_locked(ops, message, self, out);
            if (evicted == op_status::done) count_dropped();
            return evicted;
        }
        if (claim::try_claim(self, nullptr, [] { return true; }) != claim_result::won) return op_status::superseded;
        count_dropped();
        return op_status::blocked;
    }

    // The same, and destroys what is discarded, with no lock held.
    SLUICE_NOINLINE op_status send_discarding(const message_ops& ops, void* message, waiter* self = nullptr,
                                              const precondition* others = nullptr) {
        op_status sent = op_status::blocked;
        auto attempt = [&](void* out) {
            sent = send_by_rule(ops, message, out, self, others);
            if (sent != op_status::blocked) return;
            ops.deliver(message, out);
            sent = op_status::done;
        };
        ops.with_discarded([](void* context, void* out) { (*static_cast<decltype(attempt)*>(context))(out); },
                           &attempt);
        return sent;
    }

    // ---- Operations that block: see blocking.hpp. errc{} says that they have succeeded.

    errc send_blocking(const message_ops& ops, void* message, const deadline& until, const stop_token& stop);
    errc recv_blocking(const message_ops& ops, void* out, const deadline& until, const stop_token& stop);

    // ---- Lines. These look once more with both locks held, and where that would block put `self` in line. For a case
    // of a select the attempt is `superseded` if the select was decided before.

    SLUICE_NOINLINE op_status register_sender(const message_ops& ops, void* message, blocked_op& self) {
        if (discards()) return send_discarding(ops, message, &self);
        if (sync::single_threaded() && send_only_blocks()) {
            insert_sender(ops, message, self);
            return op_status::blocked;
        }
        section both(front_lock_, back_lock());
        const op_status tried = send_locked(ops, message, &self, both);
        if (tried == op_status::blocked) {
            if (is_rendezvous()) tell_watchers(seldom_.message_watchers, both);
            insert_sender(ops, message, self);
        }
        return tried;
    }
    SLUICE_NOINLINE op_status register_receiver(const message_ops& ops, void* out, blocked_op& self) {
        if (sync::single_threaded() && recv_only_blocks()) {
            insert_receiver(out, self);
            return op_status::blocked;
        }
        section both(front_lock_, back_lock());
        const op_status tried = recv_locked(ops, out, &self, both);
        if (tried == op_status::blocked) {
            if (is_rendezvous()) tell_watchers(seldom_.room_watchers, both);
            insert_receiver(out, self);
        }
        return tried;
    }

    // Takes `self` out of the line; false if it is not in it, because it was completed.
    bool unregister_sender(waiter& self) {
        const auto front = spin_lock_guard::unless_alone(front_lock_);
        if (!self.linked) return false;
        senders_.remove(self);
        return true;
    }
    bool unregister_receiver(waiter& self) {
        const auto back = spin_lock_guard::unless_alone(back_lock());
        if (!self.linked) return false;
        receivers_.remove(self);
        return true;
    }

    // ---- Watchers. These put `w` in line; false if there may be something for it already: on a rendezvous somebody in
    // line on the other side, who may be completed, or is about to leave.

    bool watch_for_message(watcher& w) {
        const section both(front_lock_, back_lock());
        if (closed_under_lock()) return false;
        if (is_rendezvous() ? !senders_.empty() : consumer_.available(producer_) > 0) return false;
        message_watchers().push_back(w);
        return true;
    }
    bool watch_for_room(watcher& w) {
        const section both(front_lock_, back_lock());
        if (closed_under_lock()) return false;
        if (is_rendezvous() ? !receivers_.empty() : producer_.room(limit_, consumer_) > 0) return false;
        room_watchers().push_back(w);
        return true;
    }
    // These end that; false if `w` was told.
    bool unwatch_message(watcher& w) {
        const spin_lock_guard back(back_lock());
        if (!w.linked) return false;
        message_watchers().remove(w);
        return true;
    }
    bool unwatch_room(watcher& w) {
        const spin_lock_guard front(front_lock_);
        if (!w.linked) return false;
        room_watchers().remove(w);
        return true;
    }

protected:
    using channel_steps::channel_steps;

private:
    friend class blocking;

    SLUICE_NOINLINE op_status try_send_slowly(const message_ops& ops, void* message, spin_lock_guard&& back) {
        {
            section locked(std::move(back));
            if (closed_under_lock() || !receivers_.empty()) {
                const op_status tried = send_locked(ops, message, nullptr, locked);
                // A select that has sent to itself stands in line for a little longer, although there is no room.
                if (tried != op_status::blocked || !discards()) return tried;
            }
        }
        if (discards()) return send_discarding(ops, message);
        producer_.wait_for_batch();
        return try_send(erased_messages(ops), message);
    }
    SLUICE_NOINLINE op_status try_recv_slowly(const message_ops& ops, void* out, spin_lock_guard&& front) {
        {
            section locked(std::move(front));
            if (!senders_.empty()) {
                const op_status tried = recv_locked(ops, out, nullptr, locked);
                shrink_after_burst(ops, locked);
                return tried;
            }
        }
        consumer_.wait_for_batch();
        return try_recv(erased_messages(ops), out);
    }
};

}  // namespace sluice::detail
