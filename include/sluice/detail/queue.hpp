// A first-in, first-out queue of messages, with one end for the thread that pushes and one for the thread that pops. Of
// the type of its messages it knows what message_ops says.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

#include <sluice/detail/backoff.hpp>
#include <sluice/detail/compiler.hpp>
#include <sluice/detail/queue_segment.hpp>
#include <sluice/detail/sync.hpp>

namespace sluice::detail {

inline constexpr std::size_t cache_line = 64;

// The scheme is that of the two-lock queue of Michael and Scott ("Simple, Fast, and Practical Non-Blocking and Blocking
// Concurrent Queue Algorithms", 1996) with rings of slots for nodes. Messages are numbered from 0, in counters that
// wrap round. One thread at a time may use the producer's end and one at a time the consumer's; the owner of the queue
// keeps a lock for each. What passes between the two is the contents of slots, handed over by two counters, each
// written by one end alone:
//   - the consumer touches the slot of message i only once it has read tail() > i, with acquire;
//   - the producer fills a slot again only once it has read head() > i for the message i that was in it, with acquire.
// A full ring is followed by one twice as large, up to 64 KiB, or 32 messages if that is more; the consumer recycles a
// ring once it has emptied it and the next one is there. So messages never move from slot to slot.
//
// Memory. A ring above 2 KiB that is found empty is given back, for it may have been for one burst; but one that has
// grown again to where it was before is retained, for a stream, as long as all empty channels of the process together
// retain no more than 32 MiB. A receiver that has waited for a while gives back what was retained. So a steady stream
// goes round in one ring and allocates nothing, and what a burst took comes back.

class producer_end;

// The end that pops. What only it uses comes first and shares a cache line with the lock that its owner keeps before
// it; the counter at which the other end looks has the next line.
class consumer_end {
public:
    explicit consumer_end(std::size_t first) noexcept : cached_tail_(first), head_(first) {}
    consumer_end(const consumer_end&) = delete;
    consumer_end& operator=(const consumer_end&) = delete;

    // How many messages were taken: the number of the oldest one. For the other end, and for this one.
    std::size_t head() const noexcept { return head_.load(std::memory_order_acquire); }
    std::size_t own_head() const noexcept { return head_.load(std::memory_order_relaxed); }

    // How many messages there are to take; reads the other counter only when those that it knows of are used up. With
    // `may_delay` it may return 0 although some are available, to let a batch gather; then is_batch_pending().
    SLUICE_ALWAYS_INLINE std::size_t available(const producer_end& producer, bool may_delay = false) noexcept;
    bool is_cache_exhausted() const noexcept { return own_head() == cached_tail_; }

    // The message of that number: the oldest one, and then one after the other, as long as they are available. A
    // segment that is emptied by that is recycled.
    template <class Messages>
    SLUICE_ALWAYS_INLINE void* message(Messages messages, std::size_t number) noexcept {
        if (!segment_) segment_ = first_;
        queue_segment* const following = segment_->next.load(std::memory_order_acquire);
        if (following && segment_->end == number) recycle(std::exchange(segment_, following), messages.ops());
        return segment_->slot(messages, number);
    }

    // Whether memory is freed on the way to the oldest message, or once it is taken.
    bool frees_memory(const producer_end& producer) const noexcept;

    // Gives the slots of the messages before that number, whose lives have ended, to the producer.
    void publish(std::size_t number) noexcept { head_.store(number, std::memory_order_release); }

    bool is_batch_pending() const noexcept { return delay_.is_pending(); }
    void wait_for_batch() const noexcept { delay_.wait(); }

    // Takes everything out. Requires that the producer's end is not in use either.
    detached_queue reset(producer_end& producer, const message_ops& ops) noexcept;

private:
    friend producer_end;
    friend struct layout_of_channel;

