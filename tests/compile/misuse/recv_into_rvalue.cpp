// Rejected with "sluice: .*handler.* variable": a receiving case that stores its message where it is lost.
#include <sluice/sluice.hpp>

#include <optional>

int main() {
    auto [tx, rx] = sluice::unbounded<int>();
    (void)sluice::select(sluice::on_recv(rx, std::optional<int>()));
}
