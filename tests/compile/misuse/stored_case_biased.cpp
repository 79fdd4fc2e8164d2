// Rejected with "sluice: .*case": the same in a biased select.
#include <sluice/sluice.hpp>

int main() {
    auto [tx, rx] = sluice::unbounded<int>();
    auto stored = sluice::on_recv(rx, [](int) {});
    (void)sluice::select_biased(stored);
}
