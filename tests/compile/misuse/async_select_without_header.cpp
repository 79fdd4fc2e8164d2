// Rejected with "sluice: what a coroutine awaits is defined in another header: #include <sluice/async.hpp>": it is missing.
#include <sluice/sluice.hpp>

void misuse(const sluice::receiver<int>& rx) {
    (void)sluice::async_select(sluice::on_recv(rx, [](int) {}));
}
