// The README's example of what an operation can report.
#include <sluice/sluice.hpp>

#include <chrono>
#include <iostream>
#include <memory>
#include <string>

int main() {
    using namespace std::chrono_literals;

    // README begin
    auto [tx, rx] = sluice::bounded<std::unique_ptr<std::string>>(1);
    auto first = std::make_unique<std::string>("first"), second = std::make_unique<std::string>("second");
    if (tx.send(std::move(first))) std::cout << "sent\n";
    if (auto sent = tx.send_timeout(std::move(second), 5ms); !sent)
        std::cout << to_string(sent.error()) << ", and I still have the " << *second << " message\n";
    tx.close();
    while (auto message = rx.recv())  // what was sent before the close still arrives
        std::cout << "received " << **message << '\n';
    // README end
}
