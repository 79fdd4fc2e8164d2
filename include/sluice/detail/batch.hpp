// Many messages under one lock: what send_many and recv_many do.
#pragma once

#include <array>
#include <cstddef>
#include <iterator>
#include <memory>
#include <new>
#include <ranges>
#include <type_traits>
#include <utility>
#include <vector>

#include <sluice/detail/channel_core.hpp>
#include <sluice/detail/deadline.hpp>
#include <sluice/detail/handle.hpp>
#include <sluice/result.hpp>

namespace sluice::detail {

// Whether a value of that type, an lvalue or an rvalue, can be sent as a T: it converts implicitly, as an argument
// does.
template <class From, class T>
inline constexpr bool sendable = std::is_convertible_v<From, T>;

// Does not compile where it can't be sent, and says why.
template <class From, class T>
void refuse_to_send() {
    static_assert(sendable<From, T> || !std::is_same_v<std::remove_cvref_t<From>, T>,
                  "sluice: this message can't be copied: give it up with std::move");
    static_assert(sendable<From, T> || std::is_same_v<std::remove_cvref_t<From>, T>,
                  "sluice: what is sent must be a message of the channel's type, or convert to it implicitly; where an "
                  "explicit conversion is meant, write it");
}

// What send_many makes messages of: elements of an rvalue container are rvalues.
template <class R>
inline constexpr bool gives_up_elements =
    !std::is_lvalue_reference_v<R> && !std::ranges::borrowed_range<R> && !std::ranges::view<std::remove_cvref_t<R>> &&
    std::is_lvalue_reference_v<std::ranges::range_reference_t<R>>;
template <class R>
using element_of =
    std::conditional_t<gives_up_elements<R>, std::remove_reference_t<std::ranges::range_reference_t<R>>&&,
                       std::ranges::range_reference_t<R>>;

// Whether send_many takes the range. Not what a receiver receives: a message that could not be sent would be lost.
template <class R, class T>
concept sendable_range = !receives<std::remove_cvref_t<R>> && std::ranges::input_range<R> && sendable<element_of<R>, T>;

template <class R, class T>
void refuse_to_send_many() {
    static_assert(sendable_range<R, T> || !receives<std::remove_cvref_t<R>>,
                  "sluice: send_many of what a receiver receives would lose what can't be sent: forward in a loop, "
                  "for (auto&& message : rx) if (!tx.send(std::move(message))) ...");
    static_assert(sendable_range<R, T> || receives<std::remove_cvref_t<R>>,
                  "sluice: send_many takes a range whose elements are messages of the channel's type, or convert to it "
                  "implicitly");
}

// How many messages a batch handles between two visits to the channel.
template <class T>
inline constexpr std::size_t max_chunk = sizeof(T) > 4096 ? 1
                                         : sizeof(T) < 64 ? 64
                                                          : 4096 / sizeof(T);

// Room for up to a chunk of T, filled from the front.
template <class T>
class chunk_buffer {
public:
    chunk_buffer() = default;
    chunk_buffer(const chunk_buffer&) = delete;
    chunk_buffer& operator=(const chunk_buffer&) = delete;
    ~chunk_buffer() { clear(); }

    // Adds what `make` returns: a T.
    template <class F>
    void add(F&& make) {
        ::new (static_cast<void*>(data() + size_)) T(std::forward<F>(make)());
        ++size_;
    }
    void clear() noexcept { std::destroy_n(data(), std::exchange(size_, 0)); }
    T& operator[](std::size_t i) noexcept { return data()[i]; }
    std::size_t size() const noexcept { return size_; }

private:
    T* data() noexcept { return static_cast<T*>(static_cast<void*>(bytes_)); }

