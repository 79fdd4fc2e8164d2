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

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sluice/channel.hpp>
#include <sluice/detail/wait.hpp>
#include <sluice/ipc/address.hpp>
#include <sluice/ipc/codec.hpp>
#include <sluice/ipc/detail/descriptor.hpp>
#include <sluice/ipc/detail/ends.hpp>
#include <sluice/ipc/detail/frame.hpp>
#include <sluice/ipc/detail/pump.hpp>
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

// ---- Sockets

inline void set_flag(int fd, int level, int name) noexcept {
    const int on = 1;
    ::setsockopt(fd, level, name, &on, sizeof on);
}

// Of a socket that is connected or will be.
inline void tune(int fd, int family) noexcept {
    if (family != AF_UNIX) {
        set_flag(fd, IPPROTO_TCP, TCP_NODELAY);
        set_flag(fd, SOL_SOCKET, SO_KEEPALIVE);  // a machine that has died does not say so
    }
#if defined(SO_NOSIGPIPE)
    set_flag(fd, SOL_SOCKET, SO_NOSIGPIPE);
#endif
}

// A new socket; empty, with errno, on failure.
inline descriptor open_socket(int family) {
    return descriptor([family]() noexcept {
#if defined(__linux__)
        const int fd = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
#else
        const int fd = ::socket(family, SOCK_STREAM, 0);
        if (fd >= 0) prepare(fd, true);
#endif
        if (fd >= 0) tune(fd, family);
        return fd;
    });
}

// The next connection; empty, with errno, if there is none.
inline descriptor accept_from(int listening, int family) {
    return descriptor([=]() noexcept {
        return uninterrupted([=]() noexcept {
#if defined(__linux__)
            const int fd = ::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
#else
            const int fd = ::accept(listening, nullptr, nullptr);
            if (fd >= 0) prepare(fd, true);
#endif
            if (fd >= 0) tune(fd, family);
            return fd;
        });
    });
}

// Whether there is just nobody to accept: another reason for accept() to fail may last.
inline bool nobody_waits(int error) noexcept { return would_block(error) || error == ECONNABORTED; }

// Connects; 0 or an error number. The call may be interrupted: then it goes on by itself.
inline int connect_socket(const descriptor& fd, const socket_name& to, const sluice::detail::deadline& until,
                          const wake_up& stopped) {
    if (::connect(fd.get(), to.get(), to.size) == 0) return 0;
    if (errno != EINPROGRESS && errno != EINTR) return errno;
    for (;;) {
        pollfd waiting[] = {{fd.get(), POLLOUT, 0}, {stopped.fd(), POLLIN, 0}};
        const auto patience = until.is_never() ? std::nullopt : std::optional(until.next_look());
        const int ready = ::poll(waiting, 2, milliseconds_until(patience));
        if (ready < 0 && errno != EINTR) return errno;
        if (ready > 0 && waiting[1].revents != 0) return ECANCELED;
        if (ready > 0) break;
        if (until.passed()) return ETIMEDOUT;
    }
    int error = 0;
    socklen_t size = sizeof error;
    if (::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) return errno;
    return error;
}

// How connect() goes about it.
struct attempts {
    sluice::detail::deadline until = sluice::detail::deadline::never();
    bool patient = false;  // tries again where nobody listens
};

// A connection to whoever listens. The system tells nobody that a listener has appeared, so that who waits for one
// looks again and again, at growing distances up to a fiftieth of a second, until the deadline or until `stopped`.
inline descriptor connect_to(const address& where, const attempts& how, const wake_up& stopped) {
    const std::vector<socket_name> names = resolve(where);
    for (auto nap = std::chrono::milliseconds(1);; nap = (std::min)(2 * nap, std::chrono::milliseconds(20))) {
        int error = 0;
        for (const socket_name& name : names) {
            descriptor fd = open_socket(name.family());
            error = fd ? connect_socket(fd, name, how.until, stopped) : errno;
            if (error == 0) return fd;
        }
        // EAGAIN: the listener is there, with more clients waiting than it has room for.
        const bool absent = error == ENOENT || error == ECONNREFUSED || error == ECONNRESET;
        if (error != EAGAIN && !(how.patient && absent)) fail(error, where.to_string());
        if (how.until.passed()) fail(ETIMEDOUT, where.to_string());
        pollfd stop{stopped.fd(), POLLIN, 0};
        if (::poll(&stop, 1, static_cast<int>(nap.count())) > 0) fail(ECANCELED, where.to_string());
    }
}

// ---- Listening

