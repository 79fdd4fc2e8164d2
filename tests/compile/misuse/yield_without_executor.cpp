// Rejected with "sluice: yield.. is awaited by a task": a coroutine that has no loop yields.
#include <sluice/async.hpp>

#include "../../support/detached.hpp"

test::detached misuse() { co_await sluice::yield(); }
