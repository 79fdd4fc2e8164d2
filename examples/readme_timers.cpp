// The README's example of timers: a beat and a last moment, in one select.
#include <sluice/sluice.hpp>

#include <chrono>
#include <iostream>

int main() {
    using namespace std::chrono_literals;

    // README begin
    const auto beat = sluice::tick(10ms);   // at 10 ms, 20 ms, 30 ms, ...; one tick for all that were missed
    const auto last = sluice::after(35ms);  // once
    for (bool running = true; running;) {
        sluice::select(sluice::on_recv(beat, [](auto) { std::cout << "tick\n"; }),
                       sluice::on_recv(last, [&](auto) { running = false; }));
    }
    // README end
    std::cout << "done\n";
}
