// What a listener does with the clients that its acceptor hands on: merges their messages, or reads their handshakes.
#pragma once

#include <algorithm>
#include <chrono>
#include <memory>
#include <system_error>
#include <utility>

#include <sluice/channel.hpp>
#include <sluice/detail/waiter.hpp>
#include <sluice/ipc/address.hpp>
#include <sluice/ipc/detail/acceptor.hpp>
#include <sluice/ipc/detail/decoder.hpp>
#include <sluice/ipc/detail/descriptor.hpp>
#include <sluice/ipc/detail/errors.hpp>
#include <sluice/ipc/detail/handler_waiter.hpp>
#include <sluice/ipc/detail/handshake_handler.hpp>
#include <sluice/ipc/detail/io_loop.hpp>
#include <sluice/ipc/detail/socket_stream.hpp>
#include <sluice/ipc/error_sink.hpp>
#include <sluice/ipc/options.hpp>

namespace sluice::ipc::detail {

// What the two ways to treat clients have in common.
struct listener_parts {
    address where;
    options chosen;
    std::shared_ptr<handler_group> group;
    std::shared_ptr<error_sink> errors;
};

// For listener::receiver(): the messages of all clients go into one channel.
template <class T>
class client_merger {
public:
    client_merger(sender<T> to, listener_parts parts) : to_(std::move(to)), parts_(std::move(parts)) {}

    void begin(io_handler& acceptor) {
        acceptor_ = &acceptor;
        closing_ = std::make_unique<handler_waiter<sluice::detail::waiter>>(acceptor);
        closing_->arm();
        if (!core_of(to_)->observe_close(*closing_)) closing_->disarm();
    }
    void end() {
        closing_->cancel([this](auto& w) { return core_of(to_)->unobserve_close(w); });
    }
    void fail(const std::error_code& why) noexcept { to_.close(cause_of(why)); }
    bool wanted() const noexcept { return !to_.is_closed(); }

    void operator()(descriptor fd, std::shared_ptr<void> slot) const {
        auto client = make_socket_stream(std::move(fd), parts_.where, acceptor_->ref()->loop, parts_.errors,
                                         parts_.group, std::move(slot));
        client->receive_into_shared(to_, parts_.chosen);
        client->set_server_side(std::chrono::steady_clock::now() + parts_.chosen.handshake_timeout);
        start(acceptor_->loop(), std::move(client), parts_.chosen.stop);
    }

private:
    const sender<T> to_;
    const listener_parts parts_;
    io_handler* acceptor_ = nullptr;
    std::unique_ptr<handler_waiter<sluice::detail::waiter>> closing_;
};

// For listener::accept(): clients that have sent a handshake wait in a channel.
class handshake_starter {
public:
    handshake_starter(sender<pending_connection> to, listener_parts parts)
        : to_(std::move(to)), parts_(std::move(parts)) {}

    void begin(io_handler& acceptor) { acceptor_ = &acceptor; }
    void end() {}
    void fail(const std::error_code& why) noexcept { to_.close(cause_of(why)); }
    bool wanted() const noexcept { return !to_.is_closed(); }

    void operator()(descriptor fd, std::shared_ptr<void> slot) const {
        pending_connection client{std::move(fd), decoder((std::min)(parts_.chosen.max_message, longest_message)),
                                  std::move(slot)};
        start(acceptor_->loop(),
              std::make_unique<handshake_handler>(acceptor_->ref()->loop, parts_.group, std::move(client), to_,
                                                  parts_.errors, parts_.chosen),
              parts_.chosen.stop);
    }

private:
    const sender<pending_connection> to_;
    const listener_parts parts_;
    io_handler* acceptor_ = nullptr;
};

}  // namespace sluice::ipc::detail
