// What the library has in this process: descriptors that forked children must not keep, threads that exit waits for.
#pragma once

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

namespace sluice::ipc::detail {

// The program, or a shared object of it: what was made by its code must be over before that code goes away.
using module_id = const void*;
inline constexpr module_id every_module = nullptr;

// A thread of the library's, with a name, that handles no signal of the program's. Throws std::system_error.
template <class F>
std::thread start_thread([[maybe_unused]] const char* name, F run) {
    sigset_t all, before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    struct restore {
        const sigset_t& mask;
        ~restore() { ::pthread_sigmask(SIG_SETMASK, &mask, nullptr); }
    };
    const restore restored{before};
    return std::thread([name, run = std::move(run)]() noexcept {
#if defined(__linux__)
        ::pthread_setname_np(::pthread_self(), name);
#endif
        run();
    });
}

// What a thread of the library does. All but run() are called from any thread.
class worker {
public:
    worker() = default;
    worker(const worker&) = delete;
    worker& operator=(const worker&) = delete;
    virtual ~worker() = default;

    virtual void run() noexcept = 0;
    // What this module has made: write out what was sent, and receive no more; or end now.
    virtual void finish(module_id made_by) noexcept = 0;
    virtual void abort(module_id made_by) noexcept = 0;
    virtual bool has_work_of(module_id made_by) noexcept = 0;
};

// A descriptor for a child that is forked: an end of a pipe that nobody has opened yet. Only the children of the thread
// that made it, or moved it last, inherit it; in those that other threads fork it is closed, and `withheld`. Not safe
// to use from several threads at once.
struct heirloom {
    int fd = -1;
    bool withheld = false;

    // For process.
    unsigned thread = 0;
    heirloom* next = nullptr;
    heirloom* previous = nullptr;
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

    // The worker that all share who want none of their own; `make` makes it when it is first asked for.
    template <class F>
    std::shared_ptr<worker> common(F&& make) {
        const std::lock_guard<std::mutex> held(mutex_);
        if (!common_) common_ = make();
        return common_;
    }

    // Bytes of memory: see advance.
    std::atomic<std::size_t>& advanced() noexcept { return advanced_; }

    // Descriptors that `open` puts into the heirlooms, which are empty, belong to this thread from the first moment.
    // What it returns.
    template <class F, class... Heirlooms>
    auto bequeath(F&& open, Heirlooms&... to) {
        const std::lock_guard<std::mutex> held(mutex_);
        const auto outcome = open();
        (link(to), ...);
        return outcome;
    }
    // From now on the second one's, and of this thread.
    void move(heirloom& from, heirloom& to) noexcept {
        const std::lock_guard<std::mutex> held(mutex_);
        to.withheld = from.withheld;
        to.fd = unlink(from);
        link(to);
    }
    // Its descriptor, from now on for this process alone.
    int inherit(heirloom& from) {
        return open([&]() noexcept { return unlink(from); });
    }
    void close(heirloom& h) noexcept {
        const std::lock_guard<std::mutex> held(mutex_);
        if (const int fd = unlink(h); fd >= 0) ::close(fd);
    }

    // Runs `w` on a thread. To be called again once run() has returned, if
    // there is more to do. Throws std::system_error.
    void start(std::shared_ptr<worker> w) {
        join_those_who_left();
        const std::lock_guard<std::mutex> held(mutex_);
        running_.reserve(running_.size() + 1);
        const auto work = [this, w] {
            w->run();
            leave();
        };
        running_.push_back({start_thread("sluice-io", work), w, false});
    }

    // What a worker did for a module is over, perhaps all of it.
    void look_again() noexcept {
        const std::lock_guard<std::mutex> held(mutex_);
        changed_.notify_all();
    }

