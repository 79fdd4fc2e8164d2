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
#include <variant>
#include <vector>

#include <sluice/detail/core.hpp>
#include <sluice/detail/wait.hpp>
#include <sluice/result.hpp>

namespace sluice {

template <class T>
class receiver;

namespace detail {

// What must hold of a message type even where it is incomplete; the rest is asked in core.
template <class T>
struct message_type {
    static_assert(!std::is_reference_v<T>,
                  "sluice: a message must not be a reference; send a pointer or a std::reference_wrapper");
    static_assert(!std::is_const_v<T> && !std::is_volatile_v<T>,
                  "sluice: a message must not be const or volatile; leave that out");
    static_assert(!std::is_array_v<T>, "sluice: a message must not be an array; send a std::array or a std::vector");
    static_assert(!std::is_void_v<T> && !std::is_function_v<T>,
                  "sluice: a message must be an object; for mere signals send a std::monostate");
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

// Whether a value of that type and kind can be sent as a T: it converts as where a T is an argument.
template <class From, class T>
inline constexpr bool sendable = std::is_convertible_v<From, T>;

// Says why not.
template <class From, class T>
void refuse_to_send() {
    static_assert(sendable<From, T> || !std::is_same_v<std::remove_cvref_t<From>, T>,
                  "sluice: this message can't be copied: give it up with std::move");
    static_assert(sendable<From, T> || std::is_same_v<std::remove_cvref_t<From>, T>,
                  "sluice: what is sent must be a message of the channel's type, or convert to it implicitly; where an "
                  "explicit conversion is meant, write it");
}

// Whether a copy of a T runs nobody's code, so that it may be made in its place, under the channel's locks.
template <class T>
inline constexpr bool copies_in_place = std::is_trivially_copyable_v<T>&& std::is_trivially_copy_constructible_v<T>;

// The container behind a std::back_insert_iterator that may be written to under the channel's locks: one of the standard
// library's, whose allocator runs nobody's code either. Null for any other output iterator.
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

// Iterates over what a handle receives; see receiver::begin().
template <class Handle>
class message_iterator {
public:
    using value_type = typename Handle::value_type;
    using difference_type = std::ptrdiff_t;
    using iterator_concept = std::input_iterator_tag;

    explicit message_iterator(const Handle& from, stop_token stop = {}) noexcept
        : from_(&from), stop_(std::move(stop)) {}
    message_iterator(message_iterator&&) = default;
    message_iterator& operator=(message_iterator&& other) {
        from_ = other.from_;
        stop_ = std::move(other.stop_);
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
            from_->receive_into(current_, deadline::never(), stop_);
            fetched_ = true;
        }
        return current_;
    }

    const Handle* from_;
    stop_token stop_;
    mutable result<value_type> current_ = unexpected(errc::closed);
    mutable bool fetched_ = false;
};

// What a handle receives until it is closed and drained, or a stop is requested.
template <class Handle>
class message_range : public std::ranges::view_base {
public:
    message_range(Handle from, stop_token stop) noexcept : from_(std::move(from)), stop_(std::move(stop)) {}

    message_iterator<Handle> begin() const { return message_iterator<Handle>(from_, stop_); }
    std::default_sentinel_t end() const noexcept { return {}; }

private:
    Handle from_;
    stop_token stop_;
};

template <class R>
inline constexpr bool receives = false;
template <class T>
inline constexpr bool receives<receiver<T>> = true;
template <class Handle>
inline constexpr bool receives<message_range<Handle>> = true;

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

// Whether send_many takes the range. Not one that receives: what could not be sent would be lost.
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
inline constexpr std::size_t chunk = (std::clamp<std::size_t>)(4096 / sizeof(T), 1, 64);

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

    alignas(T) std::byte bytes_[chunk<T> * sizeof(T)];
    std::size_t size_ = 0;
};

}  // namespace detail

