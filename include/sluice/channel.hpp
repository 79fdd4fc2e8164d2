// sender, receiver and the factories of channels: the handles through which everything is sent and received.
#pragma once

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

/// The sending half of a channel, made by unbounded(), bounded() or rendezvous(): a handle, cheap to copy and to move.
/// A copy is one more producer for the same channel, and when the last sender is dropped, the channel closes.
///
/// **Order.** The channel as a whole is first in, first out. Senders that are blocked get their turn in the order in
/// which they blocked. A send happens before the receive of its message; on a rendezvous the receive also happens
/// before the send returns.
///
/// **Outcome.** A stop that was requested before the call comes first: `stopped`, also if the channel is closed or the
/// deadline has passed. Then what the channel says: `closed`, or room. A stop during the call and a deadline count only
/// where there is no room, and of these two the earlier. An empty handle (default constructed or moved from) reports
/// `closed` where no stop was requested.
///
/// **Messages.** A send takes a `T`, or what converts to `T` implicitly and is converted before the call. After a send
/// that fails, an rvalue `T` is as it was. If the copy or the move of a message throws, or there is no memory for it
/// (`std::bad_alloc`), the exception leaves the send, also where a receiver moves the message of a blocked send; then
/// nothing was sent, and the channel is as it was. A copy is made with no lock held, unless it is trivial. A move is
/// made with locks held: the move constructor of a `T`, and the destructor of one that was moved from, must use no
/// channel, and request no stop for which an operation of a channel waits.
///
/// **Thread safety.** All members may be called from any number of threads at once, on one handle or on copies of it,
/// but not from a signal handler. Assigning to a handle beside its use is not safe.
template <class T>
class sender : public detail::handle<T, detail::side::sending> {
    using base = detail::handle<T, detail::side::sending>;
    using base::channel_;

    using stop_token = detail::stop_token;
    using deadline = detail::deadline;

public:
    /// The type of the messages.
    using value_type = T;

    /// An empty handle, which belongs to no channel. Allocates nothing.
    sender() = default;
    /// For the library's own use; channels are made by unbounded(), bounded() and rendezvous().
    explicit sender(detail::channel_core<T>* c) noexcept : base(c) {}

    /// Whether both belong to the same channel, or both are empty.
    friend bool operator==(const sender& a, const sender& b) noexcept { return a.channel_ == b.channel_; }

    /// @{
    /// Sends the message. Blocks while there is no room; on a rendezvous, until a receiver has taken the message. Fails
    /// with `closed`, or with `stopped` if a stop is requested before it is sent. An rvalue is moved from only if it is
    /// sent. An lvalue is copied, once at most, possibly before it is known whether the copy will be sent.
    [[nodiscard]] result<void> send(const T& message,
                                    const stop_token& stop = {}) const requires detail::sendable<const T&, T> {
        return send_copy(message, deadline::never(), stop);
    }
    [[nodiscard]] result<void> send(T&& message, const stop_token& stop = {}) const {
        return send_by(message, deadline::never(), stop);
    }
    /// @}

    /// @{
    /// Sends the message if there is room; on a rendezvous, if a receiver waits: one that is blocked in a receive or in
    /// a select, so that two tries never meet. Never blocks. Fails with `full` or `closed`. An rvalue is moved from
    /// only if it is sent; of an lvalue no copy is made if the channel is seen to be full or closed.
    [[nodiscard]] result<void> try_send(const T& message) const requires detail::sendable<const T&, T> {
        if (!channel_ || channel_->is_closed()) return unexpected(errc::closed);
        if (!channel_->maybe_ready_to_send()) return unexpected(channel_->is_closed() ? errc::closed : errc::full);
        if constexpr (detail::copies_in_place<T>) {
            return detail::to_result(detail::to_errc(channel_->try_send(message), errc::full));
        } else {
            return try_send(T(message));
        }
    }
    [[nodiscard]] result<void> try_send(T&& message) const {
        if (!channel_) return unexpected(errc::closed);
        return detail::to_result(detail::to_errc(channel_->try_send(message), errc::full));
    }
    /// @}

