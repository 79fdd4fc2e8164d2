// Raw storage for a first-in, first-out queue of T, with a back for the thread that pushes and a front for the thread that pops.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <memory>
#include <new>
#include <utility>

#include <sluice/detail/sync.hpp>
#include <sluice/detail/wait.hpp>

namespace sluice::detail {

// The scheme is that of the two-lock queue of Michael and Scott ("Simple, Fast, and Practical Non-Blocking and Blocking
// Concurrent Queue Algorithms", 1996) with rings of slots for nodes. Messages are numbered from 0, in counters that wrap round.
// One thread at a time may use the back and one at a time the front; the owner of the queue keeps a lock for each. What passes
// between the two is the contents of slots, handed over by two counters, each written by one end alone:
//   - the front touches the slot of message i only once it has read sent() > i, with acquire;
//   - the back fills a slot again only once it has read received() > i for the message i that was in it, with acquire.
// A full ring is followed by one twice as large, up to 64 KiB; the front gives a ring back once it has emptied it and the next one
// is there. So elements never move from slot to slot, a steady stream goes round in one ring and allocates nothing, and what a burst
// took comes back.

template <class T>
class queue_segment {
public:
    static queue_segment* make(std::size_t slots) { return ::new (allocate(header() + slots * sizeof(T))) queue_segment(slots); }
    static void free(queue_segment* s) noexcept {
        if constexpr (over_aligned) {
            ::operator delete(s, std::align_val_t(alignof(T)));
        } else {
            ::operator delete(s);
        }
    }

    T* slot(std::size_t i) noexcept {
        return reinterpret_cast<T*>(reinterpret_cast<std::byte*>(this) + header()) + ((i - first) & (slots - 1));
    }

    const std::size_t slots;  // a power of two
    std::size_t first = 0;    // the number of the first message written here
    std::size_t end = 0;      // the number after that of the last one; written before `next` is set
    sync::atomic<queue_segment*> next{nullptr};

private:
    explicit queue_segment(std::size_t count) : slots(count) {}

    static void* allocate(std::size_t bytes) {
        if constexpr (over_aligned) {
            return ::operator new(bytes, std::align_val_t(alignof(T)));
        } else {
            return ::operator new(bytes);
        }
    }

    static constexpr bool over_aligned = alignof(T) > __STDCPP_DEFAULT_NEW_ALIGNMENT__;
    // What lies before the slots: this object, and what the alignment of T asks for.
    static constexpr std::size_t header() noexcept { return (sizeof(queue_segment) + alignof(T) - 1) / alignof(T) * alignof(T); }
};

// What a queue held when it was reset. Destroys the messages, oldest first, and the memory.
template <class T>
class queue_contents {
public:
    using segment = queue_segment<T>;

    queue_contents() = default;
    queue_contents(segment* front, std::size_t first, std::size_t last) : front_(front), first_(first), last_(last) {}
    queue_contents(queue_contents&& other) noexcept
        : front_(std::exchange(other.front_, nullptr)), first_(other.first_), last_(other.last_) {}
    queue_contents& operator=(queue_contents&& other) noexcept {
        std::swap(front_, other.front_);
        std::swap(first_, other.first_);
        std::swap(last_, other.last_);
        return *this;
    }

    ~queue_contents() {
        while (front_) {
            segment* const next = front_->next.load(std::memory_order_acquire);
            for (const std::size_t end = next ? front_->end : last_; first_ != end; ++first_) std::destroy_at(front_->slot(first_));
            segment::free(std::exchange(front_, next));
        }
    }

private:
    segment* front_ = nullptr;
    std::size_t first_ = 0, last_ = 0;
};

template <class T>
class queue_back;

// The end that pops.
template <class T>
class queue_front {
public:
    using segment = queue_segment<T>;

    std::size_t received() const noexcept { return received_.load(std::memory_order_acquire); }

    // How many messages can be popped; looks at the back only when those that it knows of are used up.
    std::size_t available(const queue_back<T>& back) noexcept {
        if (next_ == seen_sent_) {
            seen_sent_ = back.sent();
            patience_.learn(seen_sent_ - next_);
        }
        return seen_sent_ - next_;
    }

    // Whether the back must be looked at to know of another message.
    bool used_up() const noexcept { return next_ == seen_sent_; }

    // The oldest message; one must be available.
    T& message(queue_back<T>& back) noexcept {
        if (!segment_) segment_ = back.first_segment();
        segment* const following = segment_->next.load(std::memory_order_acquire);
        if (following && segment_->end == next_) back.give_back(std::exchange(segment_, following));
        return *segment_->slot(next_);
    }

    // Destroys the oldest message, which message() has just given. Its slot is free for the back after publish().
    void pop() noexcept {
        std::destroy_at(segment_->slot(next_));
        ++next_;
    }
    void publish() noexcept { received_.store(next_, std::memory_order_release); }

