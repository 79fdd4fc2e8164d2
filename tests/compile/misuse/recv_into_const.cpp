// Rejected with "sluice: .*handler.* variable": a receiving case that stores its message in what cannot change.
#include <sluice/sluice.hpp>

int main() {
    auto [tx, rx] = sluice::unbounded<int>();
    const sluice::result<int> message;
    (void)sluice::select(sluice::on_recv(rx, message));
}
