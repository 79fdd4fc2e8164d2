// The select engine: makes one choice among any cases. Every form of select builds an array of cases and calls
// choose().
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include <sluice/detail/core.hpp>
#include <sluice/detail/sync.hpp>
#include <sluice/detail/wait.hpp>
#include <sluice/result.hpp>

namespace sluice::detail {

// One case of a select, as the engine sees it.
class select_case {
public:
    enum class kind : std::uint8_t {
        race,       // a channel, a timer: what is ready first
        stop,       // a stop token, likewise; comes before the others if the stop was requested before
        deadline,   // runs if nothing else was ready by then
        otherwise,  // runs if nothing is ready now
    };

    explicit select_case(kind k) noexcept : kind_(k) {}
    explicit select_case(waiter& node, kind k = kind::race) noexcept : kind_(k), node_(&node) {}
    select_case(const select_case&) = delete;
    select_case& operator=(const select_case&) = delete;
    virtual ~select_case() = default;

    kind what() const noexcept { return kind_; }
    // Its place in a line; a case that races has one.
    waiter& node() const noexcept { return *node_; }

    // Calls the handler; after the choice, with no lock held.
    virtual void run() = 0;

    // ---- Race. Of an attempt: `done`, chosen; `blocked`; `closed`, can never be ready any more, out of the race; `lost`,
    // it was ready, but the precondition did not hold, or the claim was decided before.

    virtual attempt try_now(const precondition*) { return attempt::closed; }
    // Whether the case has not been ready since try_now() found that it was not: from the end of that call to the
    // beginning of this one. May be false by mistake, never true.
    virtual bool unchanged() const { return true; }
    // Whether try_now() may do more than block; a hint.
    virtual bool may_be_ready() const noexcept { return true; }
    // Whether backing off before standing in line is in vain.
    virtual bool must_stand_in_line() const noexcept { return false; }
    // Sees to it that enlist() throws nothing but what the move of a message throws.
    virtual void prepare() {}
    // Tries once more and, where it would block, puts node() in line. A timer is asked again when it is due.
    virtual attempt enlist() { return attempt::closed; }
    virtual void withdraw() {}
    // Someone else has completed the case. Throws what went wrong in doing so.
    virtual void completed() {}
    // Whether it is out of the race for ever, given whether this choice fell on it: a handler that hears of the closing
    // has to be called before.
    virtual bool dropped_out(bool /*chosen*/) const noexcept { return false; }
    // Whether its channel keeps memory that a receiver gives back when it has slept for a while.
    virtual bool retains_memory() const noexcept { return false; }
    virtual void give_back_memory() {}

    // ---- Time

    // A choice begins; of deadlines alone.
    virtual void start() {}
    // When to look again although nobody has woken the select.
    virtual deadline next_look() const { return deadline::never(); }
    // Whether a deadline has passed, a timer is due, or a stop was requested.
    virtual bool due() const { return false; }
    virtual bool is_timer() const noexcept { return false; }
    // When a timer is due.
    virtual sync::clock::time_point due_time() const { return (sync::clock::time_point::max)(); }

private:
    kind kind_;
    waiter* node_ = nullptr;
};

// Decides a select that is enlisted for one of its own cases; `lost` if a peer was first.
inline attempt decide_for(waiter& self) {
    return contend(&self, nullptr, [] { return true; }) == contest::won ? attempt::done : attempt::lost;
}

// Which of several cases that are ready at once is chosen.
enum class preference : std::uint8_t {
    random,   // each as likely as the others
    listed,   // the first, at any moment
    in_turn,  // the first that is found, where the caller lists those first that have waited for longest
};

inline constexpr std::size_t no_case = static_cast<std::size_t>(-1);

// One choice, in the phases that Go's selectgo has made familiar: look at each case once; stand in line at all of them;
// sleep; step out of the lines. What differs: the channels are locked one at a time, and the claim keeps a second peer
// from completing the select.
//
// Why nothing is lost. A peer completes a case only while the claim is undecided, and deciding it and handing over the
// message are one step under the claim's lock; so at most one case is completed, and a peer that comes too late has
// handed over nothing. The select leaves its lines only when the claim is decided, by a peer, whose wake-up it then
// waits for, or by itself, so that no completion is overlooked. An event that happens after the look at a channel finds
// the case in line there, since the look and the standing in line are one step under the channel's locks.
//
// Why "nothing is ready" is exact, and a preferred case is not passed over. Looking at one case after the other is not
// enough: a message may go from a channel that was not looked at yet to one that was. So when all have been looked at in
// vain, each but the last is asked whether it is unchanged; if all are, none was ready at the moment at which the last was
// found not to be. And a case is taken before those that are listed earlier only if they are all found
// unchanged under the lock under which it is taken. Where others are so busy that this fails again and again, the select
// stands in line everywhere: it does so in the listed order, each case is tried as it is enlisted, and as long as the
// claim is undecided no earlier one has become ready. (A timer that becomes due completes nobody; so whoever completes a
// case that is listed after it looks at the clock: see contend().)
//
// Clocks and stop tokens are looked at before the channels, so that what came before a deadline or a stop is found. While
// the select is in line, a stop decides the claim like a peer; so does a deadline, on the select's own thread.
class selection {
public:
    // `order` is scratch space as long as `cases`.
    selection(std::span<select_case* const> cases, std::span<std::uint32_t> order, preference prefers) noexcept
        : cases_(cases), order_(order), prefers_(prefers) {}

