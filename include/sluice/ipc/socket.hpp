// listener and connect: channels over sockets, between processes that know each other by an address only.
#pragma once

#if !defined(__linux__) && !defined(__APPLE__)
#error "sluice: sluice/ipc/socket.hpp needs POSIX; it is tested on Linux"
#endif

#include <cerrno>
#include <memory>
#include <mutex>
#include <optional>
#include <system_error>
#include <utility>

#include <sluice/channel.hpp>
#include <sluice/detail/waiter.hpp>
#include <sluice/ipc/address.hpp>
#include <sluice/ipc/codec.hpp>
#include <sluice/ipc/detail/acceptor.hpp>
#include <sluice/ipc/detail/client_stream.hpp>
#include <sluice/ipc/detail/errors.hpp>
#include <sluice/ipc/detail/frame.hpp>
#include <sluice/ipc/detail/handshake_handler.hpp>
#include <sluice/ipc/detail/io_loop.hpp>
#include <sluice/ipc/detail/listener_clients.hpp>
#include <sluice/ipc/detail/listening_socket.hpp>
#include <sluice/ipc/detail/process.hpp>
#include <sluice/ipc/detail/socket_stream.hpp>
#include <sluice/ipc/error.hpp>
#include <sluice/ipc/error_sink.hpp>
#include <sluice/ipc/options.hpp>

namespace sluice::ipc {

/// The client's ends of a connection both ways. It lasts while one of the two does.
template <class Request, class Reply>
struct connection {
    /// What the client sends.
    sluice::sender<Request> requests;
    /// What it gets in return.
    sluice::receiver<Reply> replies;
};

/// The listener's ends of a connection both ways. Both are empty if there is none.
template <class Request, class Reply>
struct session {
    /// What the client has sent.
    sluice::receiver<Request> requests;
    /// What it gets in return.
    sluice::sender<Reply> replies;

    /// Whether there is a connection.
    explicit operator bool() const noexcept { return static_cast<bool>(requests); }
};

/// Waits for clients at an address. Either receiver() merges the messages of all of them into one channel, or accept()
/// gives a session for each. Destroying it closes it; sessions live on by themselves.
///
/// close(), error() and address() may be called from any thread at any time, accept() and receiver() by one at a time.
class listener {
public:
    /// Listens. Blocks while a host is looked up, or another process starts to listen at the same socket file, for up
    /// to five seconds; a stop of the options ends that.
    ///
    /// Throws std::system_error that names the address: `std::errc::address_in_use` if a living listener has it. A
    /// socket file whose listener has died is replaced. The file is for its owner alone, and is removed by close().
    explicit listener(const ipc::address& where, options chosen = {})
        : options_(std::move(chosen)), socket_(std::make_shared<detail::listening_socket>(where, options_)) {}
    /// Not copyable: it is the only one at its address.
    listener(const listener&) = delete;
    /// Not copyable.
    listener& operator=(const listener&) = delete;
    /// As close().
    ~listener() { close(); }

    /// Where clients find it: with the port that the system has chosen, if it was asked to.
    const ipc::address& address() const noexcept { return socket_->where(); }

    /// The messages of all clients that connect for this type, those of each in the order in which it sent them. A
    /// client that comes or goes, or is closed for what it sent, does not disturb the others. There may always be another
    /// one, so the channel closes only by close(), of the listener or of the receiver.
    ///
    /// Does not block. Throws std::system_error, also if receiver() or accept() was called before. Dropping the
    /// receiver ends the listening.
    template <class T>
    [[nodiscard]] sluice::receiver<T> receiver() {
        const std::lock_guard<std::mutex> held(mutex_);
        if (closed_ || has_acceptor_)
            detail::fail(EINVAL, address().to_string() + ": receiver() or accept() was called before, or it is closed");
        auto ends = bounded<T>(detail::capacity_for<T>(options_.capacity));
        start_acceptor(detail::client_merger<T>(std::move(ends.tx), {address(), options_, group_, errors_}));
        return std::move(ends.rx);
    }

    /// Waits for a client that connects for these types: a receiver of its requests and a sender of replies to it.
    /// Clients for other types are refused, with ipc_errc::wrong_type.
    ///
    /// Blocks until there is one. Returns an empty session if a stop is requested first, or the listener is closed.
    /// Throws std::system_error, also if receiver() was called.
    template <class Request, class Reply>
    [[nodiscard]] session<Request, Reply> accept(const sluice::detail::stop_token& stop = {}) {
        detail::handshake wanted;
        wanted.sent_type = detail::type_id<Request>();
        wanted.returned_type = detail::type_id<Reply>();
        const sluice::receiver<detail::pending_connection> clients = pending_connections();
        for (;;) {
            auto client = clients.recv(stop);
            if (!client) return {};
            if (const std::error_code e = detail::mismatch(*client->read.peer_handshake(), wanted)) {
                errors_->note(e);
                detail::refuse(client->fd, ipc_errc::wrong_type);
                continue;
            }
            auto s = detail::make_socket_stream(std::move(client->fd), address(), loop_, errors_, nullptr,
                                                std::move(client->slot));
            session<Request, Reply> ends{
                s->template open_receiver<Request>(options_, wanted.returned_type, std::move(client->read)),
                s->template open_sender<Reply>(options_, wanted.sent_type)};
            s->set_server_side(std::nullopt);
            detail::with_context(address().to_string(), [&] { detail::start(*loop_, std::move(s), options_.stop); });
            return ends;
        }
    }

