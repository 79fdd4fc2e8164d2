// Rejected with "sluice: .*convert": the same by send_until.
#include <sluice/sluice.hpp>

#include <chrono>
#include <memory>

struct widget {};

void misuse(const sluice::sender<std::unique_ptr<widget>>& tx, widget* raw) {
    (void)tx.send_until(raw, std::chrono::steady_clock::now());
}
