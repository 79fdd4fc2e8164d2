// Rejected with "sluice: .*forward": the same by try_send_many.
#include <sluice/sluice.hpp>

void misuse(const sluice::sender<int>& tx, const sluice::receiver<int>& rx) { (void)tx.try_send_many(rx); }