/// The sending half of a channel: a cheap, copyable handle. A copy is one more producer; when the last one is dropped,
/// the channel closes. Every member may be called from any number of threads at once, but assignment to this handle
/// object, and from no signal handler. An empty handle reports `closed`.
///
/// The message of a send is a `T`, or what converts to one implicitly, where the caller stands. It is moved from, or
/// copied, only by a send that succeeds: after one that fails, an rvalue is as it was. If its copy or move throws, the
/// exception leaves the send and the channel is as it was. A copy is made outside the library's locks; a move is made
/// inside, so it must not use the channel that it goes through. A stop that was requested before the call wins over
/// everything: `stopped`. What was sent happens before it is received.
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
    [[nodiscard]] result<void> send(const T& message,
                                    const stop_token& stop = {}) const requires detail::sendable<const T&, T> {
        return send_copy(message, deadline::never(), stop);
    }
    [[nodiscard]] result<void> send(T&& message, const stop_token& stop = {}) const {
        return send_by(message, deadline::never(), stop);
    }
    template <class U, class... Rest>
        requires(!detail::sendable<U, T>)
    result<void> send(U&&, Rest&&...)
    const { return refused<U>(); }

    /// Sends if that is possible at once: there is room, or a receiver waits. Fails with `full` or `closed`. Never
    /// blocks.
    [[nodiscard]] result<void> try_send(const T& message) const requires detail::sendable<const T&, T> {
        if (!core_ || core_->is_closed()) return unexpected(errc::closed);
        if (!core_->may_send()) return unexpected(core_->is_closed() ? errc::closed : errc::full);
        if constexpr (detail::copies_in_place<T>) {
            return detail::to_result(detail::to_errc(core_->try_send(message), errc::full));
        } else {
            return try_send(T(message));
        }
    }
    [[nodiscard]] result<void> try_send(T&& message) const {
        if (!core_) return unexpected(errc::closed);
        return detail::to_result(detail::to_errc(core_->try_send(message), errc::full));
    }
    template <class U>
        requires(!detail::sendable<U, T>)
    result<void> try_send(U&&)
    const { return refused<U>(); }

    /// Sends. Blocks for at most `timeout`; none, or a negative one, tries once. `duration::max()` waits for ever.
    /// Fails with `closed`, `stopped` or `timeout`.
    template <class Rep, class Period>
    [[nodiscard]] result<void> send_timeout(const T& message, const std::chrono::duration<Rep, Period>& timeout,
                                            const stop_token& stop = {}) const requires detail::sendable<const T&, T> {
        return send_copy(message, deadline::after(timeout), stop);
    }
    template <class Rep, class Period>
    [[nodiscard]] result<void> send_timeout(T&& message, const std::chrono::duration<Rep, Period>& timeout,
                                            const stop_token& stop = {}) const {
        return send_by(message, deadline::after(timeout), stop);
    }
    template <class U, class... Rest>
        requires(!detail::sendable<U, T>)
    result<void> send_timeout(U&&, Rest&&...)
    const { return refused<U>(); }

    /// Sends. Blocks until `when` at most, on the clock of `when`. Fails with `closed`, `stopped` or `timeout`.
    template <class Clock, class Duration>
    [[nodiscard]] result<void> send_until(const T& message, const std::chrono::time_point<Clock, Duration>& when,
                                          const stop_token& stop = {}) const requires detail::sendable<const T&, T> {
        return send_copy(message, deadline::at(when), stop);
    }
    template <class Clock, class Duration>
    [[nodiscard]] result<void> send_until(T&& message, const std::chrono::time_point<Clock, Duration>& when,
                                          const stop_token& stop = {}) const {
        return send_by(message, deadline::at(when), stop);
    }
    template <class U, class... Rest>
        requires(!detail::sendable<U, T>)
    result<void> send_until(U&&, Rest&&...)
    const { return refused<U>(); }

    /// Sends the elements in order, as many under one lock as fit, and blocks while there is no room. Returns how many
    /// were sent: fewer than all only if the channel closed, or a stop was requested, which is looked at before each 64
    /// elements. The elements of an rvalue container, and of a range of rvalues, are moved from as they are sent, others
    /// copied; those that were not sent are as they were. (Of elements that have to be converted, and of a range that
    /// makes its elements as it goes, one may be given up and not sent.)
    template <class R>
        requires detail::sendable_range<R, T>
    [[nodiscard]] std::size_t send_many(R&& range, const stop_token& stop = {}) const {
        return send_range(std::forward<R>(range), true, stop);
    }
    [[nodiscard]] std::size_t send_many(std::initializer_list<T> messages, const stop_token& stop = {}) const {
        return send_range(messages, true, stop);
    }
    template <class R, class... Rest>
        requires(!detail::sendable_range<R, T>)
    std::size_t send_many(R&&, Rest&&...)
    const {
        detail::refuse_to_send_many<R, T>();
        return 0;
    }

    /// The same without blocking: sends the elements that fit now.
    template <class R>
        requires detail::sendable_range<R, T>
    [[nodiscard]] std::size_t try_send_many(R&& range) const { return send_range(std::forward<R>(range), false, {}); }
    [[nodiscard]] std::size_t try_send_many(std::initializer_list<T> messages) const {
        return send_range(messages, false, {});
    }
    template <class R>
        requires(!detail::sendable_range<R, T>)
    std::size_t try_send_many(R&&)
    const {
        detail::refuse_to_send_many<R, T>();
        return 0;
    }

