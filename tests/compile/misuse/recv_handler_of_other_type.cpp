// Rejected with "handler": a receiving case whose handler takes another type.
#include <sluice/sluice.hpp>

#include <string>

int main() {
    auto [tx, rx] = sluice::unbounded<int>();
    (void)sluice::select(sluice::on_recv(rx, [](std::string) {}));
}
