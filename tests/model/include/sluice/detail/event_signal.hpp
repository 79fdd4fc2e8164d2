// Takes the place of the library's detail/event_signal.hpp in the model tests: a descriptor is a number, for which threads of the
// model wait as others poll().
#pragma once

#include <mutex>

#include <sluice/detail/sync.hpp>

namespace sluice::detail {

struct owned_fd {};

// As many descriptors as a model opens. A set() or clear() of one that was closed is found as the misuse of its mutex.
template <class Fd>
class event_signal {
public:
    event_signal() {
        while (open[number_]) ++number_;
        open[number_] = this;
    }
    event_signal(const event_signal&) = delete;
    event_signal& operator=(const event_signal&) = delete;
    ~event_signal() { open[number_] = nullptr; }

    int fd() const noexcept { return number_; }
    void set() noexcept {
        const std::lock_guard<sync::mutex> held(mutex_);
        readable_ = true;
        ++edges_;
        changed_.notify_all();
    }
    void clear() noexcept {
        const std::lock_guard<sync::mutex> held(mutex_);
        readable_ = false;
    }

    // ---- For the models

    // At the beginning of each execution: the one before may have ended in the midst of its life.
    static void forget_all() {
        for (event_signal*& o : open) o = nullptr;
    }
    static event_signal& of(int fd) { return *open[fd]; }
    // Waits until it is readable.
    void wait() {
        std::unique_lock<sync::mutex> lock(mutex_);
        while (!readable_) changed_.wait(lock);
    }
    // Waits for the first edge after as many as were `seen`, and counts it.
    void wait_for_edge(int& seen) {
        std::unique_lock<sync::mutex> lock(mutex_);
        while (edges_ == seen) changed_.wait(lock);
        seen = edges_;
    }

private:
    inline static event_signal* open[8]{};

    int number_ = 0;
    sync::mutex mutex_;
    sync::condition_variable changed_;
    bool readable_ = false;
    int edges_ = 0;
};

}  // namespace sluice::detail
