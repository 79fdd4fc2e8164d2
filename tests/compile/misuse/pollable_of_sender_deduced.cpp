// Rejected with "sluice: a pollable holds a receiver": the same, with the type left to the compiler.
#include <sluice/pollable.hpp>

void misuse() {
    auto [tx, rx] = sluice::unbounded<int>();
    sluice::pollable out(tx);
    (void)rx;
}
