// receiver: the half of a channel through which messages are received.
#pragma once

#include <concepts>
#include <cstddef>
#include <iterator>
#include <utility>

#include <sluice/detail/batch.hpp>
#include <sluice/detail/batch_wait.hpp>
#include <sluice/detail/channel_core.hpp>
#include <sluice/detail/deadline.hpp>
#include <sluice/detail/handle.hpp>
#include <sluice/result.hpp>

namespace sluice {

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

    /// A handle of the same channel that does not keep it open, nor its messages; of an empty handle one of no channel.
    /// Never blocks, allocates nothing.
    [[nodiscard]] weak_receiver<T> downgrade() const noexcept { return weak_receiver<T>(channel_); }

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
        if (const std::size_t taken = detail::recv_some(*channel_, out, limit, stop, true); taken > 0) return taken;
        result<T> first = recv(stop);
        if (!first) return 0;
        *out = *std::move(first);
        ++out;
        return 1 + detail::recv_some(*channel_, out, limit - 1, stop);
    }

    /// Receives a batch of up to `limit` messages into an output iterator. Blocks until there is one, as recv() does,
    /// and then goes on until `limit` are written, `linger` has passed since the first, the channel is closed and
    /// drained, or a stop is requested. A `linger` that is not positive takes what is there, as recv_many() does;
    /// `duration::max()` is no limit. Of any unit, measured on steady_clock.
    ///
    /// Each message is a receive of its own, and those of others may come between. Returns how many were written: what
    /// was written has been received, and neither a stop nor the closing gives it back. 0 only if the channel is closed
    /// and drained, a stop was requested before there was one, or `limit` is 0. The clock and the stop are looked at at
    /// least once in 64 messages, and what is there by then is still taken: after a stop up to 64 messages.
    ///
    /// `out` is taken by value, and its code runs with no lock held. If writing a message to it throws, the exception
    /// leaves the call; that message is lost, those before it have been received, and those behind it are still in the
    /// channel. So where neither a move nor writing throws, or `out` appends to a std::vector, the thread sleeps until
    /// up to 64 messages have come; otherwise it wakes for each that it waits for.
    template <std::output_iterator<T&&> Out, class Rep, class Period>
    [[nodiscard]] std::size_t recv_batch(Out out, std::size_t limit, const std::chrono::duration<Rep, Period>& linger,
                                         const stop_token& stop = {}) const {
        if (!(linger > std::chrono::duration<Rep, Period>::zero())) return recv_many(std::move(out), limit, stop);
        if (!channel_ || limit == 0 || stop.stop_requested()) return 0;
        deadline until = deadline::after(linger);
        std::size_t taken = detail::recv_some(
            *channel_, out, limit < detail::messages_per_look ? limit : detail::messages_per_look, stop, true);
        if (taken == 0) {
            result<T> first = recv(stop);
            if (!first) return 0;
            until = deadline::after(linger);
            *out = *std::move(first);
            ++out;
            taken = 1;
        }
        return taken + detail::recv_rest(*channel_, out, limit - taken, until, stop);
    }

    /// Receives up to `limit` messages that are there, as recv_many() does. Never blocks. Returns how many were written
    /// to `out`, 0 if there was none.
    template <std::output_iterator<T&&> Out>
    [[nodiscard]] std::size_t try_recv_many(Out out, std::size_t limit) const {
        return channel_ ? detail::recv_some(*channel_, out, limit, {}) : 0;
    }

    /// @{
    /// The same for a coroutine, which awaits them: `co_await rx.async_recv()` gives what recv() returns. They suspend the
    /// coroutine where the others block the thread, are defined in `<sluice/async.hpp>`, and are awaited in the
    /// expression that makes them, since they refer to their arguments. The message is moved once more, out of the
    /// `co_await`: one whose move throws then is lost with the exception, as it had been received.
    template <class Async = detail::async_header>
    [[nodiscard]] auto async_recv() const {
        return detail::async_forms<Async>::recv(*this);
    }
    template <class Async = detail::async_header>
    [[nodiscard]] auto async_recv(const stop_token& stop) const {
        return detail::async_forms<Async>::recv(*this, Async::not_limited, stop);
    }
    template <class Rep, class Period, class Async = detail::async_header>
    [[nodiscard]] auto async_recv_timeout(const std::chrono::duration<Rep, Period>& timeout,
                                          const stop_token& stop = {}) const {
        return detail::async_forms<Async>::recv(*this, timeout, stop);
    }
    template <class Clock, class Duration, class Async = detail::async_header>
    [[nodiscard]] auto async_recv_until(const std::chrono::time_point<Clock, Duration>& when,
                                        const stop_token& stop = {}) const {
        return detail::async_forms<Async>::recv(*this, when, stop);
    }
    template <detail::output_of<T> Out, class Async = detail::async_header>
    [[nodiscard]] auto async_recv_many(Out&& out, const std::size_t& limit, const stop_token& stop = {}) const {
        return detail::async_forms<Async>::recv_batch(*this, std::forward<Out>(out), limit, Async::not_limited, stop);
    }
    template <detail::output_of<T> Out, class Rep, class Period, class Async = detail::async_header>
    [[nodiscard]] auto async_recv_batch(Out&& out, const std::size_t& limit,
                                        const std::chrono::duration<Rep, Period>& linger,
                                        const stop_token& stop = {}) const {
        return detail::async_forms<Async>::recv_batch(*this, std::forward<Out>(out), limit, linger, stop);
    }
    /// @}

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

}  // namespace sluice

/// Receivers can be keys of unordered containers: a hash of the channel, so equal for equal handles.
template <class T>
struct std::hash<sluice::receiver<T>> : sluice::detail::channel_hash {};