private:
    template <class U>
    static result<void> refused() {
        detail::refuse_to_send<U, T>();
        return {};
    }

    // `message` is a T, or a const T that is copied in its place.
    template <class U>
    result<void> send_by(U& message, const deadline& until, const stop_token& stop) const {
        if (!core_) return unexpected(stop.stop_requested() ? errc::stopped : errc::closed);
        return detail::to_result(core_->send(message, until, stop));
    }

    // Makes no copy where it is certain beforehand that it can't be sent.
    result<void> send_copy(const T& message, const deadline& until, const stop_token& stop) const {
        if constexpr (detail::copies_in_place<T>) {
            return send_by(message, until, stop);
        } else {
            if (stop.stop_requested()) return unexpected(errc::stopped);
            if (!core_ || core_->is_closed()) return unexpected(errc::closed);
            if (until.was_passed() && !core_->may_send()) return unexpected(errc::timeout);
            T copy(message);
            return send_by(copy, until, stop);
        }
    }

    template <class R>
    std::size_t send_range(R&& range, bool blocking, const stop_token& stop) const {
        if (!core_ || stop.stop_requested()) return 0;
        using element = detail::element_of<R>;
        constexpr bool is_message = std::is_reference_v<element> && std::is_same_v<std::remove_cvref_t<element>, T>;
        // Sent from where they stand; copied, or made, before they are sent, as many as fit at once; or one by one, where
        // making one takes something away.
        constexpr bool in_place =
            is_message &&
            ((std::is_rvalue_reference_v<element> && !std::is_const_v<std::remove_reference_t<element>>) ||
             detail::copies_in_place<T>);
        constexpr bool copied =
            std::is_lvalue_reference_v<element> || std::is_trivially_copyable_v<std::remove_cvref_t<element>>;
        constexpr std::size_t most = std::ranges::forward_range<R> && (in_place || copied) ? detail::chunk<T> : 1;

        std::size_t sent = 0;
        auto it = std::ranges::begin(range);
        const auto end = std::ranges::end(range);
        if constexpr (in_place) {
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
                    [&](std::size_t i) -> auto& { return *elements[i]; }, count, blocking, stop);
                sent += done;
                if (done < count) break;
                if constexpr (most == 1) ++it;
            }
        } else {
            detail::chunk_buffer<T> made;
            while (it != end) {
                if (core_->is_closed()) break;
                const std::size_t room = core_->room();
                if (room == 0 && !blocking && !core_->may_send()) break;
                for (const std::size_t count = (std::clamp<std::size_t>)(room, 1, most);
                     made.size() < count && it != end; ++it)
                    made.add([&it]() -> T { return static_cast<element>(*it); });  // converts as an argument does
                const std::size_t done =
                    send_chunk([&](std::size_t i) -> T& { return made[i]; }, made.size(), blocking, stop);
                sent += done;
                if (done < made.size()) break;
                made.clear();
            }
        }
        return sent;
    }

    // Sends at(0) to at(count - 1); returns how many were sent.
    template <class At>
    std::size_t send_chunk(At&& at, std::size_t count, bool blocking, const stop_token& stop) const {
        std::size_t sent = 0;
        if (stop.stop_requested()) return 0;
        while (core_->try_send_some(at, count, sent) == detail::attempt::blocked) {
            if (!blocking || core_->send(at(sent), deadline::never(), stop) != errc{}) break;
            ++sent;
        }
        return sent;
    }
};