    // Keeps one of the largest segments for the producer. Only this end fills the place, so one that is seen empty
    // stays so.
    SLUICE_NOINLINE void recycle(queue_segment* s, const message_ops& ops) noexcept {
        if (s->size == ops.max_slots && !spare_.load(std::memory_order_relaxed)) {
            spare_.store(s, std::memory_order_release);
        } else {
            queue_segment::free(s, ops);
        }
    }
    queue_segment* take_spare() noexcept {
        if (!spare_.load(std::memory_order_relaxed)) return nullptr;
        return spare_.exchange(nullptr, std::memory_order_acquire);
    }
    void drop_spare(const message_ops& ops) noexcept {
        if (queue_segment* const s = take_spare()) queue_segment::free(s, ops);
    }

    queue_segment* segment_ = nullptr;
    std::size_t cached_tail_;
    sync::atomic<std::size_t> head_;
    batch_delay delay_;
    std::byte padding_[cache_line - (sizeof(head_) + sizeof(delay_)) % cache_line];
    // What both ends use, and is seldom written. The first segment, which the producer puts here before the first
    // message; one to be used again; and the one whose slots are those inside the producer's end.
    queue_segment* first_ = nullptr;
    sync::atomic<queue_segment*> spare_{nullptr};
    union inline_segment {
        inline_segment() noexcept {}
        ~inline_segment() {}
        queue_segment segment;
    } inline_;
};

// The end that pushes; laid out likewise. It also makes the segments, and writes consumer.first_, .spare_ and .inline_:
// the first and the last of these before the first message is announced, and `spare_` by an exchange.
class producer_end {
public:
    explicit producer_end(std::size_t first) noexcept : cached_limit_(first), tail_(first) {}

    // How many messages were sent: the number of the next one. For the other end, and for this one.
    std::size_t tail() const noexcept { return tail_.load(std::memory_order_acquire); }
    std::size_t own_tail() const noexcept { return tail_.load(std::memory_order_relaxed); }

    // How many more messages fit under `limit`, or at least some of them; reads the other counter only when the room
    // that it knows of is used up. With `may_delay` it may return 0 although there is some; then is_batch_pending().
    std::size_t room(std::size_t limit, const consumer_end& consumer, bool may_delay = false) noexcept {
        if (own_tail() != cached_limit_) return cached_limit_ - own_tail();
        const std::size_t head = consumer.head();
        const std::size_t room = limit - (own_tail() - head);
        if (may_delay && own_tail() != head && delay_.should_delay(room, head)) return 0;
        delay_.adapt(head);
        return room;
    }

    // Where the message of that number goes: own_tail(), and then one after the other, as long as there is room; those
    // before number `head` have gone. Throws std::bad_alloc and then has changed nothing.
    template <class Messages>
    void* slot(Messages messages, std::size_t number, std::size_t limit, consumer_end& consumer, std::size_t head) {
        if (number == cached_limit_) find_slots(number, limit, consumer, head, messages.ops());
        return known_slot(messages, number);
    }
    template <class Messages>
    void* slot(Messages messages, std::size_t number, std::size_t limit, consumer_end& consumer) {
        return slot(messages, number, limit, consumer, consumer.head());
    }

    // Where the next message goes, or null if room() is 0.
    template <class Messages>
    SLUICE_ALWAYS_INLINE void* free_slot(Messages messages, std::size_t limit, consumer_end& consumer, bool may_delay) {
        const std::size_t number = own_tail();
        if (number == cached_limit_ && !find_room(number, limit, consumer, may_delay, messages.ops())) return nullptr;
        return known_slot(messages, number);
    }

    // Whether the next message has room, and a slot for which no memory is needed.
    bool has_free_slot(std::size_t limit, const consumer_end& consumer) noexcept {
        return own_tail() != cached_limit_ ||
               (room(limit, consumer) > 0 && use_free_slots(own_tail(), limit, consumer.head()));
    }

    // Shows the messages before that number, which were made in their slots, to the consumer.
    void publish(std::size_t number) noexcept { tail_.store(number, std::memory_order_release); }

    bool is_batch_pending() const noexcept { return delay_.is_pending(); }
    void wait_for_batch() const noexcept { delay_.wait(); }

