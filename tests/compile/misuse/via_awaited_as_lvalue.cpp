// Rejected with "sluice: what via returns is awaited once, as an rvalue: co_await std::move": it might be awaited again.
#include <sluice/async.hpp>

#include "../../support/detached.hpp"

test::detached misuse(sluice::receiver<int> rx) {
    auto operation = sluice::via(test::untimed_executor(), rx.async_recv());
    co_await operation;
}
