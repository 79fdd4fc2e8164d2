// Rejected with "sluice: via takes an executor first": a loop is none itself.
#include <sluice/async.hpp>

void misuse(sluice::run_loop& loop, sluice::receiver<int> rx) { sluice::via(loop, rx.async_recv()); }