    // Makes sure that there is a slot for the next message once the oldest one is taken: all of an eviction that can
    // throw.
    void reserve_for_eviction(consumer_end& consumer, const message_ops& ops) {
        const std::size_t number = own_tail();
        if (!has_consumer(number, consumer.head()) && written(number) == segment_->size)
            append(number, consumer, segment_->size, ops);
    }

    // Whether there is memory to be given back when the queue is empty: retain_or_reset(). Any thread may ask, as a
    // hint.
    bool has_excess() const noexcept { return has_excess_.load(std::memory_order_relaxed); }
    // Whether memory is kept although the queue may be empty, beyond the first ring; a hint.
    bool has_excess_or_retains() const noexcept {
        return has_excess() || retained_.load(std::memory_order_relaxed) != 0;
    }

    // Requires that the queue is empty and neither end in use. Retains the ring for a stream that has needed it before;
    // else gives everything back.
    detached_queue retain_or_reset(consumer_end& consumer, const message_ops& ops) noexcept {
        const std::uint32_t size = segment_->size;
        const bool again = grown_before_ >= size;
        if (grown_before_ < size) grown_before_ = size;
        release_retained(ops);
        if (!again || !retained_memory::reserve(bytes_retained(size, ops))) return consumer.reset(*this, ops);
        retained_.store(size, std::memory_order_relaxed);
        has_excess_.store(false, std::memory_order_relaxed);
        return {};
    }
    // Forgets that it has grown: the next time is a burst again.
    void forget_growth() noexcept { grown_before_ = 0; }

    static constexpr std::size_t inline_bytes = 32;
    static constexpr std::size_t small_ring = 2048;         // bytes, which are always kept
    static constexpr std::size_t largest_ring = 64 * 1024;  // bytes, unless 32 messages take more

private:
    friend consumer_end;
    friend struct layout_of_channel;

    // The slot of a message that is known to have one. Asks for the cache lines that come after it, which the consumer's
    // processor has read when they were last in use: without that the write to each new one stalls the next lock. Only
    // where a slot is known to be free; from one that waits to be read the line would be stolen.
    template <class Messages>
    SLUICE_ALWAYS_INLINE void* known_slot(Messages messages, std::size_t number) const noexcept {
        constexpr std::size_t lookahead = Messages::lookahead();
        if constexpr (lookahead > 0) {
            if (cached_limit_ - number > lookahead) {
                const auto* const ahead = static_cast<std::byte*>(segment_->slot(messages, number + lookahead));
                for (std::size_t at = 0; at < messages.size(); at += cache_line) sync::prefetch_to_write(ahead + at);
            }
        }
        return segment_->slot(messages, number);
    }

    SLUICE_NOINLINE bool find_room(std::size_t number, std::size_t limit, consumer_end& consumer, bool may_delay,
                                   const message_ops& ops) {
        if (room(limit, consumer, may_delay) == 0) return false;
        find_slots(number, limit, consumer, consumer.head(), ops);
        return true;
    }

    SLUICE_NOINLINE void find_slots(std::size_t number, std::size_t limit, consumer_end& consumer, std::size_t head,
                                    const message_ops& ops) {
        if (use_free_slots(number, limit, head)) return;
        std::uint32_t size = ops.first_slots;
        if (segment_ && segment_->size * 2 > size) size = segment_->size * 2;
        const std::uint32_t max_size =
            limit < ops.max_slots ? std::bit_ceil(static_cast<std::uint32_t>(limit)) : ops.max_slots;
        append(number, consumer, size < max_size ? size : max_size, ops);
        use_free_slots(number, limit, head);
    }
    bool use_free_slots(std::size_t number, std::size_t limit, std::size_t head) noexcept {
        if (!segment_) return false;
        const std::size_t used = has_consumer(number, head) ? number - head : written(number);
        const std::size_t room = limit - (number - head), unused = segment_->size - used;
        cached_limit_ = number + (unused < room ? unused : room);
        return cached_limit_ != number;
    }

