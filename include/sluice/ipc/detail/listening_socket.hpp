// listening_socket: a socket that listens at a port or at a socket file.
#pragma once

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <string>

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sluice/detail/stop_callback.hpp>
#include <sluice/detail/waiter.hpp>
#include <sluice/ipc/address.hpp>
#include <sluice/ipc/detail/descriptor.hpp>
#include <sluice/ipc/detail/errors.hpp>
#include <sluice/ipc/detail/host_query.hpp>
#include <sluice/ipc/detail/liveness.hpp>
#include <sluice/ipc/detail/native_address.hpp>
#include <sluice/ipc/detail/sockets.hpp>
#include <sluice/ipc/detail/wake_up.hpp>
#include <sluice/ipc/options.hpp>

namespace sluice::ipc::detail {

// A lock on a file beside a socket file, held while that is made or replaced: of two listeners that do so at once, one
// would take the other's file for that of a dead one. The lock's file belongs to this user alone, so that no other
// user can hold it; it is removed with the lock, which the system releases when the process dies. A file that was
// removed by the time that it is locked is made again.
class socket_file_lock {
public:
    socket_file_lock(const address& of, const wake_up& stopped) : path_(of.path() + ".sluice-lock") {
        const auto limit = std::chrono::steady_clock::now() + lock_timeout;
        const std::string what = of.to_string() + ": its lock " + path_;
        for (auto delay = std::chrono::milliseconds(1);;) {
            file_ = descriptor([this]() noexcept {
                constexpr int flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
                return ::open(path_.c_str(), flags, S_IRUSR | S_IWUSR);
            });
            if (!file_) fail(errno, what + " cannot be opened");
            struct stat found {};
            if (::fstat(file_.get(), &found) != 0) fail(errno, what);
            if (!S_ISREG(found.st_mode)) fail(EPERM, what + " is no file: remove it");
            if (const std::string why = access_problem(found); !why.empty())
                fail(EPERM, what + ": " + why + ": remove it, or take another name");
            const bool locked = retry_eintr([this]() noexcept { return ::flock(file_.get(), LOCK_EX | LOCK_NB); }) == 0;
            if (locked && is_still_there(found)) return;
            if (!locked && !would_block(errno))
                fail(errno, what + " cannot be locked: take a folder of another file system");
            if (std::chrono::steady_clock::now() >= limit) fail(ETIMEDOUT, what + " is held by another process");
            pollfd stop{stopped.fd(), POLLIN, 0};
            if (::poll(&stop, 1, static_cast<int>(delay.count())) > 0) fail(ECANCELED, what + " was waited for");
            delay = (std::min)(2 * delay, std::chrono::milliseconds(20));
        }
    }
    socket_file_lock(const socket_file_lock&) = delete;
    socket_file_lock& operator=(const socket_file_lock&) = delete;
    ~socket_file_lock() { ::unlink(path_.c_str()); }

private:
    static constexpr std::chrono::seconds lock_timeout{5};  // it is held for a few system calls

    bool is_still_there(const struct stat& opened) const noexcept {
        struct stat now {};
        return ::lstat(path_.c_str(), &now) == 0 && now.st_dev == opened.st_dev && now.st_ino == opened.st_ino;
    }

    const std::string path_;
    descriptor file_;
};

// A socket that listens, and its socket file, which close() removes.
class listening_socket {
public:
    // Blocks while a host is looked up, and while another process starts to listen at the same file, until a stop is
    // requested. Throws std::system_error.
    listening_socket(const ipc::address& where, const options& chosen) : where_(where) {
        with_context(where.to_string(), [&] {
            wake_up stopped;
            const auto wake = [&stopped] { stopped.signal(); };
            const sluice::detail::stop_callback<decltype(wake)> on_stop(chosen.stop, wake);
            if (where.kind() == ipc::address::family::unix_socket)
                return listen_at_file(native_file_address(where), stopped);
            int error = 0;
            for (const native_address& name : resolve(where, sluice::detail::deadline::never(), stopped)) {
                family_ = name.family();
                error = listen_at_port(name, chosen.dead_after);
                if (error == 0) break;
            }
            if (error != 0) fail(error, where.to_string());
            where_ = ipc::tcp(where.host(), bound_port());
        });
    }
    listening_socket(const listening_socket&) = delete;
    listening_socket& operator=(const listening_socket&) = delete;
    ~listening_socket() { close(); }

