// Random programs of all operations, by threads and by coroutines, over channels of all kinds, with a ledger of every
// message, for a given time.
#include "ledger.hpp"
#include "round.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <mutex>
#include <random>
#include <stop_token>
#include <string>
#include <thread>

namespace {

using namespace std::chrono_literals;
using soak::lost;

// Reports a round that does not end: somebody sleeps who should not.
class watchdog {
public:
    watchdog() : thread_([this](const std::stop_token& stop) { watch(stop); }) {}

    void fed() {
        const std::lock_guard lock(mutex_);
        ++meals_;
    }

private:
    // A round that gets no processor is slow as well; but one in which somebody sleeps for ever uses none.
    void watch(const std::stop_token& stop) {
        std::unique_lock lock(mutex_);
        while (!stop.stop_requested()) {
            const std::uint64_t before = meals_;
            const std::clock_t used = std::clock();
            const bool ate = wake_.wait_for(lock, stop, 120s, [&] { return meals_ != before; });
            const bool idle = std::clock() - used < CLOCKS_PER_SEC / 100;
            if (!ate && idle && !stop.stop_requested()) lost("a round does not end: a thread sleeps for ever");
        }
    }

    std::mutex mutex_;
    std::condition_variable_any wake_;
    std::uint64_t meals_ = 0;
    std::jthread thread_;
};

}  // namespace

int main(int argc, char** argv) {
    double seconds = 10;
    std::uint64_t seed = 1;
    std::uint64_t most_rounds = ~std::uint64_t{0};
    soak::limits most;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string option = argv[i];
        if (option == "--seconds")
            seconds = std::atof(argv[i + 1]);
        else if (option == "--seed")
            seed = std::strtoull(argv[i + 1], nullptr, 10);
        else if (option == "--threads")
            most.threads = static_cast<unsigned>(std::max(1, std::atoi(argv[i + 1])));
        else if (option == "--loops")
            most.loops = static_cast<unsigned>(std::max(0, std::atoi(argv[i + 1])));
        else if (option == "--rounds")
            most_rounds = std::strtoull(argv[i + 1], nullptr, 10);
        else
            argc = 0;
    }
    if (argc % 2 == 0) {
        std::fputs("Usage: sluice_soak [--seconds S] [--seed N] [--threads N] [--loops N] [--rounds N]\n", stderr);
        return 2;
    }
    using soak::done;
    const auto begun = std::chrono::steady_clock::now();
    const auto elapsed = [&] {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
    };
    watchdog dog;
    std::mt19937_64 random(seed);
    done.seed_of_round = seed;
    while (elapsed() < seconds && done.rounds < most_rounds) {
        ++done.rounds;
        soak::round(done.seed_of_round, most).run();
        done.seed_of_round = random();
        dog.fed();
    }
    const double took = elapsed();
    const auto count = [](const std::atomic<std::uint64_t>& n) { return static_cast<unsigned long long>(n.load()); };
    std::printf(
        "%llu operations in %llu rounds, with %llu coroutines and %llu loops destroyed on their way, %.1f s: "
        "%.0f operations a second, seed %llu; nothing lost\n",
        count(done.operations), count(done.rounds), count(done.coroutines), count(done.loops_destroyed), took,
        static_cast<double>(done.operations.load()) / took, static_cast<unsigned long long>(seed));
}
