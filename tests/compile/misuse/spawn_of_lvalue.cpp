// Rejected with "sluice: a task is spawned once: spawn.std::move.task..": the task would be in two places.
#include <sluice/async.hpp>

void misuse(sluice::run_loop& loop, sluice::task<> task) { loop.spawn(task); }