    void close() noexcept {
        if (!fd_) return;  // also in a forked child, where the file is the parent's
        // Another listener does not replace the file of one that lives, but a user may have removed it.
        if (family_ == AF_UNIX && is_ours()) ::unlink(path_.c_str());
        fd_ = descriptor();
    }

    int fd() const noexcept { return fd_.get(); }
    int family() const noexcept { return family_; }
    const ipc::address& where() const noexcept { return where_; }

private:
    // Returns 0 or an error number.
    int listen_at_port(const native_address& name, std::chrono::seconds dead_after) {
        fd_ = open_socket(name.family());
        if (!fd_) return errno;
        set_flag(fd_.get(), SOL_SOCKET, SO_REUSEADDR);
        enable_keepalive(fd_.get(), dead_after);
        return bind(name) && ::listen(fd_.get(), SOMAXCONN) == 0 ? 0 : errno;
    }
    void listen_at_file(const native_address& name, const wake_up& stopped) {
        family_ = AF_UNIX;
        path_ = where_.path();
        const socket_file_lock alone(where_, stopped);
        fd_ = open_socket(AF_UNIX);
        if (!fd_) fail(errno, where_.to_string());
#if defined(__linux__)
        ::fchmod(fd_.get(), S_IRUSR | S_IWUSR);  // the mode that the file is made with
#endif
        if (!bind(name)) {
            if (errno != EADDRINUSE) fail(errno, where_.to_string());
            check_dead(name);
            if (::unlink(path_.c_str()) != 0 && errno != ENOENT) fail(errno, where_.to_string());
            if (!bind(name)) fail(errno, where_.to_string());
        }
#if !defined(__linux__)
        // Nobody can connect yet.
        ::fchmodat(AT_FDCWD, path_.c_str(), S_IRUSR | S_IWUSR, AT_SYMLINK_NOFOLLOW);
#endif
        struct stat made {};
        if (::lstat(path_.c_str(), &made) != 0) fail(errno, where_.to_string());
        const std::string why = S_ISSOCK(made.st_mode) ? access_problem(made) : "others have replaced it";
        if (!why.empty()) fail(EPERM, where_.to_string() + ": " + why + ": take a folder of this user alone");
        file_ = made;
        if (::listen(fd_.get(), SOMAXCONN) != 0) {
            const int error = errno;
            ::unlink(path_.c_str());
            fail(error, where_.to_string());
        }
    }
    bool bind(const native_address& name) const noexcept { return ::bind(fd_.get(), name.get(), name.size) == 0; }

    // Throws unless the file is a socket of this user at which nobody listens.
    void check_dead(const native_address& name) const {
        struct stat found {};
        if (::lstat(path_.c_str(), &found) != 0) {
            if (errno == ENOENT) return;
            fail(errno, where_.to_string());
        }
        if (!S_ISSOCK(found.st_mode)) fail(EADDRINUSE, where_.to_string() + ": what is there is no socket");
        if (found.st_uid != ::geteuid()) fail(EADDRINUSE, where_.to_string() + ": " + access_problem(found));
        const descriptor probe = open_socket(AF_UNIX);
        if (!probe) fail(errno, where_.to_string());
        if (::connect(probe.get(), name.get(), name.size) == 0 || errno != ECONNREFUSED)
            fail(EADDRINUSE, where_.to_string());
    }
    bool is_ours() const noexcept {
        struct stat now {};
        return ::lstat(path_.c_str(), &now) == 0 && now.st_dev == file_.st_dev && now.st_ino == file_.st_ino;
    }

    std::uint16_t bound_port() const {
        native_address bound;
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

}  // namespace sluice::ipc::detail
