// Rejected with "sluice: this coroutine has no executor: await sluice::via": the same in a select.
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

other misuse(sluice::receiver<int> rx) {
    (void)co_await sluice::async_select(sluice::on_recv(rx, [](int) {}));
}