    /// @{
    /// Sends the message, and blocks as send() does, but for at most `timeout`: a duration of any unit, rounded up to
    /// that of steady_clock (nanoseconds, as a rule), by which it is measured. One that is not positive is one try;
    /// `duration::max()` is no limit. Fails with `closed`, `stopped`, or `timeout` if there was no room in time. The
    /// message is treated as by send().
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
    /// @}

    /// @{
    /// Sends the message, and blocks as send() does, but until `when` at the latest: a time point of any clock, whose
    /// changes are followed. One in the past is one try; `time_point::max()` is no limit. Fails with `closed`,
    /// `stopped`, or `timeout` if there was no room by then. The message is treated as by send().
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
    /// @}

    /// @{
    /// Sends the elements in order, several under one lock where they fit; each is a message of its own, and those of
    /// others may come between. Blocks while there is no room. Returns how many were sent: fewer than all only if the
    /// channel closed or a stop was requested, which is looked at before the first element, at least once in 64, and
    /// during each wait. If an exception leaves the call, some elements, counted from the first, have been sent.
    ///
    /// The elements of an rvalue container, and rvalues, are moved from as they are sent; others are copied. Those that
    /// were not sent are as they were, except that one may be lost if elements are rvalues that have to be converted,
    /// or if the range makes them as it is read. The code of the range and its iterators runs with no lock held.
    template <class R>
        requires detail::sendable_range<R, T>
    [[nodiscard]] std::size_t send_many(R&& range, const stop_token& stop = {}) const {
        return channel_ ? detail::send_range(*channel_, std::forward<R>(range), true, stop) : 0;
    }
    [[nodiscard]] std::size_t send_many(std::initializer_list<T> messages, const stop_token& stop = {}) const {
        return channel_ ? detail::send_range(*channel_, messages, true, stop) : 0;
    }
    /// @}

    /// @{
    /// Sends the elements in order until one does not fit. Never blocks. Returns how many were sent, 0 if the channel
    /// is full or closed. The elements are treated as by send_many().
    template <class R>
        requires detail::sendable_range<R, T>
    [[nodiscard]] std::size_t try_send_many(R&& range) const {
        return channel_ ? detail::send_range(*channel_, std::forward<R>(range), false, {}) : 0;
    }
    [[nodiscard]] std::size_t try_send_many(std::initializer_list<T> messages) const {
        return channel_ ? detail::send_range(*channel_, messages, false, {}) : 0;
    }
    /// @}

    /// @cond
    // What can't be sent does not compile, with a sentence that says why.
    template <class U, class... Rest>
        requires(!detail::sendable<U, T>)
    result<void> send(U&&, Rest&&...)
    const { return refused<U>(); }
    template <class U>
        requires(!detail::sendable<U, T>)
    result<void> try_send(U&&)
    const { return refused<U>(); }
    template <class U, class... Rest>
        requires(!detail::sendable<U, T>)
    result<void> send_timeout(U&&, Rest&&...)
    const { return refused<U>(); }
    template <class U, class... Rest>
        requires(!detail::sendable<U, T>)
    result<void> send_until(U&&, Rest&&...)
    const { return refused<U>(); }
    template <class R, class... Rest>
        requires(!detail::sendable_range<R, T>)
    std::size_t send_many(R&&, Rest&&...)
    const {
        detail::refuse_to_send_many<R, T>();
        return 0;
    }
    template <class R>
        requires(!detail::sendable_range<R, T>)
    std::size_t try_send_many(R&&)
    const {
        detail::refuse_to_send_many<R, T>();
        return 0;
    }
    /// @endcond

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
        return detail::to_result(channel_->send(message, until, stop));
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
    friend detail::channel_core<T>* core_of(const sender& h) noexcept { return h.channel_; }
};

