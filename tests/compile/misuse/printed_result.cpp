// Rejected with "operator": a result is printed, which may hold no message.
#include <sluice/sluice.hpp>

#include <iostream>

void misuse(const sluice::receiver<int>& rx) { std::cout << rx.recv(); }
