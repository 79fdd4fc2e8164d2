// Rejected with "sluice: this coroutine knows its executor, so await the operation itself": the loop would not see it.
#include <sluice/async.hpp>

sluice::task<> misuse(sluice::receiver<int> rx) {
    const auto executor = co_await sluice::this_executor();
    (void)co_await sluice::via(executor, rx.async_recv());
}
