// handler_waiter: an operation of a handler in a line of its channel; when it is completed, the handler is posted.
#pragma once

#include <atomic>
#include <memory>
#include <utility>

#include <sluice/detail/sync.hpp>
#include <sluice/detail/waiter.hpp>
#include <sluice/ipc/detail/io_loop.hpp>

namespace sluice::ipc::detail {

// Who completes it posts the handler from its callback, and may then not touch either: both may be gone. All members
// but the callback are for the loop's thread, or one that works in its place.
template <class Waiter>
class handler_waiter : public Waiter {
public:
    explicit handler_waiter(io_handler& of) : handler_(of), ref_(of.ref()) {
        this->has_callback = true;
        this->callback = [](sluice::detail::waiter& w) noexcept {
            auto& self = static_cast<handler_waiter&>(w);
            const std::shared_ptr<handler_ref> ref = self.ref_;
            ref->loop->post(self.handler_, [&self] { self.notified_.store(true, std::memory_order_release); });
        };
    }

    // Before it is put into a line.
    void arm() noexcept {
        notified_.store(false, std::memory_order_relaxed);
        armed_ = true;
    }
    // It is in no line: it was not accepted there, or was completed and notified.
    void disarm() noexcept { armed_ = false; }

    bool armed() const noexcept { return armed_; }
    bool notified() const noexcept { return notified_.load(std::memory_order_acquire); }

    // Leaves the line by `withdraw`, which returns false if the operation was completed: then waits for the callback,
    // which is under way.
    template <class F>
    void cancel(F&& withdraw) {
        if (std::exchange(armed_, false) && !withdraw(*this)) ref_->loop->wait_until([this] { return notified(); });
    }

private:
    io_handler& handler_;
    const std::shared_ptr<handler_ref> ref_;
    sluice::detail::sync::atomic<bool> notified_{false};
    bool armed_ = false;
};

}  // namespace sluice::ipc::detail
