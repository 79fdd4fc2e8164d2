// The search: which schedule comes next.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include <model/explorer/explorer.hpp>

namespace model {

struct thread_state;

// What may happen next.
struct option {
    enum class what : std::uint8_t { step, spurious_wakeup, clock_tick };
    thread_state* who;  // nobody, if the clock moves on
    what kind;
    bool preempts;
};

// A schedule is the list of the choices made in it: of the thread that goes next, of the value that a load finds, and
// so on. An execution repeats the choices that it is given, and makes its own after them: the first of each, or at
// random. Exhaustively, the next schedule differs from the last in its last choice that has alternatives left (depth
// first).
class search {
public:
    void begin(const settings& how);
    void begin_replay(const std::string& trace);

    // ---- Of an execution

    void begin_execution();
    void end_execution(std::uint64_t steps) noexcept { typical_steps_ = steps + 1; }
    // One of `count`; at random, one in `one_in` choices is drawn, and the others are 0.
    std::uint32_t choose(std::uint32_t count, unsigned one_in);
    std::uint32_t choose_next(thread_state& me, const option* options, std::uint32_t count, std::uint64_t step);
    // Whether a known state ends the execution: none of those that it was led through.
    bool may_end_early() const noexcept { return looks_for_known_states_ && depth_ >= given_; }
    int new_priority();

    // ---- Between executions

    // False if there is no other schedule.
    bool advance();
    std::string trace() const;

private:
    struct decision {
        std::uint32_t chosen, count;  // 0 of a trace that is replayed: not known yet
    };

    std::uint32_t decide(std::uint32_t chosen, std::uint32_t count);
    std::uint32_t draw_option(const option* options, std::uint32_t count);
    std::uint32_t highest_priority(const option* options, std::uint32_t count);

    strategy how_ = strategy::exhaustive;
    bool looks_for_known_states_ = false;
    int pct_depth_ = 0;
    std::vector<decision> path_;
    std::size_t given_ = 0;  // so much of the path is repeated
    std::size_t depth_ = 0;  // the next choice
    std::mt19937_64 random_;
    std::vector<std::uint64_t> change_points_;  // steps at which the running thread loses its priority
    std::uint64_t typical_steps_ = 100;
};

}  // namespace model
