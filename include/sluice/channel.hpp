// sender, receiver and the factories of channels: the handles through which everything is sent and received.
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <type_traits>
#include <utility>

#include <sluice/detail/core.hpp>
#include <sluice/detail/wait.hpp>
#include <sluice/result.hpp>

namespace sluice {

namespace detail {

// What must hold of a message type even where it is incomplete; the rest is asked in core.
template <class T>
struct message_type {
    static_assert(!std::is_reference_v<T>,
                  "sluice: a message must not be a reference; send a pointer or a std::reference_wrapper");
    static_assert(!std::is_const_v<T> && !std::is_volatile_v<T>,
                  "sluice: a message must not be const or volatile; leave that out");
    static_assert(!std::is_array_v<T>, "sluice: a message must not be an array; send a std::array or a std::vector");
    static_assert(!std::is_void_v<T> && !std::is_function_v<T>, "sluice: a message must be an object");
};

// What senders and receivers have in common: a share in the channel, which `Side` counts, close() and the observers.
template <class T, class Side>
class handle : message_type<T> {
public:
    handle() = default;
    explicit handle(core<T>* c) noexcept : core_(c) {}
    handle(const handle& other) noexcept : core_(other.core_) {
        if (core_) Side::add(*core_);
    }
    handle(handle&& other) noexcept : core_(std::exchange(other.core_, nullptr)) {}
    handle& operator=(const handle& other) noexcept { return *this = handle(other); }
    handle& operator=(handle&& other) noexcept {
        handle dropped(std::move(other));
        std::swap(core_, dropped.core_);
        return *this;
    }
    ~handle() {
        if (core_) Side::drop(*core_);
    }

    /// Whether the handle belongs to a channel: not if it was default constructed or moved from.
    explicit operator bool() const noexcept { return core_ != nullptr; }
    /// Whether both belong to the same channel.
    friend bool operator==(const handle& a, const handle& b) noexcept { return a.core_ == b.core_; }

    /// Closes the channel for everybody: sends report `closed` from now on, receives once the channel is empty, and
    /// everyone who is blocked wakes. Never blocks. True for the call that closed it. What is buffered can still be
    /// received.
    bool close() const { return core_ && core_->close(); }

    /// Whether the channel was closed, or one side has dropped its last handle. Messages may still be there to be
    /// received.
    bool is_closed() const noexcept { return !core_ || core_->is_closed(); }
    /// The number of buffered messages; 0 for a rendezvous. It and the other observers never block, and tell what was
    /// so at some moment of the call.
    std::size_t size() const noexcept { return core_ ? core_->size() : 0; }
    bool empty() const noexcept { return size() == 0; }
    /// Whether as many messages are buffered as the capacity says; always so for a rendezvous, never for an unbounded
    /// channel.
    bool full() const noexcept { return !core_ || core_->full(); }
    /// How many messages can be buffered; empty for an unbounded channel, 0 for a rendezvous.
    std::optional<std::size_t> capacity() const noexcept {
        return core_ ? core_->capacity() : std::optional<std::size_t>(0);
    }
    std::size_t sender_count() const noexcept { return core_ ? core_->sender_count() : 0; }
    std::size_t receiver_count() const noexcept { return core_ ? core_->receiver_count() : 0; }

protected:
    core<T>* core_ = nullptr;

