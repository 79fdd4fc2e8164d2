// One of two translation units that include everything: main, which meets the other over channels that both
// instantiate.
#include <sluice/sluice.hpp>

#include <sluice/version.hpp>

#include <chrono>
#include <string>

sluice::errc echo(sluice::receiver<std::string> rx, sluice::sender<std::string> tx);

int main() {
    auto [tx, rx] = sluice::unbounded<std::string>();
    auto [echo_tx, echo_rx] = sluice::bounded<std::string>(1);
    if (!tx.send("there and back")) return 1;
    tx.close();
    if (echo(rx, echo_tx) != sluice::errc::closed) return 2;

    std::string back;
    auto chosen = sluice::select(sluice::on_recv(echo_rx, [&](std::string message) { back = std::move(message); }),
                                 sluice::on_timeout(std::chrono::minutes(1), [] {}));
    return chosen == 0U && back == "there and back" ? 0 : 3;
}
