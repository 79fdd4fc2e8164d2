// Rejected with "sluice: .*handler.* awaited": a handler that returns an object with the three members of an awaiter.
#include <sluice/sluice.hpp>

#include <coroutine>

int main() {
    auto [tx, rx] = sluice::unbounded<int>();
    (void)sluice::select(sluice::on_send(tx, 1, [](auto) { return std::suspend_never(); }));
}
