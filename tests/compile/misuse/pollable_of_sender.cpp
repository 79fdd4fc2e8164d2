// Rejected with "sluice: a pollable holds a receiver": there is no descriptor for the room of a channel alone.
#include <sluice/pollable.hpp>

void misuse() {
    auto [tx, rx] = sluice::unbounded<int>();
    sluice::pollable<int> out(tx);
    (void)rx;
}
