// connection: the way to the servers, and the ends of channels over it.
#pragma once

#if !defined(__linux__) && !defined(__APPLE__)
#error "sluice: sluice/nats/connection.hpp needs POSIX; it is tested on Linux"
#endif

#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <sluice/channel.hpp>
#include <sluice/detail/deadline.hpp>
#include <sluice/nats/call.hpp>
#include <sluice/nats/detail/asking.hpp>
#include <sluice/nats/detail/endpoint.hpp>
#include <sluice/nats/detail/inbox.hpp>
#include <sluice/nats/detail/jetstream.hpp>
#include <sluice/nats/detail/receiving.hpp>
#include <sluice/nats/detail/sending.hpp>
#include <sluice/nats/detail/travel.hpp>
#include <sluice/nats/message.hpp>
#include <sluice/nats/options.hpp>
#include <sluice/nats/stream.hpp>
#include <sluice/result.hpp>

namespace sluice::nats {

/// A connection to a nats-server or a cluster of them: cheap to copy, and a copy is the same connection. Handles that it
/// opens keep it, and it ends with the last of both. It takes a fixed number of threads, however many handles.
///
/// **A connection that is lost** is tried again for as long as its options say. Handles stay open meanwhile, what is
/// in a channel stays there, and once it is full sends wait. What the servers had not yet got when it broke is lost, as
/// is what a receiver missed. When it is given up, handles close, and close_cause() says why.
///
/// All members may be called from any thread. After a fork without exec only the parent uses it: in the child they
/// throw, and handles may only be dropped.
class connection {
public:
    /// Connects to the server at `url`, or to one of several, separated by commas. Blocks until a server has answered
    /// or `connect_timeout` has passed for each; with `retry_first_connect` at most for one attempt. Throws
    /// std::system_error that names the URL and repeats what was said.
    explicit connection(std::string url, connection_options chosen = {}) {
        auto c = std::make_shared<detail::client>(std::move(url), std::move(chosen));
        c->connect();
        try {
            auto notes = bounded<detail::note>(65536);
            auto in = std::make_shared<detail::inbox>(c, std::move(notes.tx));
            ipc::detail::start(*c->loop(), std::make_unique<detail::link>(c, in), {});
            session_ = std::make_shared<detail::session>(c, in);
            in->open();
            session_->start(std::make_unique<detail::note_sending>(c, std::move(notes.rx)));
        } catch (...) {
            c->close();
            throw;
        }
    }

    /// An end that sends to `subject`. Does not block. Throws std::system_error that names the subject.
    ///
    /// A message that the servers refuse for good, such as one that is larger than they take, or that cannot be
    /// encoded, closes the channel with the reason. Where the last handle is dropped, what was sent is written behind,
    /// within `linger`.
    template <class T>
    [[nodiscard]] sluice::sender<T> sender(std::string subject, sender_options chosen = {}) const {
        static_assert(!detail::travel<T>::has_subject,
                      "sluice: a nats::message<T> says itself where it goes: open its sender without a subject");
        detail::check_subject(subject, false);
        return open_sender<T>(std::move(subject), chosen);
    }
    /// The same for a `nats::message<T>`, which says to which subject it goes. One whose subject is none closes the
    /// channel.
    template <class T>
    [[nodiscard]] sluice::sender<T> sender(sender_options chosen = {}) const {
        static_assert(detail::travel<T>::has_subject,
                      "sluice: name the subject that is sent to, or send nats::message<T>, which has its own");
        return open_sender<T>({}, chosen);
    }

    /// An end that receives what is sent to `subject`, which may have wildcards; of several receivers with the same
    /// `queue` each message goes to one. Blocks until the server has confirmed it: what is sent after that, by anyone,
    /// is not missed. Throws std::system_error that names the subject and repeats what was said.
    ///
    /// Where the channel is full, messages are discarded by `when_full`, and counted by `dropped()`. What cannot be
    /// decoded is skipped, and noted for error(). Its handles' `close()` ends it at this end alone.
    template <class T>
    [[nodiscard]] sluice::receiver<T> receiver(const std::string& subject, const receiver_options& chosen = {}) const {
        return detail::receive<T>(session_, subject, chosen, "receiving from " + subject, [](const natsMsg& m) {
            return detail::travel<T>::make(::natsMsg_GetSubject(&m), detail::data_of(&m));
        });
    }