// Holds a folder against others who make or remove sockets in it; the system lets go of it even when we die.
class folder_lock {
public:
    explicit folder_lock(const std::string& path)
        : folder_([&]() noexcept {
              const std::size_t slash = path.find_last_of('/');
              const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
              return ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
          }) {
        if (folder_) uninterrupted([&] { return ::flock(folder_.get(), LOCK_EX); });
    }

private:
    const descriptor folder_;
};

// A socket that listens; for a socket file, also that file, which goes when it is closed.
class listening_socket {
public:
    explicit listening_socket(const ipc::address& where) : where_(where) {
        int error = 0;
        for (const socket_name& name : resolve(where)) {
            family_ = name.family();
            error = family_ == AF_UNIX ? listen_at_file(name) : listen_at_port(name);
            if (error == 0) break;
        }
        if (error != 0) fail(error, where.to_string());
        if (family_ != AF_UNIX) where_ = ipc::tcp(where.host(), bound_port());
    }
    listening_socket(const listening_socket&) = delete;
    listening_socket& operator=(const listening_socket&) = delete;
    ~listening_socket() { close(); }

    void close() noexcept {
        if (!fd_) return;  // also in a forked child: the file is its parent's
        // While this socket listens nobody replaces its file; but somebody may have removed it, and another come.
        if (family_ == AF_UNIX && is_ours()) ::unlink(path_.c_str());
        fd_ = descriptor();
    }

    int fd() const noexcept { return fd_.get(); }
    int family() const noexcept { return family_; }
    const ipc::address& where() const noexcept { return where_; }

private:
    // Both give an error number, or 0.
    int listen_at_port(const socket_name& name) {
        fd_ = open_socket(name.family());
        if (!fd_) return errno;
        set_flag(fd_.get(), SOL_SOCKET, SO_REUSEADDR);
        return bind(name) && ::listen(fd_.get(), SOMAXCONN) == 0 ? 0 : errno;
    }
    int listen_at_file(const socket_name& name) {
        path_ = where_.path();
        const folder_lock alone(path_);
        fd_ = open_socket(AF_UNIX);
        if (!fd_) return errno;
        ::fchmod(fd_.get(), S_IRUSR | S_IWUSR);  // what Linux gives to the file from the first moment
        if (!bind(name)) {
            if (errno != EADDRINUSE) return errno;
            if (!is_dead_socket(name)) return EADDRINUSE;
            ::unlink(path_.c_str());
            if (!bind(name)) return errno;
        }
        if (::chmod(path_.c_str(), S_IRUSR | S_IWUSR) == 0 && ::lstat(path_.c_str(), &file_) == 0 &&
            ::listen(fd_.get(), SOMAXCONN) == 0) {
            return 0;
        }
        const int error = errno;
        ::unlink(path_.c_str());
        return error;
    }
    bool bind(const socket_name& name) const noexcept { return ::bind(fd_.get(), name.get(), name.size) == 0; }

    // Whether the file is a socket at which nobody listens.
    bool is_dead_socket(const socket_name& name) const {
        struct stat found {};
        if (::lstat(path_.c_str(), &found) != 0 || !S_ISSOCK(found.st_mode)) return false;
        const descriptor probe = open_socket(AF_UNIX);
        return probe && ::connect(probe.get(), name.get(), name.size) != 0 && errno == ECONNREFUSED;
    }
    bool is_ours() const noexcept {
        struct stat now {};
        return ::lstat(path_.c_str(), &now) == 0 && now.st_dev == file_.st_dev && now.st_ino == file_.st_ino;
    }

    std::uint16_t bound_port() const {
        socket_name bound;
        bound.size = sizeof bound.storage;
        if (::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&bound.storage), &bound.size) != 0)
            fail(errno, where_.to_string());
        const void* const name = bound.get();
        return ntohs(bound.family() == AF_INET6 ? static_cast<const sockaddr_in6*>(name)->sin6_port
                                                : static_cast<const sockaddr_in*>(name)->sin_port);
    }

    ipc::address where_;
    std::string path_;
    descriptor fd_;
    int family_ = AF_UNSPEC;
    struct stat file_ {};
};

inline std::unique_ptr<stream> stream_over(descriptor fd, const address& where, pump& by,
                                           std::shared_ptr<fault> report) {
    return std::make_unique<stream>(stream_parts{std::move(fd), medium::socket, where.kind() == address::family::tcp,
                                                 by.waking(), std::move(report)});
}

// Accepts clients and merges their messages into one channel.
template <class T>
class merging_station final : public station {
public:
    merging_station(std::shared_ptr<listening_socket> socket, sender<T> to, const options& chosen, pump& by,
                    std::shared_ptr<fault> report)
        : socket_(std::move(socket)),
          to_(std::move(to)),
          options_(chosen),
          pump_(by),
          report_(std::move(report)),
          closing_(by.waking()) {
        closing_.begin();
        core_of(to_)->watch_closing(closing_);
    }
    ~merging_station() override {
        closing_.leave([this](auto& w) { return core_of(to_)->unwatch_closing(w); });
    }