    // The core behind a handle, for the other parts of the library.
    friend core<T>* core_of(const handle& h) noexcept { return h.core_; }
};

struct sending_side {
    static void add(auto& core) noexcept { core.add_sender(); }
    static void drop(auto& core) { core.drop_sender(); }
};
struct receiving_side {
    static void add(auto& core) noexcept { core.add_receiver(); }
    static void drop(auto& core) { core.drop_receiver(); }
};

// Whether a T can be made of a `From` under the channel's locks: by a move, or by a copy that runs nobody's code.
// Anything else is made into a T first, outside of them.
template <class T, class From>
inline constexpr bool moves_in_place =
    (std::is_rvalue_reference_v<From> && !std::is_const_v<std::remove_reference_t<From>> &&
     (std::is_same_v<std::remove_cvref_t<From>, T> || std::is_class_v<std::remove_cvref_t<From>>)) ||
    (std::is_same_v<std::remove_cvref_t<From>, T> && std::is_trivially_copyable_v<T>);

// Calls f with the message, or with a T made of it, as an lvalue that f may move from.
template <class T, class U, class F>
decltype(auto) as_message(U&& message, F&& f) {
    if constexpr (moves_in_place<T, U&&>) {
        return f(message);
    } else {
        T made = static_cast<T>(std::forward<U>(message));
        return f(made);
    }
}

// Whether writing to an Out makes a T at the end of a container.
template <class T, class Out>
inline constexpr bool appends = false;
template <class T, class Container>
    requires std::is_same_v<typename Container::value_type, T>
inline constexpr bool appends<T, std::back_insert_iterator<Container>> = true;

// Iterates over what a handle receives; see receiver::begin().
template <class Handle>
class message_iterator {
public:
    using value_type = typename Handle::value_type;
    using difference_type = std::ptrdiff_t;
    using iterator_concept = std::input_iterator_tag;

    explicit message_iterator(const Handle& from) noexcept : from_(&from) {}
    message_iterator(message_iterator&&) = default;
    message_iterator& operator=(message_iterator&& other) {
        from_ = other.from_;
        fetched_ = other.fetched_;
        current_ = unexpected(errc::closed);
        if (other.current_) current_.emplace(*std::move(other.current_));
        return *this;
    }

    value_type& operator*() const { return *fetch(); }
    value_type* operator->() const { return std::addressof(*fetch()); }
    message_iterator& operator++() {
        fetch();
        fetched_ = false;
        return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const message_iterator& it, std::default_sentinel_t) { return !it.fetch(); }

private:
    // Receives only when the message is asked for, so that one that nobody asks for stays in the channel.
    result<value_type>& fetch() const {
        if (!fetched_) {
            current_ = unexpected(errc::closed);
            from_->receive_into(current_, deadline::never(), {});
            fetched_ = true;
        }
        return current_;
    }

    const Handle* from_;
    mutable result<value_type> current_ = unexpected(errc::closed);
    mutable bool fetched_ = false;
};

inline result<void> to_result(errc e) noexcept {
    if (e == errc{}) return {};
    return unexpected(e);
}

inline errc to_errc(attempt a, errc blocked) noexcept {
    return a == attempt::done ? errc{} : a == attempt::closed ? errc::closed : blocked;
}

// What send_many makes messages of: the elements of an rvalue container are given up.
template <class R>
inline constexpr bool gives_up_elements =
    !std::is_lvalue_reference_v<R> && !std::ranges::borrowed_range<R> && !std::ranges::view<std::remove_cvref_t<R>> &&
    std::is_lvalue_reference_v<std::ranges::range_reference_t<R>>;
template <class R>
using element_of =
    std::conditional_t<gives_up_elements<R>, std::remove_reference_t<std::ranges::range_reference_t<R>>&&,
                       std::ranges::range_reference_t<R>>;

// How many messages a batch handles between two visits to the channel.
template <class T>
inline constexpr std::size_t chunk = std::clamp<std::size_t>(4096 / sizeof(T), 1, 64);

// Room for up to a chunk of T, filled from the front.
template <class T>
class chunk_buffer {
public:
    chunk_buffer() = default;
    chunk_buffer(const chunk_buffer&) = delete;
    chunk_buffer& operator=(const chunk_buffer&) = delete;
    ~chunk_buffer() { clear(); }

    template <class... Args>
    void add(Args&&... args) {
        std::construct_at(data() + size_, std::forward<Args>(args)...);
        ++size_;
    }
    void clear() noexcept { std::destroy_n(data(), std::exchange(size_, 0)); }
    T& operator[](std::size_t i) noexcept { return data()[i]; }
    std::size_t size() const noexcept { return size_; }

private:
    T* data() noexcept { return reinterpret_cast<T*>(bytes_); }

