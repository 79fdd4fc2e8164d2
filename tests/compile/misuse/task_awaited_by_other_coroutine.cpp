// Rejected with "sluice: a task is awaited by a task alone": a coroutine of another type awaits a task.
#include <coroutine>

#include <sluice/async.hpp>

struct other {
    struct promise_type {
        other get_return_object() { return {}; }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() {}
    };
};

sluice::task<int> one() { co_return 1; }

other misuse() { (void)co_await one(); }
