// listener and connect: channels over sockets, between processes that know each other by an address only.
#pragma once

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/types.h>

#include <sluice/channel.hpp>
#include <sluice/detail/waiter.hpp>
#include <sluice/ipc/address.hpp>
#include <sluice/ipc/codec.hpp>
#include <sluice/ipc/detail/accepting.hpp>
#include <sluice/ipc/detail/descriptor.hpp>
#include <sluice/ipc/detail/ends.hpp>
#include <sluice/ipc/detail/frame.hpp>
#include <sluice/ipc/detail/io_loop.hpp>
#include <sluice/ipc/detail/sockets.hpp>
#include <sluice/ipc/detail/stream.hpp>
#include <sluice/ipc/options.hpp>

namespace sluice::ipc {

/// What a client has of a two-way connection. The connection lasts while one of the two does.
template <class Request, class Reply>
struct connection {
    sluice::sender<Request> requests;
    sluice::receiver<Reply> replies;
};

/// What a listener has of a two-way connection; both are empty if there is none.
template <class Request, class Reply>
struct session {
    sluice::receiver<Request> requests;
    sluice::sender<Reply> replies;

    explicit operator bool() const noexcept { return static_cast<bool>(requests); }
};

namespace detail {

inline stream_parts parts_of(descriptor fd, const address& where, std::shared_ptr<io_loop> loop,
                             std::shared_ptr<fault> report) {
    return {std::move(fd), medium::socket, where.kind() == address::family::tcp, std::move(loop), std::move(report)};
}

// What is done with the clients of listener::receiver(): their messages are merged into one channel.
template <class T>
class merging {
public:
    merging(sender<T> to, address where, options chosen, std::shared_ptr<station_group> group,
            std::shared_ptr<fault> report)
        : to_(std::move(to)),
          where_(std::move(where)),
          options_(std::move(chosen)),
          group_(std::move(group)),
          report_(std::move(report)) {}

    void begin(station& accepts) {
        accepts_ = &accepts;
        closing_ = std::make_unique<station_waiter<sluice::detail::waiter>>(accepts);
        closing_->begin();
        if (!core_of(to_)->observe_close(*closing_)) closing_->end();
    }
    void end() {
        closing_->leave([this](auto& w) { return core_of(to_)->unobserve_close(w); });
    }
    bool wanted() const noexcept { return !to_.is_closed(); }

    void operator()(descriptor fd, std::shared_ptr<void> place) const {
        stream_parts parts = parts_of(std::move(fd), where_, accepts_->reach()->loop, report_);
        parts.group = group_;
        parts.place = std::move(place);
        auto client = std::make_unique<stream>(std::move(parts));
        client->receive_into_shared(to_, options_);
        client->serve_client(std::chrono::steady_clock::now() + options_.handshake_timeout);
        run(accepts_->loop(), std::move(client), options_.stop);
    }

private:
    const sender<T> to_;
    const address where_;
    const options options_;
    const std::shared_ptr<station_group> group_;
    const std::shared_ptr<fault> report_;
    station* accepts_ = nullptr;
    std::unique_ptr<station_waiter<sluice::detail::waiter>> closing_;
};

// What is done with those of listener::accept(): who has greeted waits in a channel.
class greeting_all {
public:
    greeting_all(sender<newcomer> to, options chosen, std::shared_ptr<station_group> group,
                 std::shared_ptr<fault> report)
        : to_(std::move(to)), options_(std::move(chosen)), group_(std::move(group)), report_(std::move(report)) {}

    void begin(station& accepts) { accepts_ = &accepts; }
    void end() {}
    bool wanted() const noexcept { return !to_.is_closed(); }

    void operator()(descriptor fd, std::shared_ptr<void> place) const {
        newcomer who{std::move(fd), decoder((std::min)(options_.max_message, longest_message)), std::move(place)};
        run(accepts_->loop(),
            std::make_unique<greeting_station>(accepts_->reach()->loop, group_, std::move(who), to_, report_, options_),
            options_.stop);
    }

private:
    const sender<newcomer> to_;
    const options options_;
    const std::shared_ptr<station_group> group_;
    const std::shared_ptr<fault> report_;
    station* accepts_ = nullptr;
};

}  // namespace detail

/// Waits for clients at an address. Either receiver() merges the messages of all of them into one channel, or accept()
/// gives a session for each. Destroying it ends receiver()'s channel and all connections that feed it; sessions live on
/// by themselves.
///
/// close(), error() and address() may be called from any thread at any time, accept() and receiver() by one at a time.
class listener {
public:
    /// Throws std::system_error that names the address: also if a living listener has it. A socket file whose listener
    /// has died is replaced; the file is for its owner alone, and goes with the listener.
    explicit listener(const ipc::address& where, options chosen = {})
        : options_(std::move(chosen)), socket_(std::make_shared<detail::listening_socket>(where, options_)) {}
    listener(const listener&) = delete;
    listener& operator=(const listener&) = delete;
    ~listener() { close(); }

