// Rejected with "sluice: .*convert": the same in a select.
#include <sluice/sluice.hpp>

#include <memory>

struct widget {};

void misuse(const sluice::sender<std::unique_ptr<widget>>& tx, widget* raw) {
    (void)sluice::select(sluice::on_send(tx, raw));
}
