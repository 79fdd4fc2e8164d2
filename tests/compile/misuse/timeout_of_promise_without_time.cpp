// Rejected with "sluice: a timeout, a deadline or a timer needs an executor with post_at": the promise offers one that only posts.
#include <coroutine>

#include <sluice/async.hpp>

struct plain_executor {
    void post(std::coroutine_handle<>) const noexcept {}
};

struct other {
    struct promise_type {
        other get_return_object() { return {}; }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() {}
        plain_executor sluice_executor() const noexcept { return {}; }
    };
};

other misuse(sluice::timer timer) { (void)co_await timer.async_recv(); }
