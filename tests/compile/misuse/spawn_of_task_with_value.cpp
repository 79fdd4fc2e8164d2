// Rejected with "sluice: spawn.. takes a task<>, or a callable without parameters that returns a task": nobody would get the value.
#include <sluice/async.hpp>

void misuse(sluice::run_loop& loop, sluice::task<int> task) { loop.spawn(std::move(task)); }
