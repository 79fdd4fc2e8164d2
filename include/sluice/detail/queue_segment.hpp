// The memory of a queue: rings of slots, what is known of the messages in them, and what is left when it is reset.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

#include <sluice/detail/compiler.hpp>
#include <sluice/detail/sync.hpp>

namespace sluice::detail {

struct queue_segment;

// What the queue and the slow paths of a channel know of a message type: how large it is, how many fit where, and how
// one is moved. `out` is a result<T>*. It comes along with each call, from whoever knows the type: a channel keeps none,
// since it may outlive the shared object in which it was made.
struct message_ops {
    std::size_t size, alignment;
    bool fits_waiter;                      // whether one may travel in a waiter: see blocked_op
    std::uint32_t inline_slots;            // beside the counter that announces what is in them
    std::uint32_t first_slots, max_slots;  // of a ring; powers of two
    void (*put)(void* message, void* slot);
    void (*deliver)(void* message, void* out);
    void (*take)(void* slot, void* out);       // delivers it, and ends its life in the slot
    void (*destroy)(queue_segment*) noexcept;  // the messages of a chain of segments, oldest first, and the segments
    // Calls `body` with an `out` without a message, and then destroys the message that has come into it.
    void (*with_discarded)(void (*body)(void* context, void* out), void* context);
};

// What message_ops says, for code that is the same for all types. For code that is made for a T, messages_of<T> has
// these members too.
class erased_messages {
public:
    explicit erased_messages(const message_ops& ops) noexcept : ops_(&ops) {}
    std::size_t size() const noexcept { return ops_->size; }
    static constexpr std::size_t lookahead() noexcept { return 0; }
    const message_ops& ops() const noexcept { return *ops_; }
    void put(void* message, void* slot) const { ops_->put(message, slot); }
    void take(void* slot, void* out) const { ops_->take(slot, out); }

private:
    const message_ops* ops_;
};

// A ring.
struct queue_segment {
    // With slots of its own, which follow it.
    static queue_segment* make(std::uint32_t size, const message_ops& of) {
        const std::size_t header = (sizeof(queue_segment) + of.alignment - 1) / of.alignment * of.alignment;
        const std::size_t bytes = header + size * of.size;
        void* const memory =
            is_over_aligned(of) ? ::operator new(bytes, std::align_val_t(of.alignment)) : ::operator new(bytes);
        auto* const storage = static_cast<std::byte*>(memory) + header;
        return ::new (memory) queue_segment{storage, size, true};
    }
    static void free(queue_segment* s, const message_ops& of) noexcept {
        if (!s->is_allocated) return;
        if (is_over_aligned(of)) {
            ::operator delete(s, std::align_val_t(of.alignment));
        } else {
            ::operator delete(s);
        }
    }
    // A chain that was detached.
    static void free_all(queue_segment* chain) noexcept {
        const message_ops& of = *chain->ops;
        while (chain) {
            queue_segment* const following = chain->next.load(std::memory_order_acquire);
            free(std::exchange(chain, following), of);
        }
    }

    template <class Messages>
    void* slot(Messages messages, std::size_t number) noexcept {
        return storage + (number & (size - 1u)) * messages.size();
    }

    std::byte* storage;
    std::uint32_t size;     // in slots, a power of two
    bool is_allocated;      // with its slots; false for the one inside a channel
    std::size_t first = 0;  // the number of the first message written here
    std::size_t end = 0;    // the number after that of the last one; written before `next` is set
    sync::atomic<queue_segment*> next{nullptr};
    const message_ops* ops = nullptr;        // of the first in a chain that was detached
    queue_segment* next_deferred = nullptr;  // see destroy_iteratively()

private:
    static bool is_over_aligned(const message_ops& of) noexcept {
        return of.alignment > __STDCPP_DEFAULT_NEW_ALIGNMENT__;
    }
};

// Destroys the messages of a chain, and its memory. Where this thread is doing that already, in `max_depth` calls one
// inside the other, the chain is left to the innermost of these: so messages that hold channels that hold messages, and
// so on, do not use up the stack, however deep they go.
inline void destroy_iteratively(queue_segment* chain) noexcept {
    constexpr unsigned max_depth = 16;
    struct state {
        unsigned depth = 0;
        queue_segment* deferred = nullptr;
        queue_segment** end = nullptr;  // where the next one goes; null unless `max_depth` is reached
    };
    thread_local state here;
    if (here.depth == max_depth) {
        *here.end = chain;
        here.end = &chain->next_deferred;
        return;
    }
    if (++here.depth == max_depth) here.end = &here.deferred;
    chain->ops->destroy(chain);
    if (here.depth == max_depth) {
        while (queue_segment* const one = here.deferred) {
            // Chains that are deferred while this one is destroyed must not be linked to it, since its memory goes too.
            here.deferred = one->next_deferred;
            if (!here.deferred) here.end = &here.deferred;
            one->ops->destroy(one);
        }
    }
    --here.depth;
}

// What the empty channels of this process retain for the next messages, in bytes.
class SLUICE_SHARED retained_memory;  // one for all shared objects
class retained_memory {
public:
    static bool reserve(std::size_t bytes) noexcept {
        if (total_.fetch_add(bytes, std::memory_order_relaxed) + bytes <= max_retained) return true;
        release(bytes);
        return false;
    }
    static void release(std::size_t bytes) noexcept { total_.fetch_sub(bytes, std::memory_order_relaxed); }

private:
    static constexpr std::size_t max_retained = 32 * 1024 * 1024;
    inline static std::atomic<std::size_t> total_{0};
};

// What a queue held when it was reset. Destroys the messages, oldest first, and the memory.
class detached_queue {
public:
    detached_queue() = default;
    detached_queue(queue_segment* first, const message_ops& of) noexcept : first_(first) {
        if (first) first->ops = &of;
    }
    detached_queue(const detached_queue&) = delete;
    detached_queue& operator=(detached_queue&& other) noexcept {
        std::swap(first_, other.first_);
        return *this;
    }
    ~detached_queue() {
        if (first_) destroy_iteratively(first_);
    }

private:
    queue_segment* first_ = nullptr;
};

}  // namespace sluice::detail
