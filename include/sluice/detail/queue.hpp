// Raw storage for a first-in, first-out queue of T, with a back for the thread that pushes and a front for the thread
// that pops.
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include <sluice/detail/sync.hpp>
#include <sluice/detail/wait.hpp>

namespace sluice::detail {

// The scheme is that of the two-lock queue of Michael and Scott ("Simple, Fast, and Practical Non-Blocking and Blocking
// Concurrent Queue Algorithms", 1996) with rings of slots for nodes. Messages are numbered from 0, in counters that
// wrap round. One thread at a time may use the back and one at a time the front; the owner of the queue keeps a lock
// for each. What passes between the two is the contents of slots, handed over by two counters, each written by one end
// alone:
//   - the front touches the slot of message i only once it has read sent() > i, with acquire;
//   - the back fills a slot again only once it has read received() > i for the message i that was in it, with acquire.
// A full ring is followed by one twice as large, up to 64 KiB, or 32 messages if that is more; the front gives a ring
// back once it has emptied it and the next one is there. So elements never move from slot to slot.
//
// Memory. A ring above 2 KiB that is found empty is given back, for it may have been for one burst; but one that has
// grown again to where it was before is kept, for a stream, as long as all empty channels of the process together keep
// no more than `most_retained`. A receiver that has waited for a while gives back what was kept. So a steady stream
// goes round in one ring and allocates nothing, and what a burst took comes back.

// What is left of a queue that was given up: a chain of segments, of whose type only `destroy` knows.
struct remains {
    remains* next_remains = nullptr;
    void (*destroy)(remains*) noexcept = nullptr;
};

// Destroys them now. But where that is done on this thread already, `deepest` times one inside the other, leaves them to
// the innermost of those: so messages that hold channels that hold messages, and so on, do not use up the stack, however
// deep they go.
inline void destroy_nested(remains* r) noexcept {
    constexpr unsigned deepest = 16;
    struct state {
        unsigned depth = 0;
        remains* first = nullptr;
        remains** end = nullptr;  // where the next one goes; null unless `deepest` is reached
    };
    thread_local state here;
    if (here.depth == deepest) {
        *here.end = r;
        here.end = &r->next_remains;
        return;
    }
    if (++here.depth == deepest) here.end = &here.first;
    r->destroy(r);
    if (here.depth == deepest) {
        while (remains* const one = here.first) {
            // Those that come while this one is destroyed begin a new chain: its memory goes with it.
            here.first = one->next_remains;
            if (!here.first) here.end = &here.first;
            one->destroy(one);
        }
    }
    --here.depth;
}

// What the empty channels of this process keep for the next messages, in bytes.
class [[gnu::visibility("default")]] retained_memory;  // one for all shared objects
class retained_memory {
public:
    static bool reserve(std::size_t bytes) noexcept {
        if (total_.fetch_add(bytes, std::memory_order_relaxed) + bytes <= most_retained) return true;
        release(bytes);
        return false;
    }
    static void release(std::size_t bytes) noexcept { total_.fetch_sub(bytes, std::memory_order_relaxed); }

private:
    static constexpr std::size_t most_retained = 32 * 1024 * 1024;
    inline static std::atomic<std::size_t> total_{0};
};

template <class T>
class queue_segment : public remains {
public:
    // With slots of its own, which follow it.
    static queue_segment* make(std::size_t size) {
        void* const memory = allocate(header() + size * sizeof(T));
        return ::new (memory) queue_segment(size, static_cast<std::byte*>(memory) + header());
    }
    // Frees what make() made.
    static void free(queue_segment* s) noexcept {
        if (s->storage != s->own_storage()) return;  // the memory is somebody else's
        if constexpr (over_aligned) {
            ::operator delete(s, std::align_val_t(alignof(T)));
        } else {
            ::operator delete(s);
        }
    }

    queue_segment(std::size_t slot_count, std::byte* memory) noexcept
        : size(slot_count), storage(static_cast<T*>(static_cast<void*>(memory))) {}

    static constexpr std::size_t largest = std::bit_floor((std::max<std::size_t>)(64 * 1024 / sizeof(T), 32));

    T* slot(std::size_t number) noexcept { return storage + (number & (size - 1)); }

    const std::size_t size;  // in slots, a power of two
    T* const storage;
    std::size_t first = 0;  // the number of the first message written here
    std::size_t end = 0;    // the number after that of the last one; written before `next` is set
    sync::atomic<queue_segment*> next{nullptr};

private:
    static void* allocate(std::size_t bytes) {
        if constexpr (over_aligned) {
            return ::operator new(bytes, std::align_val_t(alignof(T)));
        } else {
            return ::operator new(bytes);
        }
    }

