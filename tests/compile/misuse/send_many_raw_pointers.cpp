// Rejected with "sluice: .*convert": the same by send_many.
#include <sluice/sluice.hpp>

#include <memory>
#include <vector>

struct widget {};

void misuse(const sluice::sender<std::unique_ptr<widget>>& tx, const std::vector<widget*>& raw) {
    (void)tx.send_many(raw);
}
