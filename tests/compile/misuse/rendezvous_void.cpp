// Rejected with "sluice: .*monostate": a channel of signals, which carry nothing.
#include <sluice/sluice.hpp>

int main() { auto [tx, rx] = sluice::rendezvous<void>(); }
