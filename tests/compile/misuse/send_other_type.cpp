// Rejected with "sluice: .*convert", "apple", "pear": a message of a type that has nothing to do with the channel's.
#include <sluice/sluice.hpp>

struct apple {};
struct pear {};

void misuse(const sluice::sender<apple>& tx) { (void)tx.send(pear()); }