    /// Where clients find it: with the port that the system has chosen, if it was asked to.
    const ipc::address& address() const noexcept { return socket_->where(); }

    /// The messages of all clients, each client's in the order in which it sent them. A client that comes or goes, or
    /// is thrown out for what it sent, does not disturb the others. Dropping the receiver ends the listening. To be
    /// called once; throws std::system_error.
    template <class T>
    [[nodiscard]] sluice::receiver<T> receiver() {
        const std::lock_guard<std::mutex> held(mutex_);
        if (closed_ || accepts_)
            detail::fail(EINVAL, address().to_string() + ": receiver() or accept() was called before, or it is closed");
        auto ends = bounded<T>(detail::capacity_for<T>(options_));
        begin(detail::merging<T>(std::move(ends.tx), address(), options_, group_, report_));
        return std::move(ends.rx);
    }

    /// Waits for a client that connects for these types: a receiver of its requests and a sender of replies to it.
    /// Others are refused, which their `fault` tells, and error() here. An empty session if a stop was requested, or the
    /// listener was closed. Throws std::system_error.
    template <class Request, class Reply>
    [[nodiscard]] session<Request, Reply> accept(const sluice::detail::stop_token& stop = {}) {
        detail::greeting wanted;
        wanted.forth = detail::type_id<Request>();
        wanted.back = detail::type_id<Reply>();
        const sluice::receiver<detail::newcomer> clients = greeted();
        for (;;) {
            auto client = clients.recv(stop);
            if (!client) return {};
            if (const std::error_code e = detail::mismatch(*client->read.greeted(), wanted)) {
                report_->note(e);
                detail::refuse(client->fd, ipc_errc::wrong_type);
                continue;
            }
            auto requests = bounded<Request>(detail::capacity_for<Request>(options_));
            auto replies = bounded<Reply>(detail::capacity_for<Reply>(options_));
            detail::stream_parts parts = detail::parts_of(std::move(client->fd), address(), loop_, report_);
            parts.place = std::move(client->place);
            auto s = std::make_unique<detail::stream>(std::move(parts));
            s->receive_into(std::move(requests.tx), options_, wanted.back, std::move(client->read));
            s->send_from(std::move(replies.rx), options_, wanted.forth);
            s->serve_client(std::nullopt);
            detail::naming(address().to_string(), [&] { detail::run(*loop_, std::move(s), options_.stop); });
            return {std::move(requests.rx), std::move(replies.tx)};
        }
    }

    /// Ends the listening, removes the socket file, ends receiver()'s connections and lets accept() return, all before
    /// it returns itself. What receiver()'s channel holds can still be received. Called by a codec, it does not wait.
    void close() noexcept {
        if (generation_ != detail::process::generation()) return;  // in a child that was forked
        bool accepts;
        {
            const std::lock_guard<std::mutex> held(mutex_);
            accepts = std::exchange(accepts_, false);
            closed_ = true;
            newcomers_ = {};
        }
        if (!accepts || loop_->abort_and_wait(group_)) socket_->close();  // or else who accepts does it, soon
    }

    /// Why a connection was last closed or refused, other than by a clean end; none if that has not happened.
    [[nodiscard]] std::error_code error() const { return report_->error(); }

private:
    // With the lock held.
    template <class Welcome>
    void begin(Welcome welcome) {
        auto s =
            std::make_unique<detail::accepting<Welcome>>(loop_, group_, socket_, places_, report_, std::move(welcome));
        detail::naming(address().to_string(), [&] { detail::run(*loop_, std::move(s), options_.stop); });
        accepts_ = true;
    }

    // Those who wait to be accepted.
    sluice::receiver<detail::newcomer> greeted() {
        const std::lock_guard<std::mutex> held(mutex_);
        if (closed_) return {};
        if (!accepts_) {
            auto ends = unbounded<detail::newcomer>();
            begin(detail::greeting_all(std::move(ends.tx), options_, group_, report_));
            newcomers_ = std::move(ends.rx);
        } else if (!newcomers_) {
            detail::fail(EINVAL, address().to_string() + ": receiver() has the clients");
        }
        return newcomers_;
    }

