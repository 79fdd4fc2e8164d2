// The part of a channel that is made for each type of message: how one is moved, and what is inlined where it is sent
// or received.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>

#include <sluice/detail/blocking.hpp>
#include <sluice/detail/channel_base.hpp>
#include <sluice/detail/compiler.hpp>
#include <sluice/detail/queue.hpp>
#include <sluice/detail/waiter.hpp>
#include <sluice/result.hpp>

namespace sluice::detail {

// Whether a move of a T runs no code of the user's, as one that a constructor template takes would; and a copy, so that it
// may be made in its place, under the channel's locks.
template <class T>
inline constexpr bool moves_in_place = std::is_trivially_copyable_v<T>&& std::is_trivially_move_constructible_v<T>;
template <class T>
inline constexpr bool copies_in_place = moves_in_place<T>&& std::is_trivially_copy_constructible_v<T>;

// See message_ops.
template <class T>
struct messages_of {
    static constexpr std::size_t size() noexcept { return sizeof(T); }
    static constexpr std::size_t lookahead() noexcept {
        return sizeof(T) <= cache_line ? 2 * cache_line / sizeof(T) : sizeof(T) <= 1024 ? 1 : 0;
    }
    static constexpr const message_ops& ops() noexcept;

    // A message that is sent may be a const T, if its copy is as good as its move.
    static auto&& source(void* message) noexcept {
        if constexpr (copies_in_place<T>) {
            return *static_cast<const T*>(message);
        } else {
            return std::move(*static_cast<T*>(message));
        }
    }
    static void put(void* message, void* slot) { ::new (slot) T(source(message)); }
    static void deliver(void* message, void* out) { static_cast<result<T>*>(out)->emplace(source(message)); }
    static void take(void* slot, void* out) {
        T* const message = std::launder(static_cast<T*>(slot));
        static_cast<result<T>*>(out)->emplace(std::move(*message));
        std::destroy_at(message);
    }
    static void destroy(queue_segment* chain) noexcept {
        queue_segment* s = chain;
        do {
            for (std::size_t number = s->first; number != s->end; ++number)
                std::destroy_at(std::launder(static_cast<T*>(s->slot(messages_of(), number))));
            s = s->next.load(std::memory_order_acquire);
        } while (s);
        queue_segment::free_all(chain);
    }
    static void with_discarded(void (*body)(void* context, void* out), void* context) {
        result<T> discarded = unexpected(errc::empty);
        body(context, std::addressof(discarded));
    }
};

constexpr std::uint32_t ring_slots(std::size_t fit, std::size_t min, std::size_t max) noexcept {
    return static_cast<std::uint32_t>(std::bit_floor(fit < min ? min : fit < max ? fit : max));
}

template <class T>
inline constexpr message_ops ops_of = {
    .size = sizeof(T),
    .alignment = alignof(T),
    .fits_waiter = copies_in_place<T>&& std::is_trivially_destructible_v<T> &&
                   sizeof(T) <= sizeof(blocked_op::carried) && alignof(T) <= 8,
    .inline_slots = std::is_trivially_destructible_v<T> && alignof(T) <= alignof(void*)
                        ? static_cast<std::uint32_t>(std::bit_floor(producer_end::inline_bytes / sizeof(T)))
                        : 0,
    .first_slots = ring_slots(producer_end::small_ring / sizeof(T), 1, 32),
    .max_slots = ring_slots(producer_end::largest_ring / sizeof(T), 32, producer_end::largest_ring),
    .put = &messages_of<T>::put,
    .deliver = &messages_of<T>::deliver,
    .take = &messages_of<T>::take,
    .destroy = std::is_trivially_destructible_v<T> ? &queue_segment::free_all : &messages_of<T>::destroy,
    .with_discarded = &messages_of<T>::with_discarded,
};

template <class T>
constexpr const message_ops& messages_of<T>::ops() noexcept {
    return ops_of<T>;
}

template <class T>
class channel_core : public channel_base {
    static_assert(std::is_move_constructible_v<T> && std::is_destructible_v<T>,
                  "sluice: a message must be movable; send a std::unique_ptr to what cannot move");
    using messages_type = messages_of<T>;

public:
    // With no sender it is a channel into which nothing is ever sent, but which is open. Only tests begin with a number
    // other than 0.
    static channel_core* make(std::optional<std::size_t> limit, std::size_t senders = 1, std::size_t first = 0,
                              overflow rule = overflow::block) {
        const auto in = allocate();
        return ::new (in.place) channel_core(in, limit, rule, senders, first);
    }

    // What is sent is moved from; it may be a const T where a copy is as good.
    using message_type = std::conditional_t<copies_in_place<T>, const T, T>;

    SLUICE_ALWAYS_INLINE op_status try_send(message_type& message, bool may_delay = false) {
        if constexpr (moves_in_place<T>) {
            struct alone : messages_type {  // no other processor has a cache line of the queue
                static constexpr std::size_t lookahead() noexcept { return 0; }
            };
            if (try_send_alone(alone(), address_of(message))) return op_status::done;
        }
        return channel_base::try_send(messages_type(), address_of(message), may_delay);
    }
    SLUICE_ALWAYS_INLINE op_status try_recv(result<T>& out, bool may_delay = false) {
        if constexpr (moves_in_place<T>) {
            if (try_recv_alone(messages_type(), std::addressof(out))) return op_status::done;
        }
        return channel_base::try_recv(messages_type(), std::addressof(out), may_delay);
    }

