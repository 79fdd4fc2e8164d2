// The other of two translation units that include everything: sends on what it receives until the channel is closed.
#include <sluice/sluice.hpp>

#include <sluice/version.hpp>

#include <chrono>
#include <string>

sluice::errc echo(sluice::receiver<std::string> rx, sluice::sender<std::string> tx) {
    sluice::errc outcome{};
    auto forward = [&](sluice::result<std::string> message) {
        if (!message || !tx.send(std::move(*message))) outcome = sluice::errc::closed;
    };
    while (outcome != sluice::errc::closed)
        if (!sluice::select(sluice::on_recv(rx, forward), sluice::on_timeout(std::chrono::minutes(1), [] {}))) break;
    return outcome;
}
