// Reading and writing without blocking: pipes, sockets and other files. Each call returns what was transferred; 0 at
// the end of the stream; -1 with errno.
#pragma once

#include <atomic>
#include <cerrno>
#include <cstddef>

#include <signal.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <sluice/detail/compiler.hpp>
#include <sluice/ipc/detail/errors.hpp>

namespace sluice::ipc::detail {

// While it lives, a write to a pipe without a reader raises no SIGPIPE in this thread.
class no_sigpipe {
public:
    no_sigpipe() noexcept {
        ::sigemptyset(&sigpipe_);
        ::sigaddset(&sigpipe_, SIGPIPE);
        ::pthread_sigmask(SIG_BLOCK, &sigpipe_, &before_);
        blocked_before_ = ::sigismember(&before_, SIGPIPE) == 1;
        was_pending_ = blocked_before_ && is_pending();  // otherwise it would have been delivered
    }
    no_sigpipe(const no_sigpipe&) = delete;
    no_sigpipe& operator=(const no_sigpipe&) = delete;
    ~no_sigpipe() {
        const int error = errno;
        int taken = 0;
        if (raised && !was_pending_ && is_pending()) ::sigwait(&sigpipe_, &taken);
        if (!blocked_before_) ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
        errno = error;
    }

    bool raised = false;

private:
    static bool is_pending() noexcept {
        sigset_t pending;
        return ::sigpending(&pending) == 0 && ::sigismember(&pending, SIGPIPE) == 1;
    }

    sigset_t sigpipe_, before_;
    bool blocked_before_, was_pending_;
};

template <class Write>
ssize_t without_sigpipe(Write&& write) noexcept {
    no_sigpipe guard;
    const ssize_t written = retry_eintr(write);
    guard.raised = written == -1 && errno == EPIPE;
    return written;
}

// ---- Anything that has a descriptor: whether it blocks depends on O_NONBLOCK

inline ssize_t read_file(int fd, std::byte* to, std::size_t size) noexcept {
    return retry_eintr([&] { return ::read(fd, to, size); });
}
inline ssize_t write_file(int fd, const iovec* parts, int count) noexcept {
    return without_sigpipe([&] { return ::writev(fd, parts, count); });
}

// ---- Pipes. Other processes may share one and clear its O_NONBLOCK, so each call asks not to block. Linux before 6.4
// and other systems cannot be asked, nor can named pipes: there it depends on O_NONBLOCK.

#if defined(__linux__) && defined(RWF_NOWAIT)
// Calls `preferred`, or `fallback` once the system has said that it does not know the former.
template <class Preferred, class Fallback>
ssize_t call_if_supported(std::atomic<bool>& supported, Preferred&& preferred, Fallback&& fallback) noexcept {
    if (supported.load(std::memory_order_relaxed)) {
        const ssize_t result = retry_eintr(preferred);
        if (result != -1 || (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL)) return result;
        supported.store(false, std::memory_order_relaxed);
    }
    return fallback();
}
SLUICE_SHARED inline std::atomic<bool> can_read_nowait{true}, can_write_nowait{true};
SLUICE_SHARED inline std::atomic<bool> can_write_nosignal{true};
inline constexpr int rwf_nosignal = 0x100;  // RWF_NOSIGNAL, of Linux from 6.18 on

inline ssize_t read_pipe(int fd, std::byte* to, std::size_t size) noexcept {
    const iovec part{to, size};
    return call_if_supported(
        can_read_nowait, [&] { return ::preadv2(fd, &part, 1, -1, RWF_NOWAIT); },
        [&] { return read_file(fd, to, size); });
}
inline ssize_t write_pipe(int fd, const iovec* parts, int count) noexcept {
    const auto masked = [&] {
        return call_if_supported(
            can_write_nowait,
            [&] { return without_sigpipe([&] { return ::pwritev2(fd, parts, count, -1, RWF_NOWAIT); }); },
            [&] { return write_file(fd, parts, count); });
    };
    return call_if_supported(
        can_write_nosignal, [&] { return ::pwritev2(fd, parts, count, -1, RWF_NOWAIT | rwf_nosignal); }, masked);
}
#else
inline ssize_t read_pipe(int fd, std::byte* to, std::size_t size) noexcept { return read_file(fd, to, size); }
inline ssize_t write_pipe(int fd, const iovec* parts, int count) noexcept { return write_file(fd, parts, count); }
#endif

// ---- Sockets

inline ssize_t read_socket(int fd, std::byte* to, std::size_t size) noexcept {
    return retry_eintr([&] { return ::recv(fd, to, size, MSG_DONTWAIT); });
}
inline ssize_t write_socket(int fd, const iovec* parts, int count) noexcept {
    int flags = MSG_DONTWAIT;
#if defined(MSG_NOSIGNAL)
    flags |= MSG_NOSIGNAL;  // elsewhere the socket has SO_NOSIGPIPE
#endif
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(parts);
    message.msg_iovlen = static_cast<decltype(message.msg_iovlen)>(count);
    return retry_eintr([&] { return ::sendmsg(fd, &message, flags); });
}

}  // namespace sluice::ipc::detail
