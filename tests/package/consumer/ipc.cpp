// The smallest program that needs channels between processes: one message over loopback.
#include <sluice/ipc.hpp>
#include <sluice/version.hpp>

#include <cstdio>

int main() {
    sluice::ipc::listener inbox(sluice::ipc::tcp("127.0.0.1", 0));
    const auto rx = inbox.receiver<int>();
    const auto tx = sluice::ipc::connect<int>(inbox.address());
    (void)tx.send(42);
    std::printf("sluice %d.%d.%d carried %d\n", sluice::version_major, sluice::version_minor, sluice::version_patch,
                rx.recv().value());
}
