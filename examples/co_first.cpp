// The smallest useful coroutines: they wait for each other as threads would, in one thread.
#include <sluice/async.hpp>

#include <iostream>
#include <utility>

int main() {
    // README begin
    auto [tx, rx] = sluice::rendezvous<int>();
    sluice::run_loop loop;
    loop.spawn([out = std::move(tx)]() -> sluice::task<> {
        for (int n = 1; n <= 3; ++n) (void)co_await out.async_send(n);
    });
    loop.spawn([in = std::move(rx)]() -> sluice::task<> {
        while (auto n = co_await in.async_recv()) std::cout << *n << '\n';
    });
    loop.run();  // until both have ended
    // README end
}