/// The receiving half of a channel, made by unbounded(), bounded() or rendezvous(): a handle, cheap to copy and to
/// move. A copy is one more consumer of the same channel, and each message goes to one of them. When the last receiver
/// is dropped, the channel closes, and the messages that it still holds are destroyed then and there, with no lock
/// held.
///
/// **Order.** Messages come in the order in which they were sent. Receivers that are blocked are served in the order in
/// which they blocked. What a thread did before a send, or before closing the channel, happens before the receive that
/// gets the message, or that reports `closed`.
///
/// **Outcome.** A stop that was requested before the call comes first: `stopped`, also if there is a message. Then what
/// the channel says: a message, or `closed` if it is closed and drained. A stop during the call and a deadline count
/// only where there is no message, and of these two the earlier. An empty handle (default constructed or moved from)
/// reports `closed` where no stop was requested. A receive that fails has taken nothing.
///
/// **Messages.** A message is moved to where it is received with locks held: see sender. If that move throws, the
/// exception leaves the receive, and the message is still the first of the channel. If the message is that of a blocked
/// send, the exception leaves the send instead, and the receive goes on without it; where there is no other, a try
/// reports `empty`.
///
/// **Thread safety.** All members may be called from any number of threads at once, on one handle or on copies of it,
/// but not from a signal handler. Assigning to a handle beside its use is not safe. A thread that is cancelled
/// (pthread_cancel) while it is blocked leaves the channel in order, but what was just handed to it is lost.
template <class T>
class receiver : public detail::handle<T, detail::side::receiving> {
    using base = detail::handle<T, detail::side::receiving>;
    using base::channel_;

    using stop_token = detail::stop_token;
    using deadline = detail::deadline;

public:
    /// The type of the messages.
    using value_type = T;
    /// An input iterator over the messages.
    using iterator = detail::message_iterator<receiver>;

    /// An empty handle, which belongs to no channel. Allocates nothing.
    receiver() = default;
    /// For the library's own use; channels are made by unbounded(), bounded() and rendezvous().
    explicit receiver(detail::channel_core<T>* c) noexcept : base(c) {}

    /// Whether both belong to the same channel, or both are empty.
    friend bool operator==(const receiver& a, const receiver& b) noexcept { return a.channel_ == b.channel_; }

    /// Receives the oldest message. Blocks while the channel is empty and open. Fails with `closed` if it is closed and
    /// drained, or with `stopped` if a stop is requested before there is a message.
    [[nodiscard]] result<T> recv(const stop_token& stop = {}) const { return recv_by(deadline::never(), stop); }

    /// Receives the oldest message if there is one; on a rendezvous, if a sender waits: one that is blocked in a send
    /// or in a select, so that two tries never meet. Never blocks. Fails with `empty`, or with `closed`.
    [[nodiscard]] result<T> try_recv() const {
        result<T> message = unexpected(errc::closed);
        if (channel_) {
            if (const errc e = detail::to_errc(channel_->try_recv(message), errc::empty); e != errc{})
                message = unexpected(e);
        }
        return message;
    }

    /// Receives the oldest message, and blocks as recv() does, but for at most `timeout`: a duration of any unit,
    /// rounded up to that of steady_clock (nanoseconds, as a rule), by which it is measured. One that is not positive
    /// is one try; `duration::max()` is no limit. Fails with `closed`, `stopped`, or `timeout` if there was no message
    /// in time.
    template <class Rep, class Period>
    [[nodiscard]] result<T> recv_timeout(const std::chrono::duration<Rep, Period>& timeout,
                                         const stop_token& stop = {}) const {
        return recv_by(deadline::after(timeout), stop);
    }

    /// Receives the oldest message, and blocks as recv() does, but until `when` at the latest: a time point of any
    /// clock, whose changes are followed. One in the past is one try; `time_point::max()` is no limit. Fails with
    /// `closed`, `stopped`, or `timeout` if there was no message by then.
    template <class Clock, class Duration>
    [[nodiscard]] result<T> recv_until(const std::chrono::time_point<Clock, Duration>& when,
                                       const stop_token& stop = {}) const {
        return recv_by(deadline::at(when), stop);
    }

    /// Receives up to `limit` messages into an output iterator. Blocks until there is one, as recv() does, then writes
    /// those that are there, several under one lock where that is possible; each is a receive of its own, and those of
    /// others may come between. Returns how many were written: 0 only if the channel is closed and drained, a stop was
    /// requested, or `limit` is 0. The stop is looked at before the first message and at least once in 64.
    ///
    /// `out` is taken by value, and its code runs with no lock held. If writing a message to it throws, the exception
    /// leaves the call; that message is lost, those before it have been received, and those behind it are still in the
    /// channel.
    template <std::output_iterator<T&&> Out>
    [[nodiscard]] std::size_t recv_many(Out out, std::size_t limit, const stop_token& stop = {}) const {
        if (!channel_ || limit == 0 || stop.stop_requested()) return 0;
        if (const std::size_t taken = detail::recv_some(*channel_, out, limit, stop); taken > 0) return taken;
        result<T> first = recv(stop);
        if (!first) return 0;
        *out = *std::move(first);
        ++out;
        return 1 + detail::recv_some(*channel_, out, limit - 1, stop);
    }

