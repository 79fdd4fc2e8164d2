// Rejected with "sluice: .*case": the same in a group.
#include <sluice/sluice.hpp>

int main() {
    auto [tx, rx] = sluice::unbounded<int>();
    auto stored = sluice::on_recv(rx, [](int) {});
    sluice::selector group;
    (void)group.add(stored);
}
