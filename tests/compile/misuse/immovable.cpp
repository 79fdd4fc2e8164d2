// Rejected with "sluice: .*must be movable": a channel of objects that cannot leave their place.
#include <sluice/sluice.hpp>

#include <mutex>

int main() { auto [tx, rx] = sluice::unbounded<std::mutex>(); }
