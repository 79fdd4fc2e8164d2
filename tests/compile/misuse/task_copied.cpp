// Rejected with "deleted", "task": a task is copied.
#include <sluice/async.hpp>

sluice::task<> misuse(const sluice::task<>& other) { return other; }
