// The smallest useful coroutines: they wait for each other as threads would, in one thread.

// README begin
#include <sluice/async.hpp>

#include <iostream>

sluice::task<> count(sluice::sender<int> out) {
    for (int n = 1; n <= 3; ++n) {
        if (!co_await out.async_send(n)) co_return;  // the consumer has gone
    }
}

sluice::task<> print(sluice::receiver<int> in) {
    while (auto n = co_await in.async_recv()) std::cout << *n << '\n';
}

int main() {
    auto [tx, rx] = sluice::rendezvous<int>();
    sluice::run_loop loop;
    loop.spawn(count(std::move(tx)));
    loop.spawn(print(std::move(rx)));
    loop.run();  // until both have ended
}
// README end
