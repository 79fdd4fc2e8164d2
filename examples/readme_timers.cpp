// The README's example of timers: a beat and a last moment, in one select.
#include <sluice/sluice.hpp>

#include <chrono>
#include <iostream>

int main() {
    using namespace std::chrono_literals;

    // README begin
    const auto beat = sluice::tick(10ms);   // at 10 ms, 20 ms, 30 ms, ...; one tick for all that were missed
    const auto last = sluice::after(35ms);  // once
    while (sluice::select(sluice::on_recv(beat, [](auto) {}), sluice::on_recv(last, [](auto) {})) == 0U)
        std::cout << "tick\n";
    // README end
    std::cout << "done\n";
}