    const options options_;
    const std::shared_ptr<detail::listening_socket> socket_;
    const std::shared_ptr<ipc::fault> report_ = detail::fault_of(options_);
    const std::shared_ptr<detail::client_places> places_ =
        std::make_shared<detail::client_places>(options_.max_clients);
    const std::shared_ptr<detail::station_group> group_ = std::make_shared<detail::station_group>();
    const std::shared_ptr<detail::io_loop> loop_ = detail::loop_for(options_);
    const unsigned generation_ = detail::process::generation();
    std::mutex mutex_;
    bool accepts_ = false, closed_ = false;
    sluice::receiver<detail::newcomer> newcomers_;
};

namespace detail {

// Any duration. Not deduced: the template arguments of connect() are the types of messages, which may be numbers as
// well.
struct timeout {
    template <class Rep, class Period>
    timeout(const std::chrono::duration<Rep, Period>& patience) : until(sluice::detail::deadline::after(patience)) {}
    sluice::detail::deadline until;
};

// A stream to the listener for `attach` to put channels on, which runs; what `attach` returns.
template <class F>
auto connect_stream(const address& where, const attempts& how, const options& chosen, F&& attach) {
    return naming(where.to_string(), [&] {
        wake_up stopped;
        const auto wake = [&stopped] { stopped.signal(); };
        const sluice::detail::stop_callback<decltype(wake)> on_stop(chosen.stop, wake);
        descriptor fd = connect_to(where, how, stopped, chosen.dead_after);
        auto s = std::make_unique<stream>(parts_of(std::move(fd), where, loop_for(chosen), fault_of(chosen)));
        auto handles = attach(*s);
        io_loop& loop = s->loop();
        run(loop, std::move(s), chosen.stop);
        return handles;
    });
}

template <class T>
sender<T> connect_one_way(const address& where, const attempts& how, const options& chosen) {
    return connect_stream(where, how, chosen, [&](stream& s) {
        auto ends = bounded<T>(capacity_for<T>(chosen));
        s.send_from(std::move(ends.rx), chosen, 0);
        return std::move(ends.tx);
    });
}

template <class Request, class Reply>
connection<Request, Reply> connect_two_ways(const address& where, const attempts& how, const options& chosen) {
    return connect_stream(where, how, chosen, [&](stream& s) {
        auto requests = bounded<Request>(capacity_for<Request>(chosen));
        auto replies = bounded<Reply>(capacity_for<Reply>(chosen));
        s.send_from(std::move(requests.rx), chosen, type_id<Reply>());
        s.receive_into(std::move(replies.tx), chosen, type_id<Request>());
        return connection<Request, Reply>{std::move(requests.tx), std::move(replies.rx)};
    });
}

}  // namespace detail

/// Connects to a listener that calls receiver() for the same type. Throws std::system_error that names the address,
/// also if nobody listens there, or at a socket file another user does. That the listener takes this type shows only
/// later: if not, it closes the connection, and sends report `closed`. Blocks while as many clients as the system
/// allows wait to be accepted, and for as long as the network takes: to find the host, and to hear whether somebody
/// listens there. Of a host with several addresses, the first that answers is taken. The stop of the options ends that,
/// as an error.
template <class T>
[[nodiscard]] sluice::sender<T> connect(const address& where, const options& chosen = {}) {
    return detail::connect_one_way<T>(where, {}, chosen);
}

/// The same, and if nobody listens there yet, waits for a listener. All of it together takes up to `patience`, then
/// throws std::system_error: also where a name server is silent, whose thread is left behind then, to end by itself.
template <class T>
[[nodiscard]] sluice::sender<T> connect(const address& where, const detail::timeout& patience,
                                        const options& chosen = {}) {
    return detail::connect_one_way<T>(where, {patience.until, true}, chosen);
}

/// Connects to a listener that calls accept() for the same types; otherwise as above.
template <class Request, class Reply>
[[nodiscard]] connection<Request, Reply> connect(const address& where, const options& chosen = {}) {
    return detail::connect_two_ways<Request, Reply>(where, {}, chosen);
}
template <class Request, class Reply>
[[nodiscard]] connection<Request, Reply> connect(const address& where, const detail::timeout& patience,
                                                 const options& chosen = {}) {
    return detail::connect_two_ways<Request, Reply>(where, {patience.until, true}, chosen);
}

}  // namespace sluice::ipc
