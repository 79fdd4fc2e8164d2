// event_signal: a descriptor that is readable from set() to clear(), by which one thread wakes another that polls.
#pragma once

#include <cerrno>
#include <cstdint>
#include <system_error>
#include <type_traits>

#include <fcntl.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/eventfd.h>
#endif

#include <sluice/detail/throw.hpp>

namespace sluice::detail {

// Owns the descriptor that `open` returns; none, with errno, where that fails.
class owned_fd {
public:
    template <class F>
        requires std::is_invocable_r_v<int, F>
    explicit owned_fd(F&& open) : fd_(open()) {}
    owned_fd(const owned_fd&) = delete;
    owned_fd& operator=(const owned_fd&) = delete;
    ~owned_fd() {
        if (fd_ >= 0) ::close(fd_);
    }

    int get() const noexcept { return fd_; }
    explicit operator bool() const noexcept { return fd_ >= 0; }

private:
    const int fd_;
};

// Writes the eight bytes that an eventfd takes, or reads up to as many. It does not block; errno stays as it was.
template <class F>
void transfer_signal(F&& transfer) noexcept {
    const int error = errno;
    std::uint64_t count = 1;
    while (transfer(&count) == -1 && errno == EINTR) {
    }
    errno = error;
}

// With a pipe, of which both ends are open, and set not to block and to close on exec in the same step. The owners of descriptors are of a type like owned_fd. Whoever calls set()
// many times without a clear() fills the pipe, and then writes no more: it is readable.
template <class Fd>
class pipe_signal {
public:
    // Throws std::system_error.
    pipe_signal() : reading_([this] { return open(); }), writing_([this] { return ends_[1]; }) {
        if (!reading_ || !writing_) throw_error(std::system_error(error_, std::generic_category(), "sluice: pipe"));
    }

    int fd() const noexcept { return reading_.get(); }
    void set() noexcept {
        transfer_signal([this](const void* bytes) { return ::write(writing_.get(), bytes, 1); });
    }
    void clear() noexcept {
        transfer_signal([this](void* bytes) { return ::read(reading_.get(), bytes, sizeof(std::uint64_t)); });
    }

private:
    int open() noexcept {
        bool ready = ::pipe(ends_) == 0;
        for (const int end : ends_) {
            const int flags = ready ? ::fcntl(end, F_GETFL) : -1;
            ready = flags != -1 && ::fcntl(end, F_SETFD, FD_CLOEXEC) != -1 &&
                    ::fcntl(end, F_SETFL, flags | O_NONBLOCK) != -1;
        }
        error_ = errno;
        if (!ready && ends_[0] >= 0) ::close(ends_[0]);
        return ready ? ends_[0] : -1;
    }

    int error_ = 0;
    int ends_[2] = {-1, -1};
    Fd reading_, writing_;
};

#if defined(__linux__)
// With an eventfd: one descriptor, and a counter that never fills.
template <class Fd>
class eventfd_signal {
public:
    // Throws std::system_error.
    eventfd_signal() : event_([] { return ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }) {
        if (!event_) throw_error(std::system_error(errno, std::generic_category(), "sluice: eventfd"));
    }

    int fd() const noexcept { return event_.get(); }
    void set() noexcept {
        transfer_signal([this](const void* count) { return ::write(event_.get(), count, sizeof(std::uint64_t)); });
    }
    void clear() noexcept {
        transfer_signal([this](void* count) { return ::read(event_.get(), count, sizeof(std::uint64_t)); });
    }

private:
    Fd event_;
};

template <class Fd>
using event_signal = eventfd_signal<Fd>;
#else
template <class Fd>
using event_signal = pipe_signal<Fd>;
#endif

}  // namespace sluice::detail
