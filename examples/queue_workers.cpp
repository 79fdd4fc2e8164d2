// Several workers move the items of one queue to another: nothing is lost or doubled, and what one worker moved is
// still in the order in which it took it.
#include "args.hpp"
#include "checked.hpp"

#include <sluice/sluice.hpp>

#include <algorithm>
#include <cstdio>
#include <thread>
#include <vector>

struct moved {
    std::size_t worker, item;
};

int main(int argc, char** argv) {
    example::args args(argc, argv, "Workers move all items of a source queue to a destination queue.");
    const auto items = args.number("items", 65'545, "in the source queue");
    const auto workers = args.number("workers", 4, "threads that move them", 1, 1000);
    args.finish();

    auto [source_tx, source] = sluice::unbounded<std::size_t>();
    for (std::size_t n = 0; n < items; ++n) {
        if (!source_tx.send(n)) return 1;
    }
    source_tx = {};

    auto [destination_tx, destination] = sluice::unbounded<moved>();
    std::vector<std::jthread> threads;
    for (std::size_t id = 0; id < workers; ++id) {
        threads.emplace_back([in = source, out = destination_tx, id] {
            for (std::size_t item : in) {
                if (!out.send(moved{id, item})) return;
            }
        });
    }
    destination_tx = {};

    std::vector<int> seen(items);
    std::vector<std::vector<std::size_t>> by_worker(workers);
    for (const moved& message : destination) {
        ++seen[message.item];
        by_worker[message.worker].push_back(message.item);
    }
    bool in_order = true;
    for (std::size_t id = 0; id < workers; ++id) {
        std::printf("worker %zu moved %zu items\n", id, by_worker[id].size());
        in_order = in_order && std::is_sorted(by_worker[id].begin(), by_worker[id].end());
    }
    const bool each_once = std::all_of(seen.begin(), seen.end(), [](int times) { return times == 1; });
    return example::checked(each_once && in_order, "nothing was lost, and each worker kept the order");
}
