// Each marked line awaits, and drops a result that says whether a message was lost, which clang points out.
#include <sluice/async.hpp>

#include <chrono>
#include <iterator>
#include <optional>
#include <vector>

#include "../support/detached.hpp"

namespace {

using namespace std::chrono_literals;

sluice::task<> drop_all(sluice::sender<int> tx, sluice::receiver<int> rx, sluice::timer due) {
    auto now = std::chrono::steady_clock::now();
    std::vector<int> several;
    sluice::broadcaster<int> bus;

    co_await tx.async_send(1);               // discarded
    co_await tx.async_send_timeout(1, 1ms);  // discarded
    co_await tx.async_send_until(1, now);    // discarded
    co_await tx.async_send_many(several);    // discarded
    co_await bus.async_send(1);              // discarded

    co_await rx.async_recv();                                           // discarded
    co_await rx.async_recv_timeout(1ms);                                // discarded
    co_await rx.async_recv_until(now);                                  // discarded
    co_await rx.async_recv_many(std::back_inserter(several), 8);        // discarded
    co_await rx.async_recv_batch(std::back_inserter(several), 8, 1ms);  // discarded
    co_await due.async_recv();                                          // discarded

    // Nothing is lost here: a case has told its handler what it came to.
    std::optional<int> into;
    co_await sluice::async_select(sluice::on_recv(rx, into), sluice::on_timeout(1ms));
    co_await sluice::async_select_biased(sluice::on_recv(rx, into), sluice::otherwise());
    sluice::selector group;
    co_await group.async_wait();
    co_await group.async_wait_timeout(1ms);
    co_await group.async_wait_until(now);
    co_await sluice::yield();
}

test::detached drop_elsewhere(sluice::run_loop::executor_type on, sluice::receiver<int> rx) {
    co_await sluice::via(on, rx.async_recv());  // discarded
    co_await sluice::via(on, sluice::async_select(sluice::otherwise()));
}

}  // namespace

int main() {
    auto [tx, rx] = sluice::unbounded<int>();
    sluice::run_loop loop;
    loop.spawn(drop_all(tx, rx, sluice::after(1ms)));
    drop_elsewhere(loop.executor(), rx);
}
