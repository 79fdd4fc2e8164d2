// sender: the half of a channel through which messages are sent.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

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

    /// A handle of the same channel that does not keep it open; of an empty handle one of no channel. Never blocks,
    /// allocates nothing.
    [[nodiscard]] weak_sender<T> downgrade() const noexcept { return weak_sender<T>(channel_); }

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
    /// Sends the message, and makes room where there is none: the oldest message in the channel comes out and is
    /// returned, in one step with this send, whatever the rule of the channel for that case; dropped() does not count
    /// it. Those who are blocked in a send stay blocked, in their order: none of them gets that room, and this message
    /// passes theirs. On a rendezvous it does as try_send(). Never blocks. Returns what has come out, which is nothing
    /// where there was room; fails with `closed`, or on a rendezvous with `full`. An rvalue is moved from only if it is
    /// sent; of an lvalue no copy is made if the channel is seen to be closed. Needs a `T` whose move does not throw.
    [[nodiscard]] result<std::optional<T>> force_send(const T& message) const requires detail::sendable<const T&, T> {
        if (!channel_ || channel_->is_closed()) return unexpected(errc::closed);
        if constexpr (detail::copies_in_place<T>) {
            return force(message);
        } else {
            if (channel_->is_rendezvous() && !channel_->maybe_fits())
                return unexpected(channel_->is_closed() ? errc::closed : errc::full);
            return force_send(T(message));
        }
    }
    [[nodiscard]] result<std::optional<T>> force_send(T&& message) const { return force(message); }
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

    /// @{
    /// The same for a coroutine, which awaits them: `co_await tx.async_send(message)` gives what send() returns. They
    /// suspend the coroutine where the others block the thread, are defined in `<sluice/async.hpp>`, and are awaited in
    /// the expression that makes them, since they refer to their arguments. (With g++ before 13 give a message that is
    /// an aggregate a name before: it destroys one that is made inside a `co_await` twice.)
    template <class Async = detail::async_header>
    [[nodiscard]] auto async_send(const T& message) const requires detail::sendable<const T&, T> {
        return detail::async_forms<Async>::send(*this, message);
    }
    template <class Async = detail::async_header>
    [[nodiscard]] auto async_send(T&& message) const {
        return detail::async_forms<Async>::send(*this, std::move(message));
    }
    template <class Async = detail::async_header>
    [[nodiscard]] auto async_send(const T& message,
                                  const stop_token& stop) const requires detail::sendable<const T&, T> {
        return detail::async_forms<Async>::send(*this, message, Async::not_limited, stop);
    }
    template <class Async = detail::async_header>
    [[nodiscard]] auto async_send(T&& message, const stop_token& stop) const {
        return detail::async_forms<Async>::send(*this, std::move(message), Async::not_limited, stop);
    }
    template <class Rep, class Period, class Async = detail::async_header>
    [[nodiscard]] auto async_send_timeout(const T& message, const std::chrono::duration<Rep, Period>& timeout,
                                          const stop_token& stop = {}) const requires detail::sendable<const T&, T> {
        return detail::async_forms<Async>::send(*this, message, timeout, stop);
    }
    template <class Rep, class Period, class Async = detail::async_header>
    [[nodiscard]] auto async_send_timeout(T&& message, const std::chrono::duration<Rep, Period>& timeout,
                                          const stop_token& stop = {}) const {
        return detail::async_forms<Async>::send(*this, std::move(message), timeout, stop);
    }
    template <class Clock, class Duration, class Async = detail::async_header>
    [[nodiscard]] auto async_send_until(const T& message, const std::chrono::time_point<Clock, Duration>& when,
                                        const stop_token& stop = {}) const requires detail::sendable<const T&, T> {
        return detail::async_forms<Async>::send(*this, message, when, stop);
    }
    template <class Clock, class Duration, class Async = detail::async_header>
    [[nodiscard]] auto async_send_until(T&& message, const std::chrono::time_point<Clock, Duration>& when,
                                        const stop_token& stop = {}) const {
        return detail::async_forms<Async>::send(*this, std::move(message), when, stop);
    }
    template <class R, class Async = detail::async_header>
        requires detail::sendable_range<R, T>
    [[nodiscard]] auto async_send_many(R&& range, const stop_token& stop = {}) const {
        return detail::async_forms<Async>::send_many(*this, std::forward<R>(range), stop);
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
    template <class U>
        requires(!detail::sendable<U, T>)
    result<std::optional<T>> force_send(U&&)
    const {
        detail::refuse_to_send<U, T>();
        return unexpected(errc::closed);
    }
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
    template <class U, class... Rest>
        requires(!detail::sendable<U, T>)
    detail::never_awaited<result<void>> async_send(U&&, Rest&&...)
    const {
        detail::refuse_to_send<U, T>();
        return {};
    }
    template <class U, class... Rest>
        requires(!detail::sendable<U, T>)
    detail::never_awaited<result<void>> async_send_timeout(U&&, Rest&&...)
    const {
        detail::refuse_to_send<U, T>();
        return {};
    }
    template <class U, class... Rest>
        requires(!detail::sendable<U, T>)
    detail::never_awaited<result<void>> async_send_until(U&&, Rest&&...)
    const {
        detail::refuse_to_send<U, T>();
        return {};
    }
    template <class R, class... Rest>
        requires(!detail::sendable_range<R, T>)
    detail::never_awaited<std::size_t> async_send_many(R&&, Rest&&...)
    const {
        detail::refuse_to_send_many<R, T>();
        return {};
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

    template <class U>
    result<std::optional<T>> force(U& message) const {
        static_assert(std::is_nothrow_move_constructible_v<T>,
                      "sluice: force_send needs messages whose move does not throw, so that none is lost between "
                      "taking the oldest out and putting the new one in");
        if constexpr (std::is_nothrow_move_constructible_v<T>) {
            if (!channel_) return unexpected(errc::closed);
            result<T> out = unexpected(errc::empty);
            if (const errc e = detail::to_errc(channel_->force_send(message, out), errc::full); e != errc{})
                return unexpected(e);
            if (out) return result<std::optional<T>>(std::in_place, std::in_place, *std::move(out));
            return result<std::optional<T>>(std::in_place);
        } else {
            return unexpected(errc::closed);
        }
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

}  // namespace sluice

/// Senders can be keys of unordered containers: a hash of the channel, so equal for equal handles.
template <class T>
struct std::hash<sluice::sender<T>> : sluice::detail::channel_hash {};
