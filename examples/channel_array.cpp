// An array of result channels, one for each worker: the worker is chosen by index, and a selector waits for all of the
// results at once, however many there are.
#include "args.hpp"
#include "checked.hpp"

#include <sluice/sluice.hpp>

#include <cstdio>
#include <thread>
#include <vector>

int main(int argc, char** argv) {
    example::args args(argc, argv, "Jobs are dealt out by index; a dynamic selector waits for the array of results.");
    const auto workers = args.number("workers", 5, "threads, each with a job channel and a result channel", 1, 1000);
    const auto jobs = args.number("jobs", 1000, "in all");
    args.finish();

    std::vector<sluice::sender<std::size_t>> job_channels;
    std::vector<sluice::receiver<std::size_t>> result_channels;
    std::vector<std::jthread> threads;
    for (std::size_t w = 0; w < workers; ++w) {
        auto [job_tx, in] = sluice::unbounded<std::size_t>();
        auto [out, results] = sluice::bounded<std::size_t>(4);
        job_channels.push_back(std::move(job_tx));
        result_channels.push_back(std::move(results));
        threads.emplace_back([in = std::move(in), out = std::move(out)] {
            for (std::size_t n : in) {
                if (!out.send(n * n)) return;
            }
        });
    }
    for (std::size_t n = 0; n < jobs; ++n) {
        if (!job_channels[n % workers].send(n)) return 1;
    }
    job_channels.clear();  // ends the workers, and so closes their result channels

    std::vector<std::size_t> counts(workers);
    bool right = true;
    sluice::selector group;
    for (std::size_t w = 0; w < workers; ++w) {
        group.add(sluice::on_recv(result_channels[w], [&, w](std::size_t square) {
            const std::size_t n = counts[w]++ * workers + w;  // the jobs of worker w are w, w + workers, ...
            right = right && square == n * n;
        }));
    }
    while (group.wait()) {
    }

    std::size_t total = 0;
    for (std::size_t w = 0; w < workers; ++w) {
        std::printf("channel %zu: %zu results\n", w, counts[w]);
        total += counts[w];
    }
    return example::checked(right && total == jobs, "every channel delivered the results of its own jobs, in order");
}
