// task_group: tasks of which a coroutine waits for all.
#pragma once

#include <concepts>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include <sluice/detail/loop_core.hpp>
#include <sluice/detail/loop_executor.hpp>
#include <sluice/detail/loop_lock.hpp>
#include <sluice/detail/loop_task.hpp>
#include <sluice/detail/resumption_list.hpp>
#include <sluice/detail/sync.hpp>
#include <sluice/run_loop.hpp>
#include <sluice/task.hpp>
#include <sluice/this_executor.hpp>

namespace sluice {

/// Spawns tasks on a loop, and waits for all of them:
/// `sluice::task_group g(co_await sluice::this_executor()); g.spawn(...); co_await g.join();`
///
/// After a join() it can be used again. It is destroyed only when all its tasks have ended: one that is destroyed before
/// terminates the program, unless the destructor of its loop does it, which destroys the tasks too. Not copyable, and not
/// movable. spawn() and stop_token() may be called from any thread.
class task_group final : detail::task_owner {
public:
    class joining;

    /// An empty group, whose tasks run on that loop, which must outlive them.
    explicit task_group(run_loop::executor_type executor) : loop_(*executor.loop_) {}
    /// @cond
    template <std::same_as<run_loop> Loop>
    explicit task_group(Loop& loop) : task_group(loop.executor()) {
        static_assert(!std::is_same_v<Loop, run_loop>,
                      "sluice: a task_group takes an executor: co_await sluice::this_executor(), or loop.executor()");
    }
    /// @endcond
    task_group(const task_group&) = delete;
    task_group& operator=(const task_group&) = delete;
    ~task_group() {
        detail::loop_lock lock(mutex_);
        if (running_ == 0) return;
        if (!loop_.is_being_destroyed()) std::terminate();
        lock.unlock();
        loop_.destroy_tasks_of(*this);
    }

    /// Takes a `task<>`, or a callable that returns a task, as run_loop::spawn() does. What leaves it goes to join(). Never
    /// blocks, and throws as run_loop::spawn() does; then nothing was spawned.
    template <class F>
    void spawn(F&& what) {
        detail::spawned_task& spawned = detail::task_access::release(detail::as_spawned(std::forward<F>(what)));
        {
            const detail::loop_lock lock(mutex_);
            ++running_;
        }
        loop_.spawn(spawned, this);
    }

    /// `co_await g.join()` in a task waits until all tasks of the group have ended, those included that they spawn in it
    /// meanwhile. Then it throws the first exception that left one of them, if any did; the others' are dropped. Of
    /// several that wait at once, one gets the exception. Must be awaited in the full expression that calls it.
    joining join() noexcept;

    /// A token by which tasks learn that they are to end early: a stop is requested when an exception leaves one of
    /// them. The join() that throws it makes a new token, for those that are spawned from then on.
    detail::sync::stop_token stop_token() const {
        const detail::loop_lock lock(mutex_);
        return stop_.get_token();
    }

private:
    void task_ended(std::exception_ptr exception) noexcept override {
        if (exception) {
            std::optional<detail::sync::stop_source> stop;
            {
                const detail::loop_lock lock(mutex_);
                if (!first_exception_) {
                    std::swap(first_exception_, exception);
                    stop.emplace(stop_);
                }
            }
            if (stop) stop->request_stop();
        }
        exception = nullptr;  // it may be the last reference, and is destroyed without the lock
        count_off();
    }
    void task_destroyed() noexcept override { count_off(); }
    // Who waits may destroy the group as soon as the lock is free.
    void count_off() noexcept;

    detail::loop_core& loop_;
    mutable detail::sync::mutex mutex_;
    // All guarded by mutex_.
    std::size_t running_ = 0;
    detail::resumption_list joining_;
    std::exception_ptr first_exception_;
    detail::sync::stop_source stop_;
};

/// What join() makes, to be awaited at once.
class [[nodiscard]] task_group::joining : public resumption {
public:
    ~joining() {
        if (!executor_) return;
        {
            const detail::loop_lock lock(group_.mutex_);
            if (!is_posted_) {
                detail::resumption_list::unlink(*this);
                return;
            }
        }
        executor_->revoke(*this);
    }

    /// Whether no task is running.
    bool await_ready() const noexcept {
        const detail::loop_lock lock(group_.mutex_);
        return group_.running_ == 0;
    }
    /// Suspends unless none is running by now.
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> waiting) noexcept {
        static_assert(detail::runs_on_loop<Promise>, "sluice: task_group::join() is awaited by a task");
        if constexpr (detail::runs_on_loop<Promise>) {
            const detail::loop_lock lock(group_.mutex_);
            if (group_.running_ == 0) return false;
            coroutine_ = waiting;
            executor_.emplace(waiting.promise().sluice_executor());
            group_.joining_.push_back(*this);
            return true;
        }
    }
    /// Throws the first exception of a task.
    void await_resume() {
        executor_.reset();
        std::exception_ptr exception;
        {
            const detail::loop_lock lock(group_.mutex_);
            if (!group_.first_exception_) return;
        }
        detail::sync::stop_source fresh;
        {
            const detail::loop_lock lock(group_.mutex_);
            std::swap(exception, group_.first_exception_);
            if (exception) std::swap(group_.stop_, fresh);
        }
        if (exception) std::rethrow_exception(std::move(exception));
    }

private:
    friend class task_group;
    explicit joining(task_group& group) noexcept : resumption(run), group_(group) {}
    static void run(resumption& node) { static_cast<joining&>(node).coroutine_.resume(); }

    task_group& group_;
    std::coroutine_handle<> coroutine_;
    // While it waits; is_posted_ and the links are guarded by the group's lock until it is posted.
    std::optional<run_loop::executor_type> executor_;
    bool is_posted_ = false;
};

inline task_group::joining task_group::join() noexcept { return joining(*this); }

inline void task_group::count_off() noexcept {
    const detail::loop_lock lock(mutex_);
    if (--running_ > 0) return;
    while (resumption* const node = joining_.pop_front()) {
        auto& waiting = static_cast<joining&>(*node);
        waiting.is_posted_ = true;
        const run_loop::executor_type executor = *waiting.executor_;
        executor.post(waiting);
    }
}

}  // namespace sluice
