// Rejected with "sluice: .*handler": a receiving case whose handler has no place for the message.
#include <sluice/sluice.hpp>

int main() {
    auto [tx, rx] = sluice::unbounded<int>();
    (void)sluice::select(sluice::on_recv(rx, [] {}));
}
