// Rejected with "sluice: .*case": a select of a receiver that is in no case.
#include <sluice/sluice.hpp>

int main() {
    auto [tx, rx] = sluice::unbounded<int>();
    (void)sluice::select(rx);
}
