// Stages joined by bounded channels run at the pace of the slowest; more workers widen that one. A channel of reply
// channels keeps the order even then.
#include "args.hpp"
#include "checked.hpp"

#include <sluice/sluice.hpp>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <thread>
#include <vector>

using threads = std::vector<std::jthread>;
using numbers = sluice::receiver<std::size_t>;
constexpr std::size_t depth = 16;  // how many items wait between two stages

numbers input(threads& started, std::size_t count) {
    auto [tx, rx] = sluice::bounded<std::size_t>(depth);
    started.emplace_back([out = std::move(tx), count] {
        for (std::size_t n = 1; n <= count && out.send(n); ++n) {
        }
    });
    return rx;
}

template <class Work>
numbers stage(threads& started, const numbers& in, std::size_t workers, Work work) {
    auto [tx, rx] = sluice::bounded<std::size_t>(depth);
    for (std::size_t w = 0; w < workers; ++w) {
        started.emplace_back([in, out = tx, work] {
            for (std::size_t n : in) {
                if (!out.send(work(n))) return;
            }
        });
    }
    return rx;
}

struct job {
    std::size_t value;
    sluice::sender<std::size_t> result;
};

// The results come in the order of the input: for each job its reply channel is queued before any worker sees the job.
template <class Work>
numbers ordered_stage(threads& started, const numbers& in, std::size_t workers, Work work) {
    auto [job_tx, jobs] = sluice::bounded<job>(depth);
    auto [queue_tx, queue] = sluice::bounded<numbers>(depth);
    auto [tx, rx] = sluice::bounded<std::size_t>(depth);
    started.emplace_back([in, to_workers = std::move(job_tx), to_output = std::move(queue_tx)] {
        for (std::size_t n : in) {
            auto [result_tx, result] = sluice::bounded<std::size_t>(1);
            if (!to_output.send(std::move(result)) || !to_workers.send(job{n, std::move(result_tx)})) return;
        }
    });
    for (std::size_t w = 0; w < workers; ++w) {
        started.emplace_back([todo = jobs, work] {
            for (const job& next : todo) (void)next.result.send(work(next.value));
        });
    }
    started.emplace_back([results = std::move(queue), out = std::move(tx)] {
        for (const numbers& result : results) {
            if (auto value = result.recv(); !value || !out.send(*value)) return;
        }
    });
    return rx;
}

// Prints the rate at which `output` delivers; returns whether it is complete, and in order where that is promised.
bool drain(const char* name, const numbers& output, std::size_t count, bool in_order) {
    const auto start = std::chrono::steady_clock::now();
    std::vector<std::size_t> got;
    std::ranges::copy(output, std::back_inserter(got));
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    const double rate = static_cast<double>(count) / took.count();
    const bool sorted = std::is_sorted(got.begin(), got.end());
    std::printf("%s: %.0f items/s, %s\n", name, rate, sorted ? "in order" : "out of order");

    std::sort(got.begin(), got.end());
    bool complete = got.size() == count;
    for (std::size_t n = 0; complete && n < count; ++n) complete = got[n] == 2 * n + 3;
    return complete && (sorted || !in_order);
}

int main(int argc, char** argv) {
    example::args args(argc, argv, "Input, a cheap stage, a costly stage, output; the costly one is then widened.");
    const auto count = args.number("items", 200, "that pass through");
    const auto workers = args.number("workers", 4, "in the widened stage", 1, 1000);
    const auto delay = args.delay("delay", 1, "what the costly stage takes for an item");
    args.finish();

    const auto cheap = [](std::size_t n) { return 2 * n; };
    const auto costly = [delay](std::size_t n) {
        std::this_thread::sleep_for(delay);  // imitates work
        return n + 1;
    };
    threads started;
    const auto front = [&] { return stage(started, input(started, count), 1, cheap); };
    const bool one = drain("one worker", stage(started, front(), 1, costly), count, true);
    const bool wide = drain("several workers", stage(started, front(), workers, costly), count, false);
    const bool kept =
        drain("several workers, order kept", ordered_stage(started, front(), workers, costly), count, true);
    return example::checked(one && wide && kept, "every item came through, in order where that was promised");
}
