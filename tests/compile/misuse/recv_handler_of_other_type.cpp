// Rejected with "sluice: .*handler", "apple", "pear": a receiving case whose handler takes another type.
#include <sluice/sluice.hpp>

struct apple {};
struct pear {};
void eat(pear);

int main() {
    auto [tx, rx] = sluice::unbounded<apple>();
    (void)sluice::select(sluice::on_recv(rx, eat));
}
