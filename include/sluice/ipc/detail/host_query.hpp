// Host names that are looked up until a deadline.
#pragma once

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include <netdb.h>
#include <poll.h>

#include <sluice/detail/compiler.hpp>
#include <sluice/detail/immortal.hpp>
#include <sluice/detail/waiter.hpp>
#include <sluice/ipc/address.hpp>
#include <sluice/ipc/detail/errors.hpp>
#include <sluice/ipc/detail/native_address.hpp>
#include <sluice/ipc/detail/process.hpp>
#include <sluice/ipc/detail/wake_up.hpp>

namespace sluice::ipc::detail {

class SLUICE_SHARED host_query;

// Those that have been started.
struct SLUICE_SHARED host_queries {
    std::mutex mutex;
    std::vector<std::weak_ptr<host_query>> started;
};

// Looks up a host's name on a thread of its own, as getaddrinfo() cannot be interrupted: a caller whose deadline passes
// leaves the thread to end by itself, or with the process. A lookup of the same host meanwhile shares it.
class host_query {
public:
    static std::shared_ptr<host_query> of(const address& a) {
        host_queries& all = sluice::detail::immortal<host_queries>::self();
        const std::unique_lock<std::mutex> held(all.mutex, std::try_to_lock);  // a forked child might wait for ever
        if (held) {
            std::erase_if(all.started, [](const auto& each) { return each.expired(); });
            for (const auto& each : all.started) {
                if (auto q = each.lock(); q && q->is_for(a)) return q;
            }
        }
        const auto q = std::make_shared<host_query>(a);
        if (held) all.started.push_back(q);
        start_thread("sluice-host", [q] { q->ask(); }).detach();
        return q;
    }

    explicit host_query(const address& a) : where_(a) {}

    // Readable once there is an answer; never cleared, so that all who wait see it.
    int fd() const noexcept { return answered_.fd(); }
    bool answered() const noexcept { return over_.load(std::memory_order_acquire); }
    const host_lookup& answer() const noexcept { return answer_; }

private:
    bool is_for(const address& a) const { return !answered() && where_ == a && fork_epoch_ == process::fork_epoch(); }

    void ask() noexcept {
        try {
            answer_ = look_up_host(where_.host(), where_.port(), 0);
        } catch (...) {
            answer_.status = EAI_MEMORY;
        }
        over_.store(true, std::memory_order_release);
        answered_.signal();
    }

    const address where_;
    const unsigned fork_epoch_ = process::fork_epoch();
    wake_up answered_;
    host_lookup answer_;
    std::atomic<bool> over_{false};
};

// Addresses of a listener, never empty; for TCP, throws at the deadline, and when `stopped` is signalled.
inline std::vector<native_address> resolve(const address& a, const sluice::detail::deadline& until,
                                           const wake_up& stopped) {
    using clock = std::chrono::steady_clock;
    if (a.kind() == address::family::unix_socket) return {native_file_address(a)};
    if (host_lookup numbers = look_up_host(a.host(), a.port(), AI_NUMERICHOST); numbers.status != EAI_NONAME)
        return addresses_or_throw(std::move(numbers), a);
    // Even a deadline that has passed leaves time for a name that this machine knows by itself.
    const clock::time_point at_least = clock::now() + std::chrono::milliseconds(20);
    const std::shared_ptr<host_query> query = host_query::of(a);
    while (!query->answered()) {
        if (until.passed() && clock::now() >= at_least)
            fail(ETIMEDOUT, a.to_string() + ": nobody knows the name of the host in time");
        pollfd waiting[] = {{query->fd(), POLLIN, 0}, {stopped.fd(), POLLIN, 0}};
        const auto wake_time = until.is_never() ? std::nullopt : std::optional((std::max)(until.wake_time(), at_least));
        if (::poll(waiting, 2, milliseconds_until(wake_time)) < 0 && errno != EINTR) fail(errno, a.to_string());
        if (waiting[1].revents != 0 && !query->answered()) fail(ECANCELED, a.to_string());
    }
    return addresses_or_throw(query->answer(), a);
}

}  // namespace sluice::ipc::detail
