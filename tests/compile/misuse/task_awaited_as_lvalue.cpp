// Rejected with "sluice: a task is awaited once, and as an rvalue: co_await std::move": it might be awaited again.
#include <sluice/async.hpp>

sluice::task<> misuse(sluice::task<> other) { co_await other; }