    // Waits until a case is chosen, or `limit` has passed: then fails with `at_limit`. The index of the case; it has
    // not been run.
    result<std::size_t> choose(const deadline& limit, errc at_limit, const stop_token& stop = {}) {
        if (stop.stop_requested()) return unexpected(errc::stopped);
        if (const std::size_t chosen = begin(); chosen != no_case) return chosen;
        // Of a stop and the limit the earlier counts, from here on.
        sync::atomic<bool> stop_came_first{false};
        const auto note_stop = [&] {
            if (!limit.passed()) stop_came_first.store(true, std::memory_order_release);
        };
        std::optional<stop_callback<decltype(note_stop)>> on_stop;
        if (stop.stop_possible() && !limit.is_never()) on_stop.emplace(stop, note_stop);
        backoff spin;
        for (int looks = 1;; ++looks) {
            state_ = state::looking;
            expired_ = passed_deadline();
            const bool patient = expired_ == no_case && otherwise_ == no_case && !limit.passed();
            if (const std::size_t chosen = try_all(); chosen != no_case) return chosen;
            if (state_ == state::looking) {
                if (in_race_ == 0 && patient && next_deadline().is_never()) return unexpected(errc::closed);
                if (!patient && (in_race_ <= 1 || unchanged_before(racing_ - 1))) state_ = state::nothing_is_ready;
                if (patient && backed_off(spin)) continue;
            }
            if (state_ != state::nothing_is_ready) {
                if (looks < most_looks && (!patient || state_ == state::preferred_is_ready)) continue;
                if (const std::size_t chosen = wait_in_line(patient, limit, stop, spin); chosen != no_case)
                    return chosen;
            }
            if (state_ == state::stopped) return unexpected(errc::stopped);
            if (state_ != state::nothing_is_ready) continue;
            if (expired_ != no_case) return expired_;
            if (otherwise_ != no_case) return otherwise_;
            if (in_race_ == 0 && next_deadline().is_never()) return unexpected(errc::closed);
            return unexpected(stop_came_first.load(std::memory_order_acquire) ? errc::stopped : at_limit);
        }
    }

    // Whether no case can have dropped out of the race, after a choice that failed.
    bool all_in_race() const noexcept { return in_race_ == racing_ && !stood_in_line_; }

private:
    // So often a select that does not block looks round, before it stands in line.
    static constexpr int most_looks = 4;

    enum class state : std::uint8_t { looking, preferred_is_ready, nothing_is_ready, stopped };

    // The case of a stop that was requested before, if that is to come first.
    std::size_t begin() {
        std::size_t stopped = no_case;
        for (std::uint32_t i = 0; i < cases_.size(); ++i) {
            switch (cases_[i]->what()) {
                case select_case::kind::stop:
                    if (prefers_ != preference::listed && stopped == no_case && cases_[i]->due()) stopped = i;
                    [[fallthrough]];
                case select_case::kind::race: order_[racing_++] = i; break;
                case select_case::kind::deadline:
                    cases_[i]->start();
                    has_deadline_ = true;
                    break;
                case select_case::kind::otherwise: otherwise_ = i; break;
            }
        }
        return stopped;
    }

