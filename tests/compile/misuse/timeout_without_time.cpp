// Rejected with "sluice: a timeout, a deadline or a timer needs an executor with post_at": the executor only posts.
#include <sluice/async.hpp>

#include "../../support/detached.hpp"

test::detached misuse(sluice::receiver<int> rx) {
    (void)co_await sluice::via(test::untimed_executor(), rx.async_recv_timeout(std::chrono::seconds(1)));
}
