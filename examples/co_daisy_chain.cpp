// Many processes in a row, each with a channel to its neighbour: a number that is put in at one end comes out of the
// other increased by one for each. As threads they would not fit into the machine.
#include "args.hpp"
#include "checked.hpp"

#include <sluice/async.hpp>

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <utility>

sluice::task<> increase(sluice::receiver<std::size_t> in, sluice::sender<std::size_t> out) {
    const auto n = co_await in.async_recv();
    if (n) (void)co_await out.async_send(*n + 1);
}

sluice::task<> put_in(sluice::sender<std::size_t> first) { (void)co_await first.async_send(0); }

sluice::task<> take_out(sluice::receiver<std::size_t> last, sluice::result<std::size_t>& sum) {
    sum = co_await last.async_recv();
}

int main(int argc, char** argv) {
    example::args args(argc, argv, "Passes a number through a long row of coroutines, each of which adds one.");
    const auto length = args.number("length", 100'000, "of the row");
    args.finish();

    const auto start = std::chrono::steady_clock::now();
    sluice::run_loop loop;
    auto [first, end] = sluice::rendezvous<std::size_t>();
    for (std::size_t n = 0; n < length; ++n) {
        auto [tx, rx] = sluice::rendezvous<std::size_t>();
        loop.spawn(increase(std::move(end), std::move(tx)));
        end = std::move(rx);
    }
    sluice::result<std::size_t> sum;
    loop.spawn(take_out(std::move(end), sum));
    loop.spawn(put_in(std::move(first)));
    loop.run();

    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    std::printf("%zu processes in %.3f s\n", length, took.count());
    return example::checked(sum == length, "every process has added one");
}
