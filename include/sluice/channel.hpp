// sender, receiver and the factories of channels: the handles through which everything is sent and received.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include <sluice/detail/batch.hpp>
#include <sluice/detail/channel_core.hpp>
#include <sluice/detail/deadline.hpp>
#include <sluice/detail/handle.hpp>
#include <sluice/result.hpp>

namespace sluice {

namespace detail {

inline result<void> to_result(errc e) noexcept {
    if (e == errc{}) return {};
    return unexpected(e);
}

inline errc to_errc(op_status s, errc blocked) noexcept {
    return s == op_status::done ? errc{} : s == op_status::closed ? errc::closed : blocked;
}

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
class sender : public detail::handle<detail::side::sending>, detail::message_type<T> {
    using stop_token = detail::stop_token;
    using deadline = detail::deadline;

public:
    using value_type = T;

    /// An empty handle, which belongs to no channel.
    sender() = default;
    explicit sender(detail::channel_core<T>* c) noexcept : handle(c) {}

    /// Whether both belong to the same channel.
    friend bool operator==(const sender& a, const sender& b) noexcept { return a.channel_ == b.channel_; }

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
        if (!channel_ || channel_->is_closed()) return unexpected(errc::closed);
        if (!channel_->maybe_ready_to_send()) return unexpected(channel_->is_closed() ? errc::closed : errc::full);
        if constexpr (detail::copies_in_place<T>) {
            return detail::to_result(detail::to_errc(core().try_send(message), errc::full));
        } else {
            return try_send(T(message));
        }
    }
    [[nodiscard]] result<void> try_send(T&& message) const {
        if (!channel_) return unexpected(errc::closed);
        return detail::to_result(detail::to_errc(core().try_send(message), errc::full));
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
        return channel_ ? detail::send_range(core(), std::forward<R>(range), true, stop) : 0;
    }
    [[nodiscard]] std::size_t send_many(std::initializer_list<T> messages, const stop_token& stop = {}) const {
        return channel_ ? detail::send_range(core(), messages, true, stop) : 0;
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
    [[nodiscard]] std::size_t try_send_many(R&& range) const {
        return channel_ ? detail::send_range(core(), std::forward<R>(range), false, {}) : 0;
    }
    [[nodiscard]] std::size_t try_send_many(std::initializer_list<T> messages) const {
        return channel_ ? detail::send_range(core(), messages, false, {}) : 0;
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
        if (!channel_) return unexpected(stop.stop_requested() ? errc::stopped : errc::closed);
        return detail::to_result(core().send(message, until, stop));
    }

    // Makes no copy where it is certain beforehand that it can't be sent.
    result<void> send_copy(const T& message, const deadline& until, const stop_token& stop) const {
        if constexpr (detail::copies_in_place<T>) {
            return send_by(message, until, stop);
        } else {
            if (stop.stop_requested()) return unexpected(errc::stopped);
            if (!channel_ || channel_->is_closed()) return unexpected(errc::closed);
            if (until.is_immediate() && !channel_->maybe_ready_to_send()) return unexpected(errc::timeout);
            T copy(message);
            return send_by(copy, until, stop);
        }
    }

    // For the other parts of the library.
    friend detail::channel_core<T>* core_of(const sender& h) noexcept {
        return static_cast<detail::channel_core<T>*>(h.channel_);
    }
    detail::channel_core<T>& core() const noexcept { return *core_of(*this); }
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
class receiver : public detail::handle<detail::side::receiving>, detail::message_type<T> {
    using stop_token = detail::stop_token;
    using deadline = detail::deadline;

public:
    using value_type = T;

    /// An empty handle, which belongs to no channel.
    receiver() = default;
    explicit receiver(detail::channel_core<T>* c) noexcept : handle(c) {}

    /// Whether both belong to the same channel.
    friend bool operator==(const receiver& a, const receiver& b) noexcept { return a.channel_ == b.channel_; }

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
        if (channel_) {
            if (const errc e = detail::to_errc(core().try_recv(message), errc::empty); e != errc{})
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
        if (!channel_ || limit == 0 || stop.stop_requested()) return 0;
        if (const std::size_t taken = detail::recv_some(core(), out, limit, stop); taken > 0) return taken;
        result<T> first = recv(stop);
        if (!first) return 0;
        *out = *std::move(first);
        ++out;
        return 1 + detail::recv_some(core(), out, limit - 1, stop);
    }

    /// The same without blocking; 0 if no message is there.
    template <std::output_iterator<T&&> Out>
    [[nodiscard]] std::size_t try_recv_many(Out out, std::size_t limit) const {
        return channel_ ? detail::recv_some(core(), out, limit, {}) : 0;
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
    void recv_into(result<T>& message, const deadline& until, const stop_token& stop) const {
        const errc e = channel_                ? core().recv(message, until, stop)
                       : stop.stop_requested() ? errc::stopped
                                               : errc::closed;
        if (e != errc{}) message = unexpected(e);
    }

    result<T> recv_by(const deadline& until, const stop_token& stop) const {
        result<T> message = unexpected(errc::closed);
        recv_into(message, until, stop);
        return message;
    }

    // For the other parts of the library.
    friend detail::channel_core<T>* core_of(const receiver& h) noexcept {
        return static_cast<detail::channel_core<T>*>(h.channel_);
    }
    detail::channel_core<T>& core() const noexcept { return *core_of(*this); }
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
    auto* const c = channel_core<T>::make(limit);
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
