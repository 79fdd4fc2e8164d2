// Rejected with "sluice: this coroutine has no executor: await sluice::via": the same in a select.
#include <sluice/async.hpp>

#include "../../support/detached.hpp"

test::detached misuse(sluice::receiver<int> rx) {
    (void)co_await sluice::async_select(sluice::on_recv(rx, [](int) {}));
}
