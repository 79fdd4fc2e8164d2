// Rejected with "sluice: this_executor.. is awaited by a task": a coroutine that has no loop asks for it.
#include <sluice/async.hpp>

#include "../../support/detached.hpp"

test::detached misuse() { (void)co_await sluice::this_executor(); }
