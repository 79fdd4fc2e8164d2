// Rejected with "sluice: what via returns is awaited once, as an rvalue: co_await std::move": it might be awaited again.
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
    };
};

other misuse(sluice::receiver<int> rx) {
    auto operation = sluice::via(plain_executor(), rx.async_recv());
    co_await operation;
}
