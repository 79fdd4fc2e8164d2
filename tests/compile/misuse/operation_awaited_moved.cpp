// Rejected with "deleted", "async_operation": the same, moved.
#include <sluice/async.hpp>

sluice::task<> misuse(sluice::sender<int> tx) {
    auto operation = tx.async_send(1);  // the message is gone after this line
    (void)co_await std::move(operation);
}
