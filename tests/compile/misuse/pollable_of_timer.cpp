// Rejected with "sluice: a pollable holds a receiver.*timers of its own": a timer has no descriptor.
#include <sluice/pollable.hpp>

#include <sluice/timer.hpp>

void misuse() { sluice::pollable due(sluice::after(std::chrono::seconds(1))); }
