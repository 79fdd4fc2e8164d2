// Rejected with "sluice: .*sluice::result of it to hear of closing": a handler that takes an optional would never hear of the closing.
#include <sluice/sluice.hpp>

#include <optional>

int main() {
    auto [tx, rx] = sluice::unbounded<int>();
    (void)sluice::select(sluice::on_recv(rx, [](std::optional<int>) {}));
}
