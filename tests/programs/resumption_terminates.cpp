// An exception that leaves a coroutine of another type, as it goes on after an operation of several steps, ends the program.
#include "program.hpp"

#include <sluice/async.hpp>

#include <coroutine>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <utility>

namespace {

struct throwing {
    struct promise_type {
        throwing get_return_object() noexcept { return {}; }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() noexcept {}
        void unhandled_exception() { throw; }
    };
};

struct one_handle {
    std::coroutine_handle<>* posted;
    void post(std::coroutine_handle<> h) const noexcept { *posted = h; }
};

throwing throw_once_received(one_handle on, sluice::receiver<int> rx) {
    const auto ignore = [](int) {};
    (void)co_await sluice::via(on, sluice::async_select(sluice::on_recv(rx, ignore)));
    throw std::runtime_error("received");
}

}  // namespace

int main() {
    std::set_terminate([] { std::_Exit(0); });
    auto [tx, rx] = sluice::unbounded<int>();
    std::coroutine_handle<> posted;
    throw_once_received(one_handle{&posted}, std::move(rx));
    program::check(tx.try_send(1).has_value() && posted, "a message does not have the coroutine posted");
    posted.resume();
    program::fail("an exception leaves a coroutine that is resumed, and the program goes on");
}
