// Rejected with "sluice: via takes an operation second": a task knows its loop.
#include <sluice/async.hpp>

void misuse(sluice::run_loop& loop, sluice::task<> task) { sluice::via(loop.executor(), std::move(task)); }
