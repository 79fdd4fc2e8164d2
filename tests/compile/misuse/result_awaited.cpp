// Rejected with "sluice: this is nothing that can be awaited": recv() blocks, and has its result when it returns.
#include <sluice/async.hpp>

sluice::task<> misuse(sluice::receiver<int> rx) { (void)co_await rx.recv(); }
