// The README's example of timers: a beat, a last moment, and a channel, all in one select.
#include <sluice/sluice.hpp>

#include <chrono>
#include <iostream>

int main() {
    using namespace std::chrono_literals;
    const auto commands = sluice::never<int>();  // a channel into which nobody sends

    // README begin
    const auto beat =
        sluice::tick(10ms);  // at 10 ms, 20 ms, 30 ms, ... whoever comes late gets one tick for all missed
    const auto last = sluice::after(35ms);  // once
    bool running = true;
    while (running) {
        (void)sluice::select(
            sluice::on_recv(beat, [](std::chrono::steady_clock::time_point) { std::cout << "tick\n"; }),
            sluice::on_recv(last, [&](std::chrono::steady_clock::time_point) { running = false; }),
            sluice::on_recv(commands, [](int command) { std::cout << "command " << command << '\n'; }));
    }
    // README end
    std::cout << "done\n";
}
