// descriptor: a file descriptor that closes itself, and that forked children do not keep.
#pragma once

#include <cerrno>
#include <type_traits>
#include <utility>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <sluice/ipc/detail/errors.hpp>
#include <sluice/ipc/detail/process.hpp>

namespace sluice::ipc::detail {

// For systems whose calls that make a descriptor cannot set these flags themselves.
inline bool set_cloexec_nonblock(int fd, bool nonblocking) noexcept {
    return ::fcntl(fd, F_SETFD, FD_CLOEXEC) != -1 &&
           (!nonblocking || ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK) != -1);
}

// Owns a descriptor of this process. In a forked child it is closed, and get() is -1.
class descriptor {
public:
    descriptor() = default;
    // Owns what `open` returns; on failure it is empty, and errno tells why.
    template <class F>
        requires std::is_invocable_r_v<int, F>
    explicit descriptor(F&& open) : fd_(process::self().open(open)), fork_epoch_(process::fork_epoch()) {}
    explicit descriptor(inheritable_fd& from) : fd_(process::self().claim(from)), fork_epoch_(process::fork_epoch()) {}
    descriptor(descriptor&& other) noexcept
        : fd_(std::exchange(other.fd_, -1)),
          fork_epoch_(other.fork_epoch_),
          restores_blocking_(other.restores_blocking_) {}
    descriptor& operator=(descriptor&& other) noexcept {
        descriptor closed(std::move(other));
        std::swap(fd_, closed.fd_);
        std::swap(fork_epoch_, closed.fork_epoch_);
        std::swap(restores_blocking_, closed.restores_blocking_);
        return *this;
    }
    ~descriptor() {
        if (get() < 0) return;
        if (restores_blocking_) ::fcntl(fd_, F_SETFL, ::fcntl(fd_, F_GETFL) & ~O_NONBLOCK);
        process::self().close(fd_);
    }

    // Sets O_NONBLOCK, and clears it again when the descriptor is closed if it was clear: other processes may share it.
    // False, with errno, on failure.
    bool set_nonblocking() noexcept {
        const int flags = ::fcntl(get(), F_GETFL);
        if (flags == -1) return false;
        if ((flags & O_NONBLOCK) != 0) return true;
        restores_blocking_ = ::fcntl(fd_, F_SETFL, flags | O_NONBLOCK) != -1;
        return restores_blocking_;
    }

    int get() const noexcept { return fork_epoch_ == process::fork_epoch() ? fd_ : -1; }
    explicit operator bool() const noexcept { return get() >= 0; }

private:
    int fd_ = -1;
    unsigned fork_epoch_ = 0;
    bool restores_blocking_ = false;  // it was clear before
};

// Whether it is one of the last 16 below the limit of the process, which the library leaves to the program.
inline bool is_reserved_fd(int fd) noexcept {
    constexpr rlim_t reserved = 16;
    rlimit limit{};
    return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
           static_cast<rlim_t>(fd) + reserved >= limit.rlim_cur;
}

}  // namespace sluice::ipc::detail
