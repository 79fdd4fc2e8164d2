// Rejected with "sluice: .*handler.* awaited": a coroutine as a handler, which nobody would resume.
#include <sluice/sluice.hpp>

#include <coroutine>

struct task {
    struct promise_type {
        task get_return_object() { return {}; }
        std::suspend_always initial_suspend() noexcept { return {}; }
        std::suspend_always final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() {}
    };
    std::suspend_always operator co_await() const { return {}; }
};

int main() {
    auto [tx, rx] = sluice::unbounded<int>();
    (void)sluice::select(sluice::on_recv(rx, [](int) -> task { co_return; }));
}
