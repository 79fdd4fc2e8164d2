// poller: waits for descriptors, by epoll on Linux, elsewhere by poll. With epoll, the time that it takes does not
// depend on how many are idle.
#pragma once

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <poll.h>
#if defined(__linux__)
#include <sys/epoll.h>
#endif

#include <sluice/ipc/detail/descriptor.hpp>
#include <sluice/ipc/detail/errors.hpp>
#include <sluice/ipc/detail/wake_up.hpp>

namespace sluice::ipc::detail {

// What can be done with a descriptor, or is waited for. A peer that has gone, and an error, are always reported, as
// both.
struct readiness {
    bool read = false, write = false;

    explicit operator bool() const noexcept { return read || write; }
    friend bool operator==(const readiness&, const readiness&) = default;
};

struct poll_event {
    void* about;  // as it was passed to add()
    readiness ready;
};

#if defined(__linux__) && !defined(SLUICE_IPC_POLL)

class poller {
public:
    static constexpr bool any_thread_changes = true;  // whether any thread may call change(), also during wait()

    // Throws std::system_error.
    poller() : epoll_([]() noexcept { return ::epoll_create1(EPOLL_CLOEXEC); }) {
        if (!epoll_) fail(errno, "epoll");
    }

    // Each returns 0 or an error number. A descriptor must be forgotten before it is closed: other processes may have
    // it open.
    int add(int fd, readiness wanted, void* about) noexcept { return control(EPOLL_CTL_ADD, fd, wanted, about); }
    int change(int fd, readiness wanted, void* about) noexcept { return control(EPOLL_CTL_MOD, fd, wanted, about); }
    void forget(int fd) noexcept { control(EPOLL_CTL_DEL, fd, {}, nullptr); }

    // Waits until something has happened, or until `when`; the result is valid until the next call. It may name a
    // descriptor that is forgotten after the call, not one that was before.
    std::span<const poll_event> wait(const std::optional<std::chrono::steady_clock::time_point>& when) {
        epoll_event found[max_events];
        const int count = ::epoll_wait(epoll_.get(), found, max_events, milliseconds_until(when));
        for (int i = 0; i < count; ++i) {
            const bool gone = (found[i].events & (EPOLLHUP | EPOLLERR)) != 0;
            events_[i] = {found[i].data.ptr,
                          {gone || (found[i].events & EPOLLIN) != 0, gone || (found[i].events & EPOLLOUT) != 0}};
        }
        return {events_, static_cast<std::size_t>((std::max)(count, 0))};
    }

private:
    static constexpr int max_events = 64;

    int control(int what, int fd, readiness wanted, void* about) noexcept {
        epoll_event event{};
        event.events = (wanted.read ? std::uint32_t{EPOLLIN} : 0) | (wanted.write ? std::uint32_t{EPOLLOUT} : 0);
        event.data.ptr = about;
        return ::epoll_ctl(epoll_.get(), what, fd, &event) == 0 ? 0 : errno;
    }

    const descriptor epoll_;
    poll_event events_[max_events];
};

#else

class poller {
public:
    static constexpr bool any_thread_changes = false;

    int add(int fd, readiness wanted, void* about) {
        polled_.push_back({fd, events_of(wanted), 0});
        about_.push_back(about);
        return 0;
    }
    int change(int fd, readiness wanted, void*) noexcept {
        const auto place = find(fd);
        polled_[place].events = events_of(wanted);
        return 0;
    }
    void forget(int fd) noexcept {
        const auto place = static_cast<std::ptrdiff_t>(find(fd));
        polled_.erase(polled_.begin() + place);
        about_.erase(about_.begin() + place);
    }

    std::span<const poll_event> wait(const std::optional<std::chrono::steady_clock::time_point>& when) {
        events_.clear();
        const int count = ::poll(polled_.data(), static_cast<nfds_t>(polled_.size()), milliseconds_until(when));
        for (std::size_t i = 0; count > 0 && i < polled_.size(); ++i) {
            const auto found = polled_[i].revents;
            if (found == 0) continue;
            const bool gone = (found & (POLLHUP | POLLERR | POLLNVAL)) != 0;
            events_.push_back({about_[i], {gone || (found & POLLIN) != 0, gone || (found & POLLOUT) != 0}});
        }
        return events_;
    }

private:
    static short events_of(readiness wanted) noexcept {
        return static_cast<short>((wanted.read ? POLLIN : 0) | (wanted.write ? POLLOUT : 0));
    }
    std::size_t find(int fd) const noexcept {
        const auto found = std::find_if(polled_.begin(), polled_.end(), [fd](const pollfd& p) { return p.fd == fd; });
        return static_cast<std::size_t>(found - polled_.begin());
    }

    std::vector<pollfd> polled_;
    std::vector<void*> about_;
    std::vector<poll_event> events_;
};

#endif

}  // namespace sluice::ipc::detail
