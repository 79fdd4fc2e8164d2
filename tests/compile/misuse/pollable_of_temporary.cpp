// Rejected with "sluice: a pollable holds a receiver, or refers to a selector that outlives the call": a selector that ends at once.
#include <sluice/pollable.hpp>

void misuse() { sluice::pollable<sluice::selector> any(sluice::selector{}); }
