// A gate: something that a coroutine waits for until a thread lets it through, with nothing of the library's channels.
#pragma once

#include <sluice/async.hpp>

#include <coroutine>
#include <mutex>
#include <optional>

namespace test {

/// `co_await g.pass()` suspends a task until somebody opens the gate, from any thread. For one task at a time.
class gate {
public:
    class passing : public sluice::resumption {
    public:
        explicit passing(gate& g) noexcept : resumption(run), gate_(g) {}
        ~passing() {
            {
                const std::lock_guard lock(gate_.mutex_);
                if (gate_.waiting_ == this) gate_.waiting_ = nullptr;
            }
            if (executor_) executor_->revoke(*this);
        }
        bool await_ready() const noexcept { return false; }
        template <class Promise>
        bool await_suspend(std::coroutine_handle<Promise> h) noexcept {
            const std::lock_guard lock(gate_.mutex_);
            if (gate_.is_open_) return false;
            coroutine_ = h;
            executor_.emplace(h.promise().sluice_executor());
            gate_.waiting_ = this;
            return true;
        }
        void await_resume() const noexcept {}

    private:
        friend class gate;
        static void run(resumption& node) { static_cast<passing&>(node).coroutine_.resume(); }
        gate& gate_;
        std::coroutine_handle<> coroutine_;
        std::optional<sluice::run_loop::executor_type> executor_;
    };

    passing pass() noexcept { return passing(*this); }
    void open() {
        const std::lock_guard lock(mutex_);
        is_open_ = true;
        if (waiting_) {
            passing& let_through = *waiting_;
            waiting_ = nullptr;
            let_through.executor_->post(let_through);
        }
    }
    bool has_waiting() const {
        const std::lock_guard lock(mutex_);
        return waiting_ != nullptr;
    }

private:
    mutable std::mutex mutex_;
    passing* waiting_ = nullptr;
    bool is_open_ = false;
};

}  // namespace test
