// sync_wait: a thread runs a task to its end.
#pragma once

#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <sluice/run_loop.hpp>
#include <sluice/task.hpp>

namespace sluice {

namespace detail {

template <class T>
task<> store(task<T> what, std::optional<T>& value) {
    value.emplace(co_await std::move(what));
}
template <class T>
task<> store(task<T&> what, T*& value) {
    value = std::addressof(co_await std::move(what));
}

}  // namespace detail

/// Runs `what` on a loop of its own in this thread, with whatever it spawns there, and returns its value, or throws
/// what it threw. Blocks until then. From within a coroutine it blocks that one's loop, for ever if `what` waits for something
/// that only that loop would do. The task is consumed; one without a coroutine throws std::invalid_argument. May be called
/// from any thread.
template <class T>
T sync_wait(task<T> what) {
    run_loop loop;
    if constexpr (std::is_void_v<T>) {
        loop.spawn(std::move(what));
        loop.run();
    } else {
        std::conditional_t<std::is_reference_v<T>, std::remove_reference_t<T>*, std::optional<T>> value{};
        loop.spawn(detail::store(std::move(what), value));
        loop.run();
        return static_cast<T>(*std::move(value));
    }
}
/// @cond
template <class F>
    requires(!detail::is_task<std::remove_cvref_t<F>>)
void sync_wait(F&&) {
    static_assert(detail::is_task<F>, "sluice: sync_wait() takes a task: what a lambda returns, as in sync_wait(f())");
}
/// @endcond

}  // namespace sluice