    select_case& in_order(std::uint32_t place) const noexcept { return *cases_[order_[place]]; }

    bool unchanged_before(std::uint32_t place) const {
        for (std::uint32_t earlier = 0; earlier < place; ++earlier) {
            if (!in_order(earlier).unchanged()) return false;
        }
        return true;
    }

    class earlier_are_unchanged final : public precondition {
    public:
        earlier_are_unchanged(const selection& s, std::uint32_t place) noexcept : selection_(s), place_(place) {}
        bool holds() const override { return selection_.unchanged_before(place_); }

    private:
        const selection& selection_;
        const std::uint32_t place_;
    };

    // Tries the cases in the order of preference; counts those that are not out of the race.
    std::size_t try_all() {
        in_race_ = 0;
        for (std::uint32_t place = 0; place < racing_; ++place) {
            if (prefers_ == preference::random && place + 1 < racing_)
                std::swap(order_[place], order_[place + sync::random_below(racing_ - place)]);
            switch (try_in_order(place)) {
                case attempt::done: return order_[place];
                case attempt::closed: break;
                case attempt::blocked: ++in_race_; break;
                case attempt::lost: state_ = state::preferred_is_ready; return no_case;
            }
        }
        return no_case;
    }

    attempt try_in_order(std::uint32_t place) {
        if (prefers_ != preference::listed || place == 0) return in_order(place).try_now(nullptr);
        const earlier_are_unchanged others(*this, place);
        return in_order(place).try_now(&others);
    }

    std::size_t passed_deadline() const {
        if (!has_deadline_) return no_case;
        for (std::size_t i = 0; i < cases_.size(); ++i) {
            if (cases_[i]->what() == select_case::kind::deadline && cases_[i]->due()) return i;
        }
        return no_case;
    }

    deadline next_deadline() const {
        deadline next = deadline::never();
        if (has_deadline_) {
            for (select_case* const c : cases_) {
                if (c->what() == select_case::kind::deadline) next = deadline::sooner(next, c->next_look());
            }
        }
        return next;
    }

    // Waits a little while no case may be ready; false when it is time to stand in line.
    [[gnu::noinline]] bool backed_off(backoff& spin) const {
        for (std::uint32_t place = 0; place < racing_; ++place) {
            if (in_order(place).must_stand_in_line()) return false;
        }
        while (spin.wait()) {
            for (std::uint32_t place = 0; place < racing_; ++place) {
                if (in_order(place).may_be_ready()) return true;
            }
        }
        return false;
    }

    // The select in the lines of its channels. Leaves them however this ends, also where the thread is cancelled in its
    // sleep.
    class in_line {
    public:
        explicit in_line(selection& s) noexcept : selection_(s) {}
        in_line(const in_line&) = delete;
        in_line& operator=(const in_line&) = delete;
        ~in_line() { leave(); }

        // Sees to it that no peer can complete the select from now on; true if a peer has decided it.
        bool leave() {
            if (left_) return by_peer_;
            {
                const guard held(decision.lock);
                decision.decided = true;
                by_peer_ = decision.by_peer;
            }
            if (by_peer_) sleeper.wait_for_wake();  // where the thread may be cancelled; then it comes here again
            left_ = true;
            for (std::uint32_t place = 0; place < enlisted; ++place) selection_.in_order(place).withdraw();
            return by_peer_;
        }
        bool is_decided() {
            const guard held(decision.lock);
            return decision.decided;
        }
        void drop_out() {
            const guard held(decision.lock);
            if (--decision.open_cases == 0) decision.decided = true;
        }

        parker sleeper;
        claim decision;
        std::uint32_t enlisted = 0;

    private:
        selection& selection_;
        bool left_ = false, by_peer_ = false;
    };