/// The receiving half of a channel: a cheap, copyable handle. A copy is one more consumer, each message goes to one of
/// them; when the last one is dropped, the channel closes and what it still holds is destroyed. Every member may be
/// called from any number of threads at once, but assignment to this handle object, and from no signal handler. An empty
/// handle reports `closed`.
///
/// If the move of a message throws, the exception leaves the receive and the message is still the first of the channel;
/// but where the message is moved out of a sender that is blocked, the exception is that sender's, and the receive goes
/// on. A stop that was requested before the call wins over everything: `stopped`.
///
/// A thread that is cancelled (pthread_cancel) in a blocking operation leaves the channel in order; what was just handed
/// to it is lost. Beyond that cancellation is not supported.
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
    template <class U, class... Rest>
        requires(!std::convertible_to<U, const stop_token&>)
    result<T> recv(U&&, Rest&&...)
    const {
        static_assert(
            std::convertible_to<U, const stop_token&>,
            "sluice: recv takes nothing but a stop token, and returns the message: auto message = rx.recv(); for a "
            "duration there is recv_timeout");
        return unexpected(errc::closed);
    }

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

    /// Receives. Blocks for at most `timeout`; none, or a negative one, tries once. `duration::max()` waits for ever.
    /// Fails with `closed`, `stopped` or `timeout`; then nothing was taken.
    template <class Rep, class Period>
    [[nodiscard]] result<T> recv_timeout(const std::chrono::duration<Rep, Period>& timeout,
                                         const stop_token& stop = {}) const {
        return recv_by(deadline::after(timeout), stop);
    }

    /// Receives. Blocks until `when` at most, on the clock of `when`. Fails with `closed`, `stopped` or `timeout`.
    template <class Clock, class Duration>
    [[nodiscard]] result<T> recv_until(const std::chrono::time_point<Clock, Duration>& when,
                                       const stop_token& stop = {}) const {
        return recv_by(deadline::at(when), stop);
    }

    /// Waits for at least one message, then writes up to `limit` of those that are there to `out`, under as few locks
    /// as it can. Returns how many: 0 only if the channel is closed or a stop was requested (or `limit` is 0). The token
    /// is looked at before each 64 messages. If writing one to `out` throws, the exception leaves the call, that one is
    /// gone, and the messages behind it are still in the channel.
    template <std::output_iterator<T&&> Out>
    [[nodiscard]] std::size_t recv_many(Out out, std::size_t limit, const stop_token& stop = {}) const {
        if (limit == 0 || stop.stop_requested()) return 0;
        if (const std::size_t taken = receive_some(out, limit, stop); taken > 0) return taken;
        result<T> first = recv(stop);
        if (!first) return 0;
        *out = *std::move(first);
        ++out;
        return 1 + receive_some(out, limit - 1, stop);
    }

    /// The same without blocking; 0 if no message is there.
    template <std::output_iterator<T&&> Out>
    [[nodiscard]] std::size_t try_recv_many(Out out, std::size_t limit) const {
        return receive_some(out, limit, {});
    }

    /// Iterates over the messages until the channel is closed and drained: `for (auto&& message : rx)`. A single-pass
    /// range: the iterator holds the message, and receives the next one only when it is asked for, so that `rx |
    /// std::views::take(3)` takes no fourth. Blocks as recv() does. The receiver must outlive the iterator.
    using iterator = detail::message_iterator<receiver>;
    iterator begin() const { return iterator(*this); }
    std::default_sentinel_t end() const noexcept { return {}; }

    /// The same until a stop is requested: `for (auto&& message : rx.until(stop))`. Holds a copy of the handle.
    [[nodiscard]] detail::message_range<receiver> until(stop_token stop) const { return {*this, std::move(stop)}; }

