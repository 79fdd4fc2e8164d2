// Rejected with "sluice: this coroutine has no executor: await sluice::via": nothing says where the coroutine goes on.
#include <sluice/async.hpp>

#include "../../support/detached.hpp"

test::detached misuse(sluice::receiver<int> rx) { (void)co_await rx.async_recv(); }