    /// Asks whoever serves `subject`, and returns the answer. Blocks until it has come, for at most `timeout`; while the
    /// connection is lost it waits for that too. Fails with `closed`, at once, if nobody serves the subject, the server
    /// does not permit to send to it, which is then error(), or the connection was given up; with `timeout`; or with
    /// `stopped`, if a stop is requested first. The query may have been received all the same, but for `closed`.
    ///
    /// Throws what the codecs throw, in decoding the answer too, and std::system_error where the subject is none.
    template <class Reply, class Query, class Rep, class Period>
    [[nodiscard]] result<Reply> request(const std::string& subject, const Query& query,
                                        const std::chrono::duration<Rep, Period>& timeout,
                                        const sluice::detail::stop_token& stop = {}) const {
        const auto until = sluice::detail::deadline::after(timeout).wake_time();
        session_->require_own_process("asking " + subject);
        detail::check_subject(subject, false);
        std::vector<std::byte> scratch;
        const std::span<const std::byte> bytes = detail::encode(query, scratch);
        if (bytes.data() != scratch.data()) scratch.assign(bytes.begin(), bytes.end());
        const auto answer = detail::ask(session_->replies(), subject, std::move(scratch), until, stop);
        if (!answer) return unexpected(answer.error());
        return detail::decode<Reply>(detail::data_of(answer->get()));
    }

    /// A receiver of the queries to `subject`, each as a `call`, which takes the reply. Blocks, throws and discards as
    /// receiver() does: of several services with the same `queue` each query goes to one. A query that cannot be decoded
    /// is not answered.
    template <class Query, class Reply>
    [[nodiscard]] sluice::receiver<call<Query, Reply>> service(const std::string& subject,
                                                               const receiver_options& chosen = {}) const {
        // The calls hold the connection; what makes them must not, since it lives in it.
        return detail::receive<call<Query, Reply>>(
            session_, subject, chosen, "serving " + subject,
            [weak = std::weak_ptr<detail::session>(session_)](const natsMsg& m) {
                const char* const to = ::natsMsg_GetReply(&m);
                auto session = weak.lock();
                if (!session) throw std::system_error(std::make_error_code(std::errc::not_connected));
                return call<Query, Reply>(detail::decode<Query>(detail::data_of(&m)), to ? to : "", std::move(session));
            });
    }

    /// @{
    /// A stream: messages that the servers keep. The first uses one that exists; the second makes it, or uses one of
    /// the same configuration. Blocks until the servers have answered. Throws std::system_error that names the stream
    /// and repeats what they said: where there is none, where it has another configuration.
    [[nodiscard]] nats::stream stream(const std::string& name) const {
        return open_stream(name,
                           [&](detail::jetstream& js, const std::string& what) { return js.find_stream(name, what); });
    }
    [[nodiscard]] nats::stream stream(const std::string& name, const stream_options& chosen) const {
        return open_stream(name, [&](detail::jetstream& js, const std::string& what) {
            for (const std::string& s : chosen.subjects) detail::check_stored_subject(s, what);
            return js.make_stream(name, chosen, what);
        });
    }
    /// @}

    /// The last error of this connection and its ends; none if there was none. Does not block.
    [[nodiscard]] std::error_code error() const { return session_->bus().errors().error(); }

private:
    template <class F>
    nats::stream open_stream(const std::string& name, F&& open) const {
        session_->require_own_process("stream " + name);
        const std::string what = "stream " + name + " at " + session_->bus().url();
        if (!detail::is_name(name)) detail::fail(NATS_INVALID_ARG, what, "a stream has no such name");
        session_->bus().require_connected("stream " + name);
        detail::jetstream js(session_->bus());
        return nats::stream(session_,
                            std::make_shared<detail::stream_state>(name, session_->bus().url(), open(js, what)));
    }

    template <class T>
    sluice::sender<T> open_sender(std::string subject, const sender_options& chosen) const {
        session_->require_own_process("sending to " + subject);
        using value = typename detail::travel<T>::value_type;
        auto ends = bounded<T>(detail::sender_capacity<value>(chosen.capacity));
        session_->start(std::make_unique<detail::plain_sending<T>>(session_->shared_client(), std::move(ends.rx),
                                                                   std::move(subject), session_));
        return std::move(ends.tx);
    }

    std::shared_ptr<detail::session> session_;
};

}  // namespace sluice::nats
