// Connecting to a listener: to one of several addresses, until a deadline.
#pragma once

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <sluice/detail/waiter.hpp>
#include <sluice/ipc/address.hpp>
#include <sluice/ipc/detail/descriptor.hpp>
#include <sluice/ipc/detail/errors.hpp>
#include <sluice/ipc/detail/host_query.hpp>
#include <sluice/ipc/detail/liveness.hpp>
#include <sluice/ipc/detail/native_address.hpp>
#include <sluice/ipc/detail/sockets.hpp>
#include <sluice/ipc/detail/wake_up.hpp>

namespace sluice::ipc::detail {

// For a socket that has just connected: 0, or an error number. A socket that the system has given the very port that it
// connects to, where nobody listens, is connected to itself: it is reset when it is closed, as TIME_WAIT would keep the
// port from a listener for a minute.
inline int check_connected(int fd) noexcept {
    native_address us, them;
    us.size = them.size = sizeof us.storage;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&us.storage), &us.size) != 0) return errno;
    if (us.family() == AF_UNIX) return 0;
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&them.storage), &them.size) != 0) return errno;
    if (us.size != them.size || std::memcmp(&us.storage, &them.storage, us.size) != 0) return 0;
    const linger at_once{1, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    return ECONNREFUSED;
}

inline bool is_absent(int error) noexcept { return error == ENOENT || error == ECONNREFUSED || error == ECONNRESET; }

// Connects to the first of several addresses that answers; empty, with an error number, if none does. While one does
// not answer, the next is tried beside it, as in RFC 8305, so that all are tried before the deadline.
class connection_race {
public:
    connection_race(const std::vector<native_address>& addresses, const sluice::detail::deadline& until,
                    const wake_up& stopped)
        : addresses_(addresses), until_(until), stopped_(stopped) {}

    descriptor connect(int& error) {
        for (;;) {
            if (next_ < addresses_.size() && (started_.empty() || clock::now() >= next_start_)) {
                if (descriptor fd = start(addresses_[next_++])) return fd;
                continue;
            }
            error = error_;
            if (started_.empty()) return {};
            fill_pollfds();
            const int ready = ::poll(polled_.data(), polled_.size(), milliseconds_until(wake_time()));
            if (ready < 0 && errno != EINTR) return failed_by(errno, error);
            if (ready <= 0) {
                if (until_.passed()) return failed_by(ETIMEDOUT, error);
                continue;
            }
            if (polled_[0].revents != 0) return failed_by(ECANCELED, error);
            if (descriptor fd = check_started()) return fd;
        }
    }

private:
    using clock = std::chrono::steady_clock;

    // The socket if it is connected at once.
    descriptor start(const native_address& name) {
        descriptor fd = open_socket(name.family());
        if (!fd) return record_error(errno);
        int error = ::connect(fd.get(), name.get(), name.size) == 0 ? 0 : errno;
        if (error == EINPROGRESS || error == EINTR) {  // an interrupted call goes on by itself
            started_.push_back(std::move(fd));
            next_start_ = clock::now() + stagger();
            return {};
        }
        if (error == 0) error = check_connected(fd.get());
        return error == 0 ? std::move(fd) : record_error(error);
    }
    descriptor check_started() {
        for (std::size_t i = started_.size(); i-- > 0;) {
            if (polled_[i + 1].revents == 0) continue;
            descriptor fd = std::move(started_[i]);
            started_.erase(started_.begin() + static_cast<std::ptrdiff_t>(i));
            int error = 0;
            socklen_t size = sizeof error;
            if (::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
            if (error == 0) error = check_connected(fd.get());
            if (error == 0) return fd;
            (void)record_error(error);
        }
        return {};
    }
    void fill_pollfds() {
        polled_.assign(1, {stopped_.fd(), POLLIN, 0});
        for (const descriptor& fd : started_) polled_.push_back({fd.get(), POLLOUT, 0});
    }
    std::optional<clock::time_point> wake_time() const {
        std::optional<clock::time_point> when;
        if (!until_.is_never()) when = until_.wake_time();
        if (next_ < addresses_.size()) when = when ? (std::min)(*when, next_start_) : next_start_;
        return when;
    }
    clock::duration stagger() const {
        constexpr clock::duration max_share = std::chrono::milliseconds(250);
        if (until_.is_never()) return max_share;
        const clock::time_point now = clock::now(), end = until_.wake_time();
        if (end <= now) return {};
        return (std::min)(max_share, (end - now) / static_cast<clock::rep>(2 * (addresses_.size() - next_ + 1)));
    }
    static descriptor failed_by(int why, int& error) noexcept {
        error = why;
        return {};
    }
    // Keeps the error that says most about whether somebody listens. EAGAIN says that somebody does, and that too many
    // clients wait.
    descriptor record_error(int error) {
        const auto weight = [](int e) { return e == EAGAIN ? 3 : is_absent(e) ? 2 : e != 0 ? 1 : 0; };
        if (weight(error) >= weight(error_)) error_ = error;
        return {};
    }

    const std::vector<native_address>& addresses_;
    const sluice::detail::deadline& until_;
    const wake_up& stopped_;
    std::size_t next_ = 0;
    clock::time_point next_start_;
    std::vector<descriptor> started_;
    std::vector<pollfd> polled_;
    int error_ = 0;
};

// When connect_to() gives up.
struct connect_policy {
    sluice::detail::deadline until = sluice::detail::deadline::never();
    bool retries = false;  // where nobody listens yet
};

// Throws unless this user listens at a socket file: its owner does not say who listens.
inline void check_peer_user(const descriptor& fd, const address& where) {
#if defined(SO_PEERCRED)
    ucred who{};
    socklen_t size = sizeof who;
    if (::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &who, &size) != 0) fail(errno, where.to_string());
    const uid_t user = who.uid;
#else
    uid_t user = 0;
    gid_t group = 0;
    if (::getpeereid(fd.get(), &user, &group) != 0) fail(errno, where.to_string());
#endif
    if (user != ::geteuid())
        fail(EPERM, where.to_string() + ": who listens there is another user (number " + std::to_string(user) + ")");
}

// Connects to a listener. The system does not report that one has appeared: where that is waited for, tries again
// after 1 to 20 ms, until the deadline or until `stopped` is signalled. Throws std::system_error.
inline descriptor connect_to(const address& where, const connect_policy& how, const wake_up& stopped,
                             std::chrono::seconds dead_after) {
    const std::vector<native_address> addresses = resolve(where, how.until, stopped);
    for (auto delay = std::chrono::milliseconds(1);; delay = (std::min)(2 * delay, std::chrono::milliseconds(20))) {
        int error = 0;
        if (descriptor fd = connection_race(addresses, how.until, stopped).connect(error)) {
            if (where.kind() == address::family::tcp) {
                enable_keepalive(fd.get(), dead_after);
            } else {
                check_peer_user(fd, where);
            }
            return fd;
        }
        if (error != EAGAIN && !(how.retries && is_absent(error))) fail(error, where.to_string());
        if (how.until.passed()) fail(ETIMEDOUT, where.to_string());
        pollfd stop{stopped.fd(), POLLIN, 0};
        if (::poll(&stop, 1, static_cast<int>(delay.count())) > 0) fail(ECANCELED, where.to_string());
    }
}

}  // namespace sluice::ipc::detail
