// Whether the machine at the other end of a TCP connection still answers.
#pragma once

#include <algorithm>
#include <chrono>
#include <optional>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace sluice::ipc::detail {

// Has the system probe a TCP peer that is silent, and end the connection if it does not answer for `dead_after` (0: as
// long as the system has it). Accepted sockets inherit this from the listening one.
inline void enable_keepalive(int fd, [[maybe_unused]] std::chrono::seconds dead_after) noexcept {
    const auto within = static_cast<int>(std::clamp<std::chrono::seconds::rep>(dead_after.count(), 0, 30'000));
    if (within == 0) return;
    const int first = (std::max)(within / 2, 1), rest = (std::max)(within - first, 1);
    const int count = (std::min)(rest, 4), interval = rest / count;
    const auto set = [fd](int name, int value) noexcept { ::setsockopt(fd, IPPROTO_TCP, name, &value, sizeof value); };
#if defined(TCP_KEEPIDLE)
    set(TCP_KEEPIDLE, first);
#elif defined(TCP_KEEPALIVE)
    set(TCP_KEEPALIVE, first);
#endif
#if defined(TCP_KEEPINTVL) && defined(TCP_KEEPCNT)
    set(TCP_KEEPINTVL, interval);
    set(TCP_KEEPCNT, count);
#endif
}

// Notices that a TCP peer's machine is dead while bytes that were sent to it are not acknowledged: the system probes
// only when all are, and otherwise retransmits for a quarter of an hour. (TCP_USER_TIMEOUT would end that sooner, but
// it also ends connections to a peer that answers and does not receive.) On Linux only.
class liveness_probe {
public:
    using clock = std::chrono::steady_clock;

    // For a socket on which keep-alive is enabled.
    explicit liveness_probe([[maybe_unused]] int fd) noexcept {
#if defined(__linux__)
        int first = 0, interval = 0, count = 0;
        if (read(fd, TCP_KEEPIDLE, first) && read(fd, TCP_KEEPINTVL, interval) && read(fd, TCP_KEEPCNT, count))
            limit_ = std::chrono::seconds(first + interval * count);
        schedule_next();
#endif
    }

    // When to call is_dead() next.
    std::optional<clock::time_point> next() const noexcept { return next_; }

    // Asks the system, if it is time to.
    bool is_dead([[maybe_unused]] int fd) noexcept {
        if (!next_ || clock::now() < *next_) return false;
        schedule_next();
#if defined(__linux__)
        tcp_info seen{};
        return read(fd, TCP_INFO, seen) && (seen.tcpi_retransmits >= 2 || seen.tcpi_probes >= 2) &&
               std::chrono::milliseconds(seen.tcpi_last_ack_recv) >= limit_;
#else
        return false;
#endif
    }

private:
#if defined(__linux__)
    template <class Value>
    static bool read(int fd, int name, Value& to) noexcept {
        socklen_t size = sizeof to;
        return ::getsockopt(fd, IPPROTO_TCP, name, &to, &size) == 0;
    }
#endif
    // At the same times for all probes with the same limit: one wake-up of the loop serves many connections.
    void schedule_next() noexcept {
        if (limit_ <= clock::duration::zero()) return;
        const clock::duration grain = limit_ / 4;
        next_ = clock::time_point((clock::now().time_since_epoch() / grain + 1) * grain);
    }

    clock::duration limit_{};
    std::optional<clock::time_point> next_;
};

}  // namespace sluice::ipc::detail