    // A stop that was requested before wins over everything. Where a stop and a deadline may both come, even the first
    // attempt is left to the slow path, which is told of the stop when it is requested, and so knows which of the two
    // was first.

    errc send(message_type& message, const deadline& until, const stop_token& stop) {
        if (stop.stop_requested()) return errc::stopped;
        if ((!is_rendezvous() || maybe_ready_to_send()) && !(stop.stop_possible() && !until.is_never())) {
            const op_status tried = try_send(message, true);
            if (tried == op_status::done) return {};
            if (tried == op_status::closed) return errc::closed;
        }
        return send_blocking(ops_of<T>, address_of(message), until, stop);
    }
    errc recv(result<T>& out, const deadline& until, const stop_token& stop) {
        if (stop.stop_requested()) return errc::stopped;
        if ((!is_rendezvous() || maybe_ready_to_recv()) && !(stop.stop_possible() && !until.is_never())) {
            const op_status tried = try_recv(out, true);
            if (tried == op_status::done) return {};
            if (tried == op_status::closed) return errc::closed;
        }
        return recv_blocking(ops_of<T>, std::addressof(out), until, stop);
    }

    op_status register_sender(message_type& message, blocked_op& self) {
        return channel_base::register_sender(ops_of<T>, address_of(message), self);
    }
    op_status register_receiver(result<T>& out, blocked_op& self) {
        return channel_base::register_receiver(ops_of<T>, std::addressof(out), self);
    }
    void give_back_memory() { channel_base::give_back_memory(ops_of<T>); }

    // Sends `at(sent)` and what follows it, up to `at(count - 1)`, under one lock while there is room, counting in
    // `sent`.
    template <class At>
    op_status try_send_some(At&& at, std::size_t count, std::size_t& sent) {
        section back(back_lock());
        while (sent != count) {
            if (closed_under_lock() || !receivers_.empty()) {
                const op_status one = send_locked(ops_of<T>, address_of(at(sent)), nullptr, back);
                if (one != op_status::done) return one;
                ++sent;
                continue;
            }
            const std::size_t room = producer_.room(limit_, consumer_);
            if (room == 0) return op_status::blocked;
            std::size_t number = producer_.own_tail();
            const auto publish = [&] { producer_.publish(number); };
            const scope_exit<decltype(publish)> published{publish};
            for (const std::size_t end = sent + (room < count - sent ? room : count - sent); sent != end;
                 ++sent, ++number)
                messages_type::put(address_of(at(sent)), producer_.slot(messages_type(), number, limit_, consumer_));
        }
        return op_status::done;
    }

    // Hands up to `count` queued messages to `sink`, under one lock; returns how many. Takes nothing from blocked
    // senders of a rendezvous. One that `may_delay` lets a batch gather
    // before, as try_recv() does.
    template <class Sink>
    std::size_t try_recv_some(Sink&& sink, std::size_t count, bool may_delay = false) {
        for (;; may_delay = false) {
            {
                section front(front_lock_);
                const std::size_t available = consumer_.available(producer_, may_delay);
                if (available > 0 || !may_delay || !consumer_.is_batch_pending())
                    return recv_some_locked(sink, available < count ? available : count, front);
            }
            consumer_.wait_for_batch();
        }
    }

    // See channel_base. What comes out, and is destroyed or returned by the caller, is moved into `out` with locks held.
    op_status force_send(message_type& message, result<T>& out) {
        static_assert(std::is_nothrow_move_constructible_v<T>);
        return channel_base::force_send(ops_of<T>, address_of(message), std::addressof(out));
    }
    op_status send_by_rule(message_type& message, result<T>& out) {
        return channel_base::send_by_rule(ops_of<T>, address_of(message), std::addressof(out));
    }
    op_status send_discarding(message_type& message) {
        return channel_base::send_discarding(ops_of<T>, address_of(message));
    }

    // A message as channel_base takes it.
    static void* address_of(const T& message) noexcept {
        return const_cast<void*>(static_cast<const void*>(std::addressof(message)));
    }

private:
    // Takes that many, which are available. Requires the front lock.
    template <class Sink>
    std::size_t recv_some_locked(Sink& sink, std::size_t count, section& front) {
        if (count == 0) return 0;
        {
            std::size_t number = consumer_.own_head();
            const auto settle = [&] {
                tell_watchers(senders_, front);
                consumer_.publish(number);
                if (senders_.empty()) return;
                front.lock_also(back_lock());
                refill_from_blocked_senders(ops_of<T>, front);
            };
            const scope_exit<decltype(settle)> settled{settle};  // also if the sink throws
            for (const std::size_t end = number + count; number != end; ++number) {
                T* const message = std::launder(static_cast<T*>(consumer_.message(messages_type(), number)));
                sink(std::move(*message));
                std::destroy_at(message);
            }
        }
        shrink_after_burst(ops_of<T>, front);
        return count;
    }

    using channel_base::channel_base;
    template <class F>
    struct scope_exit {
        const F& f;
        ~scope_exit() { f(); }
    };
};

}  // namespace sluice::detail
