// Rejected with "sluice: .*handler": a receiving case that says nothing of where its message goes.
#include <sluice/sluice.hpp>

int main() {
    auto [tx, rx] = sluice::unbounded<int>();
    (void)sluice::select(sluice::on_recv(rx));
}
