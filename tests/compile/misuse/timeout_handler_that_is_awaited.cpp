// Rejected with "sluice: .*handler.* awaited": a handler that returns what a free operator co_await makes an awaiter of.
#include <sluice/sluice.hpp>

#include <chrono>
#include <coroutine>

struct breather {};
std::suspend_always operator co_await(breather&) { return {}; }
breather& take_a_break();

int main() {
    sluice::selector group;
    (void)group.add(sluice::on_timeout(std::chrono::seconds(1), take_a_break));
}
