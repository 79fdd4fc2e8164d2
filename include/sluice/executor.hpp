// Executors: where a coroutine goes on. The concepts, and the nodes by which one is handed over without an allocation.
#pragma once

#include <concepts>
#include <coroutine>

#include <sluice/detail/sync.hpp>

namespace sluice {

namespace detail {
class loop_task;
}

/// A coroutine that is to be resumed, as a node that the executor links. It lies in what the coroutine awaits, so it
/// exists until resume() was called or the executor has given it back. Not copyable.
class resumption {
public:
    resumption(const resumption&) = delete;
    resumption& operator=(const resumption&) = delete;

    /// Resumes the coroutine, in this thread; called once, by the executor, where its coroutines run and with no lock
    /// held. The node may be gone when it returns. What the coroutine throws out of its body is its own concern.
    void resume() { run_(*this); }

    /// For the executor, from post() until it calls resume() or has revoked the node.
    resumption* next = nullptr;
    /// Likewise.
    resumption* previous = nullptr;

protected:
    /// Calls `run` in place of resuming a coroutine; for what awaits more than one thing in a row.
    explicit resumption(void (*run)(resumption&)) noexcept : run_(run) {}
    ~resumption() = default;

private:
    friend class detail::loop_task;  // which knows its own by it
    void (*const run_)(resumption&);
};

/// A point in time for which something waits, as a node that the executor links. Not copyable.
class timer_node {
public:
    timer_node(const timer_node&) = delete;
    timer_node& operator=(const timer_node&) = delete;

    /// The time has come; called once, by the executor, where its coroutines run and with no lock held. May resume a
    /// coroutine. The node may be gone when it returns.
    void expire() { expired_(*this); }

    /// For the executor, from post_at() until it calls expire() or has cancelled the node.
    timer_node* next = nullptr;
    /// Likewise.
    timer_node* previous = nullptr;
    /// Likewise.
    timer_node* child = nullptr;
    /// Likewise: when it is due.
    detail::sync::clock::time_point when{};

protected:
    /// Calls `expired` when the time has come.
    explicit timer_node(void (*expired)(timer_node&)) noexcept : expired_(expired) {}
    ~timer_node() = default;

private:
    void (*const expired_)(timer_node&);
};

/// Where a coroutine goes on: a copyable object with `void post(std::coroutine_handle<>) const noexcept`, callable from
/// any thread, which neither blocks nor resumes inside the call. Its context outlives what was posted.
template <class E>
concept executor = std::copy_constructible<E> && requires(const E& e, std::coroutine_handle<> h) {
    { e.post(h) }
    noexcept;
};

/// An executor that also calls `node.expire()` at a time of std::chrono::steady_clock, as soon after it as it can:
/// `void post_at(time_point, timer_node& node) const noexcept`. `bool cancel(timer_node& node) const noexcept` takes a
/// node back; false if its expire() was called, or is about to be. Both may be called from any thread.
template <class E>
concept timed_executor = executor<E> && requires(const E& e, detail::sync::clock::time_point t, timer_node& n) {
    { e.post_at(t, n) }
    noexcept;
    { e.cancel(n) }
    noexcept->std::same_as<bool>;
};

/// An executor that can take back what was posted: `void post(resumption& node) const noexcept`, and
/// `bool revoke(resumption& node) const noexcept`, false if `node` is not posted, or its resume() was called, or is
/// about to be.
template <class E>
concept revoking_executor = executor<E> && requires(const E& e, resumption& n) {
    { e.post(n) }
    noexcept;
    { e.revoke(n) }
    noexcept->std::same_as<bool>;
};

}  // namespace sluice