    // How many messages were written to the segment, until has_consumer(): later the number may have wrapped round.
    std::size_t written(std::size_t number) const noexcept { return number - segment_->first; }
    // Whether the consumer has come to the segment, so that all messages that wait are in it. Noticed when its slots
    // have been used once at the latest, so that no counter wraps round in between.
    bool has_consumer(std::size_t number, std::size_t head) noexcept {
        return has_consumer_ = has_consumer_ || number - head <= written(number);
    }

    void append(std::size_t number, consumer_end& consumer, std::uint32_t size, const message_ops& ops) {
        queue_segment* following = consumer.take_spare();
        if (following) {
            following->next.store(nullptr, std::memory_order_relaxed);
        } else if (!segment_ && ops.inline_slots > 0) {
            const std::uint32_t inline_size = size < ops.inline_slots ? size : ops.inline_slots;
            following =
                ::new (static_cast<void*>(&consumer.inline_.segment)) queue_segment{inline_slots_, inline_size, false};
        } else {
            following = queue_segment::make(size, ops);
        }
        following->first = number;
        if (!segment_) {
            consumer.first_ = following;
        } else {
            segment_->end = number;
            segment_->next.store(following, std::memory_order_release);
        }
        segment_ = following;
        has_consumer_ = false;
        if (following->size * ops.size > small_ring && following->size > retained_.load(std::memory_order_relaxed))
            has_excess_.store(true, std::memory_order_relaxed);
    }

    void restart(const message_ops& ops) noexcept {
        if (segment_) segment_->end = own_tail();
        release_retained(ops);
        segment_ = nullptr;
        cached_limit_ = own_tail();
        has_excess_.store(false, std::memory_order_relaxed);
    }

    void release_retained(const message_ops& ops) noexcept {
        if (const std::uint32_t size = retained_.load(std::memory_order_relaxed)) {
            retained_.store(0, std::memory_order_relaxed);
            retained_memory::release(bytes_retained(size, ops));
        }
    }
    // With a spare one, if it is one of the largest.
    static std::size_t bytes_retained(std::uint32_t size, const message_ops& ops) noexcept {
        return size * ops.size * (size == ops.max_slots ? 2 : 1);
    }

    queue_segment* segment_ = nullptr;
    std::size_t cached_limit_;  // messages before this number have a free slot, and room under the limit
    sync::atomic<std::size_t> tail_;
    // The first few slots, beside the counter that announces what is in them: a message that is passed back and forth
    // takes one cache line less. Only for what needs no destructor, as the slots go when the queue does.
    alignas(void*) std::byte inline_slots_[inline_bytes];
    batch_delay delay_;
    sync::atomic<bool> has_excess_{false};
    bool has_consumer_ = false;
    std::uint32_t grown_before_ = 0;           // the size of the largest ring with which the queue was found empty
    sync::atomic<std::uint32_t> retained_{0};  // the size of the ring that is retained for a stream; 0 if none is
};

inline std::size_t consumer_end::available(const producer_end& producer, bool may_delay) noexcept {
    if (is_cache_exhausted()) {
        const std::size_t tail = producer.tail();
        if (may_delay && delay_.should_delay(tail - own_head(), tail)) return 0;
        delay_.adapt(tail);
        cached_tail_ = tail;
    }
    return cached_tail_ - own_head();
}

inline bool consumer_end::frees_memory(const producer_end& producer) const noexcept {
    const queue_segment* const front = segment_ ? segment_ : first_;
    return producer.has_excess() || (front && front->next.load(std::memory_order_relaxed));
}

inline detached_queue consumer_end::reset(producer_end& producer, const message_ops& ops) noexcept {
    queue_segment* front = segment_ ? segment_ : first_;
    if (front) front->first = own_head();
    // The one inside the channel may be in use again as soon as the locks are released; its messages need no
    // destructor.
    if (front && !front->is_allocated) front = front->next.load(std::memory_order_relaxed);
    segment_ = first_ = nullptr;
    cached_tail_ = producer.tail();
    publish(cached_tail_);
    producer.restart(ops);
    drop_spare(ops);
    return detached_queue(front, ops);
}

}  // namespace sluice::detail
