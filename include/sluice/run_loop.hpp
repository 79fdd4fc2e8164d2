// run_loop: the threads that are in its run() share the work of resuming coroutines.
#pragma once

#include <cstddef>
#include <utility>

#include <sluice/detail/loop_core.hpp>
#include <sluice/detail/loop_executor.hpp>
#include <sluice/task.hpp>

namespace sluice {

/// Runs coroutines. Tasks are given to it by spawn(), from any thread, and begin and go on inside run() or poll(). Not
/// copyable, and not movable.
class run_loop {
public:
    /// Its executor: see there.
    using executor_type = detail::loop_executor;

    run_loop() = default;
    run_loop(const run_loop&) = delete;
    run_loop& operator=(const run_loop&) = delete;
    /// Destroys every task that has not ended, in whatever state: what they wait for is withdrawn. Requires that no
    /// thread runs it or spawns; other threads may use the channels and whatever else its tasks wait for meanwhile.
    ~run_loop() = default;

    /// Takes a `task<>`, or a callable that returns a task, which is called as that begins and kept until it has ended: the way
    /// to write a lambda that has captures. Tasks begin inside run() or poll(), in the order of spawning. Never blocks. Throws
    /// what the copy or move of a callable throws, or its allocation; a task costs none; and std::invalid_argument for a
    /// task without a coroutine, as one that was spawned before. May be called from any thread, before or during run().
    template <class F>
    void spawn(F&& what) {
        core_.spawn(detail::task_access::release(detail::as_spawned(std::forward<F>(what))), nullptr);
    }

    /// Resumes coroutines as they become ready, until every task that was spawned has ended and nothing is ready, or a
    /// stop() ends it; with nothing to do it sleeps. It does not wait for coroutines of other types, which via() resumes
    /// here. An exception that leaves a spawned task leaves the run() or poll() of
    /// the thread that ran it; the other tasks go on in the next one. May be called by several threads at once, which then
    /// share the work.
    void run() { core_.run(); }

    /// Resumes what is ready now, the timers that are due included, and returns how many that were; does not wait. What becomes
    /// ready meanwhile is left for the next call. For programs with a main loop of their own. Exceptions and threads as
    /// for run().
    std::size_t poll() { return core_.poll(); }

    /// Ends the run()s that are under way, each after the coroutine that it is resuming; if there are none, the next one, before it
    /// resumes anything: one, however often this was called before. What has not ended goes on with the next run().
    /// A poll() is not affected. Never blocks; may be called from any thread.
    void stop() noexcept { core_.stop(); }

    /// The executor that resumes coroutines here. It refers to the loop.
    executor_type executor() noexcept { return executor_type(core_); }

private:
    detail::loop_core core_;
};

}  // namespace sluice
