// Rejected with "sluice: a timeout, a deadline or a timer needs an executor with post_at": the promise offers one that only posts.
#include <sluice/async.hpp>

#include "../../support/detached.hpp"

struct other {
    struct promise_type : test::detached::promise_type {
        other get_return_object() noexcept { return {}; }
        test::untimed_executor sluice_executor() const noexcept { return {}; }
    };
};

other misuse(sluice::timer timer) { (void)co_await timer.async_recv(); }
