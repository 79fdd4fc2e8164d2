// Rejected with "sluice: .*handler.* variable", "apple", "pear": a receiving case that stores messages of another type.
#include <sluice/sluice.hpp>

#include <optional>

struct apple {};
struct pear {};

int main() {
    auto [tx, rx] = sluice::unbounded<apple>();
    std::optional<pear> message;
    (void)sluice::select(sluice::on_recv(rx, message));
}