    static constexpr bool over_aligned = alignof(T) > __STDCPP_DEFAULT_NEW_ALIGNMENT__;
    // What lies before the slots: this object, and what the alignment of T asks for.
    static constexpr std::size_t header() noexcept {
        return (sizeof(queue_segment) + alignof(T) - 1) / alignof(T) * alignof(T);
    }
    T* own_storage() noexcept {
        return static_cast<T*>(static_cast<void*>(reinterpret_cast<std::byte*>(this) + header()));
    }
};

// What a queue held when it was reset. Destroys the messages, oldest first, and the memory.
template <class T>
class queue_contents {
public:
    using segment = queue_segment<T>;

    queue_contents() = default;
    // All messages of the chain that starts with `front`, if there is one.
    explicit queue_contents(segment* front) noexcept : front_(front) {
        if (!front) return;
        front->destroy = [](remains* r) noexcept {
            for (auto* s = static_cast<segment*>(r); s;) {
                for (std::size_t number = s->first; number != s->end; ++number) std::destroy_at(s->slot(number));
                segment* const next = s->next.load(std::memory_order_acquire);
                segment::free(std::exchange(s, next));
            }
        };
    }
    queue_contents(const queue_contents&) = delete;
    queue_contents& operator=(queue_contents&& other) noexcept {
        std::swap(front_, other.front_);
        return *this;
    }
    ~queue_contents() {
        if (!front_) return;
        if constexpr (std::is_trivially_destructible_v<T>) {
            front_->destroy(front_);
        } else {
            destroy_nested(front_);
        }
    }

private:
    segment* front_ = nullptr;
};

template <class T>
class queue_back;

// The end that pops. What only it uses comes first and shares a cache line with the lock that its owner keeps before
// it; the counter at which the other end looks has the next line.
template <class T>
class queue_front {
public:
    using segment = queue_segment<T>;

    explicit queue_front(std::size_t first) noexcept : seen_sent_(first), received_(first) {}
    ~queue_front() { drop_spare(); }
    queue_front(const queue_front&) = delete;
    queue_front& operator=(const queue_front&) = delete;

    std::size_t received() const noexcept { return received_.load(std::memory_order_acquire); }

    // The number of the oldest message.
    std::size_t next() const noexcept { return received_.load(std::memory_order_relaxed); }

    // How many messages there are to take; looks at the back only when those that it knows of are used up. To one who
    // is patient it says none also where it is worth while to wait a little for more: then awaits_more().
    [[gnu::always_inline]] std::size_t available(const queue_back<T>& back, bool patient = false) noexcept {
        if (used_up()) {
            const std::size_t sent = back.sent();
            if (patient && patience_.asks_for_more(sent - next(), sent)) return 0;
            patience_.learn(sent);
            seen_sent_ = sent;
        }
        return seen_sent_ - next();
    }
    bool used_up() const noexcept { return next() == seen_sent_; }

    // The message of that number: the oldest one, and then one after the other, as long as they are available.
    [[gnu::always_inline]] T& message(std::size_t number) noexcept {
        if (!segment_) segment_ = first_;
        segment* const following = segment_->next.load(std::memory_order_acquire);
        if (following && segment_->end == number) give_back(std::exchange(segment_, following));
        return *segment_->slot(number);
    }

    // Whether memory is freed on the way to the oldest message, or once it is taken.
    bool frees_memory(const queue_back<T>& back) const noexcept {
        return back.outgrown() || (segment_ && segment_->next.load(std::memory_order_relaxed));
    }

    // Gives the slots of the messages before that number, whose lives have ended, to the back.
    void publish(std::size_t number) noexcept { received_.store(number, std::memory_order_release); }

    bool awaits_more() const noexcept { return patience_.is_waiting(); }
    void wait() const noexcept { patience_.wait(); }

    // Takes everything, with the back standing still as well.
    queue_contents<T> reset(queue_back<T>& back) noexcept {
        segment* front = segment_ ? segment_ : first_;
        if (front) front->first = next();
        // The one whose slots are elsewhere may be in use again as soon as the locks are released; its messages need no
        // destructor.
        if (front == &header_.inner) front = front->next.load(std::memory_order_relaxed);
        segment_ = first_ = nullptr;
        seen_sent_ = back.sent();
        publish(seen_sent_);
        back.restart();
        drop_spare();
        return queue_contents<T>(front);
    }

private:
    friend queue_back<T>;

