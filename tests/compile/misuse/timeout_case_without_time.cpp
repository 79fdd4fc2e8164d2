// Rejected with "sluice: a timeout, a deadline or a timer needs an executor with post_at": a case for time, likewise.
#include <sluice/async.hpp>

#include "../../support/detached.hpp"

test::detached misuse(sluice::receiver<int> rx) {
    (void)co_await sluice::via(
        test::untimed_executor(),
        sluice::async_select(sluice::on_recv(rx, [](int) {}), sluice::on_timeout(std::chrono::seconds(1))));
}
