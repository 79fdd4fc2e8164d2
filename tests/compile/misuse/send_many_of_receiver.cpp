// Rejected with "sluice: .*forward": the messages of a receiver, of which one that cannot be sent is lost.
#include <sluice/sluice.hpp>

void misuse(const sluice::sender<int>& tx, const sluice::receiver<int>& rx) { (void)tx.send_many(rx); }
