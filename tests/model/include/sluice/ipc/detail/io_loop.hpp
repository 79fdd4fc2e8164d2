// Takes the place of the library's ipc/detail/io_loop.hpp and io_handler.hpp in the model tests: the same names, as far as outgoing.hpp
// uses them. A thread of the model does what the loop's would.
#pragma once

#include <memory>
#include <mutex>
#include <utility>

#include <sluice/detail/sync.hpp>

namespace sluice::ipc::detail {

class io_loop;
class io_handler;

struct handler_ref {
    const std::shared_ptr<io_loop> loop;
    io_handler* handler;
    sluice::detail::sync::atomic<bool> always_signal{false};
};

class io_handler {
public:
    explicit io_handler(std::shared_ptr<io_loop> by) : ref_(new handler_ref{std::move(by), this}) {}
    io_handler(const io_handler&) = delete;
    io_handler& operator=(const io_handler&) = delete;
    virtual ~io_handler();

    io_loop& loop() const noexcept { return *ref_->loop; }
    const std::shared_ptr<handler_ref>& ref() const noexcept { return ref_; }

private:
    friend io_loop;
    const std::shared_ptr<handler_ref> ref_;
    bool posted_ = false;  // guarded by the lock of the loop
};

class io_loop {
public:
    template <class F>
    void post(io_handler& s, F&& change) noexcept {
        const std::lock_guard<sluice::detail::sync::mutex> held(mutex_);
        change();
        enqueue(s);
    }
    void post(const handler_ref& to) noexcept {
        const std::lock_guard<sluice::detail::sync::mutex> held(mutex_);
        if (to.handler) enqueue(*to.handler);
    }
    template <class F>
    void wait_until(F&& done) noexcept {
        std::unique_lock<sluice::detail::sync::mutex> lock(mutex_);
        while (!done()) changed_.wait(lock);
    }

    // ---- For the models

    // In the loop's thread: waits until the handler is posted, or something() is true, which is called under the lock.
    template <class F>
    void wait_for_work(io_handler& s, F&& something) {
        std::unique_lock<sluice::detail::sync::mutex> lock(mutex_);
        while (!something() && !s.posted_) changed_.wait(lock);
        s.posted_ = false;
    }
    // Changes the state of the system, of which the loop hears.
    template <class F>
    void change(F&& f) {
        const std::lock_guard<sluice::detail::sync::mutex> held(mutex_);
        f();
        changed_.notify_all();
    }

private:
    friend io_handler;
    void enqueue(io_handler& s) noexcept {
        s.posted_ = true;
        changed_.notify_all();
    }

    sluice::detail::sync::mutex mutex_;
    sluice::detail::sync::condition_variable changed_;
};

inline io_handler::~io_handler() {
    const std::lock_guard<sluice::detail::sync::mutex> held(loop().mutex_);
    ref_->handler = nullptr;
}

}  // namespace sluice::ipc::detail
