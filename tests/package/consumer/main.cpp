// The smallest program that needs the headers, C++20 and the threads library: one message from thread to thread.
#include <sluice/sluice.hpp>
#include <sluice/version.hpp>

#include <cstdio>
#include <thread>

int main() {
    auto [tx, rx] = sluice::bounded<int>(1);
    std::jthread producer([tx = std::move(tx)] { (void)tx.send(42); });
    auto received = rx.recv();
    std::printf("sluice %d.%d.%d carried %d\n", sluice::version_major, sluice::version_minor, sluice::version_patch,
                received.value());
}
