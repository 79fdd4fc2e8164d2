// Rejected with "sluice: .*convert": a raw pointer would become the owner of what it points to.
#include <sluice/sluice.hpp>

#include <memory>

struct widget {};

void misuse(const sluice::sender<std::unique_ptr<widget>>& tx, widget* raw) { (void)tx.force_send(raw); }
