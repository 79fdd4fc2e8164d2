// Rejected with "sluice: .*handler", "long", "int": a handler that would get messages, but never hear of the closing.
#include <sluice/sluice.hpp>

int main() {
    auto [tx, rx] = sluice::unbounded<int>();
    (void)sluice::select(sluice::on_recv(rx, [](sluice::result<long>) {}));
}