    // Keeps one of the largest segments for the back, as the only one who fills the place.
    void give_back(segment* s) noexcept {
        if (s->size == segment::largest && !spare_.load(std::memory_order_relaxed)) {
            spare_.store(s, std::memory_order_release);
        } else {
            segment::free(s);
        }
    }
    segment* take_spare() noexcept {
        if (!spare_.load(std::memory_order_relaxed)) return nullptr;
        return spare_.exchange(nullptr, std::memory_order_acquire);
    }
    void drop_spare() noexcept {
        if (segment* const s = take_spare()) segment::free(s);
    }

    segment* segment_ = nullptr;
    std::size_t seen_sent_;
    sync::atomic<std::size_t> received_;
    patience patience_;
    std::byte rest_of_the_line_[cache_line - (sizeof(received_) + sizeof(patience_)) % cache_line];
    // What both ends use and neither goes on writing. The first segment, which the back puts here before the first
    // message; one to be used again; and the header of one whose slots are elsewhere.
    segment* first_ = nullptr;
    sync::atomic<segment*> spare_{nullptr};
    union header {
        header() noexcept {}
        ~header() {}
        segment inner;
    } header_;
};

// The end that pushes; laid out likewise.
template <class T>
class queue_back {
public:
    using segment = queue_segment<T>;

    explicit queue_back(std::size_t first) noexcept : room_end_(first), sent_(first) {}

    std::size_t sent() const noexcept { return sent_.load(std::memory_order_acquire); }

    // The number of the next message.
    std::size_t next() const noexcept { return sent_.load(std::memory_order_relaxed); }

    // How many more messages fit under `limit`, or at least some of them; looks at the front only when the room that it
    // knows of is used up. To one who is patient it says none also where it is worth while to wait a little for more:
    // then awaits_more().
    std::size_t room(std::size_t limit, const queue_front<T>& front, bool patient = false) noexcept {
        if (next() != room_end_) return room_end_ - next();
        const std::size_t received = front.received();
        const std::size_t room = limit - (next() - received);
        if (patient && next() != received && patience_.asks_for_more(room, received)) return 0;
        patience_.learn(received);
        return room;
    }

    // Where the message of that number goes: next(), and then one after the other, as long as there is room. Throws
    // std::bad_alloc and then has changed nothing.
    T* slot(std::size_t number, std::size_t limit, queue_front<T>& front) {
        if (number == room_end_) find_slots(number, limit, front, front.received());
        return segment_->slot(number);
    }
    // The same where the messages before number `received` have gone, of which the front's counter does not tell yet.
    T* slot(std::size_t number, std::size_t limit, queue_front<T>& front, std::size_t received) {
        if (number == room_end_) find_slots(number, limit, front, received);
        return segment_->slot(number);
    }

    // Where the next message goes, or null if room() is 0.
    [[gnu::always_inline]] T* free_slot(std::size_t limit, queue_front<T>& front, bool patient) {
        const std::size_t number = next();
        if (number == room_end_ && !find_room(number, limit, front, patient)) return nullptr;
        return segment_->slot(number);
    }

    // Whether the next message has room, and a slot for which no memory is needed.
    bool has_free_slot(std::size_t limit, const queue_front<T>& front) noexcept {
        return next() != room_end_ || (room(limit, front) > 0 && uses_free_slots(next(), limit, front.received()));
    }

    // Shows the messages before that number, which were made in their slots, to the front.
    void publish(std::size_t number) noexcept { sent_.store(number, std::memory_order_release); }

    bool awaits_more() const noexcept { return patience_.is_waiting(); }
    void wait() const noexcept { patience_.wait(); }

    // Sees to it that once the oldest message is taken, the next one has a slot: all that can throw on the way.
    void prepare_replacing(queue_front<T>& front) {
        const std::size_t number = next();
        if (!has_front(number, front.received()) && written(number) == segment_->size)
            append(number, front, segment_->size);
    }

    // Whether there is memory to be given back when the queue is empty: keep_or_reset(). Any thread may ask, as a hint.
    bool outgrown() const noexcept { return outgrown_.load(std::memory_order_relaxed); }
    // Whether memory is kept although the queue may be empty, beyond the first ring; a hint.
    bool retains() const noexcept { return outgrown() || retained_.load(std::memory_order_relaxed) != 0; }