    alignas(T) std::byte bytes_[chunk<T> * sizeof(T)];
    std::size_t size_ = 0;
};

}  // namespace detail

/// The sending half of a channel: a cheap, copyable handle. A copy is one more producer; when the last one is dropped,
/// the channel closes. Every member may be called from any number of threads at once. An empty handle reports `closed`.
///
/// The message of a send is a `T`, or anything that a `T` can be made of. It is moved from, or copied, only by a send
/// that succeeds: after one that fails, an rvalue is as it was. If its copy or move throws, the exception leaves the
/// send and the channel is as it was. A copy is made outside the library's locks; a move is made inside, so it must not
/// use the channel that it goes through.
template <class T>
class sender : public detail::handle<T, detail::sending_side> {
    using base = detail::handle<T, detail::sending_side>;
    using base::core_;
    using stop_token = detail::stop_token;
    using deadline = detail::deadline;

public:
    using value_type = T;
    using base::base;

    /// Sends. Blocks while there is no room; on a rendezvous channel, until a receiver has taken the message.
    /// Fails with `closed`, or `stopped` if a stop was requested first.
    template <class U = T>
        requires std::constructible_from<T, U>
    [[nodiscard]] result<void> send(U&& message, const stop_token& stop = {}) const {
        return send_by(
            std::forward<U>(message), [] { return deadline::never(); }, stop);
    }

    /// Sends if that is possible at once: there is room, or a receiver waits. Fails with `full` or `closed`. Never
    /// blocks.
    template <class U = T>
        requires std::constructible_from<T, U>
    [[nodiscard]] result<void> try_send(U&& message) const {
        if (!core_) return unexpected(errc::closed);
        return detail::as_message<T>(std::forward<U>(message), [this](auto& m) {
            return detail::to_result(detail::to_errc(core_->try_send(m), errc::full));
        });
    }

    /// Sends. Blocks for at most `patience`; none, or a negative one, tries once. `duration::max()` waits for ever.
    /// Fails with `closed`, `stopped` or `timeout`.
    template <class U = T, class Rep, class Period>
        requires std::constructible_from<T, U>
    [[nodiscard]] result<void> send_timeout(U&& message, const std::chrono::duration<Rep, Period>& patience,
                                            const stop_token& stop = {}) const {
        return send_by(
            std::forward<U>(message), [&] { return deadline::after(patience); }, stop);
    }

    /// Sends. Blocks until `when` at most, on the clock of `when`. Fails with `closed`, `stopped` or `timeout`.
    template <class U = T, class Clock, class Duration>
        requires std::constructible_from<T, U>
    [[nodiscard]] result<void> send_until(U&& message, const std::chrono::time_point<Clock, Duration>& when,
                                          const stop_token& stop = {}) const {
        return send_by(
            std::forward<U>(message), [&] { return deadline::at(when); }, stop);
    }

    /// Sends the elements in order, as many under one lock as fit, and blocks while there is no room. Returns how many
    /// were sent: fewer than all only if the channel closed. The elements of an rvalue container, and of a range of
    /// rvalues, are moved from as they are sent, others copied; those that were not sent are as they were. (Of a
    /// single-pass range that makes its elements as it goes, one element may be read and not sent.)
    template <std::ranges::input_range R>
        requires std::constructible_from<T, detail::element_of<R>>
    [[nodiscard]] std::size_t send_many(R&& range) const { return send_range(std::forward<R>(range), true); }
    [[nodiscard]] std::size_t send_many(std::initializer_list<T> messages) const { return send_range(messages, true); }

    /// The same without blocking: sends the elements that fit now.
    template <std::ranges::input_range R>
        requires std::constructible_from<T, detail::element_of<R>>
    [[nodiscard]] std::size_t try_send_many(R&& range) const { return send_range(std::forward<R>(range), false); }
    [[nodiscard]] std::size_t try_send_many(std::initializer_list<T> messages) const {
        return send_range(messages, false);
    }

private:
    template <class U, class Deadline>
    result<void> send_by(U&& message, Deadline&& until, const stop_token& stop) const {
        if (!core_) return unexpected(errc::closed);
        return detail::as_message<T>(std::forward<U>(message),
                                     [&](auto& m) { return detail::to_result(core_->send(m, until(), stop)); });
    }

