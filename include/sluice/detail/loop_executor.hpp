// The executor of a run_loop.
#pragma once

#include <coroutine>

#include <sluice/detail/loop_core.hpp>
#include <sluice/detail/sync.hpp>
#include <sluice/executor.hpp>

namespace sluice {

class task_group;

namespace detail {

/// run_loop::executor_type: the executor of a run_loop, a `timed_executor` and a `revoking_executor`. What is posted is
/// resumed in the order of posting, by a thread that is in run() or poll(). It refers to the loop, which must outlive what was
/// posted. All its members may be called from any thread, and none of them blocks or resumes anything.
class loop_executor {
public:
    /// For the library's own use: see run_loop::executor().
    explicit loop_executor(loop_core& loop) noexcept : loop_(&loop) {}

    /// Has a suspended coroutine resumed. Takes memory if more are posted at once in this way than ever before; without
    /// memory the program ends.
    void post(std::coroutine_handle<> coroutine) const noexcept { loop_->post(coroutine); }
    /// Has `node.resume()` called. Allocates nothing.
    void post(resumption& node) const noexcept { loop_->post(node); }
    /// Takes back what was posted: its resume() is not called. False, without an effect, if `node` is not posted, or its resume() was
    /// called or is about to be; that a thread is about to call it cannot be if this is called by the one thread that
    /// runs the loop, or while nobody does.
    bool revoke(resumption& node) const noexcept { return loop_->revoke(node); }

    /// Has `node.expire()` called at `when`, or as soon after it as the loop can; at once, if that is past. Allocates nothing.
    void post_at(sync::clock::time_point when, timer_node& node) const noexcept { loop_->post_at(when, node); }
    /// Takes back a timer: its expire() is not called. False, without an effect, if `node` is not posted, or its
    /// expire() was called or is about to be.
    bool cancel(timer_node& node) const noexcept { return loop_->cancel(node); }

    /// Whether both are of one loop.
    bool operator==(const loop_executor&) const noexcept = default;

private:
    friend class sluice::task_group;
    loop_core* loop_;
};

static_assert(timed_executor<loop_executor> && revoking_executor<loop_executor>);

}  // namespace detail
}  // namespace sluice
