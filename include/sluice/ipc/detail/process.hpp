// What the library has in this process: descriptors that forked children must not keep, threads that exit waits for.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

namespace sluice::ipc::detail {

// A thread of the library that exit waits for.
class worker {
public:
    worker() = default;
    worker(const worker&) = delete;
    worker& operator=(const worker&) = delete;
    virtual ~worker() = default;

    virtual void run() noexcept = 0;
    // These are called from another thread. The program ends: write out what was sent, receive no more, and return from
    // run().
    virtual void finish() noexcept = 0;
    // Return from run() now.
    virtual void abort() noexcept = 0;
};

// One for each process. A child that was forked begins anew: it has none of its parent's threads, so it closes its
// copies of the descriptors that they serve; or else their peers would not see the end of a stream before the child's.
// Shared objects that are compiled with hidden symbols have it in common too.
class [[gnu::visibility("default")]] process;
class process {
public:
    static process& self() {
        static process* const instance = new process;  // for ever: threads may outlive the statics
        return *instance;
    }

    // Changes with each fork; never 0. What was made in an earlier generation belongs to the parent.
    static unsigned generation() noexcept { return generation_.load(std::memory_order_relaxed); }

    // The descriptor that `open` returns, if any, is not inherited by forked children, from the first moment.
    template <class F>
    int open(F&& open) {
        const std::lock_guard<std::mutex> held(mutex_);
        own_.reserve(own_.size() + 64);  // so that nothing throws once it is open
        const int fd = open();
        if (fd >= 0) {
            const auto place = static_cast<std::size_t>(fd);
            if (place >= own_.size()) {
                try {
                    own_.resize(place + 1);
                } catch (...) {
                    ::close(fd);
                    throw;
                }
            }
            own_[place] = true;
        }
        return fd;
    }
    void close(int fd) noexcept {
        const std::lock_guard<std::mutex> held(mutex_);
        own_[static_cast<std::size_t>(fd)] = false;
        ::close(fd);
    }

    // A worker has written something: exit has a reason to wait on.
    void progressed() noexcept { progress_.fetch_add(1, std::memory_order_relaxed); }

    // Runs `w`, which outlives its run(), on a thread of its own that handles no signal of the program's.
    template <class Worker>
    void start(std::shared_ptr<Worker> w) {
        {
            const std::lock_guard<std::mutex> held(mutex_);
            workers_.push_back(w.get());
        }
        sigset_t all, before;
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before);
        try {
            std::thread([this, w]() noexcept {
                w->run();
                leave(w.get());
            }).detach();
        } catch (...) {
            ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
            leave(w.get());
            throw;
        }
        ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    }

private:
    process() {
        ::pthread_atfork([] { self().mutex_.lock(); }, [] { self().mutex_.unlock(); }, [] { self().begin_anew(); });
        std::atexit([] { self().finish(); });
    }

    void begin_anew() noexcept {
        generation_.fetch_add(1, std::memory_order_relaxed);
        for (std::size_t fd = 0; fd < own_.size(); ++fd) {
            if (own_[fd]) ::close(static_cast<int>(fd));
        }
        own_.clear();
        workers_.clear();
        mutex_.unlock();
    }

    void leave(worker* w) noexcept {
        const std::lock_guard<std::mutex> held(mutex_);
        workers_.erase(std::find(workers_.begin(), workers_.end(), w));
        left_.notify_all();
    }

    // Exit waits while the workers write out what was sent, but for no reader who takes none of it for so long.
    static constexpr std::chrono::seconds patience{5};

    void finish() {
        std::unique_lock<std::mutex> lock(mutex_);
        const auto all_left = [this] { return workers_.empty(); };
        for (worker* const w : workers_) w->finish();
        std::uint64_t seen;
        do {
            seen = progress_.load(std::memory_order_relaxed);
            left_.wait_for(lock, patience, all_left);
        } while (!all_left() && seen != progress_.load(std::memory_order_relaxed));
        for (worker* const w : workers_) w->abort();
        left_.wait_for(lock, patience, all_left);
    }

    inline static std::atomic<unsigned> generation_{1};
    std::mutex mutex_;
    std::condition_variable left_;
    std::atomic<std::uint64_t> progress_{0};
    std::vector<bool> own_;  // by number
    std::vector<worker*> workers_;
};

}  // namespace sluice::ipc::detail
