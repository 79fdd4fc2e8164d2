// Many sources, one stream: a single thread forwards whatever comes first from any of a number of channels, and ends
// when the last of them has closed.
#include "args.hpp"
#include "checked.hpp"

#include <sluice/sluice.hpp>

#include <cstdio>
#include <thread>
#include <vector>

struct reading {
    std::size_t sensor, number;
};

void merge(const std::vector<sluice::receiver<reading>>& sources, const sluice::sender<reading>& out) {
    sluice::selector group;
    bool wanted = true;
    for (const auto& source : sources) {
        group.add(sluice::on_recv(source, [&](reading r) { wanted = out.send(r).has_value(); }));
    }
    while (wanted && group.wait()) {  // a source that has closed drops out; when all have, wait() reports closed
    }
}

int main(int argc, char** argv) {
    example::args args(argc, argv, "Merges the readings of many sensors into one channel.");
    const auto sensors = args.number("sensors", 8, "threads, each with a channel of its own", 1, 1000);
    const auto readings = args.number("readings", 500, "from each of them");
    args.finish();

    std::vector<sluice::receiver<reading>> sources;
    std::vector<std::jthread> threads;
    for (std::size_t id = 0; id < sensors; ++id) {
        auto [tx, rx] = sluice::bounded<reading>(4);
        sources.push_back(std::move(rx));
        threads.emplace_back([out = std::move(tx), id, readings] {
            for (std::size_t n = 0; n < readings && out.send(reading{id, n}); ++n) {
            }
        });
    }
    auto [merged_tx, merged] = sluice::bounded<reading>(16);
    threads.emplace_back(merge, std::move(sources), std::move(merged_tx));

    std::vector<std::size_t> next(sensors);
    std::size_t total = 0;
    bool in_order = true;
    for (const reading& r : merged) {
        in_order = in_order && r.number == next[r.sensor]++;
        ++total;
    }
    std::printf("%zu readings of %zu sensors came through one channel\n", total, sensors);
    return example::checked(in_order && total == sensors * readings,
                            "all readings came, those of each sensor in order");
}
