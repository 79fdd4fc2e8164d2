// Rejected with "sluice: a task_group takes an executor": a loop is none itself.
#include <sluice/async.hpp>

void misuse(sluice::run_loop& loop) { sluice::task_group group(loop); }
