// Rejected with "deleted.*pollable": two objects cannot own one descriptor.
#include <sluice/pollable.hpp>

void misuse() {
    auto [tx, rx] = sluice::unbounded<int>();
    const sluice::pollable<int> in(rx);
    const sluice::pollable<int> copy(in);
    (void)tx;
}
