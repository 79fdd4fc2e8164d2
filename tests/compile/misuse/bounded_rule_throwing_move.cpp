// Rejected with "sluice: a channel with an overflow rule needs messages whose move does not throw": one could be lost.
#include <sluice/sluice.hpp>

struct fragile {
    fragile(const fragile&) noexcept(false);
};

void misuse() { (void)sluice::bounded<fragile>(1, sluice::overflow::block); }
