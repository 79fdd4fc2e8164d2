// Rejected with "sluice: on_send takes a sender": a sending case of the wrong handle.
#include <sluice/sluice.hpp>

int main() {
    auto [tx, rx] = sluice::unbounded<int>();
    (void)sluice::select(sluice::on_send(rx, 1));
}