    // How long to wait before looking for more.
    unsigned pauses() const noexcept { return patience_.pauses(); }

    // Takes everything, with the back standing still as well.
    queue_contents<T> reset(queue_back<T>& back) noexcept {
        segment* const front = segment_ ? segment_ : back.first_segment();
        const std::size_t first = std::exchange(next_, back.sent());
        segment_ = nullptr;
        seen_sent_ = next_;
        publish();
        back.restart(next_);
        return {front, first, next_};
    }

private:
    segment* segment_ = nullptr;
    std::size_t next_ = 0;
    std::size_t seen_sent_ = 0;
    sync::atomic<std::size_t> received_{0};
    patience patience_;
};

// The end that pushes.
template <class T>
class queue_back {
public:
    using segment = queue_segment<T>;

    queue_back() = default;
    ~queue_back() { drop_spare(); }
    queue_back(const queue_back&) = delete;
    queue_back& operator=(const queue_back&) = delete;

    std::size_t sent() const noexcept { return sent_.load(std::memory_order_acquire); }

    // How many more messages fit under `limit`; looks at the front only when the room that it knows of is used up.
    std::size_t room(std::size_t limit, const queue_front<T>& front) noexcept {
        if (next_ - seen_received_ >= limit) {
            seen_received_ = front.received();
            patience_.learn(limit - (next_ - seen_received_));
        }
        return limit - (next_ - seen_received_);
    }

    // Where the next message goes. Throws std::bad_alloc and then has changed nothing.
    T* slot(std::size_t limit, const queue_front<T>& front) {
        if (next_ == free_end_) find_slots(limit, front);
        return segment_->slot(next_);
    }
    // Counts the message that was made in slot(). The front sees it after publish().
    void push() noexcept { ++next_; }
    void publish() noexcept { sent_.store(next_, std::memory_order_release); }

    // How long to wait before looking for more room.
    unsigned pauses() const noexcept { return patience_.pauses(); }

    // Whether a burst has taken more than a ring; reset() gives it back. Any thread may ask, as a hint.
    bool outgrown() const noexcept { return outgrown_.load(std::memory_order_relaxed); }

private:
    friend queue_front<T>;

    static constexpr std::size_t most_slots = std::bit_floor(std::max<std::size_t>(64 * 1024 / sizeof(T), 2));
    static constexpr std::size_t first_slots = std::clamp<std::size_t>(2048 / sizeof(T), 1, 32);

    void find_slots(std::size_t limit, const queue_front<T>& front) {
        const std::size_t most = std::bit_ceil(std::min(limit, most_slots));
        if (!segment_) {
            segment_ = first_ = segment::make(std::min(std::bit_ceil(first_slots), most));
            segment_->first = next_;
        } else {
            seen_received_ = front.received();
            const bool begun = static_cast<std::ptrdiff_t>(seen_received_ - segment_->first) > 0;
            free_end_ = (begun ? seen_received_ : segment_->first) + segment_->slots;
            if (next_ != free_end_) return;
            append(std::min(segment_->slots * 2, most));
        }
        free_end_ = next_ + segment_->slots;
    }

    void append(std::size_t slots) {
        segment* following = spare_.load(std::memory_order_relaxed) ? spare_.exchange(nullptr, std::memory_order_acquire) : nullptr;
        if (following) {
            following->next.store(nullptr, std::memory_order_relaxed);
        } else {
            following = segment::make(slots);
        }
        if (segment_->slots == most_slots) outgrown_.store(true, std::memory_order_relaxed);
        following->first = segment_->end = next_;
        segment_->next.store(following, std::memory_order_release);
        segment_ = following;
    }

    // Called by the front: keeps one of the largest segments for append(), as the only one who fills the place.
    void give_back(segment* s) noexcept {
        if (s->slots == most_slots && !spare_.load(std::memory_order_relaxed)) {
            spare_.store(s, std::memory_order_release);
        } else {
            segment::free(s);
        }
    }

    // The front reads it when it has seen a message and no segment yet; then it was written before that message.
    segment* first_segment() const noexcept { return first_; }

    void restart(std::size_t next) noexcept {
        segment_ = first_ = nullptr;
        free_end_ = next;
        seen_received_ = next;
        outgrown_.store(false, std::memory_order_relaxed);
        drop_spare();
    }

    void drop_spare() noexcept {
        if (segment* const s = spare_.exchange(nullptr, std::memory_order_acquire)) segment::free(s);
    }

    segment* segment_ = nullptr;
    std::size_t next_ = 0;
    std::size_t free_end_ = 0;  // slots up to this number are free
    sync::atomic<std::size_t> sent_{0};
    std::size_t seen_received_ = 0;  // of the front's counter; never ahead of it
    patience patience_;
    segment* first_ = nullptr;
    sync::atomic<segment*> spare_{nullptr};
    sync::atomic<bool> outgrown_{false};
};

}  // namespace sluice::detail
