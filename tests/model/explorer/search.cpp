// The search: depth first through all schedules, or through random ones.
#include <model/explorer/search.hpp>

#include <utility>

#include <model/explorer/memory.hpp>
#include <model/explorer/scheduler.hpp>

namespace model {

void search::begin(const settings& how) {
    how_ = how.how;
    looks_for_known_states_ = how_ == strategy::exhaustive && how.ends_at_known_states;
    pct_depth_ = how.pct_depth;
    path_.clear();
    random_.seed(how.seed);
}

// A trace tells what was chosen, not of how many: the counts are learned on the way, and nothing may end the execution
// before its failure.
void search::begin_replay(const std::string& trace) {
    how_ = strategy::exhaustive;
    looks_for_known_states_ = false;
    path_.clear();
    std::uint32_t number = 0;
    for (const char c : trace) {
        if (c == '.') {
            path_.push_back({std::exchange(number, 0), 0});
        } else if (c >= '0' && c <= '9') {
            number = number * 10 + static_cast<std::uint32_t>(c - '0');
        }
    }
}

// What is left of the path is given to the execution: it repeats those choices, and appends its own.
void search::begin_execution() {
    depth_ = 0;
    given_ = path_.size();
    if (how_ != strategy::pct) return;
    change_points_.clear();
    // A fault of depth d is found by d - 1 changes of priority, at steps drawn within the length of the last execution.
    for (int i = 0; i + 1 < pct_depth_; ++i) change_points_.push_back(random_() % typical_steps_);
}

// Depth first: the last choice that has an alternative left takes it, and what came after is forgotten. So all that can
// follow a choice has been explored before an earlier choice changes; state_cache relies on that. Choices that an
// execution was given, and did not come to, are no longer part of the path.
bool search::advance() {
    if (how_ != strategy::exhaustive) {
        path_.clear();
        return true;
    }
    path_.resize(depth_);
    while (!path_.empty() && path_.back().chosen + 1 == path_.back().count) path_.pop_back();
    if (path_.empty()) return false;
    ++path_.back().chosen;
    return true;
}

// The choices of the running, or last, execution.
std::string search::trace() const {
    std::string t;
    for (std::size_t i = 0; i < depth_; ++i) {
        t += std::to_string(path_[i].chosen);
        t += '.';
    }
    return t;
}

// Beyond what was given; from here on the choice is part of the path, and of the trace.
std::uint32_t search::decide(std::uint32_t chosen, std::uint32_t count) {
    path_.push_back({chosen, count});
    ++depth_;
    return chosen;
}

// Repeats what the path says, or decides. A program that asks for another choice than the time before depends on
// something but its choices (an address, a real clock, what an earlier execution has left): it can't be explored, and
// fails.
std::uint32_t search::choose(std::uint32_t count, unsigned one_in) {
    const outside_of_model allocates;
    if (depth_ < path_.size()) {
        decision& d = path_[depth_++];
        // Of a trace: this is where it is learned how many there were.
        if (d.count == 0) d.count = count;
        if (d.count != count || d.chosen >= count) fail("the program does not do the same when it is run again");
        return d.chosen;
    }
    // Exhaustively 0, the path of least surprise: advance() comes to the others.
    const bool draws = how_ != strategy::exhaustive && random_() % one_in == 0;
    return decide(draws ? static_cast<std::uint32_t>(random_() % count) : 0, count);
}

// The thread that goes next is drawn from those that may go, by the rules of the strategy; other choices are the same
// for random searches of both kinds. What is repeated, a replay for instance, is decided by the path in all of them.
std::uint32_t search::choose_next(thread_state& me, const option* options, std::uint32_t count, std::uint64_t step) {
    if (how_ == strategy::pct) {
        // The lower the later: a thread that yields, or is at a change point, goes behind all others.
        bool demoted = me.next == action::yield;
        for (const std::uint64_t p : change_points_) demoted |= p == step;
        if (demoted) me.priority = -static_cast<int>(step);
    }
    if (how_ == strategy::exhaustive || depth_ < path_.size()) return choose(count, 1);
    const outside_of_model allocates;
    return decide(how_ == strategy::random ? draw_option(options, count) : highest_priority(options, count), count);
}

// What is rare stays rare; otherwise all are alike.
std::uint32_t search::draw_option(const option* options, std::uint32_t count) {
    for (;;) {
        const auto drawn = static_cast<std::uint32_t>(random_() % count);
        if (options[drawn].kind == option::what::step || random_() % 16 == 0) return drawn;
    }
}

// Probabilistic concurrency testing (Burckhardt and others, 2010): the thread of the highest priority goes. What is no
// step of a thread happens now and then.
std::uint32_t search::highest_priority(const option* options, std::uint32_t count) {
    std::uint32_t best = 0;
    for (std::uint32_t i = 1; i < count; ++i) {
        if (options[i].kind != option::what::step) {
            if (random_() % 64 == 0) return i;
        } else if (options[best].kind != option::what::step || options[i].who->priority > options[best].who->priority) {
            best = i;
        }
    }
    return best;
}

// Drawn as a thread starts, so that its priority does not depend on what it does. Change points give negative ones.
int search::new_priority() { return how_ == strategy::pct ? static_cast<int>(random_() % 1000000) : 0; }

}  // namespace model
