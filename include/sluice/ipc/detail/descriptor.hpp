// A file descriptor that somebody owns, what is done with it, and a way to wake a thread that waits for descriptors.
#pragma once

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/eventfd.h>
#endif

#include <sluice/ipc/detail/process.hpp>

namespace sluice::ipc::detail {

[[noreturn]] inline void fail(int error, const std::string& what) {
    throw std::system_error(error, std::generic_category(), "sluice: " + what);
}

inline std::error_code from_errno(int error) noexcept { return {error, std::generic_category()}; }

// Calls f again for as long as a signal interrupts it.
template <class F>
auto uninterrupted(F&& f) noexcept {
    for (;;) {
        const auto outcome = f();
        if (outcome != -1 || errno != EINTR) return outcome;
    }
}

// Sets what the calls that make descriptors can set at once on Linux only.
inline bool prepare(int fd, bool nonblocking) noexcept {
    return ::fcntl(fd, F_SETFD, FD_CLOEXEC) != -1 &&
           (!nonblocking || ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK) != -1);
}

// Owns a descriptor of this process: in a child that is forked it is closed, and reads as -1.
class descriptor {
public:
    descriptor() = default;
    // What `open` returns; on failure the descriptor is empty, and errno tells why.
    template <class F>
        requires std::is_invocable_r_v<int, F>
    explicit descriptor(F&& open) : fd_(process::self().open(open)), generation_(process::generation()) {}
    descriptor(descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)), generation_(other.generation_) {}
    descriptor& operator=(descriptor&& other) noexcept {
        descriptor closed(std::move(other));
        std::swap(fd_, closed.fd_);
        std::swap(generation_, closed.generation_);
        return *this;
    }
    ~descriptor() {
        if (get() >= 0) process::self().close(fd_);
    }

    int get() const noexcept { return generation_ == process::generation() ? fd_ : -1; }
    explicit operator bool() const noexcept { return get() >= 0; }

private:
    int fd_ = -1;
    unsigned generation_ = 0;
};

// ---- Reading and writing without blocking. What was transferred; 0 at the end of the stream; -1 and errno.

enum class medium : std::uint8_t { pipe, socket };

inline ssize_t read_some(int fd, medium kind, std::byte* to, std::size_t size) noexcept {
    return uninterrupted(
        [&] { return kind == medium::socket ? ::recv(fd, to, size, MSG_DONTWAIT) : ::read(fd, to, size); });
}

// While it lives, writing to a pipe that nobody reads raises no SIGPIPE in this thread.
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

inline ssize_t write_some(int fd, medium kind, const iovec* parts, int count) noexcept {
    if (kind == medium::pipe) {
        no_sigpipe guard;
        const ssize_t written = uninterrupted([&] { return ::writev(fd, parts, count); });
        guard.raised = written == -1 && errno == EPIPE;
        return written;
    }
    int flags = MSG_DONTWAIT;
#if defined(MSG_NOSIGNAL)
    flags |= MSG_NOSIGNAL;  // elsewhere the socket has SO_NOSIGPIPE
#endif
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(parts);
    message.msg_iovlen = static_cast<decltype(message.msg_iovlen)>(count);
    return uninterrupted([&] { return ::sendmsg(fd, &message, flags); });
}

inline bool would_block(int error) noexcept {
#if EAGAIN != EWOULDBLOCK
    if (error == EWOULDBLOCK) return true;
#endif
    return error == EAGAIN;
}

// ---- Waiting

// As poll() takes it: rounded up, for ever if there is no such time.
inline int milliseconds_until(const std::optional<std::chrono::steady_clock::time_point>& when) noexcept {
    if (!when) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*when - std::chrono::steady_clock::now());
    return static_cast<int>(std::clamp<std::chrono::milliseconds::rep>(left.count(), 0, 60'000));
}

// Makes poll() return in the one thread that waits: it polls fd(), and calls clear() before it looks at what others
// have left for it. A signal given while an earlier one is pending costs nothing: the flag is still up, and who clears
// it looks afterwards.
class wake_up {
public:
    wake_up() {
#if defined(__linux__)
        reading_ = descriptor([] { return ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); });
        if (!reading_) fail(errno, "eventfd");
#else
        int ends[2] = {-1, -1};
        reading_ = descriptor(
            [&] { return ::pipe(ends) == 0 && prepare(ends[0], true) && prepare(ends[1], true) ? ends[0] : -1; });
        const int error = errno;
        if (ends[1] >= 0) writing_ = descriptor([&] { return ends[1]; });
        if (!reading_) fail(error, "pipe");
#endif
    }

    int fd() const noexcept { return reading_.get(); }

    // Set by the one who waits, to be signalled also by those who had nothing to tell.
    std::atomic<bool> curious{false};

    void signal() noexcept {
        if (flag_.exchange(true, std::memory_order_acq_rel)) return;
        const int error = errno;
        const std::uint64_t one = 1;
#if defined(__linux__)
        (void)uninterrupted([&] { return ::write(reading_.get(), &one, sizeof one); });
#else
        (void)uninterrupted([&] { return ::write(writing_.get(), &one, 1); });
#endif
        errno = error;
    }

    void clear() noexcept {
        std::uint64_t count[8];
        (void)uninterrupted([&] { return ::read(reading_.get(), count, sizeof count); });
        flag_.exchange(false, std::memory_order_acq_rel);
    }

private:
    descriptor reading_;
#if !defined(__linux__)
    descriptor writing_;
#endif
    std::atomic<bool> flag_{false};
};

}  // namespace sluice::ipc::detail
