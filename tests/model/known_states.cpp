// Whether the explorer loses outcomes of a program, or invents some, by ending executions at states that are known:
// random programs are explored with and without that.
#include <model/explorer/atomic.hpp>
#include <model/explorer/control.hpp>
#include <model/explorer/explorer.hpp>
#include <model/explorer/hash.hpp>
#include <model/explorer/mutex.hpp>
#include <model/explorer/stop_token.hpp>
#include <model/memory_orders.hpp>

#include <cstdint>
#include <cstdio>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace model {

namespace {

using number = std::uint64_t;

// A program of random operations of two or three threads on the same sync objects. Its outcome is a hash of what each
// thread has seen, in order.
class random_program {
public:
    explicit random_program(std::uint64_t seed) : threads_(2 + seed % 2) {
        std::mt19937_64 random(seed);
        for (auto& t : threads_) {
            const std::size_t length = threads_.size() == 2 ? 4 : 2;
            while (t.size() < length) t.push_back(static_cast<unsigned>(random() % operations));
        }
    }

    // All outcomes within the budgets, or nothing if there are too many schedules.
    std::optional<std::set<std::uint64_t>> outcomes(bool ends_at_known_states) const {
        settings how;
        how.limits.preemptions = 2;
        how.ends_at_known_states = ends_at_known_states;
        how.executions = 300000;
        // Has its place before, as what is allocated in an execution is memory of the program.
        std::vector<std::uint64_t> seen;
        seen.reserve(how.executions);
        const outcome found = explore([&] { seen.push_back(run()); }, how);
        if (found.failed) std::printf("%s\n", found.complaint.c_str());
        if (!found.finished) return std::nullopt;
        return std::set<std::uint64_t>(seen.begin(), seen.end());
    }

private:
    static constexpr unsigned operations = 16;

    struct shared_objects {
        atomic<number> x = 0, y = 0;
        mutex m;
        condition_variable changed;
        stop_source stop;
        number counter = 0;
    };

    static number perform(unsigned operation, shared_objects& s) {
        switch (operation) {
            case 0: return s.x.store(1, relaxed), 0;
            case 1: return s.x.store(2, release), 0;
            case 2: return s.y.store(1, relaxed), 0;
            case 3: return s.y.store(2, seq_cst), 0;
            case 4: return s.x.load(relaxed);
            case 5: return s.x.load(acquire);
            case 6: return s.y.load(relaxed);
            case 7: return s.y.load(seq_cst);
            case 8: return s.x.fetch_add(3, acq_rel);
            case 9: {
                number v = 1;
                return s.y.compare_exchange_strong(v, 5, acq_rel) ? 100 : v;
            }
            case 10: {
                const std::lock_guard lock(s.m);
                return ++s.counter;
            }
            case 11: {
                const std::unique_lock lock(s.m, std::try_to_lock);
                return lock.owns_lock() ? ++s.counter : 100;
            }
            case 12: {
                std::unique_lock lock(s.m);
                const auto until = clock::now() + clock::tick;
                s.changed.wait_until(lock, until);
                return clock::now() < until ? 100 : 101;
            }
            case 13: return s.changed.notify_one(), 0;
            case 14: return s.stop.request_stop();
            default: return s.stop.get_token().stop_requested();
        }
    }

    std::uint64_t run() const {
        std::uint64_t seen[3] = {};
        {
            shared_objects s;
            std::vector<std::unique_ptr<thread>> running;
            for (std::size_t i = 0; i < threads_.size(); ++i) {
                running.push_back(std::make_unique<thread>([&s, &operations = threads_[i], &mine = seen[i]] {
                    for (const unsigned o : operations) mine = mix(mine, perform(o, s));
                }));
            }
        }
        return mix(mix(seen[0], seen[1]), seen[2]);
    }

    std::vector<std::vector<unsigned>> threads_;
};

// What is wrong with the explorer, or nothing.
std::string problem_of(std::uint64_t seed, int& compared) {
    const random_program program(seed);
    const auto pruned = program.outcomes(true), full = program.outcomes(false);
    if (!pruned) return "a random program was not explored to the end";
    if (!full) return "";
    ++compared;
    return *pruned == *full ? ""
                            : "of " + std::to_string(full->size()) + " outcomes of the random program " +
                                  std::to_string(seed) + " it shows " + std::to_string(pruned->size());
}

}  // namespace

}  // namespace model

int main() {
    constexpr int programs = 300;
    int compared = 0, failed = 0;
    for (std::uint64_t seed = 0; seed < programs; ++seed) {
        const std::string problem = model::problem_of(seed, compared);
        if (problem.empty()) continue;
        ++failed;
        std::printf("FAILED: %s\n", problem.c_str());
    }
    std::printf("%d of %d random programs have the same outcomes with known states and without\n", compared - failed,
                programs);
    return failed > 0 || compared < programs / 2;
}
