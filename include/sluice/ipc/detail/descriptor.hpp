// A file descriptor that somebody owns, what is done with it, and a way to wake a thread that waits for descriptors.
#pragma once

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/eventfd.h>
#endif

#include <sluice/detail/sync.hpp>
#include <sluice/detail/waiter.hpp>
#include <sluice/ipc/detail/process.hpp>

namespace sluice::ipc::detail {

[[noreturn]] inline void fail(int error, const std::string& what) {
    throw std::system_error(error, std::generic_category(), "sluice: " + what);
}

// What `open` returns. An error of the system that comes out of it names what was to be opened.
template <class F>
auto naming(const std::string& what, F&& open) {
    try {
        return open();
    } catch (const std::system_error& e) {
        std::string why = e.what();
        if (why.find(what) != std::string::npos) throw;
        if (why.starts_with("sluice: ")) why.erase(0, 8);
        const std::string& said = e.code().message();
        if (why.ends_with(said)) why.resize(why.size() - said.size());
        if (why.ends_with(": ")) why.resize(why.size() - 2);
        // Without a word of its own it comes from std::thread.
        if (why.empty() && e.code() == std::errc::resource_unavailable_try_again) why = "no thread can be started";
        throw std::system_error(e.code(), "sluice: " + what + (why.empty() ? "" : ": ") + why);
    }
}

// What others than this user could do with a file; empty if nothing.
inline std::string shared_with_others(const struct stat& found) {
    if (found.st_uid != ::geteuid()) return "it belongs to another user (number " + std::to_string(found.st_uid) + ")";
    if ((found.st_mode & (S_IRWXG | S_IRWXO)) == 0) return {};
    char mode[8] = {};
    std::snprintf(mode, sizeof mode, "%04o", found.st_mode & 07777u);
    return std::string("it is open to others (its mode is ") + mode + ")";
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
    explicit descriptor(heirloom& from) : fd_(process::self().inherit(from)), generation_(process::generation()) {}
    descriptor(descriptor&& other) noexcept
        : fd_(std::exchange(other.fd_, -1)), generation_(other.generation_), blocked_(other.blocked_) {}
    descriptor& operator=(descriptor&& other) noexcept {
        descriptor closed(std::move(other));
        std::swap(fd_, closed.fd_);
        std::swap(generation_, closed.generation_);
        std::swap(blocked_, closed.blocked_);
        return *this;
    }
    ~descriptor() {
        if (get() < 0) return;
        if (blocked_) ::fcntl(fd_, F_SETFL, ::fcntl(fd_, F_GETFL) & ~O_NONBLOCK);
        process::self().close(fd_);
    }

    // Does not block until it is closed; then it does again if it did before, since others may share it and go on with
    // it. False, with errno, on failure.
    bool borrow() noexcept {
        const int flags = ::fcntl(get(), F_GETFL);
        if (flags == -1) return false;
        if ((flags & O_NONBLOCK) != 0) return true;
        blocked_ = ::fcntl(fd_, F_SETFL, flags | O_NONBLOCK) != -1;
        return blocked_;
    }

    int get() const noexcept { return generation_ == process::generation() ? fd_ : -1; }
    explicit operator bool() const noexcept { return get() >= 0; }

private:
    int fd_ = -1;
    unsigned generation_ = 0;
    bool blocked_ = false;  // before it was borrowed
};

// Whether it is one of the last below the limit of the process, which are left to the program.
inline bool is_spared(int fd) noexcept {
    constexpr rlim_t spared = 16;
    rlimit limit{};
    return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
           static_cast<rlim_t>(fd) + spared >= limit.rlim_cur;
}

// ---- Reading and writing without blocking. What was transferred; 0 at the end of the stream; -1 and errno.

// `file` is what is neither: read and written as O_NONBLOCK says.
enum class medium : std::uint8_t { pipe, socket, file };

// A pipe may be shared with processes that let it block again: it is asked each time not to. Linux before 6.4 cannot be
// asked that, nor can other systems, and named pipes: there it depends on O_NONBLOCK alone.
#if defined(__linux__) && defined(RWF_NOWAIT)
// `ask` is the call that asks, `trust` the one that does not.
template <class Ask, class Trust>
ssize_t ask_or_trust(std::atomic<bool>& can_ask, Ask&& ask, Trust&& trust) noexcept {
    if (can_ask.load(std::memory_order_relaxed)) {
        const ssize_t outcome = uninterrupted(ask);
        if (outcome != -1 || (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL)) return outcome;
        can_ask.store(false, std::memory_order_relaxed);
    }
    return uninterrupted(trust);
}
[[gnu::visibility("default")]] inline std::atomic<bool> can_ask_to_read{true}, can_ask_to_write{true};
inline ssize_t read_pipe(int fd, std::byte* to, std::size_t size) noexcept {
    const iovec part{to, size};
    return ask_or_trust(
        can_ask_to_read, [&] { return ::preadv2(fd, &part, 1, -1, RWF_NOWAIT); }, [&] { return ::read(fd, to, size); });
}
inline ssize_t write_pipe(int fd, const iovec* parts, int count) noexcept {
    return ask_or_trust(
        can_ask_to_write, [&] { return ::pwritev2(fd, parts, count, -1, RWF_NOWAIT); },
        [&] { return ::writev(fd, parts, count); });
}
#else
inline ssize_t read_pipe(int fd, std::byte* to, std::size_t size) noexcept {
    return uninterrupted([&] { return ::read(fd, to, size); });
}
inline ssize_t write_pipe(int fd, const iovec* parts, int count) noexcept {
    return uninterrupted([&] { return ::writev(fd, parts, count); });
}
#endif

inline medium medium_of_pipe(int fd) noexcept {
    struct stat found {};
    return ::fstat(fd, &found) == 0 && S_ISFIFO(found.st_mode) ? medium::pipe : medium::file;
}

inline ssize_t read_some(int fd, medium kind, std::byte* to, std::size_t size) noexcept {
    if (kind == medium::pipe) return read_pipe(fd, to, size);
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

#if defined(__linux__) && defined(RWF_NOWAIT)
inline constexpr int no_signal = 0x100;  // RWF_NOSIGNAL, of Linux from 6.18 on
[[gnu::visibility("default")]] inline std::atomic<bool> can_ask_for_no_signal{true};
#endif

inline ssize_t write_some(int fd, medium kind, const iovec* parts, int count) noexcept {
    if (kind != medium::socket) {
        const auto masked = [&] {
            no_sigpipe guard;
            const ssize_t written = kind == medium::pipe ? write_pipe(fd, parts, count)
                                                         : uninterrupted([&] { return ::writev(fd, parts, count); });
            guard.raised = written == -1 && errno == EPIPE;
            return written;
        };
#if defined(__linux__) && defined(RWF_NOWAIT)
        if (kind == medium::pipe) {
            return ask_or_trust(
                can_ask_for_no_signal, [&] { return ::pwritev2(fd, parts, count, -1, RWF_NOWAIT | no_signal); },
                masked);
        }
#endif
        return masked();
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
inline int milliseconds_until(const std::optional<sluice::detail::sync::clock::time_point>& when) noexcept {
    if (!when) return -1;
    const auto now = sluice::detail::sync::clock::now();
    if (*when <= now) return 0;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*when - now);
    return static_cast<int>((std::min<std::chrono::milliseconds::rep>)(left.count(), 60'000));
}

// Waits until one of the two can be read, or may be closed, or it is time to ask `until` again; whether the second one
// can.
inline bool wait_for_either(int first, int second, const sluice::detail::deadline& until) {
    pollfd waiting[] = {{first, POLLIN, 0}, {second, POLLIN, 0}};
#if defined(__linux__)
    timespec left{};
    if (!until.is_never()) {
        const auto now = sluice::detail::sync::clock::now();
        const auto rest = (std::min<sluice::detail::sync::clock::duration>)((std::max)(until.wake_time(), now) - now,
                                                                            std::chrono::hours(1));
        const std::chrono::duration<decltype(left.tv_sec)> seconds = std::chrono::floor<std::chrono::seconds>(rest);
        const std::chrono::duration<decltype(left.tv_nsec), std::nano> fraction = rest - seconds;
        left.tv_sec = seconds.count();
        left.tv_nsec = fraction.count();
    }
    (void)::ppoll(waiting, 2, until.is_never() ? nullptr : &left, nullptr);
#else
    (void)::poll(waiting, 2, milliseconds_until(until.is_never() ? std::nullopt : std::optional(until.wake_time())));
#endif
    return waiting[1].revents != 0;
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
