// Rejected with "sluice: .*convert": a raw pointer would become the owner of what it points to.
#include <sluice/async.hpp>

#include <memory>

struct widget {};

sluice::task<> misuse(sluice::sender<std::unique_ptr<widget>> tx, widget* raw) { (void)co_await tx.async_send(raw); }