    // Writes out what was sent by the ends that a module has made, within a few seconds in all, and ends them.
    void finish(module_id made_by) noexcept {
        std::unique_lock<std::mutex> lock(mutex_);
        const auto all_over = [&] {
            return std::none_of(running_.begin(), running_.end(),
                                [&](const thread& t) { return !t.left && t.what->has_work_of(made_by); });
        };
        for (const thread& t : running_) t.what->finish(made_by);
        if (!changed_.wait_for(lock, patience, all_over)) {
            for (const thread& t : running_) t.what->abort(made_by);
            changed_.wait_for(lock, std::chrono::seconds(1), all_over);  // not for one that is held up by a codec
        }
        if (made_by != every_module) return;
        changed_.wait_for(lock, std::chrono::seconds(1), [this] {
            return std::all_of(running_.begin(), running_.end(), [](const thread& t) { return t.left; });
        });
        std::vector<thread> rest = std::exchange(running_, {});
        lock.unlock();
        for (thread& t : rest) t.left ? t.handle.join() : t.handle.detach();
    }

private:
    struct thread {
        std::thread handle;
        std::shared_ptr<worker> what;
        bool left;  // run() has returned
    };

    process() {
        ::pthread_atfork([] { self().mutex_.lock(); }, [] { self().mutex_.unlock(); }, [] { self().begin_anew(); });
        std::atexit([] { self().finish(every_module); });
    }

    void begin_anew() noexcept {
        generation_.fetch_add(1, std::memory_order_relaxed);
        for (std::size_t fd = 0; fd < own_.size(); ++fd) {
            if (own_[fd]) ::close(static_cast<int>(fd));
        }
        own_.clear();
        advanced_.store(0, std::memory_order_relaxed);
        // The parent's threads, and what they may just have been changing, are left as they are.
        left_behind_.push_back({std::exchange(running_, {}), std::exchange(common_, nullptr)});
        for (heirloom* h = heirlooms_; h;) {
            heirloom& each = *std::exchange(h, h->next);
            if (each.thread == this_thread()) continue;
            ::close(unlink(each));
            each.withheld = true;
        }
        mutex_.unlock();
    }

    // Never that of another thread, also if one of the two has ended.
    static unsigned this_thread() noexcept {
        static std::atomic<unsigned> count{0};
        static thread_local const unsigned number = count.fetch_add(1, std::memory_order_relaxed);
        return number;
    }

    // Both under mutex_.
    void link(heirloom& h) noexcept {
        if (h.fd < 0) return;
        h.thread = this_thread();
        h.previous = nullptr;
        h.next = heirlooms_;
        if (h.next) h.next->previous = &h;
        heirlooms_ = &h;
    }
    int unlink(heirloom& h) noexcept {
        if (h.fd < 0) return -1;
        (h.previous ? h.previous->next : heirlooms_) = h.next;
        if (h.next) h.next->previous = h.previous;
        return std::exchange(h.fd, -1);
    }

    void leave() noexcept {
        const std::lock_guard<std::mutex> held(mutex_);
        for (thread& t : running_) {
            if (t.handle.get_id() == std::this_thread::get_id()) t.left = true;
        }
        changed_.notify_all();
    }

    void join_those_who_left() {
        std::vector<thread> gone;
        {
            const std::lock_guard<std::mutex> held(mutex_);
            const auto first =
                std::partition(running_.begin(), running_.end(), [](const thread& t) { return !t.left; });
            gone.assign(std::make_move_iterator(first), std::make_move_iterator(running_.end()));
            running_.erase(first, running_.end());
        }
        for (thread& t : gone) t.handle.join();
    }

    // So long the end of a program waits, in all, until what was sent is written.
    static constexpr std::chrono::seconds patience{5};

    inline static std::atomic<unsigned> generation_{1};
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<bool> own_;  // by number
    std::vector<thread> running_;
    std::shared_ptr<worker> common_;
    struct parents {
        std::vector<thread> running;
        std::shared_ptr<worker> common;
    };
    std::vector<parents> left_behind_;
    heirloom* heirlooms_ = nullptr;
    std::atomic<std::size_t> advanced_{0};
};

// This module; when it is unloaded, or the program ends, what it has made is finished.
[[gnu::visibility("hidden")]] inline module_id this_module() {
    static const bool is_told_of_its_end = [] {
        process::self();  // which ends after it
        return std::atexit([] { process::self().finish(this_module()); }) == 0;
    }();
    return &is_told_of_its_end;
}

}  // namespace sluice::ipc::detail
