// Rejected with "sluice: force_send needs messages whose move does not throw": one could be lost on its way in.
#include <sluice/sluice.hpp>

struct fragile {
    fragile(const fragile&) noexcept(false);
};

void misuse(const sluice::sender<fragile>& tx, fragile& message) {
    (void)tx.force_send(static_cast<fragile&&>(message));
}
