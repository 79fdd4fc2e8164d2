// Rejected with "sluice: .*must not be a reference": a channel of references.
#include <sluice/sluice.hpp>

int main() { auto [tx, rx] = sluice::unbounded<int&>(); }
