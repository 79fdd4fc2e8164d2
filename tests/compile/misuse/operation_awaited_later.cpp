// Rejected with "sluice: an operation refers to its arguments, and is awaited where it is made": they may be gone later.
#include <sluice/async.hpp>

sluice::task<> misuse(sluice::receiver<int> rx) {
    auto operation = rx.async_recv();
    (void)co_await operation;
}