    template <class R>
    std::size_t send_range(R&& range, bool blocking) const {
        if (!core_) return 0;
        using element = detail::element_of<R>;
        constexpr std::size_t most = std::ranges::forward_range<R> ? detail::chunk<T> : 1;

        std::size_t sent = 0;
        auto it = std::ranges::begin(range);
        const auto end = std::ranges::end(range);
        if constexpr (std::is_reference_v<element> && std::is_same_v<std::remove_cvref_t<element>, T> &&
                      detail::moves_in_place<T, element>) {
            // Sent from where they stand: a chunk of pointers to them.
            using pointer = std::add_pointer_t<std::remove_reference_t<element>>;
            std::array<pointer, most> elements;
            while (it != end) {
                std::size_t count = 0;
                for (; count < most && it != end; ++count) {
                    auto&& e = *it;
                    elements[count] = std::addressof(e);
                    if constexpr (most == 1) {
                        ++count;
                        break;
                    } else {
                        ++it;
                    }
                }
                const std::size_t done = send_chunk(
                    [&](std::size_t i) -> auto& { return *elements[i]; }, count, blocking);
                sent += done;
                if (done < count) break;
                if constexpr (most == 1) ++it;
            }
        } else {
            detail::chunk_buffer<T> made;
            while (it != end) {
                for (; made.size() < most && it != end; ++it) made.add(static_cast<element>(*it));
                const std::size_t done =
                    send_chunk([&](std::size_t i) -> T& { return made[i]; }, made.size(), blocking);
                sent += done;
                if (done < made.size()) break;
                made.clear();
            }
        }
        return sent;
    }

    // Sends at(0) to at(count - 1); returns how many were sent.
    template <class At>
    std::size_t send_chunk(At&& at, std::size_t count, bool blocking) const {
        std::size_t sent = 0;
        while (core_->try_send_some(at, count, sent) == detail::attempt::blocked) {
            if (!blocking || core_->send(at(sent), deadline::never(), {}) != errc{}) break;
            ++sent;
        }
        return sent;
    }
};

/// The receiving half of a channel: a cheap, copyable handle. A copy is one more consumer, each message goes to one of
/// them; when the last one is dropped, the channel closes and what it still holds is destroyed. Every member may be
/// called from any number of threads at once. An empty handle reports `closed`.
///
/// If the move of a message throws, the exception leaves the receive and the message is still the first of the channel.
template <class T>
class receiver : public detail::handle<T, detail::receiving_side> {
    using base = detail::handle<T, detail::receiving_side>;
    using base::core_;
    using stop_token = detail::stop_token;
    using deadline = detail::deadline;

public:
    using value_type = T;
    using base::base;

    /// Receives the oldest message. Blocks while the channel is empty and open. Fails with `closed` once it is closed
    /// and drained, or `stopped` if a stop was requested first; then nothing was taken.
    [[nodiscard]] result<T> recv(const stop_token& stop = {}) const { return recv_by(deadline::never(), stop); }

    /// Receives if there is a message now, or a sender waits on a rendezvous channel. Fails with `empty` or `closed`.
    /// Never blocks.
    [[nodiscard]] result<T> try_recv() const {
        result<T> message = unexpected(errc::closed);
        if (core_) {
            if (const errc e = detail::to_errc(core_->try_receive(message), errc::empty); e != errc{})
                message = unexpected(e);
        }
        return message;
    }

    /// Receives. Blocks for at most `patience`; none, or a negative one, tries once. `duration::max()` waits for ever.
    /// Fails with `closed`, `stopped` or `timeout`; then nothing was taken.
    template <class Rep, class Period>
    [[nodiscard]] result<T> recv_timeout(const std::chrono::duration<Rep, Period>& patience,
                                         const stop_token& stop = {}) const {
        return recv_by(deadline::after(patience), stop);
    }

    /// Receives. Blocks until `when` at most, on the clock of `when`. Fails with `closed`, `stopped` or `timeout`.
    template <class Clock, class Duration>
    [[nodiscard]] result<T> recv_until(const std::chrono::time_point<Clock, Duration>& when,
                                       const stop_token& stop = {}) const {
        return recv_by(deadline::at(when), stop);
    }

    /// Waits for at least one message, then writes up to `limit` of those that are there to `out`, under as few locks
    /// as it can. Returns how many: 0 only if the channel is closed (or `limit` is 0). If writing one to `out` throws,
    /// the exception leaves the call and the messages behind that one are still in the channel.
    template <std::output_iterator<T&&> Out>
    [[nodiscard]] std::size_t recv_many(Out out, std::size_t limit) const {
        if (limit == 0) return 0;
        if (const std::size_t taken = receive_some(out, limit); taken > 0) return taken;
        result<T> first = recv();
        if (!first) return 0;
        *out = *std::move(first);
        ++out;
        return 1 + receive_some(out, limit - 1);
    }

