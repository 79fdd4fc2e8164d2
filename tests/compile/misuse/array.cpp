// Rejected with "sluice: .*must not be an array": a channel of arrays.
#include <sluice/sluice.hpp>

int main() { auto [tx, rx] = sluice::unbounded<int[3]>(); }
