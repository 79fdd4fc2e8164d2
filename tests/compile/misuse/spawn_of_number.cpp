// Rejected with "sluice: spawn.. takes a task<>, or a callable without parameters that returns a task": it is neither.
#include <sluice/async.hpp>

void misuse(sluice::task_group& group) { group.spawn(1); }
