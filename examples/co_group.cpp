// A group of coroutines: the first error stops the others, which end in good order, and is thrown where they are joined.
#include "args.hpp"
#include "checked.hpp"

#include <sluice/async.hpp>

#include <cstddef>
#include <cstdio>
#include <stdexcept>
#include <stop_token>

// Scans blocks of a disk; the scan with the number `bad` meets a block that it cannot read.
sluice::task<> scan(std::size_t number, std::size_t bad, std::stop_token stop, std::size_t& ended_early) {
    for (std::size_t block = 0; block < 1000; ++block) {
        if (stop.stop_requested()) {
            std::printf("scan %zu: stops at block %zu\n", number, block);
            ++ended_early;
            co_return;
        }
        if (number == bad && block == 3) throw std::runtime_error("a block cannot be read");
        co_await sluice::yield();
    }
}

sluice::task<bool> scan_all(std::size_t scans) {
    sluice::task_group group(co_await sluice::this_executor());
    std::size_t ended_early = 0;
    for (std::size_t n = 1; n <= scans; ++n) group.spawn(scan(n, scans, group.stop_token(), ended_early));
    bool failed = false;
    try {
        co_await group.join();
    } catch (const std::runtime_error& error) {
        std::printf("all have ended: %s\n", error.what());
        failed = true;
    }

    // The group can be used again, with a token of which no stop is requested.
    group.spawn(scan(1, 0, group.stop_token(), ended_early));
    co_await group.join();
    co_return failed&& ended_early == scans - 1;
}

int main(int argc, char** argv) {
    example::args args(argc, argv, "Scans of which one fails and stops the others.");
    const std::size_t scans = args.number("scans", 4, "how many");
    args.finish();
    return example::checked(sluice::sync_wait(scan_all(scans)), "an error stops the rest, and reaches who joins them");
}
