// Rejected with "sluice: a timeout, a deadline or a timer needs an executor with post_at": a case for time, likewise.
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
    (void)co_await sluice::via(plain_executor(), sluice::async_select(sluice::on_recv(rx, [](int) {}),
                                                                      sluice::on_timeout(std::chrono::seconds(1))));
}
