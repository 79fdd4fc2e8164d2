// signal_hub: the way of a signal from its handler to the channels of those that asked for it.
#pragma once

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <unistd.h>

#include <sluice/channel.hpp>
#include <sluice/detail/compiler.hpp>
#include <sluice/detail/immortal.hpp>
#include <sluice/detail/throw.hpp>
#include <sluice/detail/waiter.hpp>

namespace sluice::detail {

// Where a signal comes in. The handler does nothing that is not safe in a handler: it reads atomics without locks, and
// posts a semaphore. (It is no pipe, which would need two descriptors, and which a forked child would share.) There is
// one of all this in a process, also for shared objects compiled with hidden symbols.
class SLUICE_SHARED signal_handler {
public:
    static constexpr int count = NSIG;  // signals have numbers below

    // The handler in place of the former one, which is kept; not if it is there already, because somebody else has put
    // it back. The signal must be one that can be handled.
    static void install(int signal) noexcept {
        raised_[index(signal)].store(false, std::memory_order_relaxed);
        if (!is_installed(signal)) ::sigaction(signal, nullptr, &former_[index(signal)]);
        listening_[index(signal)].store(true, std::memory_order_seq_cst);
        struct sigaction ours {};
        ours.sa_handler = &handle;
        ours.sa_flags = SA_RESTART | SA_ONSTACK;
        ::sigemptyset(&ours.sa_mask);
        ::sigaction(signal, &ours, nullptr);
    }
    // The former one again, unless somebody else has changed it.
    static void restore(int signal) noexcept {
        if (is_installed(signal)) ::sigaction(signal, &former_[index(signal)], nullptr);
        listening_[index(signal)].store(false, std::memory_order_seq_cst);
    }
    static bool is_listening(int signal) noexcept { return listening_[index(signal)].load(std::memory_order_relaxed); }

    // For the process that this is now.
    static bool begin() noexcept {
        process_.store(::getpid(), std::memory_order_relaxed);
        return ::sem_init(&bell_, 0, 0) == 0;
    }
    static void ring() noexcept { ::sem_post(&bell_); }
    // Waits until the handler, or ring(), has rung.
    static void wait() noexcept {
        while (::sem_wait(&bell_) != 0 && errno == EINTR) {
        }
    }
    // Whether it came since the last call.
    static bool take(int signal) noexcept { return raised_[index(signal)].exchange(false, std::memory_order_seq_cst); }
    static void put_back(int signal) noexcept {
        raised_[index(signal)].store(true, std::memory_order_seq_cst);
        ring();
    }

private:
    static std::size_t index(int signal) noexcept { return static_cast<std::size_t>(signal); }

    static bool is_installed(int signal) noexcept {
        struct sigaction now {};
        return ::sigaction(signal, nullptr, &now) == 0 && (now.sa_flags & SA_SIGINFO) == 0 && now.sa_handler == &handle;
    }

    static void handle(int signal) noexcept {
        const int error = errno;
        if (process_.load(std::memory_order_relaxed) == ::getpid() && is_listening(signal)) {
            if (!raised_[index(signal)].exchange(true, std::memory_order_seq_cst)) ring();
        } else if (is_installed(signal)) {
            // In the child of a fork that has come no further, or after somebody else has put this handler back: the
            // former one gets the signal, when this one returns.
            ::sigaction(signal, &former_[index(signal)], nullptr);
            ::raise(signal);
        }
        errno = error;
    }

    static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<::pid_t>::is_always_lock_free);
    inline static std::atomic<bool> raised_[count]{}, listening_[count]{};
    inline static std::atomic<::pid_t> process_{0};
    inline static struct sigaction former_[count] {};
    inline static sem_t bell_{};
};

// Hands signals on to the receivers that asked for them, in a thread that runs while there is one. In that thread the
// signals are not blocked, so that they are heard of where all others block them; all others are.
//
// `changes_` is held while receivers come and go, with all that this takes: so the thread has taken note of it, and has
// ended if nobody is left, before a disposition comes back. `mutex_`, which comes after it, guards what the thread uses
// too; messages are sent under it. A fork takes both, so that a child finds everything in order: it has no receivers
// from before, and the former dispositions.
class SLUICE_SHARED signal_hub;
class signal_hub {
public:
    signal_hub() {
        ::pthread_atfork(
            [] {
                self().changes_.lock();
                self().mutex_.lock();
            },
            [] {
                self().mutex_.unlock();
                self().changes_.unlock();
            },
            [] { self().after_fork_in_child(); });
    }
    static signal_hub& self() { return immortal<signal_hub>::self(); }

    // Throws std::invalid_argument, std::system_error where there is no thread to be had, and std::bad_alloc.
    receiver<int> receive(const int* first, const int* last) {
        std::list<subscriber> made(1);
        subscriber& added = made.front();
        for (; first != last; ++first) {
            check(*first);
            if (!added.wants(*first)) added.signals.push_back(*first);
        }
        added.unreceived.reserve(added.signals.size());
        auto [tx, rx] = unbounded<int>();
        added.to = std::move(tx);

        const std::lock_guard<std::mutex> changing(changes_);
        if (!begun_) begin();
        if (subscribers_.empty()) start_thread();
        core_of(added.to)->observe_close(added);
        for (const int signal : added.signals) {
            if (users_[static_cast<std::size_t>(signal)]++ == 0) signal_handler::install(signal);
        }
        const std::lock_guard<std::mutex> held(mutex_);
        subscribers_.splice(subscribers_.end(), made);
        request_mask();
        return std::move(rx);
    }

private:
    // Completed when its receivers have gone, or one has closed the channel.
    struct subscriber : waiter {
        subscriber() noexcept {
            has_callback = true;
            callback = [](waiter& w) noexcept { self().drop(static_cast<subscriber&>(w)); };
        }
        bool wants(int signal) const noexcept {
            return std::find(signals.begin(), signals.end(), signal) != signals.end();
        }

