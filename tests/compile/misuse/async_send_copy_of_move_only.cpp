// Rejected with "sluice: this message can.t be copied: give it up with std::move": an lvalue of what can only be moved.
#include <sluice/async.hpp>

#include <memory>

sluice::task<> misuse(sluice::sender<std::unique_ptr<int>> tx, std::unique_ptr<int> message) {
    (void)co_await tx.async_send(message);
}
