// Rejected with "sluice: this coroutine has no executor: await sluice::via": nothing says where the coroutine goes on.
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

other misuse(sluice::receiver<int> rx) { (void)co_await rx.async_recv(); }