private:
    friend iterator;

    // `message` holds nothing yet. It is filled in place: once taken from the channel, a message is not moved any more.
    void receive_into(result<T>& message, const deadline& until, const stop_token& stop) const {
        const errc e = core_                   ? core_->receive(message, until, stop)
                       : stop.stop_requested() ? errc::stopped
                                               : errc::closed;
        if (e != errc{}) message = unexpected(e);
    }

    result<T> recv_by(const deadline& until, const stop_token& stop) const {
        result<T> message = unexpected(errc::closed);
        receive_into(message, until, stop);
        return message;
    }

    // Messages are taken in chunks where none can be in between when something throws: if neither a move nor writing to
    // `out` does, from a buffer and with no lock held; at the end of a std::vector, in its place, when it has room. Else
    // they are taken one by one.
    template <class Out>
    std::size_t receive_some(Out& out, std::size_t limit, const stop_token& stop) const {
        std::size_t taken = 0;
        if (!core_) return 0;
        constexpr bool writing_throws = !noexcept(*out = std::declval<T&&>()) || !noexcept(++out);
        if constexpr (std::is_nothrow_move_constructible_v<T> && !writing_throws) {
            detail::chunk_buffer<T> buffer;
            taken = receive_chunks(limit, stop, [&](std::size_t wanted) {
                const std::size_t got =
                    core_->try_receive_some([&](T&& m) { buffer.add([&m]() -> T { return std::move(m); }); }, wanted);
                for (std::size_t i = 0; i < got; ++i, ++out) *out = std::move(buffer[i]);
                buffer.clear();
                return got;
            });
        } else if constexpr (!std::is_null_pointer_v<decltype(detail::appended_container<T>(out))>) {
            std::vector<T>& container = *detail::appended_container<T>(out);
            taken = receive_chunks(limit, stop, [&](std::size_t wanted) {
                wanted = (std::min)(wanted, core_->size());
                if (container.capacity() - container.size() < wanted)
                    container.reserve((std::max)(container.size() + wanted, 2 * container.capacity()));
                return core_->try_receive_some([&](T&& m) { container.push_back(std::move(m)); }, wanted);
            });
        }
        if (taken > 0) return taken;
        for (; taken < limit; ++taken, ++out) {
            if (taken % 64 == 63 && stop.stop_requested()) break;
            result<T> message = try_recv();
            if (!message) break;
            *out = *std::move(message);
        }
        return taken;
    }

    // Calls take(n) until it has taken nothing, or `limit` in all. Not on a rendezvous, where there are no chunks.
    template <class Take>
    std::size_t receive_chunks(std::size_t limit, const stop_token& stop, Take&& take) const {
        std::size_t taken = 0;
        while (!core_->is_rendezvous() && taken < limit) {
            const std::size_t got = take((std::min)(limit - taken, detail::chunk<T>));
            taken += got;
            if (got == 0 || stop.stop_requested()) break;
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
    requires(!std::is_void_v<T>)
[[nodiscard]] channel<T> unbounded() { return detail::make_channel<T>(std::nullopt); }

/// A channel in which at most `capacity` messages wait; a send blocks while that many do. A capacity of 0 makes a
/// rendezvous. Memory is taken as messages come, so a large capacity costs nothing by itself.
template <class T>
    requires(!std::is_void_v<T>)
[[nodiscard]] channel<T> bounded(std::size_t capacity) { return detail::make_channel<T>(capacity); }

/// A synchronous channel: a send returns when a receiver has taken the message.
template <class T>
    requires(!std::is_void_v<T>)
[[nodiscard]] channel<T> rendezvous() { return bounded<T>(0); }

namespace detail {
// A channel without messages does not exist; what is written for one gets a channel of signals and a sentence.
template <class T>
channel<std::monostate> refuse_void() {
    static_assert(!std::is_void_v<T>,
                  "sluice: there is no channel of void: for mere signals make one of std::monostate");
    return {};
}
}  // namespace detail
template <class T>
    requires(std::is_void_v<T>)
channel<std::monostate> unbounded() { return detail::refuse_void<T>(); }
template <class T>
    requires(std::is_void_v<T>)
channel<std::monostate> bounded(std::size_t) { return detail::refuse_void<T>(); }
template <class T>
    requires(std::is_void_v<T>)
channel<std::monostate> rendezvous() { return detail::refuse_void<T>(); }

}  // namespace sluice
