// Rejected with "sluice: .*handler": a sending case whose handler asks for the message that was sent.
#include <sluice/sluice.hpp>

int main() {
    auto [tx, rx] = sluice::unbounded<int>();
    (void)sluice::select(sluice::on_send(tx, 1, [](int) {}));
}
