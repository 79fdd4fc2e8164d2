// Queries with an answer: a note that is published, and the wait for its reply.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nats/nats.h>

#include <sluice/channel.hpp>
#include <sluice/nats/detail/endpoint.hpp>
#include <sluice/nats/detail/inbox.hpp>
#include <sluice/result.hpp>

namespace sluice::nats::detail {

using sluice::detail::stop_token;

// A sink while somebody waits: what comes later finds nobody, and is dropped.
class waiting_for_reply {
public:
    explicit waiting_for_reply(inbox& in, const std::string& asked = {}) : in_(in) {
        struct answered final : sink {
            explicit answered(sender<msg_ptr> t) : to(std::move(t)) {}
            void receive(msg_ptr m) noexcept override { (void)to.try_send(std::move(m)); }
            void refuse() noexcept override { to.close(); }
            const sender<msg_ptr> to;
        };
        auto ends = bounded<msg_ptr>(1);
        reply_ = std::move(ends.rx);
        number_ = in_.add(std::make_shared<answered>(std::move(ends.tx)), asked);
    }
    waiting_for_reply(const waiting_for_reply&) = delete;
    waiting_for_reply& operator=(const waiting_for_reply&) = delete;
    ~waiting_for_reply() { in_.remove(number_); }

    std::string subject() const { return in_.prefix() + std::to_string(number_); }
    // `closed` when the connection is given up, or the server does not permit the query.
    result<msg_ptr> wait(client::clock::time_point until, const stop_token& stop) const {
        return reply_.recv_until(until, stop);
    }

private:
    inbox& in_;
    receiver<msg_ptr> reply_;
    std::uint64_t number_;
};

// Publishes once there is a connection, and waits; `max()` is for ever. `closed` if nobody serves the subject, the server
// does not permit the query, or the connection is given up.
inline result<msg_ptr> ask(inbox& in, std::string subject, std::vector<std::byte> bytes,
                           client::clock::time_point until, const stop_token& stop) {
    const waiting_for_reply reply(in, subject);
    note query{std::move(subject), reply.subject(), std::move(bytes), until};
    if (const auto sent = in.notes().send_until(std::move(query), until, stop); !sent) return unexpected(sent.error());
    result<msg_ptr> answer = reply.wait(until, stop);
    if (answer && ::natsMsg_IsNoResponders(answer->get())) return unexpected(errc::closed);
    return answer;
}

}  // namespace sluice::nats::detail
