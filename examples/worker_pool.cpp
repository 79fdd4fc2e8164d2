// A pool of workers that shuts down gracefully: Ctrl-C is a message, which ends the intake of new jobs at once, even when
// it is blocked; the jobs that were accepted are still done.
#include "args.hpp"
#include "checked.hpp"

#include <sluice/signals.hpp>
#include <sluice/sluice.hpp>

#include <csignal>
#include <cstdio>
#include <thread>
#include <vector>

struct finished {
    std::size_t job, worker;
};

int main(int argc, char** argv) {
    example::args args(argc, argv, "Works on jobs until all are done, or until Ctrl-C; accepted jobs are always done.");
    const auto jobs = args.number("jobs", 40, "to do");
    const auto workers = args.number("workers", 4, "threads that work", 1, 1000);
    const auto delay = args.delay("delay", 2, "what a job takes");
    args.finish();
    std::setvbuf(stdout, nullptr, _IOLBF, BUFSIZ);  // each line is seen at once, also through a pipe

    auto interrupts = sluice::receive_signals({SIGINT, SIGTERM});
    auto [job_tx, todo] = sluice::bounded<std::size_t>(2 * workers);
    auto [done_tx, done] = sluice::unbounded<finished>();
    std::size_t accepted = 0;
    bool interrupted = false;
    std::jthread intake([&, out = std::move(job_tx)]() mutable {
        while (accepted < jobs && !interrupted) {
            sluice::select_biased(sluice::on_recv(interrupts, [&](int) { interrupted = true; }),
                                  sluice::on_send(out, accepted + 1, [&] { ++accepted; }));
        }
        out = {};  // the workers end when they have done what was accepted
    });
    std::vector<std::jthread> pool;
    for (std::size_t id = 1; id <= workers; ++id) {
        pool.emplace_back([in = todo, out = done_tx, id, delay] {
            for (std::size_t job : in) {
                std::this_thread::sleep_for(delay);  // imitates work
                (void)out.send(finished{job, id});
            }
        });
    }
    done_tx = {};

    std::size_t count = 0;
    for (const finished& job : done) {
        std::printf("job %zu done by worker %zu\n", job.job, job.worker);
        ++count;
    }
    intake.join();
    std::printf("%s: %zu jobs accepted, %zu done\n", interrupted ? "stopped" : "all done", accepted, count);
    return example::checked(count == accepted, "every accepted job was done");
}
