// Rejected with "sluice: g.. before 13 destroys a lambda that is written inside a co_await twice": it would free what it owns twice.
// Only where defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13: others destroy it once.
#include <sluice/async.hpp>

#include <memory>

sluice::task<> misuse(sluice::receiver<int> rx, std::shared_ptr<int> last) {
    (void)co_await sluice::async_select_biased(sluice::on_recv(rx, [last](int n) { *last = n; }));
}
