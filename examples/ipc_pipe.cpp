// A parent hands jobs to a child process through one pipe and gets the results back through another: each process opens
// its end of each pipe, and what it has is an ordinary sender and receiver.
#include "args.hpp"
#include "checked.hpp"

#include <sluice/ipc.hpp>
#include <sluice/sluice.hpp>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include <sys/wait.h>
#include <unistd.h>

struct job {
    std::uint64_t number;
};
struct result {
    std::uint64_t number, square;
};

int main(int argc, char** argv) {
    example::args args(argc, argv, "A child process squares the numbers that its parent sends.");
    const auto count = args.number("jobs", 10'000, "numbers to square");
    args.finish();

    std::uint64_t sent = 0, right = 0, received = 0;
    std::fflush(stdout);
    // README begin
    sluice::ipc::pipe jobs, results;  // two descriptors each, and nothing that runs
    const pid_t child = fork();
    if (child == 0) {
        const auto in = jobs.receiver<job>();  // each process opens its ends, which closes the others in it
        const auto out = results.sender<result>();
        for (const job& j : in) {
            if (!out.send(result{j.number, j.number * j.number})) break;
        }
        std::exit(0);  // waits until the results are written
    }
    auto out = jobs.sender<job>();
    const auto in = results.receiver<result>();
    // README end
    if (child < 0) return example::checked(false, "the child could be started");
    const auto take = [&](const result& r) {
        right += r.number == received && r.square == r.number * r.number ? 1U : 0U;
        ++received;
    };
    // Both at once: a parent that only sends, while its child waits to be rid of results, would wait for ever.
    while (sent < count) {
        (void)sluice::select(sluice::on_send(out, job{sent}, [&] { ++sent; }), sluice::on_recv(in, take));
    }
    out = {};
    for (const result& r : in) take(r);

    int status = 0;
    const bool ended_well = waitpid(child, &status, 0) == child && status == 0;
    std::printf("%zu jobs done in process %d\n", static_cast<std::size_t>(received), static_cast<int>(child));
    return example::checked(right == count && received == count && ended_well && !results.error(),
                            "every result came back, in order, and then the end");
}
