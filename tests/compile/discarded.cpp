// Each marked line drops a result that says whether a message was lost, which every compiler points out.
#include <sluice/sluice.hpp>

#include <chrono>
#include <iterator>
#include <optional>
#include <vector>

int main() {
    using namespace std::chrono_literals;
    auto [tx, rx] = sluice::unbounded<int>();
    auto now = std::chrono::steady_clock::now();
    std::vector<int> several;
    std::optional<int> into;

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

    sluice::timer due = sluice::after(1ms);
    due.recv();             // discarded
    due.try_recv();         // discarded
    due.recv_timeout(1ms);  // discarded
    due.recv_until(now);    // discarded

    sluice::broadcaster<int> bus;
    bus.subscribe();  // discarded
    bus.send(1);      // discarded

    sluice::on_recv(rx, [](int) {});  // discarded
    sluice::on_recv(rx, into);        // discarded
    sluice::on_send(tx, 1);           // discarded
    sluice::on_timeout(1ms);          // discarded
    sluice::otherwise();              // discarded

    // Nothing is lost here: a case has told its handler what it came to.
    sluice::select(sluice::on_recv(rx, [](int) {}), sluice::on_timeout(1ms, [] {}));
    sluice::select_biased(sluice::on_recv(rx, [](int) {}), sluice::on_timeout(1ms, [] {}));
    sluice::select(sluice::on_recv(rx, into), sluice::otherwise());
    sluice::selector group;
    group.wait();
    group.try_wait();
    group.wait_timeout(1ms);
    group.wait_until(now);
    group.add(sluice::on_recv(rx, [](int) {}));
    group.remove(0);
    tx.close();
    rx.close();
}
