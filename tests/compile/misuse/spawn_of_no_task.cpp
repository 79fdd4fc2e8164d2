// Rejected with "sluice: spawn.. takes a task<>, or a callable without parameters that returns a task": the callable returns a number.
#include <sluice/async.hpp>

void misuse(sluice::run_loop& loop) {
    loop.spawn([] { return 1; });
}
