// Rejected with "sluice: on_closed .*handle": a case for the closing of what is no channel.
#include <sluice/sluice.hpp>

#include <chrono>

int main() {
    const auto t = sluice::after(std::chrono::seconds(1));
    (void)sluice::select(sluice::on_closed(t));
}
