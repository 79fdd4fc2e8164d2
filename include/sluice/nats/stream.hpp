// stream: messages that the servers keep, the senders whose messages they confirm, and the receivers of deliveries.
#pragma once

#if !defined(__linux__) && !defined(__APPLE__)
#error "sluice: sluice/nats/stream.hpp needs POSIX; it is tested on Linux"
#endif

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <variant>

#include <nats/nats.h>

#include <sluice/channel.hpp>
#include <sluice/detail/deadline.hpp>
#include <sluice/nats/delivery.hpp>
#include <sluice/nats/detail/confirmed.hpp>
#include <sluice/nats/detail/jetstream.hpp>
#include <sluice/nats/detail/pulling.hpp>
#include <sluice/nats/detail/sending.hpp>
#include <sluice/nats/detail/travel.hpp>
#include <sluice/nats/options.hpp>
#include <sluice/result.hpp>

namespace sluice::nats {

/// A stream of the servers, made by connection::stream(): cheap to copy, and a copy is the same. It keeps the connection.
/// All members may be called from any thread.
///
/// **At least once.** A message that is sent is stored, if the sender is not closed with a reason; one that is received is
/// delivered again until somebody has acknowledged it. Each carries an id, so that one which has to be sent again within
/// the `duplicate_window` is stored once; after a longer outage it may be stored twice. What is sent again may come behind
/// later messages, unless `unconfirmed` is 1.
class stream {
public:
    /// For the library's own use; streams are opened by connection::stream().
    stream(std::shared_ptr<detail::session> of, std::shared_ptr<detail::stream_state> s)
        : session_(std::move(of)), state_(std::move(s)) {}

    /// Its name.
    const std::string& name() const noexcept { return state_->name; }

    /// An end that sends to `subject`, which must be one of the stream's. Does not block. Throws std::system_error that
    /// names subject and stream.
    ///
    /// A send returns when the message is in the channel, not when it is stored: see flush(). While `unconfirmed`
    /// messages are on their way, the channel fills, and then sends block. What the servers refuse for good, such as a
    /// message that is too large, or any where the stream is full, closes the channel with the reason; what passes, such
    /// as a connection that is lost, or a stream without a leader, is repeated. Where the last handle is dropped, what
    /// was sent is still confirmed behind, within `linger`.
    template <class T>
    [[nodiscard]] sluice::sender<T> sender(std::string subject, const stream_sender_options& chosen = {}) const {
        static_assert(!detail::travel<T>::has_subject,
                      "sluice: a nats::message<T> says itself where it goes: open its sender without a subject");
        detail::check_subject(subject, false);
        if (!state_->takes(subject))
            detail::fail(NATS_INVALID_SUBJECT, "\"" + subject + "\" is none of the subjects of " + state_->title());
        return open_sender<T>(std::move(subject), chosen);
    }
    /// The same for a `nats::message<T>`, which says to which subject it goes. One whose subject is none of the stream's
    /// closes the channel.
    template <class T>
    [[nodiscard]] sluice::sender<T> sender(const stream_sender_options& chosen = {}) const {
        static_assert(detail::travel<T>::has_subject,
                      "sluice: name the subject that is sent to, or send nats::message<T>, which has its own");
        return open_sender<T>({}, chosen);
    }

    /// An end that receives deliveries, and shares them with all others of the same `durable` name; the servers keep
    /// where they stand. Blocks until the servers have answered. Throws std::system_error that names the stream and
    /// repeats what they said: where the name is in use with other options.
    ///
    /// It fetches no more than its channel has room for. While a delivery waits in the channel, `ack_wait` does not pass;
    /// it begins when it is received. What is in the channel when its last handle goes is given back at once; after
    /// close() it can be received for as long as there is a handle. Bytes that do not decode are noted for error(), and
    /// not delivered again.
    template <class T>
    [[nodiscard]] sluice::receiver<delivery<T>> receiver(const stream_receiver_options& chosen) const {
        const std::string what = "receiving from " + state_->title() + " as \"" + chosen.durable + "\"";
        session_->require_own_process(what);
        if (!detail::is_name(chosen.durable) || chosen.capacity == 0)
            throw std::system_error(std::make_error_code(std::errc::invalid_argument),
                                    "sluice: " + what +
                                        ": a name must be given as .durable, without dots, blanks and "
                                        "wildcards, and .capacity must not be 0");
        if (!chosen.filter.empty()) detail::check_stored_subject(chosen.filter, what);
        session_->bus().require_connected(what);
        detail::jetstream(session_->bus()).make_consumer(state_->name, chosen, what);
        auto ends = bounded<delivery<T>>(chosen.capacity);
        auto end = std::make_unique<detail::pulling<T>>(session_, state_, std::move(ends.tx), chosen);
        end->subscribe();
        session_->start(std::move(end));
        return std::move(ends.rx);
    }

    /// Blocks until the servers have confirmed all that was sent, before the call, by the senders that this stream has
    /// opened, for at most `timeout`. Fails with `timeout`, with `stopped`, or with `closed` if anything was refused, now
    /// or earlier, or the connection was given up before.
    template <class Rep, class Period>
    [[nodiscard]] result<void> flush(const std::chrono::duration<Rep, Period>& timeout,
                                     const sluice::detail::stop_token& stop = {}) const {
        const auto until = sluice::detail::deadline::after(timeout).wake_time();
        auto refused = bounded<std::monostate>(1);
        if (!lines_->flush(refused.tx)) return unexpected(errc::closed);
        refused.tx = {};  // the ends have copies, until all is confirmed
        const auto heard = refused.rx.recv_until(until, stop);
        if (heard) return unexpected(errc::closed);
        if (heard.error() == errc::closed) return {};
        return unexpected(heard.error());
    }

    /// The last error of the connection and its ends; none if there was none. Does not block.
    [[nodiscard]] std::error_code error() const { return session_->bus().errors().error(); }

private:
    template <class T>
    sluice::sender<T> open_sender(std::string subject, stream_sender_options chosen) const {
        session_->require_own_process("sending to " + state_->title());
        chosen.unconfirmed = (std::max<std::size_t>)(chosen.unconfirmed, 1);
        using value = typename detail::travel<T>::value_type;
        auto ends = bounded<T>(detail::sender_capacity<value>(chosen.capacity));
        session_->start(std::make_unique<detail::confirmed_sending<T>>(session_, state_, lines_, std::move(ends.rx),
                                                                       std::move(subject), chosen));
        return std::move(ends.tx);
    }

    std::shared_ptr<detail::session> session_;
    std::shared_ptr<detail::stream_state> state_;
    std::shared_ptr<detail::sender_lines> lines_ = std::make_shared<detail::sender_lines>();
};

}  // namespace sluice::nats
