// Rejected with "sluice: there is no channel of void": signals have a type.
#include <sluice/sluice.hpp>

void misuse() { (void)sluice::bounded<void>(1, sluice::overflow::drop_oldest); }
