// Takes the place of the library's ipc/detail/io_loop.hpp in the model tests: the same names, as far as who writes uses them. A thread
// of the model does what the loop's would.
#pragma once

#include <memory>
#include <mutex>
#include <utility>

#include <sluice/detail/sync.hpp>

namespace sluice::ipc::detail {

class io_loop;
class station;

struct contact {
    const std::shared_ptr<io_loop> loop;
    station* of;
    sluice::detail::sync::atomic<bool> curious{false};
};

class station {
public:
    explicit station(std::shared_ptr<io_loop> by) : contact_(new contact{std::move(by), this}) {}
    station(const station&) = delete;
    station& operator=(const station&) = delete;
    virtual ~station();

    io_loop& loop() const noexcept { return *contact_->loop; }
    const std::shared_ptr<contact>& reach() const noexcept { return contact_; }

private:
    friend io_loop;
    const std::shared_ptr<contact> contact_;
    bool posted_ = false;  // guarded by the lock of the loop
};

class io_loop {
public:
    template <class F>
    void post(station& s, F&& change) noexcept {
        const std::lock_guard<sluice::detail::sync::mutex> held(mutex_);
        change();
        call(s);
    }
    void post(const contact& to) noexcept {
        const std::lock_guard<sluice::detail::sync::mutex> held(mutex_);
        if (to.of) call(*to.of);
    }
    template <class F>
    void wait_until(F&& done) noexcept {
        std::unique_lock<sluice::detail::sync::mutex> lock(mutex_);
        while (!done()) changed_.wait(lock);
    }

    // ---- For the models

    // In the loop's thread: waits until the station is posted, or the system has `something` for it, which is asked under the lock.
    template <class F>
    void wait_for_work(station& s, F&& something) {
        std::unique_lock<sluice::detail::sync::mutex> lock(mutex_);
        while (!something() && !s.posted_) changed_.wait(lock);
        s.posted_ = false;
    }
    // What the system tells the loop of.
    template <class F>
    void change(F&& f) {
        const std::lock_guard<sluice::detail::sync::mutex> held(mutex_);
        f();
        changed_.notify_all();
    }

private:
    friend station;
    void call(station& s) noexcept {
        s.posted_ = true;
        changed_.notify_all();
    }

    sluice::detail::sync::mutex mutex_;
    sluice::detail::sync::condition_variable changed_;
};

inline station::~station() {
    const std::lock_guard<sluice::detail::sync::mutex> held(loop().mutex_);
    contact_->of = nullptr;
}

}  // namespace sluice::ipc::detail
