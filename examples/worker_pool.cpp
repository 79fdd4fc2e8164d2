// A pool of workers that shuts down gracefully: Ctrl-C requests a stop, which ends the intake of new jobs at once, even
// when it is blocked; the jobs that were accepted are still done.
#include "args.hpp"
#include "checked.hpp"

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

    // Every thread inherits the mask, so the signals wait until the one thread that asks for them takes them.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);

    auto [job_tx, todo] = sluice::bounded<std::size_t>(2 * workers);
    auto [done_tx, done] = sluice::unbounded<finished>();
    auto [intake_tx, accepted] = sluice::bounded<std::size_t>(1);
    std::jthread intake([out = std::move(job_tx), count = std::move(intake_tx), jobs](std::stop_token stop) {
        std::size_t n = 0;
        while (n < jobs && !stop.stop_requested() && out.send(n + 1, stop)) ++n;
        (void)count.send(n);
    });
    std::jthread listener([signals, stop = intake.get_stop_source()]() mutable {
        int received = 0;
        sigwait(&signals, &received);
        stop.request_stop();
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
    const std::size_t taken = accepted.recv().value();
    std::printf("%s: %zu jobs accepted, %zu done\n", intake.get_stop_token().stop_requested() ? "stopped" : "all done",
                taken, count);
    pthread_kill(listener.native_handle(), SIGTERM);  // it has nothing to wait for any more
    return example::checked(count == taken, "every accepted job was done");
}