        sender<int> to;
        std::vector<int> signals;
        std::vector<int> unreceived;  // what was sent last, in order; the first of them may have been received
    };

    static void check(int signal) {
        struct sigaction now {};
        for (const int refused : {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) {
            if (signal == refused)
                throw_error(std::invalid_argument("sluice: signal " + std::to_string(signal) +
                                                  " can't be received: it can't be handled, or reports a fault"));
        }
        if (signal <= 0 || signal >= signal_handler::count || ::sigaction(signal, nullptr, &now) != 0)
            throw_error(std::invalid_argument("sluice: there is no signal " + std::to_string(signal) + " to receive"));
    }

    // ---- With changes_ held

    // Throws std::system_error.
    void begin() {
        if (!signal_handler::begin())
            throw_error(std::system_error(errno, std::generic_category(), "sluice: no semaphore for signals"));
        begun_ = true;
    }

    // Throws std::system_error.
    void start_thread() {
        sigset_t all, before;
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before);
        ends_ = false;
        const int error = ::pthread_create(
            &thread_, nullptr,
            [](void* hub) -> void* {
                static_cast<signal_hub*>(hub)->run();
                return nullptr;
            },
            this);
        ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
        if (error != 0) throw_error(std::system_error(error, std::generic_category(), "sluice: no thread for signals"));
    }

    // By the thread that has closed the channel.
    void drop(subscriber& leaving) noexcept {
        std::list<subscriber> gone;
        const std::lock_guard<std::mutex> changing(changes_);
        {
            std::unique_lock<std::mutex> lock(mutex_);
            auto found = subscribers_.begin();
            while (&*found != &leaving) ++found;
            gone.splice(gone.end(), subscribers_, found);
            for (const int signal : leaving.signals) --users_[static_cast<std::size_t>(signal)];
            ends_ = subscribers_.empty();
            request_mask();
            changed_.wait(lock, [this] { return mask_applied_ == mask_requested_; });
        }
        if (ends_) ::pthread_join(thread_, nullptr);
        for (const int signal : leaving.signals) {
            if (users_[static_cast<std::size_t>(signal)] == 0) signal_handler::restore(signal);
        }
    }

    // Has the thread look at which signals it is to block. With mutex_ held too.
    void request_mask() noexcept {
        ++mask_requested_;
        signal_handler::ring();
    }

    // What the parent's thread may have been using is kept, and never touched.
    void after_fork_in_child() noexcept {
        for (int signal = 1; signal < signal_handler::count; ++signal) {
            if (signal_handler::is_listening(signal)) signal_handler::restore(signal);
            users_[static_cast<std::size_t>(signal)] = 0;
        }
        begun_ = false;
        parents_.splice(parents_.end(), subscribers_);
        mutex_.unlock();
        changes_.unlock();
    }

    // ---- In the thread

    void run() noexcept {
#if defined(__linux__)
        ::pthread_setname_np(::pthread_self(), "sluice-signals");
#endif
        for (;;) {
            signal_handler::wait();
            const std::lock_guard<std::mutex> held(mutex_);
            if (mask_applied_ != mask_requested_) apply_mask();
            if (ends_) return;
            for (int signal = 1; signal < signal_handler::count; ++signal) {
                if (signal_handler::take(signal)) deliver(signal);
            }
        }
    }

    void apply_mask() noexcept {
        sigset_t blocked;
        ::sigfillset(&blocked);
        for (const subscriber& s : subscribers_) {
            for (const int signal : s.signals) ::sigdelset(&blocked, signal);
        }
        ::pthread_sigmask(SIG_SETMASK, &blocked, nullptr);
        mask_applied_ = mask_requested_;
        changed_.notify_all();
    }

    // A message that is still in the channel will be received after this signal has come, and stands for it too.
    // Nobody else sends there, so as many of those that were sent last are still there as there are in all.
    void deliver(int signal) noexcept {
        for (subscriber& s : subscribers_) {
            if (!s.wants(signal)) continue;
            const auto received = static_cast<std::ptrdiff_t>(s.unreceived.size() - s.to.size());
            s.unreceived.erase(s.unreceived.begin(), s.unreceived.begin() + received);
            if (std::find(s.unreceived.begin(), s.unreceived.end(), signal) != s.unreceived.end()) continue;
            bool sent = false;
            if (thrown_by([&] { sent = s.to.try_send(signal).has_value(); })) {
                signal_handler::put_back(signal);  // there is no memory; it is tried again
            } else if (sent) {
                s.unreceived.push_back(signal);
            }
        }
    }

    std::mutex changes_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::list<subscriber> subscribers_;
    std::list<subscriber> parents_;  // those of processes of which this one was forked
    std::size_t users_[signal_handler::count]{};
    std::uint64_t mask_requested_ = 0, mask_applied_ = 0;
    bool begun_ = false;  // in this process
    bool ends_ = false;
    pthread_t thread_{};
};

// Made when the module is loaded: a thread that registers handlers later may do so within the fork of another, which then
// does not call them.
#if defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wglobal-constructors"
#endif
[[maybe_unused]] inline signal_hub& signal_hub_at_load = signal_hub::self();
#if defined(__clang__)
#pragma clang diagnostic pop
#endif

}  // namespace sluice::detail
