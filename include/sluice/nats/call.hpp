// call<Query, Reply>: a query that waits for its reply.
#pragma once

#if !defined(__linux__) && !defined(__APPLE__)
#error "sluice: sluice/nats/call.hpp needs POSIX; it is tested on Linux"
#endif

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <sluice/nats/detail/endpoint.hpp>
#include <sluice/nats/detail/inbox.hpp>
#include <sluice/nats/detail/travel.hpp>
#include <sluice/result.hpp>

namespace sluice::nats {

/// A query that a service has received. Move-only; one that is dropped without a reply answers nothing, and its asker
/// times out. For one thread at a time.
template <class Query, class Reply>
class call {
public:
    /// For the library's own use; calls come from connection::service().
    call(Query query, std::string reply_to, std::shared_ptr<detail::session> of)
        : query_(std::move(query)), reply_to_(std::move(reply_to)), session_(std::move(of)) {}

    /// @{
    /// What is asked.
    const Query& request() const noexcept { return query_; }
    Query& request() noexcept { return query_; }
    /// @}

    /// Answers. Blocks while the connection is lost and very many messages wait for it already. Fails with `closed` if
    /// the connection was given up, the asker wants no answer, or there was one before; throws what the codec of a
    /// `Reply` throws, and then may be called again. An answer that comes too late is dropped where it arrives.
    [[nodiscard]] result<void> reply(const Reply& answer) {
        if (reply_to_.empty()) return unexpected(errc::closed);
        std::vector<std::byte> scratch;
        const std::span<const std::byte> bytes = detail::encode(answer, scratch);
        if (bytes.data() != scratch.data()) scratch.assign(bytes.begin(), bytes.end());
        const std::shared_ptr<detail::session> of = std::move(session_);
        return of->replies().notes().send({std::exchange(reply_to_, {}), {}, std::move(scratch)});
    }

private:
    Query query_;
    std::string reply_to_;
    std::shared_ptr<detail::session> session_;
};

}  // namespace sluice::nats
