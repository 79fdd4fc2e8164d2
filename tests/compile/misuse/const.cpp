// Rejected with "sluice: .*must not be const": a channel of constants, which could not be moved out.
#include <sluice/sluice.hpp>

int main() { auto [tx, rx] = sluice::unbounded<const int>(); }
