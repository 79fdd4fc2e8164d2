// What a coroutine waits for until a thread lets it go on, with nothing of the library's channels.
#pragma once

#include <sluice/async.hpp>

#include <coroutine>
#include <mutex>
#include <optional>
#include <utility>

namespace test {

/// `co_await g.pass()` suspends a task until somebody opens the gate, from any thread. For one task at a time.
template <class Mutex>
class basic_gate {
public:
    class passing : public sluice::resumption {
    public:
        explicit passing(basic_gate& g) noexcept : resumption(run), gate_(g) {}
        ~passing() {
            if (!executor_) return;
            {
                const std::unique_lock lock(gate_.mutex_);
                if (gate_.waiting_ == this) gate_.waiting_ = nullptr;
            }
            executor_->revoke(*this);
        }
        bool await_ready() const noexcept { return false; }
        template <class Promise>
        bool await_suspend(std::coroutine_handle<Promise> h) noexcept {
            const std::unique_lock lock(gate_.mutex_);
            if (gate_.is_open_) return false;
            coroutine_ = h;
            executor_.emplace(h.promise().sluice_executor());
            gate_.waiting_ = this;
            return true;
        }
        void await_resume() noexcept { executor_.reset(); }

    private:
        friend class basic_gate;
        static void run(resumption& node) { static_cast<passing&>(node).coroutine_.resume(); }
        basic_gate& gate_;
        std::coroutine_handle<> coroutine_;
        std::optional<sluice::run_loop::executor_type> executor_;
    };

    passing pass() noexcept { return passing(*this); }
    void open() {
        const std::unique_lock lock(mutex_);
        is_open_ = true;
        if (!waiting_) return;
        passing& let_through = *std::exchange(waiting_, nullptr);
        let_through.executor_->post(let_through);
    }
    bool has_waiting() const {
        const std::unique_lock lock(mutex_);
        return waiting_ != nullptr;
    }

private:
    mutable Mutex mutex_;
    passing* waiting_ = nullptr;
    bool is_open_ = false;
};

using gate = basic_gate<std::mutex>;

/// Suspends until somebody resumes the handle that it leaves behind.
class leave_handle {
public:
    explicit leave_handle(std::coroutine_handle<>& where) noexcept : where_(where) {}
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> h) const noexcept { where_ = h; }
    void await_resume() const noexcept {}

private:
    std::coroutine_handle<>& where_;
};

}  // namespace test
