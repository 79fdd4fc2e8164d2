// Rejected with "sluice: .*handler.* variable": a case of a timer that stores something else than a time point.
#include <sluice/sluice.hpp>

int main() {
    sluice::result<int> message = 0;
    (void)sluice::select(sluice::on_recv(sluice::timer(), message));
}
