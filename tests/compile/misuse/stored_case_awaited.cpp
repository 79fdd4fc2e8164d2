// Rejected with "sluice: a case refers to what it was made of, which may be gone": the same as a thread must not do.
#include <sluice/async.hpp>

sluice::task<> misuse(sluice::receiver<int> rx) {
    auto stored = sluice::on_recv(rx, [](int) {});
    (void)co_await sluice::async_select(stored);
}
