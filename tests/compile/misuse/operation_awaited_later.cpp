// Rejected with "deleted", "async_operation": an operation refers to arguments that may be gone when it is awaited.
#include <sluice/async.hpp>

sluice::task<> misuse(sluice::receiver<int> rx) {
    auto operation = rx.async_recv();
    (void)co_await operation;
}
