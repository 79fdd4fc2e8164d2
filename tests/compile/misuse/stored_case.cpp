// Rejected with "sluice: .*case": a case that may outlive what it refers to.
#include <sluice/sluice.hpp>

int main() {
    auto [tx, rx] = sluice::unbounded<int>();
    auto stored = sluice::on_recv(rx, [](int) {});
    (void)sluice::select(stored, sluice::on_send(tx, 1));
}
