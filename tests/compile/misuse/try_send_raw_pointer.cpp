// Rejected with "sluice: .*convert": the same by try_send.
#include <sluice/sluice.hpp>

#include <memory>

struct widget {};

void misuse(const sluice::sender<std::unique_ptr<widget>>& tx, widget* raw) { (void)tx.try_send(raw); }
