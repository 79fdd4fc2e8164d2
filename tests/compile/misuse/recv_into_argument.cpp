// Rejected with "sluice: .*return": a receive with a place for its message, as in other libraries.
#include <sluice/sluice.hpp>

void misuse(const sluice::receiver<int>& rx, int& value) { (void)rx.recv(value); }
