// Rejected with "sluice: a pollable holds a receiver": the receiver is one of other messages.
#include <sluice/pollable.hpp>

void misuse() {
    auto [tx, rx] = sluice::unbounded<int>();
    sluice::pollable<long> in(rx);
    (void)tx;
}