    bool work(short events) override {
        if (over_ || to_.is_closed()) {
            socket_->close();
            return false;
        }
        retry_.reset();
        if (events != 0) accept_all();
        return true;
    }
    pollfd interest() const noexcept override { return {retry_ ? -1 : socket_->fd(), POLLIN, 0}; }
    std::optional<std::chrono::steady_clock::time_point> retry() const noexcept override { return retry_; }
    void finish() noexcept override { over_ = true; }
    void abort(std::error_code why) noexcept override {
        report_->note(why);
        over_ = true;
    }

private:
    void accept_all() noexcept {
        for (int n = 0; n < 64; ++n) {
            try {
                descriptor fd = accept_from(socket_->fd(), socket_->family());
                if (!fd) return refused(errno);
                auto client = stream_over(std::move(fd), socket_->where(), pump_, report_);
                client->receive_into(to_, options_, 0);
                pump_.add(std::move(client));
            } catch (...) {
                report_->note(current_error());
                return;
            }
        }
    }
    // Mostly the lack of descriptors. Who waits to be accepted keeps the socket readable, so that it is not looked at
    // for a while.
    void refused(int error) noexcept {
        if (nobody_waits(error)) return;
        report_->note(from_errno(error));
        retry_ = std::chrono::steady_clock::now() + std::chrono::milliseconds(50);
    }

    const std::shared_ptr<listening_socket> socket_;
    const sender<T> to_;
    const options options_;
    pump& pump_;
    const std::shared_ptr<fault> report_;
    pump_waiter<sluice::detail::waiter> closing_;
    std::optional<std::chrono::steady_clock::time_point> retry_;
    bool over_ = false;
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
        : options_(std::move(chosen)), socket_(std::make_shared<detail::listening_socket>(where)) {}
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
        if (closed_.load() || pump_)
            detail::fail(EINVAL, address().to_string() + ": receiver() was called before, or the listener is closed");
        auto ends = bounded<T>(detail::capacity_for<T>(options_));
        const std::shared_ptr<detail::pump> p = detail::pump::make();
        p->add(std::make_unique<detail::merging_station<T>>(socket_, std::move(ends.tx), options_, *p, report_));
        detail::pump::start(p, options_.stop);
        pump_ = p;
        return std::move(ends.rx);
    }

    /// Waits for a client that connects for these types: a receiver of its requests and a sender of replies to it.
    /// Others are thrown out, which error() tells. An empty session if a stop was requested, or the listener was
    /// closed. Throws std::system_error.
    template <class Request, class Reply>
    [[nodiscard]] session<Request, Reply> accept(const sluice::detail::stop_token& stop = {}) {
        detail::greeting wanted;
        wanted.forth = detail::type_id<Request>();
        wanted.back = detail::type_id<Reply>();
        std::optional<newcomer> client = next_client(wanted, stop);
        if (!client) return {};

        auto requests = bounded<Request>(detail::capacity_for<Request>(options_));
        auto replies = bounded<Reply>(detail::capacity_for<Reply>(options_));
        const std::shared_ptr<detail::pump> p = detail::pump::make();
        auto s = detail::stream_over(std::move(client->fd), address(), *p, report_);
        s->receive_into(std::move(requests.tx), wanted.back, std::move(client->read));
        s->send_from(std::move(replies.rx), options_, wanted.forth);
        p->add(std::move(s));
        detail::pump::start(p, options_.stop);
        return {std::move(requests.rx), std::move(replies.tx)};
    }

    /// Ends the listening, removes the socket file, ends receiver()'s connections and lets accept() return, all before
    /// it returns itself. What receiver()'s channel holds can still be received.
    void close() noexcept {
        closed_.store(true, std::memory_order_release);
        wake_.signal();
        const std::lock_guard<std::mutex> held(mutex_);
        if (const auto p = std::exchange(pump_, nullptr); p && generation_ == detail::process::generation())
            p->stop_and_wait();
        newcomers_.clear();
        socket_->close();
    }

    /// Why a connection was last closed or refused, other than by a clean end; none if that has not happened.
    [[nodiscard]] std::error_code error() const { return report_->error(); }

