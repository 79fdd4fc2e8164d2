// A stage that throws ends the whole pipeline, and main rethrows the reason: each stage closes its channels with it, both
// ways, so that those behind it get what was finished first, and those before it stop.
#include "args.hpp"
#include "checked.hpp"

#include <sluice/sluice.hpp>

#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using threads = std::vector<std::jthread>;
using numbers = sluice::receiver<long>;
constexpr std::size_t depth = 8;  // how many numbers wait between two stages

numbers source(threads& started, long count) {
    auto [tx, rx] = sluice::bounded<long>(depth);
    started.emplace_back([out = std::move(tx), count] {
        for (long n = 1; n <= count && out.send(n); ++n) {
        }
    });
    return rx;
}

template <class Work>
numbers stage(threads& started, const numbers& in, Work work) {
    auto [tx, rx] = sluice::bounded<long>(depth);
    started.emplace_back([in, out = std::move(tx), work] {
        std::exception_ptr reason;
        try {
            bool heard = true;
            for (long n : in) {
                heard = out.send(work(n)).has_value();
                if (!heard) break;
            }
            reason = heard ? in.close_cause() : out.close_cause();
        } catch (...) {
            reason = std::current_exception();
        }
        out.close(reason);
        in.close(reason);
    });
    return rx;
}

// The sum of what came out; throws what a stage has thrown, when all stages have ended.
long run(long count, long bad) {
    long sum = 0;
    std::exception_ptr reason;
    {
        threads started;
        const numbers squares = stage(started, source(started, count), [](long n) { return n * n; });
        const numbers checked = stage(started, squares, [bad](long n) {
            if (n == bad * bad) throw std::runtime_error("a bad number: " + std::to_string(n));
            return n;
        });
        const numbers halves = stage(started, checked, [](long n) { return n / 2; });
        for (long n : halves) sum += n;
        reason = halves.close_cause();
    }
    if (reason) std::rethrow_exception(reason);
    return sum;
}

int main(int argc, char** argv) {
    example::args args(argc, argv, "A pipeline in which a stage throws: all stages end, and main hears why.");
    const auto count = static_cast<long>(args.number("count", 1000, "numbers that go in", 1));
    const auto bad = static_cast<long>(args.number("bad", 500, "the number at which a stage throws", 1));
    args.finish();

    std::printf("without a bad number: %ld\n", run(count, 0));
    std::string reason;
    try {
        (void)run(count, bad);
    } catch (const std::runtime_error& e) {
        reason = e.what();
        std::printf("ended by %s\n", reason.c_str());
    }
    const std::string expected = bad <= count ? "a bad number: " + std::to_string(bad * bad) : "";
    return example::checked(reason == expected, "main hears the reason, and every thread has ended");
}
