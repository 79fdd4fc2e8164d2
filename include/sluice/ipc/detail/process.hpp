// process: what the library has once in a process: descriptors that forked children must not keep, and threads that
// exit waits for.
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

#include <sluice/detail/compiler.hpp>
#include <sluice/detail/immortal.hpp>

namespace sluice::ipc::detail {

// The program or one of its shared objects: what its code has made must end before that code is unloaded.
using module_id = const void*;
inline constexpr module_id every_module = nullptr;

// A named thread in which all signals are blocked. Throws std::system_error.
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

// What a thread of the library runs. All members but run() may be called from any thread.
class worker {
public:
    worker() = default;
    worker(const worker&) = delete;
    worker& operator=(const worker&) = delete;
    virtual ~worker() = default;

    virtual void run() noexcept = 0;
    // Of what this module has made: write out what was sent and receive no more; or end at once.
    virtual void finish(module_id module) noexcept = 0;
    virtual void abort(module_id module) noexcept = 0;
    virtual bool has_work_of(module_id module) noexcept = 0;
};

// A descriptor meant for a forked child: an end of a pipe that is not opened yet. The children of the thread that made
// it, or moved it last, inherit it; in the children of other threads it is closed, and `closed_by_fork` is set. Not
// safe to use from several threads at once.
struct inheritable_fd {
    int fd = -1;
    bool closed_by_fork = false;

    // For class process.
    unsigned thread = 0;
    inheritable_fd* next = nullptr;
    inheritable_fd* previous = nullptr;
};

// One in each process, which shared objects compiled with hidden symbols use too. A forked child has none of its
// parent's threads, and closes its copies of the descriptors that they serve: a peer would otherwise see the end of a
// stream only when the child ends.
//
// mutex_ guards everything but the atomics. The order of locks is io_loop::starting_, mutex_, io_loop::mutex_. A fork
// takes mutex_, so that a child finds what it guards in a consistent state.
class SLUICE_SHARED process;
class process {
public:
    process() {
        ::pthread_atfork([] { self().mutex_.lock(); }, [] { self().mutex_.unlock(); },
                         [] { self().after_fork_in_child(); });
        std::atexit([] { self().finish(every_module); });
    }
    static process& self() { return sluice::detail::immortal<process>::self(); }

    // Changes with each fork; never 0. What was made in an earlier epoch belongs to the parent.
    static unsigned fork_epoch() noexcept { return fork_epoch_.load(std::memory_order_relaxed); }

    // Returns what `open` returns. A descriptor is closed in forked children: no fork comes between making and noting
    // it.
    template <class F>
    int open(F&& open) {
        const std::lock_guard<std::mutex> held(mutex_);
        private_fds_.reserve(private_fds_.size() + 64);  // rarely is more needed below
        const int fd = open();
        if (fd >= 0) {
            const auto index = static_cast<std::size_t>(fd);
            if (index >= private_fds_.size()) {
                try {
                    private_fds_.resize(index + 1);
                } catch (...) {
                    ::close(fd);
                    throw;
                }
            }
            private_fds_[index] = true;
        }
        return fd;
    }
    void close(int fd) noexcept {
        const std::lock_guard<std::mutex> held(mutex_);
        private_fds_[static_cast<std::size_t>(fd)] = false;
        ::close(fd);
    }

    // The worker of all ends that have none of their own; made by `make` on the first call.
    template <class F>
    std::shared_ptr<worker> shared_worker(F&& make) {
        const std::lock_guard<std::mutex> held(mutex_);
        if (!shared_worker_) shared_worker_ = make();
        return shared_worker_;
    }

    // In bytes; see early_allocation.
    std::atomic<std::size_t>& early_bytes() noexcept { return early_bytes_; }

    // Returns what `open` returns, which stores descriptors in `to`; they belong to this thread, and no fork comes
    // between.
    template <class F, class... Fds>
    auto open_inheritable(F&& open, Fds&... to) {
        const std::lock_guard<std::mutex> held(mutex_);
        const auto outcome = open();
        (link(to), ...);
        return outcome;
    }
    // Moves a descriptor, which then belongs to this thread.
    void move(inheritable_fd& from, inheritable_fd& to) noexcept {
        const std::lock_guard<std::mutex> held(mutex_);
        to.closed_by_fork = from.closed_by_fork;
        to.fd = unlink(from);
        link(to);
    }
    // Takes the descriptor, which forked children then do not inherit.
    int claim(inheritable_fd& from) {
        return open([&]() noexcept { return unlink(from); });
    }
    void close(inheritable_fd& h) noexcept {
        const std::lock_guard<std::mutex> held(mutex_);
        if (const int fd = unlink(h); fd >= 0) ::close(fd);
    }

    // Calls w->run() on a thread. May be called again once that has returned. Throws std::system_error.
    void start(std::shared_ptr<worker> w) {
        join_finished();
        const std::lock_guard<std::mutex> held(mutex_);
        running_.reserve(running_.size() + 1);
        const auto work = [this, w] {
            w->run();
            mark_finished();
        };
        running_.push_back({start_thread("sluice-io", work), w, false});
    }

