// A coroutine type of another library, which knows nothing of executors, and an executor that can only post.
#pragma once

#include <coroutine>
#include <exception>

namespace test {

/// Begins at once, and ends by itself.
struct detached {
    struct promise_type {
        detached get_return_object() noexcept { return {}; }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() noexcept {}
        void unhandled_exception() { std::terminate(); }
    };
};

/// Forgets what is posted: for what only has to compile, or must not.
struct untimed_executor {
    void post(std::coroutine_handle<>) const noexcept {}
};

}  // namespace test
