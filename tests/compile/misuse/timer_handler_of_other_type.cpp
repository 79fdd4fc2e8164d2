// Rejected with "sluice: .*handler": a case of a timer whose handler takes no time point.
#include <sluice/sluice.hpp>

int main() {
    (void)sluice::select(sluice::on_recv(sluice::timer(), [](int) {}));
}