private:
    // A client that has not greeted yet.
    struct newcomer {
        detail::descriptor fd;
        detail::decoder read;
    };

    std::optional<newcomer> next_client(const detail::greeting& wanted, const sluice::detail::stop_token& stop) {
        const std::lock_guard<std::mutex> held(mutex_);
        if (pump_) detail::fail(EINVAL, address().to_string() + ": receiver() has the clients");
        const auto wake = [this] { wake_.signal(); };
        const sluice::detail::stop_callback<decltype(wake)> on_stop(stop, wake), on_end(options_.stop, wake);
        std::vector<pollfd> polled;
        for (;;) {
            if (closed_.load(std::memory_order_acquire) || stop.stop_requested() || options_.stop.stop_requested())
                return {};
            polled.assign({{wake_.fd(), POLLIN, 0}, {socket_->fd(), POLLIN, 0}});
            for (const newcomer& n : newcomers_) polled.push_back({n.fd.get(), POLLIN, 0});
            const auto count = static_cast<unsigned>(polled.size());
            if (detail::uninterrupted([&] { return ::poll(polled.data(), count, -1); }) < 0)
                detail::fail(errno, address().to_string());
            if (polled[0].revents != 0) wake_.clear();
            auto next = newcomers_.begin();
            for (std::size_t i = 2; i < polled.size(); ++i) {
                const progress p = polled[i].revents != 0 ? hear(*next, wanted) : progress::waiting;
                if (p == progress::waiting) {
                    ++next;
                    continue;
                }
                newcomer n = std::move(*next);
                next = newcomers_.erase(next);
                if (p == progress::greeted) return n;
            }
            if (polled[1].revents == 0) continue;
            detail::descriptor fd = detail::accept_from(socket_->fd(), socket_->family());
            if (fd) {
                newcomers_.push_back(
                    {std::move(fd), detail::decoder((std::min)(options_.max_message, detail::longest_message))});
            } else if (!detail::nobody_waits(errno)) {
                detail::fail(errno, address().to_string());
            }
        }
    }

    enum class progress : std::uint8_t { waiting, greeted, gone };
    progress hear(newcomer& from, const detail::greeting& wanted) {
        const std::span<std::byte> space = from.read.space();
        const ssize_t size = detail::read_some(from.fd.get(), detail::medium::socket, space.data(), space.size());
        if (size < 0 && detail::would_block(errno)) return progress::waiting;
        if (size <= 0) {
            if (!from.read.silent()) report_->note(make_error_code(std::errc::connection_reset));
            return progress::gone;
        }
        from.read.received(static_cast<std::size_t>(size));
        std::span<const std::byte> none;
        const auto found = from.read.next(none);
        if (found == detail::decoder::found::nothing) return progress::waiting;
        const std::error_code e = found == detail::decoder::found::greeting
                                      ? detail::mismatch(*from.read.greeted(), wanted)
                                      : from.read.error();
        if (!e) return progress::greeted;
        report_->note(e);
        return progress::gone;
    }

    const options options_;
    const std::shared_ptr<detail::listening_socket> socket_;
    const std::shared_ptr<ipc::fault> report_ = detail::fault_of(options_);
    const unsigned generation_ = detail::process::generation();
    detail::wake_up wake_;  // of accept()
    std::atomic<bool> closed_{false};
    std::mutex mutex_;
    std::shared_ptr<detail::pump> pump_;
    std::vector<newcomer> newcomers_;
};

namespace detail {

// Any duration. Not deduced: the template arguments of connect() are the types of messages, which may be numbers as
// well.
struct timeout {
    template <class Rep, class Period>
    timeout(const std::chrono::duration<Rep, Period>& patience) : until(sluice::detail::deadline::after(patience)) {}
    sluice::detail::deadline until;
};

// A stream to the listener for `attach` to put channels on, and a pump that runs it; what `attach` returns.
template <class F>
auto connect_stream(const address& where, const attempts& how, const options& chosen, F&& attach) {
    const std::shared_ptr<pump> p = pump::make();
    const auto wake = [&p] { p->waking()->signal(); };
    const sluice::detail::stop_callback<decltype(wake)> on_stop(chosen.stop, wake);
    descriptor fd = connect_to(where, how, *p->waking());
    auto s = stream_over(std::move(fd), where, *p, fault_of(chosen));
    auto handles = attach(*s);
    p->add(std::move(s));
    pump::start(p, chosen.stop);
    return handles;
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
/// also if nobody listens there. That the listener takes this type shows only later: if not, it closes the connection,
/// and sends report `closed`. Blocks while as many clients as the system allows wait to be accepted.
template <class T>
[[nodiscard]] sluice::sender<T> connect(const address& where, const options& chosen = {}) {
    return detail::connect_one_way<T>(where, {}, chosen);
}

/// The same, and if nobody listens there yet, waits for a listener for up to `patience`, or until the stop of the
/// options is requested; both throw std::system_error too.
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
