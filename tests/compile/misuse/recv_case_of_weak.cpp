// Rejected with "sluice: .*lock.. returns a full one": a receiving case of a weak handle.
#include <sluice/sluice.hpp>

int main() {
    auto [tx, rx] = sluice::unbounded<int>();
    (void)sluice::select(sluice::on_recv(rx.downgrade(), [](int) {}));
}