    /// The same without blocking; 0 if no message is there.
    template <std::output_iterator<T&&> Out>
    [[nodiscard]] std::size_t try_recv_many(Out out, std::size_t limit) const {
        return receive_some(out, limit);
    }

    /// Iterates over the messages until the channel is closed and drained: `for (auto&& message : rx)`. A single-pass
    /// range: the iterator holds the message, and receives the next one only when it is asked for, so that `rx |
    /// std::views::take(3)` takes no fourth. Blocks as recv() does. The receiver must outlive the iterator.
    using iterator = detail::message_iterator<receiver>;
    iterator begin() const { return iterator(*this); }
    std::default_sentinel_t end() const noexcept { return {}; }

private:
    friend iterator;

    // `message` holds nothing yet. It is filled in place: once taken from the channel, a message is not moved any more.
    void receive_into(result<T>& message, const deadline& until, const stop_token& stop) const {
        const errc e = core_ ? core_->receive(message, until, stop) : errc::closed;
        if (e != errc{}) message = unexpected(e);
    }

    result<T> recv_by(const deadline& until, const stop_token& stop) const {
        result<T> message = unexpected(errc::closed);
        receive_into(message, until, stop);
        return message;
    }

    // Writing to `out` is either sure not to throw, then it is done from a buffer and with no lock held; or it makes a
    // T at the end of a standard container, which runs nobody's code but T's move; or it can throw, and then it is done
    // message by message, so that none is in between when it does.
    template <class Out>
    std::size_t receive_some(Out& out, std::size_t limit) const {
        std::size_t taken = 0;
        if (!core_) return 0;
        constexpr bool writing_throws = !noexcept(*out = std::declval<T&&>()) || !noexcept(++out);
        if constexpr (std::is_nothrow_move_constructible_v<T> && !writing_throws) {
            detail::chunk_buffer<T> buffer;
            while (!core_->is_rendezvous() && taken < limit) {
                const std::size_t wanted = std::min(limit - taken, detail::chunk<T>);
                const std::size_t got = core_->try_receive_some([&](T&& m) { buffer.add(std::move(m)); }, wanted);
                for (std::size_t i = 0; i < got; ++i, ++out) *out = std::move(buffer[i]);
                buffer.clear();
                taken += got;
                if (got < wanted) return taken;
            }
        } else if constexpr (detail::appends<T, Out>) {
            while (!core_->is_rendezvous() && taken < limit) {
                const std::size_t got = core_->try_receive_some([&](T&& m) { *out = std::move(m); }, limit - taken);
                taken += got;
                if (got == 0) return taken;
            }
        }
        for (; taken < limit; ++taken, ++out) {
            result<T> message = try_recv();
            if (!message) break;
            *out = *std::move(message);
        }
        return taken;
    }
};

/// Both ends of a new channel: `auto [tx, rx] = sluice::bounded<int>(64);`
template <class T>
struct channel {
    sender<T> tx;
    receiver<T> rx;
};

namespace detail {
template <class T>
channel<T> make_channel(std::optional<std::size_t> limit) {
    core<T>* const c = core<T>::make(limit);
    return {sender<T>(c), receiver<T>(c)};
}
}  // namespace detail

/// An asynchronous channel: a send never blocks. Memory is taken as messages come, and given back when they are gone.
template <class T>
[[nodiscard]] channel<T> unbounded() {
    return detail::make_channel<T>(std::nullopt);
}

/// A channel in which at most `capacity` messages wait; a send blocks while that many do. A capacity of 0 makes a
/// rendezvous. Memory is taken as messages come, so a large capacity costs nothing by itself.
template <class T>
[[nodiscard]] channel<T> bounded(std::size_t capacity) {
    return detail::make_channel<T>(capacity);
}

/// A synchronous channel: a send returns when a receiver has taken the message.
template <class T>
[[nodiscard]] channel<T> rendezvous() {
    return bounded<T>(0);
}

}  // namespace sluice