    /// Ends the listening, removes the socket file, closes the connections that feed receiver(), whose channel keeps
    /// what it holds, and has accept() return.
    ///
    /// Blocks until all that is done; called by a codec or another function that the library's thread calls, it does
    /// not wait. Does nothing in a forked child, or the second time.
    void close() noexcept {
        if (fork_epoch_ != detail::process::fork_epoch()) return;
        bool had_acceptor;
        {
            const std::lock_guard<std::mutex> held(mutex_);
            had_acceptor = std::exchange(has_acceptor_, false);
            closed_ = true;
            pending_ = {};
        }
        // Where abort_and_wait() did not wait, the acceptor closes the socket.
        if (!had_acceptor || loop_->abort_and_wait(group_)) socket_->close();
    }

    /// Why a connection was last closed or refused, or a client could not be accepted; none if that has not happened.
    /// A clean end of a connection is no error. Does not block.
    [[nodiscard]] std::error_code error() const { return errors_->error(); }

private:
    // Requires mutex_.
    template <class OnClient>
    void start_acceptor(OnClient on_client) {
        auto s =
            std::make_unique<detail::acceptor<OnClient>>(loop_, group_, socket_, slots_, errors_, std::move(on_client));
        detail::with_context(address().to_string(), [&] { detail::start(*loop_, std::move(s), options_.stop); });
        has_acceptor_ = true;
    }

    // The clients for accept(); an empty receiver once it is closed.
    sluice::receiver<detail::pending_connection> pending_connections() {
        const std::lock_guard<std::mutex> held(mutex_);
        if (closed_) return {};
        if (!has_acceptor_) {
            auto ends = unbounded<detail::pending_connection>();
            start_acceptor(detail::handshake_starter(std::move(ends.tx), {address(), options_, group_, errors_}));
            pending_ = std::move(ends.rx);
        } else if (!pending_) {
            detail::fail(EINVAL, address().to_string() + ": receiver() has the clients");
        }
        return pending_;
    }

    const options options_;
    const std::shared_ptr<detail::listening_socket> socket_;
    const std::shared_ptr<ipc::error_sink> errors_ = detail::error_sink_of(options_);
    const std::shared_ptr<detail::client_slots> slots_ = std::make_shared<detail::client_slots>(options_.max_clients);
    const std::shared_ptr<detail::handler_group> group_ = std::make_shared<detail::handler_group>();
    const std::shared_ptr<detail::io_loop> loop_ = detail::loop_for(options_);
    const unsigned fork_epoch_ = detail::process::fork_epoch();
    std::mutex mutex_;
    bool has_acceptor_ = false, closed_ = false;
    sluice::receiver<detail::pending_connection> pending_;
};

namespace detail {

template <class T>
sender<T> connect_one_way(const address& where, const connect_policy& policy, const options& chosen) {
    return connect_stream(where, policy, chosen, [&](stream& s) { return s.open_sender<T>(chosen, 0); });
}
template <class Request, class Reply>
connection<Request, Reply> connect_two_ways(const address& where, const connect_policy& policy, const options& chosen) {
    return connect_stream(where, policy, chosen, [&](stream& s) {
        return connection<Request, Reply>{s.open_sender<Request>(chosen, type_id<Reply>()),
                                          s.open_receiver<Reply>(chosen, type_id<Request>())};
    });
}

}  // namespace detail

/// Connects to a listener that calls receiver() for the same type.
///
/// Blocks while the host is looked up and the connection is made, and while as many clients as the system allows wait
/// to be accepted; a stop of the options ends that. Of a host with several addresses, the first that answers is taken.
/// Throws std::system_error that names the address: if nobody listens there, or another user listens at a socket file.
///
/// Does not wait until the listener has accepted. If it refuses, the channel closes, sends report `closed`, and
/// options::error_sink has the reason. May be called from any thread.
template <class T>
[[nodiscard]] sluice::sender<T> connect(const address& where, const options& chosen = {}) {
    return detail::connect_one_way<T>(where, {}, chosen);
}

/// The same, but waits for a listener if nobody listens there yet. Blocks for up to `timeout` in all, and then throws
/// std::system_error with `std::errc::timed_out`. A thread of the library that still waits for a name server is left
/// to end by itself. A host that is looked up has at least 20 ms for that.
template <class T>
[[nodiscard]] sluice::sender<T> connect(const address& where, const detail::connect_timeout& timeout,
                                        const options& chosen = {}) {
    return detail::connect_one_way<T>(where, {timeout.until, true}, chosen);
}

/// Connects to a listener that calls accept() for the same types; otherwise as connect() for one type.
template <class Request, class Reply>
[[nodiscard]] connection<Request, Reply> connect(const address& where, const options& chosen = {}) {
    return detail::connect_two_ways<Request, Reply>(where, {}, chosen);
}
/// Connects to a listener that calls accept() for the same types; otherwise as connect() for one type and a timeout.
template <class Request, class Reply>
[[nodiscard]] connection<Request, Reply> connect(const address& where, const detail::connect_timeout& timeout,
                                                 const options& chosen = {}) {
    return detail::connect_two_ways<Request, Reply>(where, {timeout.until, true}, chosen);
}

}  // namespace sluice::ipc
