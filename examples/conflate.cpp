// A quick producer, and slow consumers that want the newest value for each key: a subscription that holds one message and
// drops the older one conflates, and a group receives from those that have news.
#include "args.hpp"
#include "checked.hpp"

#include <sluice/sluice.hpp>

#include <cstddef>
#include <cstdio>
#include <thread>
#include <vector>

struct view {
    std::vector<long> newest;  // by key
    std::size_t received = 0, missed = 0;
};

view follow(std::vector<sluice::receiver<long>> keys, std::chrono::milliseconds pace) {
    view seen{std::vector<long>(keys.size())};
    sluice::selector group;
    for (std::size_t key = 0; key < keys.size(); ++key) {
        group.add(sluice::on_recv(keys[key], [&seen, key](long value) {
            seen.newest[key] = value;
            ++seen.received;
        }));
    }
    while (group.wait()) std::this_thread::sleep_for(pace);  // the work that makes it slow
    for (const auto& key : keys) seen.missed += key.dropped();
    return seen;
}

int main(int argc, char** argv) {
    example::args args(argc, argv, "Slow consumers get the newest value for each key, and miss those between.");
    const auto keys = static_cast<std::size_t>(args.number("keys", 5, "whose values change", 1));
    const auto changes = static_cast<long>(args.number("changes", 2000, "of each key"));
    const auto consumers = static_cast<std::size_t>(args.number("consumers", 3, "that follow all keys", 1));
    const auto pace = args.delay("pace", 1, "that a consumer takes for a value");
    args.finish();

    std::vector<sluice::broadcaster<long>> values(keys);
    std::vector<view> views(consumers);
    {
        std::vector<std::jthread> running;
        for (view& mine : views) {
            std::vector<sluice::receiver<long>> all;
            for (const auto& key : values) all.push_back(key.subscribe(1, sluice::overflow::drop_oldest));
            running.emplace_back(
                [&mine, all = std::move(all), pace]() mutable { mine = follow(std::move(all), pace); });
        }
        for (long n = 1; n <= changes; ++n) {
            for (const auto& key : values) (void)key.send(n);
        }
        values.clear();
    }

    bool right = true;
    for (const view& seen : views) {
        std::printf("received %zu values, missed %zu\n", seen.received, seen.missed);
        right = right && seen.newest == std::vector<long>(keys, changes) &&
                seen.received + seen.missed == keys * static_cast<std::size_t>(changes);
    }
    return example::checked(right, "each consumer has the newest value of every key, and knows how many it missed");
}
