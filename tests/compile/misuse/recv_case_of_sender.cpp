// Rejected with "sluice: on_recv takes a receiver": a receiving case of the wrong handle.
#include <sluice/sluice.hpp>

int main() {
    auto [tx, rx] = sluice::unbounded<int>();
    (void)sluice::select(sluice::on_recv(tx, [](int) {}));
}
