// Rejected with "sluice: sync_wait.. takes a task": it is not called.
#include <sluice/async.hpp>

void misuse() {
    sluice::sync_wait([]() -> sluice::task<> { co_return; });
}
