// Rejected with "sluice: yield.. is awaited by a task": a coroutine that has no loop yields.
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

other misuse() { co_await sluice::yield(); }
