// Several producers and several consumers share one bounded channel: fast producers wait for slow consumers,
// and everything ends cleanly because each thread drops its handle when it has finished.
#include "args.hpp"
#include "checked.hpp"

#include <sluice/sluice.hpp>

#include <cstdio>
#include <thread>
#include <vector>

struct tally {
    std::size_t consumer, count, sum;
};

int main(int argc, char** argv) {
    example::args args(argc, argv, "Producers send numbers through a bounded channel; consumers add them up.");
    const auto producers = args.number("producers", 3, "threads that send", 1, 1000);
    const auto consumers = args.number("consumers", 2, "threads that receive", 1, 1000);
    const auto messages = args.number("messages", 100'000, "numbers sent by each producer");
    const auto capacity = args.number("capacity", 64, "numbers that may wait in the channel", 0);
    args.finish();

    auto [tx, rx] = sluice::bounded<std::size_t>(capacity);
    auto [tally_tx, tallies] = sluice::unbounded<tally>();
    std::vector<std::jthread> threads;

    // README begin
    for (std::size_t id = 1; id <= producers; ++id) {
        threads.emplace_back([out = tx, messages] {
            for (std::size_t n = 1; n <= messages; ++n) {
                if (!out.send(n)) {
                    return;  // all consumers have gone
                }
            }
        });
    }
    for (std::size_t id = 1; id <= consumers; ++id) {
        threads.emplace_back([in = rx, out = tally_tx, id] {
            tally mine{id, 0, 0};
            for (std::size_t n : in) {
                ++mine.count;
                mine.sum += n;
            }
            (void)out.send(mine);
        });
    }
    tx = {};  // only the producers hold senders now, so the channel closes when they have ended
    rx = {};
    tally_tx = {};
    // README end

    tally total{};
    for (const tally& part : tallies) {
        std::printf("consumer %zu received %zu numbers\n", part.consumer, part.count);
        total.count += part.count;
        total.sum += part.sum;
    }
    return example::checked(
        total.count == producers * messages && total.sum == producers * (messages * (messages + 1) / 2),
        "every number was received once");
}
