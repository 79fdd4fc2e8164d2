// The README's example of what an operation can report.
#include <sluice/sluice.hpp>

#include <chrono>
#include <iostream>
#include <string>
#include <utility>

int main() {
    using namespace std::chrono_literals;

    auto [tx, rx] = sluice::bounded<std::string>(1);
    if (tx.send("first")) std::cout << "sent\n";
    std::string message = "second";
    // README begin
    if (auto sent = tx.send_timeout(std::move(message), 5ms); !sent)
        std::cout << to_string(sent.error()) << ", and I still have the " << message << " message\n";
    tx.close();
    while (auto received = rx.recv())  // what was sent before the close still arrives
        std::cout << "received " << *received << '\n';
    // README end
}