    // A worker has less to do for a module than before.
    void notify_progress() noexcept {
        const std::lock_guard<std::mutex> held(mutex_);
        changed_.notify_all();
    }

    // Writes out what was sent by the ends that a module has made, for at most exit_grace, and ends them. Waits up to a
    // second more for each of: ends that were aborted; for every_module, threads that end.
    void finish(module_id module) noexcept {
        std::unique_lock<std::mutex> lock(mutex_);
        const auto all_over = [&] {
            return std::none_of(running_.begin(), running_.end(),
                                [&](const thread& t) { return !t.finished && t.job->has_work_of(module); });
        };
        for (const thread& t : running_) t.job->finish(module);
        if (!changed_.wait_for(lock, exit_grace, all_over)) {
            for (const thread& t : running_) t.job->abort(module);
            changed_.wait_for(lock, std::chrono::seconds(1), all_over);  // a codec may hold one up for longer
        }
        if (module != every_module) return;
        changed_.wait_for(lock, std::chrono::seconds(1), [this] {
            return std::all_of(running_.begin(), running_.end(), [](const thread& t) { return t.finished; });
        });
        std::vector<thread> remaining = std::exchange(running_, {});
        lock.unlock();
        for (thread& t : remaining) t.finished ? t.handle.join() : t.handle.detach();
    }

private:
    struct thread {
        std::thread handle;
        std::shared_ptr<worker> job;
        bool finished;  // run() has returned
    };

    void after_fork_in_child() noexcept {
        fork_epoch_.fetch_add(1, std::memory_order_relaxed);
        for (std::size_t fd = 0; fd < private_fds_.size(); ++fd) {
            if (private_fds_[fd]) ::close(static_cast<int>(fd));
        }
        private_fds_.clear();
        early_bytes_.store(0, std::memory_order_relaxed);
        // The parent's threads may have been changing what they own: it is kept and never touched.
        parent_threads_.push_back({std::exchange(running_, {}), std::exchange(shared_worker_, nullptr)});
        for (inheritable_fd* h = inheritable_; h;) {
            inheritable_fd& each = *std::exchange(h, h->next);
            if (each.thread == this_thread()) continue;
            ::close(unlink(each));
            each.closed_by_fork = true;
        }
        mutex_.unlock();
    }

    // A number that no other thread has or will have.
    static unsigned this_thread() noexcept {
        static std::atomic<unsigned> count{0};
        static thread_local const unsigned number = count.fetch_add(1, std::memory_order_relaxed);
        return number;
    }

    // Both require mutex_.
    void link(inheritable_fd& h) noexcept {
        if (h.fd < 0) return;
        h.thread = this_thread();
        h.previous = nullptr;
        h.next = inheritable_;
        if (h.next) h.next->previous = &h;
        inheritable_ = &h;
    }
    int unlink(inheritable_fd& h) noexcept {
        if (h.fd < 0) return -1;
        (h.previous ? h.previous->next : inheritable_) = h.next;
        if (h.next) h.next->previous = h.previous;
        return std::exchange(h.fd, -1);
    }

    void mark_finished() noexcept {
        const std::lock_guard<std::mutex> held(mutex_);
        for (thread& t : running_) {
            if (t.handle.get_id() == std::this_thread::get_id()) t.finished = true;
        }
        changed_.notify_all();
    }

    void join_finished() {
        std::vector<thread> gone;
        {
            const std::lock_guard<std::mutex> held(mutex_);
            const auto first =
                std::partition(running_.begin(), running_.end(), [](const thread& t) { return !t.finished; });
            gone.assign(std::make_move_iterator(first), std::make_move_iterator(running_.end()));
            running_.erase(first, running_.end());
        }
        for (thread& t : gone) t.handle.join();
    }

    // How long the end of a program waits for what was sent to be written.
    static constexpr std::chrono::seconds exit_grace{5};

    inline static std::atomic<unsigned> fork_epoch_{1};
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<bool> private_fds_;  // by number: those to be closed in a forked child
    std::vector<thread> running_;
    std::shared_ptr<worker> shared_worker_;
    struct parents {
        std::vector<thread> running;
        std::shared_ptr<worker> shared_worker;
    };
    std::vector<parents> parent_threads_;
    inheritable_fd* inheritable_ = nullptr;
    std::atomic<std::size_t> early_bytes_{0};
};

// Made when the module is loaded: a thread that registers handlers later may do so within the fork of another, which then
// does not call them. So its exit handler is registered before those of modules, and runs after them.
#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wglobal-constructors"
#endif
[[maybe_unused]] inline process& process_at_load = process::self();
#if defined(__clang__)
#pragma clang diagnostic pop
#endif

// This module: when it is unloaded, or the program ends, what it has made is finished.
SLUICE_LOCAL inline module_id this_module() {
    static std::atomic<bool> is_registered{false};
    if (!is_registered.load(std::memory_order_relaxed)) {
        std::atexit([] { process::self().finish(&is_registered); });  // twice does no harm
        is_registered.store(true, std::memory_order_relaxed);
    }
    return &is_registered;
}

}  // namespace sluice::ipc::detail
