// Coroutines of the models, and where they run: an executor so small that its own steps hide none of the library's.
#pragma once

#include <algorithm>
#include <array>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <mutex>
#include <utility>

#include <sluice/executor.hpp>

#include <model/explorer/clock.hpp>
#include <model/explorer/control.hpp>
#include <model/explorer/mutex.hpp>

namespace model {

// Resumes what was posted, in the threads that are in run(); fails where something is posted, or set, twice.
class small_loop {
public:
    small_loop() = default;
    small_loop(const small_loop&) = delete;
    small_loop& operator=(const small_loop&) = delete;
    ~small_loop() { expect(posted_count_ == 0 && timer_count_ == 0, "something is posted that nobody has revoked"); }

    // Takes handles alone.
    class handle_executor {
    public:
        explicit handle_executor(small_loop& of) noexcept : of_(&of) {}
        void post(std::coroutine_handle<> h) const noexcept { of_->add({nullptr, h}); }

    protected:
        small_loop* of_;
    };
    class timed_executor : public handle_executor {
    public:
        using handle_executor::handle_executor;
        void post_at(clock::time_point when, sluice::timer_node& node) const noexcept { of_->set(when, node); }
        bool cancel(sluice::timer_node& node) const noexcept { return of_->unset(node); }
    };
    // Takes nodes, and takes them back.
    class executor : public timed_executor {
    public:
        using timed_executor::post;
        using timed_executor::timed_executor;
        void post(sluice::resumption& node) const noexcept { of_->add({&node, nullptr}); }
        bool revoke(sluice::resumption& node) const noexcept { return of_->take_back(node); }
    };

    // Until so many coroutines have ended here, in all.
    void run(int ends) {
        std::unique_lock lock(mutex_);
        while (ended_ < ends) {
            if (timer_count_ > 0 && timers_[0]->when <= clock::now()) {
                sluice::timer_node* const node = timers_[0];
                forget(0);
                lock.unlock();
                node->expire();
                lock.lock();
            } else if (posted_count_ > 0) {
                const entry e = posted_[0];
                std::copy(posted_.begin() + 1, posted_.begin() + posted_count_--, posted_.begin());
                lock.unlock();
                sluice::detail::sync::this_thread().completed_in_a_row = 0;
                e.node ? e.node->resume() : e.handle.resume();
                lock.lock();
            } else if (timer_count_ > 0) {
                changed_.wait_until(lock, timers_[0]->when);
            } else {
                changed_.wait(lock);
            }
        }
    }
    void note_end() noexcept {
        const std::lock_guard lock(mutex_);
        ++ended_;
        changed_.notify_all();
    }

private:
    struct entry {
        sluice::resumption* node;
        std::coroutine_handle<> handle;
        bool operator==(const entry&) const = default;
    };

    void add(const entry& e) noexcept {
        const std::lock_guard lock(mutex_);
        const auto end = posted_.begin() + posted_count_;
        expect(std::find(posted_.begin(), end, e) == end, "a coroutine is posted twice");
        expect(posted_count_ < most, "too many coroutines are posted");
        posted_[static_cast<std::size_t>(posted_count_++)] = e;
        changed_.notify_one();
    }
    bool take_back(sluice::resumption& node) noexcept {
        const std::lock_guard lock(mutex_);
        const auto end = posted_.begin() + posted_count_, found = std::find(posted_.begin(), end, entry{&node, {}});
        if (found == end) return false;
        std::copy(found + 1, end, found);
        --posted_count_;
        return true;
    }
    void set(clock::time_point when, sluice::timer_node& node) noexcept {
        const std::lock_guard lock(mutex_);
        expect(find(node) == timer_count_, "a timer is set twice");
        expect(timer_count_ < most, "too many timers are set");
        node.when = when;
        int at = timer_count_++;
        for (; at > 0 && timers_[static_cast<std::size_t>(at - 1)]->when > when; --at)
            timers_[static_cast<std::size_t>(at)] = timers_[static_cast<std::size_t>(at - 1)];
        timers_[static_cast<std::size_t>(at)] = &node;
        if (at == 0) changed_.notify_all();
    }
    bool unset(sluice::timer_node& node) noexcept {
        const std::lock_guard lock(mutex_);
        const int at = find(node);
        if (at == timer_count_) return false;
        forget(at);
        return true;
    }
    int find(const sluice::timer_node& node) const {
        int at = 0;
        while (at < timer_count_ && timers_[static_cast<std::size_t>(at)] != &node) ++at;
        return at;
    }
    void forget(int at) {
        std::copy(timers_.begin() + at + 1, timers_.begin() + timer_count_, timers_.begin() + at);
        --timer_count_;
    }

    static constexpr int most = 6;

    mutex mutex_;
    condition_variable changed_;
    std::array<entry, most> posted_;
    std::array<sluice::timer_node*, most> timers_;
    int posted_count_ = 0, timer_count_ = 0, ended_ = 0;
};

// A coroutine that goes on where its first parameter says, and begins at once: a lambda, as a rule, whose captures are
// the caller's to keep. Its frame goes with this, whether it has ended or not.
template <class Executor>
class basic_coroutine {
public:
    class promise_type {
    public:
        template <class... Args>
        promise_type(const Executor& executor, small_loop& of, const Args&...) noexcept
            : executor_(executor), of_(of) {}
        template <class Closure>
        promise_type(const Closure&, const Executor& executor, small_loop& of) noexcept : promise_type(executor, of) {}
        basic_coroutine get_return_object() noexcept {
            return basic_coroutine(std::coroutine_handle<promise_type>::from_promise(*this));
        }
        std::suspend_never initial_suspend() const noexcept { return {}; }
        auto final_suspend() const noexcept {
            struct ending {
                bool await_ready() const noexcept { return false; }
                void await_suspend(std::coroutine_handle<>) const noexcept { of.note_end(); }
                void await_resume() const noexcept {}
                small_loop& of;
            };
            return ending{of_};
        }
        void return_void() const noexcept {}
        void unhandled_exception() const noexcept { fail("a coroutine of a model has thrown"); }
        Executor sluice_executor() const noexcept { return executor_; }

    private:
        const Executor executor_;
        small_loop& of_;
    };

    basic_coroutine(basic_coroutine&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    basic_coroutine& operator=(basic_coroutine&&) = delete;
    ~basic_coroutine() { destroy(); }
    void destroy() {
        if (handle_) std::exchange(handle_, nullptr).destroy();
    }

private:
    explicit basic_coroutine(std::coroutine_handle<promise_type> h) noexcept : handle_(h) {}
    std::coroutine_handle<promise_type> handle_;
};

using coroutine = basic_coroutine<small_loop::executor>;

// A coroutine that begins in this thread, which has a loop for it and does nothing else until it has ended.
template <class Begin>
void in_coroutine(Begin&& begin) {
    small_loop loop;
    const auto c = begin(small_loop::executor(loop), loop);
    loop.run(1);
}

}  // namespace model
