// Rejected with "sluice: .*handler", "apple", "pear": the same with a lambda, of which clang names the place.
#include <sluice/sluice.hpp>

struct apple {};
struct pear {};

int main() {
    auto [tx, rx] = sluice::unbounded<apple>();
    (void)sluice::select(sluice::on_recv(rx, [](pear) {}));
}
