// Twenty threads log, and one writes: a hundred records at a time, or what there is when the first of them is 50 ms old.
// Ctrl-C ends the program early, and every record that was logged is still written.
#include "args.hpp"
#include "checked.hpp"

#include <sluice/signals.hpp>
#include <sluice/sluice.hpp>

#include <csignal>
#include <cstdio>
#include <iterator>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

int main(int argc, char** argv) {
    example::args args(argc, argv, "Writes what many threads log, in batches, until all have ended, or until Ctrl-C.");
    const auto producers = args.number("producers", 20, "threads that log", 1, 1000);
    const auto records = args.number("records", 100, "that each thread logs");
    const auto pause = args.delay("pause", 1, "between two records of a thread");
    const auto most = args.number("most", 100, "records that are written at once");
    const auto linger = args.delay("linger", 50, "how old a record gets before it is written");
    args.finish();
    std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);  // each line is seen at once, also through a pipe

    const auto interrupts = sluice::receive_signals({SIGINT, SIGTERM});
    auto [log, logged] = sluice::bounded<std::string>(1000);
    std::stop_source stop;
    std::vector<std::size_t> counts(producers, 0);  // of each thread: what it has logged
    std::vector<std::jthread> threads;
    for (std::size_t id = 0; id < producers; ++id) {
        threads.emplace_back([&, id, out = log] {
            while (counts[id] < records && !stop.stop_requested()) {
                const std::string record = "thread " + std::to_string(id) + ", record " + std::to_string(counts[id]);
                if (out.send(record)) ++counts[id];
                std::this_thread::sleep_for(pause);  // imitates work
            }
        });
    }
    log = {};  // the last sender goes with the last thread
    std::jthread listener([&] {
        if (interrupts.recv()) stop.request_stop();
    });

    std::size_t written = 0, batches = 0;
    std::vector<std::string> batch;
    while (logged.recv_batch(std::back_inserter(batch), most, linger) > 0) {
        std::printf("wrote %zu records, the first is: %s\n", batch.size(), batch.front().c_str());
        written += batch.size();
        ++batches;
        batch.clear();
    }
    interrupts.close();  // the listener has nothing to wait for any more
    threads.clear();     // joins them

    std::size_t total = 0;
    for (const std::size_t count : counts) total += count;
    std::printf("%s: %zu records logged, %zu written in %zu batches\n", stop.stop_requested() ? "stopped" : "all done",
                total, written, batches);
    return example::checked(written == total, "every record that was logged was written");
}
