// Sockets as the system has them: how one is opened, and how a connection is accepted.
#pragma once

#include <cerrno>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <sluice/ipc/detail/descriptor.hpp>
#include <sluice/ipc/detail/errors.hpp>

namespace sluice::ipc::detail {

inline void set_flag(int fd, int level, int name) noexcept {
    const int on = 1;
    ::setsockopt(fd, level, name, &on, sizeof on);
}

// For a socket that is connected or will be.
inline void set_socket_options(int fd, int family) noexcept {
    if (family != AF_UNIX) {
        set_flag(fd, IPPROTO_TCP, TCP_NODELAY);
        set_flag(fd, SOL_SOCKET, SO_KEEPALIVE);  // see liveness.hpp
    }
#if defined(SO_NOSIGPIPE)
    set_flag(fd, SOL_SOCKET, SO_NOSIGPIPE);
#endif
}

// A new socket that does not block; empty, with errno, on failure.
inline descriptor open_socket(int family) {
    return descriptor([family]() noexcept {
#if defined(__linux__)
        const int fd = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
#else
        const int fd = ::socket(family, SOCK_STREAM, 0);
        if (fd >= 0) set_cloexec_nonblock(fd, true);
#endif
        if (fd >= 0) set_socket_options(fd, family);
        return fd;
    });
}

// The next connection; empty, with errno, if there is none.
inline descriptor accept_from(int listening, int family) {
    return descriptor([=]() noexcept {
        return retry_eintr([=]() noexcept {
#if defined(__linux__)
            const int fd = ::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
#else
            const int fd = ::accept(listening, nullptr, nullptr);
            if (fd >= 0) set_cloexec_nonblock(fd, true);
#endif
            if (fd >= 0) set_socket_options(fd, family);
            return fd;
        });
    });
}

// Whether accept() failed only since no client waits; another error may last.
inline bool is_transient(int error) noexcept { return would_block(error) || error == ECONNABORTED; }

}  // namespace sluice::ipc::detail