    alignas(T) std::byte bytes_[max_chunk<T> * sizeof(T)];
    std::size_t size_ = 0;
};

// ---- Sending

// The elements of a range on their way into a channel, in order. Whoever drives it waits where one has to wait: a thread
// in send_range(), or a coroutine.
template <class T, class R>
class range_sending {
    using element = element_of<R>;
    static constexpr bool is_message = std::is_reference_v<element> && std::is_same_v<std::remove_cvref_t<element>, T>;
    // Elements are sent from where they are; or they are copied or made before, as many as fit at once; or one at a
    // time, where making one takes it out of the range.
    static constexpr bool in_place =
        is_message && ((std::is_rvalue_reference_v<element> && !std::is_const_v<std::remove_reference_t<element>>) ||
                       copies_in_place<T>);
    static constexpr bool copied =
        std::is_lvalue_reference_v<element> || std::is_trivially_copyable_v<std::remove_cvref_t<element>>;
    static constexpr std::size_t most = std::ranges::forward_range<R> && (in_place || copied) ? max_chunk<T> : 1;

public:
    range_sending(channel_core<T>& channel, R& range)
        : channel_(channel), it_(std::ranges::begin(range)), end_(std::ranges::end(range)) {}

    // Sends until all are sent, the channel is closed, a stop is requested, or one does not fit. True in the last case
    // if it `may_block`: then waiting() is to be sent, and was_sent() to be told.
    bool send_what_fits(bool may_block, const stop_token& stop) {
        for (;;) {
            if (chunk_.done == chunk_.size() && !next_chunk(may_block)) return false;
            if (stop.stop_requested()) return false;
            const op_status tried = channel_.try_send_some(chunk_, chunk_.size(), chunk_.done);
            if (tried == op_status::closed) return false;
            if (tried != op_status::blocked) continue;
            if (!channel_.discards()) return may_block;
            while (chunk_.done != chunk_.size() && channel_.send_discarding(chunk_(chunk_.done)) == op_status::done)
                ++chunk_.done;
            if (chunk_.done != chunk_.size()) return false;
        }
    }
    auto& waiting() { return chunk_(chunk_.done); }
    void was_sent() noexcept { ++chunk_.done; }

    std::size_t sent() const noexcept { return sent_ + chunk_.done; }

private:
    struct pointers {
        using pointer = std::add_pointer_t<std::remove_reference_t<element>>;
        auto& operator()(std::size_t i) const noexcept { return *elements[i]; }
        std::size_t size() const noexcept { return count; }

        std::array<pointer, most> elements;
        std::size_t count = 0, done = 0;
    };
    struct messages {
        T& operator()(std::size_t i) noexcept { return made[i]; }
        std::size_t size() const noexcept { return made.size(); }

        chunk_buffer<T> made;
        std::size_t done = 0;
    };

    // False if no more are to be sent.
    bool next_chunk(bool may_block) {
        if constexpr (in_place && most == 1) {
            if (chunk_.size() > 0) ++it_;
        }
        if (it_ == end_) return false;
        if constexpr (in_place) {
            start_chunk();
            chunk_.count = 0;
            do {
                auto&& e = *it_;
                chunk_.elements[chunk_.count++] = std::addressof(e);
                if constexpr (most > 1) ++it_;
            } while (chunk_.count < most && it_ != end_);
        } else {
            if (channel_.is_closed()) return false;
            const std::size_t room = channel_.room();
            if (room == 0 && !may_block && !channel_.maybe_ready_to_send()) return false;
            start_chunk();
            chunk_.made.clear();
            for (const std::size_t count = room == 0     ? 1
                                           : room < most ? room
                                                         : most;
                 chunk_.size() < count && it_ != end_; ++it_)
                chunk_.made.add([this]() -> T { return static_cast<element>(*it_); });  // converts as an argument does
        }
        return true;
    }
    void start_chunk() noexcept { sent_ += std::exchange(chunk_.done, 0); }