    // The queue is empty, and both ends stand still. Keeps the ring for a stream that has needed it before; else gives
    // everything back.
    queue_contents<T> keep_or_reset(queue_front<T>& front) noexcept {
        const auto size = static_cast<std::uint32_t>(segment_->size);
        const bool again = grown_before_ >= size;
        grown_before_ = (std::max)(grown_before_, size);
        release_retained();
        if (!again || !retained_memory::reserve(bytes_retained(size))) return front.reset(*this);
        retained_.store(size, std::memory_order_relaxed);
        outgrown_.store(false, std::memory_order_relaxed);
        return {};
    }
    // Forgets that it has grown: the next time is a burst again.
    void forget_growth() noexcept { grown_before_ = 0; }

private:
    friend queue_front<T>;

    static constexpr std::size_t inner_bytes = 32;
    static constexpr std::size_t small_ring = 2048;  // bytes, which are always kept
    static constexpr std::size_t first_size = std::bit_floor((std::clamp<std::size_t>)(small_ring / sizeof(T), 1, 32));

    // The first few slots, beside the counter that announces what is in them: a message that is handed to and fro takes
    // one cache line less. Only for what needs no destructor, as the slots go when the queue does.
    static constexpr std::size_t inner_slots = std::is_trivially_destructible_v<T> && alignof(T) <= alignof(void*)
                                                   ? std::bit_floor(inner_bytes / sizeof(T))
                                                   : 0;

    [[gnu::noinline]] bool find_room(std::size_t number, std::size_t limit, queue_front<T>& front, bool patient) {
        if (room(limit, front, patient) == 0) return false;
        find_slots(number, limit, front, front.received());
        return true;
    }

    void find_slots(std::size_t number, std::size_t limit, queue_front<T>& front, std::size_t received) {
        if (uses_free_slots(number, limit, received)) return;
        const std::size_t most = std::bit_ceil((std::min)(limit, segment::largest));
        append(number, front, (std::min)(segment_ ? (std::max)(segment_->size * 2, first_size) : first_size, most));
        uses_free_slots(number, limit, received);
    }
    bool uses_free_slots(std::size_t number, std::size_t limit, std::size_t received) noexcept {
        if (!segment_) return false;
        const std::size_t used = has_front(number, received) ? number - received : written(number);
        room_end_ = number + (std::min)(segment_->size - used, limit - (number - received));
        return room_end_ != number;
    }

    // How many messages were written to the segment, until has_front(): later the number may have wrapped round.
    std::size_t written(std::size_t number) const noexcept { return number - segment_->first; }
    // Whether the front has come to the segment, so that all messages that wait are in it. Noticed when its slots have
    // been used once at the latest, so that no counter wraps round in between.
    bool has_front(std::size_t number, std::size_t received) noexcept {
        return has_front_ = has_front_ || number - received <= written(number);
    }

    void append(std::size_t number, queue_front<T>& front, std::size_t size) {
        segment* following = front.take_spare();
        if (following) {
            following->next.store(nullptr, std::memory_order_relaxed);
        } else if (!segment_ && inner_slots > 0) {
            following = std::construct_at(&front.header_.inner, (std::min)(inner_slots, size), inner_);
        } else {
            following = segment::make(size);
        }
        following->first = number;
        if (!segment_) {
            front.first_ = following;
        } else {
            segment_->end = number;
            segment_->next.store(following, std::memory_order_release);
        }
        segment_ = following;
        has_front_ = false;
        if (following->size * sizeof(T) > small_ring && following->size > retained_.load(std::memory_order_relaxed))
            outgrown_.store(true, std::memory_order_relaxed);
    }

    void restart() noexcept {
        if (segment_) segment_->end = next();
        segment_ = nullptr;
        room_end_ = next();
        outgrown_.store(false, std::memory_order_relaxed);
        release_retained();
    }

    void release_retained() noexcept {
        if (const std::uint32_t size = retained_.load(std::memory_order_relaxed)) {
            retained_.store(0, std::memory_order_relaxed);
            retained_memory::release(bytes_retained(size));
        }
    }
    // With a spare one, if it is one of the largest.
    static constexpr std::size_t bytes_retained(std::size_t size) noexcept {
        return size * sizeof(T) * (size == segment::largest ? 2 : 1);
    }

    segment* segment_ = nullptr;
    std::size_t room_end_;  // messages before this number have a free slot, and room under the limit
    sync::atomic<std::size_t> sent_;
    alignas(void*) std::byte inner_[inner_bytes];
    patience patience_;
    sync::atomic<bool> outgrown_{false};
    bool has_front_ = false;
    std::uint32_t grown_before_ = 0;           // the size of the largest ring with which the queue was found empty
    sync::atomic<std::uint32_t> retained_{0};  // the size of the ring that is kept for a stream; 0 if none is
};

}  // namespace sluice::detail
