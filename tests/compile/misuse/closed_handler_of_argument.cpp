// Rejected with "sluice: .*handler": a case for the closing whose handler takes an argument.
#include <sluice/sluice.hpp>

int main() {
    auto [tx, rx] = sluice::unbounded<int>();
    (void)sluice::select(sluice::on_closed(rx, [](sluice::result<int>) {}));
}
