// Jobs in a stream of a NATS server, which keeps each until a worker has acknowledged it: a worker that fails gives its job
// back, and another does it.
#include "args.hpp"
#include "checked.hpp"
#include "nats_server.hpp"

#include <sluice/nats.hpp>
#include <sluice/sluice.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

int main(int argc, char** argv) {
    example::args args(argc, argv, "Workers take jobs from a stream of a NATS server of this program's own.");
    const auto workers = args.number("workers", 3, "threads that work", 1, 50);
    const auto count = args.number("jobs", 500, "in all", 1, 100000);
    args.finish();

    const example::nats_server server;
    const std::string url = server.url();
    // README begin
    const sluice::nats::connection bus(url, {.connect_timeout = 10s, .retry_first_connect = true});
    const auto jobs = bus.stream("JOBS", {.subjects = {"jobs.>"}, .work_queue = true});  // kept by the servers
    const auto tx = jobs.sender<std::uint64_t>("jobs.new");
    // README end
    for (std::uint64_t i = 0; i < count; ++i) {
        if (!tx.send(i)) return example::checked(false, "each job is sent");
    }
    const bool stored = bool(jobs.flush(10s));

    struct outcome {
        std::uint64_t job = 0;
        bool failed = false;
    };
    auto [done, outcomes] = sluice::unbounded<outcome>();
    std::vector<sluice::receiver<sluice::nats::delivery<std::uint64_t>>> queues;
    std::vector<std::jthread> working;
    for (std::uint64_t w = 0; w < workers; ++w) {
        queues.push_back(jobs.receiver<std::uint64_t>({.durable = "workers"}));
        working.emplace_back([mine = queues.back(), tell = done] {
            for (auto& d : mine) {
                // Each tenth job fails at its first attempt.
                const bool fails = *d % 10 == 0 && d.attempt() == 1;
                if (fails ? d.nak() : d.ack(10s)) (void)tell.send({*d, fails});
            }
        });
    }
    done = {};

    std::vector<int> times(count, 0);
    std::uint64_t left = count, failures = 0;
    while (left > 0) {
        const auto o = outcomes.recv_timeout(20s);
        if (!o) break;
        if (o->failed) {
            ++failures;
        } else {
            ++times[o->job];
            --left;
        }
    }
    for (const auto& q : queues) q.close();
    std::printf("%llu jobs, %llu of them failed once\n", static_cast<unsigned long long>(count),
                static_cast<unsigned long long>(failures));
    return example::checked(stored && std::all_of(times.begin(), times.end(), [](int n) { return n == 1; }),
                            "each job was done once, those that failed by a second attempt");
}
