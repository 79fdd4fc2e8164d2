// io_handler: something whose I/O an io_loop does: an end of a channel, or a socket that accepts clients.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <system_error>

#include <sluice/detail/compiler.hpp>
#include <sluice/detail/stop_callback.hpp>
#include <sluice/detail/sync.hpp>
#include <sluice/detail/waiter.hpp>
#include <sluice/ipc/detail/poller.hpp>
#include <sluice/ipc/detail/process.hpp>

namespace sluice::ipc::detail {

class SLUICE_SHARED io_loop;

class io_handler;

// Refers to a handler that may be gone.
struct handler_ref {
    const std::shared_ptr<io_loop> loop;
    io_handler* handler;  // guarded by the lock of the loop; null once it is gone
    // Set by the handler: a sender that has parked the write token posts it even though there is nothing left to write.
    sluice::detail::sync::atomic<bool> always_signal{false};
};

// Handlers that are ended together, and waited for.
struct handler_group {
    std::size_t alive = 0;  // guarded by the lock of the loop
};

// Its virtual members are called by the loop's thread alone, or by a thread that holds lock_work().
class SLUICE_SHARED io_handler {
public:
    using time_point = std::chrono::steady_clock::time_point;

    io_handler(std::shared_ptr<io_loop> by, std::shared_ptr<handler_group> group);
    io_handler(const io_handler&) = delete;
    io_handler& operator=(const io_handler&) = delete;
    virtual ~io_handler();

    // Does what can be done without blocking. `ready` is what its descriptor is ready for; nothing if it was posted,
    // or its alarm is due. `scratch` is memory for the duration of the call. False when the handler is to be
    // destroyed.
    virtual bool work(readiness ready, std::span<std::byte> scratch) = 0;
    // What to poll, and for what; -1 for no descriptor.
    virtual int fd() const noexcept = 0;
    virtual readiness interest() const noexcept = 0;
    // When to call work() even though nothing has happened.
    virtual std::optional<time_point> alarm() const noexcept { return std::nullopt; }
    // The next calls of work() write out what was sent, and do nothing else.
    virtual void finish() noexcept = 0;
    // Ends it, for this reason if any; what was not written is lost.
    virtual void abort(std::error_code why) noexcept = 0;
    // Held around these calls where another thread may work in place of the loop's.
    virtual std::unique_lock<std::mutex> lock_work() { return {}; }

    io_loop& loop() const noexcept { return *ref_->loop; }
    const std::shared_ptr<handler_ref>& ref() const noexcept { return ref_; }

    // Aborts it when a stop is requested. To be called before it is added to the loop.
    void stop_on(const sluice::detail::stop_token& stop) {
        if (stop.stop_possible()) on_stop_.emplace(stop, stopping{this});
    }

private:
    friend io_loop;
    struct stopping {
        io_handler* of;
        void operator()() const noexcept;
    };
    using alarms = std::multimap<time_point, io_handler*>;

    const std::shared_ptr<handler_ref> ref_;
    const std::shared_ptr<handler_group> group_;
    module_id module_ = every_module;

    // Guarded by the lock of the loop.
    io_handler *previous_ = nullptr, *next_ = nullptr;  // among those that are posted
    bool adopted_ = false, posted_ = false;

    // For the thread of the loop, or under lock_work().
    std::size_t index_ = 0;
    int watched_ = -1;           // the descriptor that the poller has
    readiness watched_for_;      // and what for
    bool always_ready_ = false;  // a descriptor that cannot be polled, such as a file's
    std::optional<alarms::iterator> alarm_;
    bool done_ = false;

    std::atomic<bool> stopped_{false};
    std::optional<sluice::detail::stop_callback<stopping>> on_stop_;  // the last member: its callback uses the others
};

}  // namespace sluice::ipc::detail