    channel_core<T>& channel_;
    std::ranges::iterator_t<R> it_;
    const std::ranges::sentinel_t<R> end_;
    std::size_t sent_ = 0;  // before the chunk
    std::conditional_t<in_place, pointers, messages> chunk_;
};

// Sends the elements of a range, in order; returns how many.
template <class T, class R>
std::size_t send_range(channel_core<T>& channel, R&& range, bool may_block, const stop_token& stop) {
    if (stop.stop_requested()) return 0;
    range_sending<T, R> elements(channel, range);
    while (elements.send_what_fits(may_block, stop)) {
        if (channel.send(elements.waiting(), deadline::never(), stop) != errc{}) break;
        elements.was_sent();
    }
    return elements.sent();
}

// ---- Receiving

// The container behind a std::back_insert_iterator, if it may be written to under the channel's locks: a std::vector
// with the standard allocator, which runs no code of the user's. Null for any other output iterator.
template <class T, class Out>
std::nullptr_t appended_container(const Out&) {
    return nullptr;
}
template <class Container>
Container& container_of(const std::back_insert_iterator<Container>& out) {
    struct access : std::back_insert_iterator<Container> {
        static Container& of(const std::back_insert_iterator<Container>& o) { return *(o.*&access::container); }
    };
    return access::of(out);
}
template <class T>
std::vector<T>* appended_container(const std::back_insert_iterator<std::vector<T>>& out) {
    return std::addressof(container_of(out));
}

// Whether writing a message to `out` throws nothing.
template <class T, class Out>
inline constexpr bool writes_freely =
    noexcept(*std::declval<Out&>() = std::declval<T&&>()) && noexcept(++std::declval<Out&>());

// Has the vector hold `count` more without another allocation.
template <class T>
void make_room(std::vector<T>& container, std::size_t count) {
    if (container.capacity() - container.size() >= count) return;
    const std::size_t needed = container.size() + count, doubled = 2 * container.capacity();
    container.reserve(needed > doubled ? needed : doubled);
}

// How many messages a batch that lingers takes before it looks at the clock again.
inline constexpr std::size_t messages_per_look = 64;

// How many it takes after a look: the last one, when the batch is over, takes all that is there by then, but not what
// comes meanwhile, since that may have no end.
inline std::size_t wanted_after_look(const channel_state& channel, std::size_t left, bool is_last) noexcept {
    const std::size_t there = is_last ? channel.size() : 0;
    const std::size_t most = there > messages_per_look ? there : messages_per_look;
    return left < most ? left : most;
}

// Calls take(n, is_first) until it has taken nothing, or `limit` in all. Not on a rendezvous, where there are no chunks.
template <class T, class Take>
std::size_t recv_chunks(channel_core<T>& channel, std::size_t limit, const stop_token& stop, Take&& take) {
    std::size_t taken = 0;
    while (!channel.is_rendezvous() && taken < limit) {
        const std::size_t got = take(limit - taken < max_chunk<T> ? limit - taken : max_chunk<T>, taken == 0);
        taken += got;
        if (got == 0 || stop.stop_requested()) break;
    }
    return taken;
}

// Receives up to `limit` messages that are there; returns how many. They are taken in chunks where none can be lost on
// the way: through a buffer, from which they are written with no lock held, if neither a move nor writing to `out`
// throws; straight to the end of a std::vector once it has room. Otherwise they are taken one at a time.
//
// Who may block anyway `may_delay`: then a batch gathers before the first chunk. Without that a receiver that is as quick as
// the sender finds a message or two at each look, and each look takes the sender's counter away from it.
template <class T, class Out>
std::size_t recv_some(channel_core<T>& channel, Out& out, std::size_t limit, const stop_token& stop,
                      bool may_delay = false) {
    std::size_t taken = 0;
    if constexpr (std::is_nothrow_move_constructible_v<T> && writes_freely<T, Out>) {
        chunk_buffer<T> buffer;
        taken = recv_chunks(channel, limit, stop, [&](std::size_t wanted, bool is_first) {
            const std::size_t got = channel.try_recv_some(
                [&](T&& m) { buffer.add([&m]() -> T { return std::move(m); }); }, wanted, may_delay && is_first);
            for (std::size_t i = 0; i < got; ++i, ++out) *out = std::move(buffer[i]);
            buffer.clear();
            return got;
        });
    } else if constexpr (!std::is_null_pointer_v<decltype(appended_container<T>(out))>) {
        std::vector<T>& container = *appended_container<T>(out);
        taken = recv_chunks(channel, limit, stop, [&](std::size_t wanted, bool is_first) {
            const std::size_t size = channel.size();
            if (size < wanted) wanted = size;
            make_room(container, wanted);
            return channel.try_recv_some([&](T&& m) { container.push_back(std::move(m)); }, wanted,
                                         may_delay && is_first);
        });
    }
    if (taken > 0) return taken;
    for (; taken < limit; ++taken, ++out) {
        if (taken % 64 == 63 && stop.stop_requested()) break;
        result<T> message = unexpected(errc::closed);
        if (channel.try_recv(message) != op_status::done) break;
        *out = *std::move(message);
    }
    return taken;
}

}  // namespace sluice::detail
