// loop_task: what a loop knows of a task.
#pragma once

#include <coroutine>
#include <exception>
#include <utility>

#include <sluice/executor.hpp>

namespace sluice::detail {

class loop_core;

// Base of the promise of every task. As a resumption it is posted to begin the task, or, where it has ended and the
// thread does not run its loop, to go on with the one that awaits it.
class loop_task : public resumption {
public:
    explicit loop_task(std::coroutine_handle<> coroutine) noexcept : resumption(run), frame(coroutine) {}

    static bool is_one(const resumption& node) noexcept { return node.run_ == run; }

    const std::coroutine_handle<> frame;
    // Where it runs; from when it is spawned or awaited.
    loop_core* loop = nullptr;
    // The task that awaits this one, and goes on when it has ended. Null for one that was spawned, or has not begun.
    loop_task* awaiting = nullptr;
    // What it has thrown.
    std::exception_ptr exception;

private:
    static void run(resumption& node);
};

// Where a spawned task reports its end, if that is not the loop itself.
class task_owner {
public:
    // The frame of one is gone; with what it threw, if anything. The owner may be gone when this returns.
    virtual void task_ended(std::exception_ptr exception) noexcept = 0;
    // One is about to be destroyed by the loop's destructor, before its end.
    virtual void task_destroyed() noexcept = 0;

protected:
    task_owner() = default;
    ~task_owner() = default;
};

// Base of the promise of a task without a value, the only kind that a loop spawns.
class spawned_task : public loop_task {
public:
    using loop_task::loop_task;
    task_owner* owner = nullptr;
};

}  // namespace sluice::detail
