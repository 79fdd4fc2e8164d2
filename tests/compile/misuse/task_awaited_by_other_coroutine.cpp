// Rejected with "sluice: a task is awaited by a task alone": a coroutine of another type awaits a task.
#include <sluice/async.hpp>

#include "../../support/detached.hpp"

sluice::task<int> one() { co_return 1; }

test::detached misuse() { (void)co_await one(); }
