// Rejected with "sluice: .*handler.* variable": a receiving case that has no way to say that no message came.
#include <sluice/sluice.hpp>

int main() {
    auto [tx, rx] = sluice::unbounded<int>();
    int message = 0;
    (void)sluice::select(sluice::on_recv(rx, message));
}
