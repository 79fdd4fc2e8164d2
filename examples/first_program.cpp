// The smallest useful program: two producers, one consumer, and an end that nobody has to announce.

// README begin
#include <sluice/sluice.hpp>

#include <iostream>
#include <string>
#include <thread>

int main() {
    auto [tx, rx] = sluice::bounded<std::string>(8);  // at most 8 messages wait; then send() blocks

    const auto produce = [](const sluice::sender<std::string>& out, const std::string& name) {
        for (int n = 1; n <= 3; ++n) {
            if (!out.send(name + " " + std::to_string(n))) return;  // the consumer has gone
        }
    };
    std::jthread apples(produce, tx, "apple");           // a copy of the sender is one more producer
    std::jthread pears(produce, std::move(tx), "pear");  // the last copy goes with the last producer

    for (const std::string& message : rx) {  // ends when both producers have ended and all was received
        std::cout << message << '\n';
    }
}
// README end