    // Stands in line everywhere; sleeps, if it is patient; steps out of the lines. The case that was chosen; else
    // `state_` says what was found, `looking` that it is time to look again.
    [[gnu::noinline]] std::size_t wait_in_line(bool patient, const deadline& limit, const stop_token& stop,
                                               backoff& spin) {
        state_ = state::looking;
        stood_in_line_ = true;
        for (std::uint32_t place = 0; place < racing_; ++place) in_order(place).prepare();
        in_line here(*this);
        here.decision.open_cases = racing_ + (next_deadline().is_never() ? 0 : 1);
        for (std::uint32_t place = 0; place < racing_; ++place)
            here.decision.timer_due = (std::min)(here.decision.timer_due, in_order(place).due_time());
        bool lost = false;
        std::size_t chosen = stand_in_line(here, lost);
        if (chosen == no_case && !lost) {
            waiter stopped;  // whose case is none of the others
            stopped.owner = &here.decision;
            stopped.behind_timer = true;  // a tick that came before the stop counts
            stopped.sleeper = &here.sleeper;
            const auto decide = [&] {
                if (!limit.passed() && decide_as_peer(stopped)) stopped.wake();
            };
            std::optional<stop_callback<decltype(decide)>> on_stop;
            if (stop.stop_possible()) on_stop.emplace(stop, decide);
            chosen = sleep(here, patient, limit, spin);
            on_stop.reset();
            if (here.leave() && here.decision.winner == &stopped) {
                state_ = state::stopped;
                return no_case;
            }
        }
        if (here.leave() && here.decision.winner) {
            std::uint32_t place = 0;
            while (&in_order(place).node() != here.decision.winner) ++place;
            state_ = state::looking;
            in_order(place).completed();
            return order_[place];
        }
        if (here.leave()) state_ = state::looking;  // a channel was closed
        return chosen;
    }

    // The case that could be completed on the way; none if the select stands in every line, or if it has `lost`: it was
    // decided, or is to look at a timer first.
    std::size_t stand_in_line(in_line& here, bool& lost) {
        bool behind_timer = false;
        while (here.enlisted < racing_) {
            const std::uint32_t place = here.enlisted++;
            select_case& c = in_order(place);
            c.node().sleeper = &here.sleeper;
            c.node().owner = &here.decision;
            c.node().behind_timer = behind_timer;
            if (prefers_ == preference::listed && c.is_timer()) behind_timer = true;
            switch (c.enlist()) {
                case attempt::done: return order_[place];
                case attempt::lost: lost = true; return no_case;
                case attempt::closed: here.drop_out(); break;
                case attempt::blocked: break;
            }
        }
        return no_case;
    }

    // Sleeps until the claim is decided or a deadline has passed; on the way sees to the timers that are due, and
    // returns the one that was completed. Where it returns because of a deadline, or since it is not patient,
    // `state_` says that nothing is ready: if the claim is still undecided after that, nothing was.
    std::size_t sleep(in_line& here, bool patient, const deadline& limit, backoff& spin) {
        bool retains = false;
        for (std::uint32_t place = 0; place < racing_; ++place) retains |= in_order(place).retains_memory();
        deadline idle = retains ? deadline::after(std::chrono::milliseconds(10)) : deadline::never();
        for (;;) {
            if (here.is_decided()) return no_case;
            expired_ = passed_deadline();
            const bool over = !patient || expired_ != no_case || limit.passed();
            for (std::uint32_t place = 0; place < racing_; ++place) {
                if (in_order(place).what() != select_case::kind::race || !in_order(place).due()) continue;
                const attempt tried = in_order(place).enlist();
                if (tried == attempt::done) return order_[place];
                if (tried != attempt::blocked) return no_case;  // the timer is over, or a peer was first
            }
            if (over) {
                state_ = state::nothing_is_ready;
                return no_case;
            }
            if (idle.passed()) {
                for (std::uint32_t place = 0; place < racing_; ++place) in_order(place).give_back_memory();
                idle = deadline::never();
            }
            deadline until = deadline::sooner(deadline::sooner(next_deadline(), limit), idle);
            for (std::uint32_t place = 0; place < racing_; ++place)
                until = deadline::sooner(until, in_order(place).next_look());
            if (here.sleeper.wait(until, spin)) return no_case;
        }
    }

    std::span<select_case* const> cases_;
    std::span<std::uint32_t> order_;
    const preference prefers_;
    state state_ = state::looking;
    std::uint32_t racing_ = 0;   // how many cases are in `order_`
    std::uint32_t in_race_ = 0;  // of them, those that can still become ready
    bool has_deadline_ = false;
    bool stood_in_line_ = false;
    std::size_t otherwise_ = no_case;
    std::size_t expired_ = no_case;  // a deadline that was seen to have passed
};

}  // namespace sluice::detail
