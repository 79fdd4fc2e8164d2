// Rejected with "sluice: .*convert": five would become five zeros.
#include <sluice/sluice.hpp>

#include <vector>

void misuse(const sluice::sender<std::vector<int>>& tx) { (void)tx.send(5); }
