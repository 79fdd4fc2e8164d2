// this_executor and yield: what a coroutine asks of the loop that it runs on.
#pragma once

#include <concepts>
#include <coroutine>
#include <optional>

#include <sluice/detail/loop_executor.hpp>
#include <sluice/executor.hpp>

namespace sluice {

namespace detail {

// Whether the coroutines with that promise run on a run_loop, and say on which.
template <class Promise>
concept runs_on_loop = requires(const Promise& p) {
    { p.sluice_executor() } -> std::convertible_to<loop_executor>;
};

// Gives the executor and goes on at once.
class executor_query {
public:
    executor_query() noexcept {}
    executor_query(const executor_query&) = delete;
    executor_query& operator=(const executor_query&) = delete;

    bool await_ready() const noexcept { return false; }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> asking) noexcept {
        static_assert(runs_on_loop<Promise>, "sluice: this_executor() is awaited by a task");
        if constexpr (runs_on_loop<Promise>) executor_.emplace(asking.promise().sluice_executor());
        return false;
    }
    loop_executor await_resume() const noexcept { return *executor_; }

private:
    std::optional<loop_executor> executor_;
};

// Posts itself, and goes back if the coroutine is destroyed before it is its turn.
class yielder : public resumption {
public:
    yielder() noexcept : resumption(run) {}
    ~yielder() {
        if (executor_) executor_->revoke(*this);
    }

    bool await_ready() const noexcept { return false; }
    template <class Promise>
    void await_suspend(std::coroutine_handle<Promise> yielding) noexcept {
        static_assert(runs_on_loop<Promise>, "sluice: yield() is awaited by a task");
        if constexpr (runs_on_loop<Promise>) {
            coroutine_ = yielding;
            const loop_executor executor = executor_.emplace(yielding.promise().sluice_executor());
            executor.post(*this);  // another thread may resume the coroutine at once
        }
    }
    void await_resume() noexcept { executor_.reset(); }

private:
    static void run(resumption& node) { static_cast<yielder&>(node).coroutine_.resume(); }

    std::coroutine_handle<> coroutine_;
    std::optional<loop_executor> executor_;
};

}  // namespace detail

/// `co_await this_executor()` in a task gives the executor of its loop, a `run_loop::executor_type`. Does not suspend.
inline detail::executor_query this_executor() noexcept { return {}; }

/// `co_await yield()` in a task lets the others of its loop run: it goes on after all that is ready now. Allocates nothing, and
/// does not fail.
inline detail::yielder yield() noexcept { return {}; }

}  // namespace sluice