    /// Receives up to `limit` messages that are there, as recv_many() does. Never blocks. Returns how many were written
    /// to `out`, 0 if there was none.
    template <std::output_iterator<T&&> Out>
    [[nodiscard]] std::size_t try_recv_many(Out out, std::size_t limit) const {
        return channel_ ? detail::recv_some(*channel_, out, limit, {}) : 0;
    }

    /// @{
    /// The messages as a single-pass range: `for (auto&& message : rx)`. Blocks for each element as recv() does, and
    /// ends when the channel is closed and drained. The iterator holds the message, which may be moved from, and
    /// receives the next one only when that is asked for: `rx | std::views::take(3)` takes no fourth. What a move
    /// throws leaves the use of the iterator. The receiver must outlive its iterators; each of these is for one thread
    /// at a time.
    iterator begin() const { return iterator(*this); }
    std::default_sentinel_t end() const noexcept { return {}; }
    /// @}

    /// The same as a range that also ends when a stop is requested: `for (auto&& message : rx.until(stop))`. Holds a
    /// copy of the handle and of the token, and must outlive its iterators.
    [[nodiscard]] detail::message_range<receiver> until(stop_token stop) const { return {*this, std::move(stop)}; }

    /// @cond
    // What recv() does not take does not compile, with a sentence that says what it does.
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
    /// @endcond

private:
    friend iterator;

    // `message` holds nothing yet. It is filled in place: once taken from the channel, a message is not moved any more.
    void recv_into(result<T>& message, const deadline& until, const stop_token& stop) const {
        const errc e = channel_                ? channel_->recv(message, until, stop)
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
    friend detail::channel_core<T>* core_of(const receiver& h) noexcept { return h.channel_; }
};

/// Both ends of a channel: `auto [tx, rx] = sluice::bounded<int>(64);`. An aggregate of two handles.
template <class T>
struct channel {
    sender<T> tx;    ///< The sending half.
    receiver<T> rx;  ///< The receiving half.
};

namespace detail {
template <class T>
channel<T> make_channel(std::optional<std::size_t> limit) {
    auto* const c = channel_core<T>::make(limit);
    return {sender<T>(c), receiver<T>(c)};
}
}  // namespace detail

/// A new asynchronous channel, with no limit to the messages in it: a send never blocks. Takes memory as messages come;
/// what a burst has taken is given back when it has been received, but for 2 KiB; where bursts come again, what is kept
/// for the next one is at most 32 MiB in all channels of the process together. Does not block; throws std::bad_alloc.
template <class T>
    requires(!std::is_void_v<T>)
[[nodiscard]] channel<T> unbounded() { return detail::make_channel<T>(std::nullopt); }

/// A new channel that holds at most `capacity` messages: a send blocks while that many are in it. A capacity of 0 makes
/// a rendezvous. Takes and gives back memory as an unbounded channel does, so that a large capacity costs nothing by
/// itself. Does not block; throws std::bad_alloc.
template <class T>
    requires(!std::is_void_v<T>)
[[nodiscard]] channel<T> bounded(std::size_t capacity) { return detail::make_channel<T>(capacity); }

/// A new synchronous channel, which holds no message: a send blocks until a receiver has taken it. The same as
/// `bounded<T>(0)`. Does not block; throws std::bad_alloc.
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
/// @cond
template <class T>
    requires(std::is_void_v<T>)
channel<std::monostate> unbounded() { return detail::refuse_void<T>(); }
template <class T>
    requires(std::is_void_v<T>)
channel<std::monostate> bounded(std::size_t) { return detail::refuse_void<T>(); }
template <class T>
    requires(std::is_void_v<T>)
channel<std::monostate> rendezvous() { return detail::refuse_void<T>(); }
/// @endcond

}  // namespace sluice
