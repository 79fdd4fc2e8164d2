// Rejected with "sluice: .*handler": a timeout whose handler takes an argument.
#include <sluice/sluice.hpp>

#include <chrono>

int main() {
    (void)sluice::select(sluice::on_timeout(std::chrono::seconds(1), [](int) {}));
}
