// Each marked line drops a result that says whether a message was lost, which every compiler points out.
#include <sluice/sluice.hpp>

#include <chrono>
#include <iterator>
#include <vector>

int main() {
    using namespace std::chrono_literals;
    auto [tx, rx] = sluice::unbounded<int>();
    auto now = std::chrono::steady_clock::now();
    std::vector<int> several;

    tx.send(1);                 // discarded
    tx.try_send(1);             // discarded
    tx.send_timeout(1, 1ms);    // discarded
    tx.send_until(1, now);      // discarded
    tx.send_many(several);      // discarded
    tx.try_send_many(several);  // discarded

    rx.recv();                                         // discarded
    rx.try_recv();                                     // discarded
    rx.recv_timeout(1ms);                              // discarded
    rx.recv_until(now);                                // discarded
    rx.recv_many(std::back_inserter(several), 8);      // discarded
    rx.try_recv_many(std::back_inserter(several), 8);  // discarded

    sluice::select(sluice::on_recv(rx, [](int) {}));         // discarded
    sluice::select_biased(sluice::on_recv(rx, [](int) {}));  // discarded

    sluice::selector group;
    group.wait();             // discarded
    group.try_wait();         // discarded
    group.wait_timeout(1ms);  // discarded
    group.wait_until(now);    // discarded

    tx.close();
    rx.close();
}
