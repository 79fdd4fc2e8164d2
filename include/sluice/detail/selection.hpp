// The select engine: makes one choice among any cases. Every form of select builds an array of cases and calls
// choose().
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
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
        race,       // a channel, a timer, a stop token: what is ready first
        deadline,   // runs if nothing else was ready by then
        otherwise,  // runs if nothing is ready now
    };

    explicit select_case(kind k) noexcept : kind_(k) {}
    explicit select_case(waiter& node) noexcept : kind_(kind::race), node_(&node) {}
    select_case(const select_case&) = delete;
    select_case& operator=(const select_case&) = delete;
    virtual ~select_case() = default;

    kind what() const noexcept { return kind_; }
    // Its place in a line; a case that races has one.
    waiter& node() const noexcept { return *node_; }

    // A choice begins.
    virtual void start() {}
    // Calls the handler; after the choice, with no lock held.
    virtual void run() = 0;
    // Whether it can never be chosen again, having been run.
    virtual bool spent() const noexcept { return false; }

    // ---- Race. Of an attempt: `done`, chosen; `blocked`; `closed`, can never be ready any more, out of the race.

    virtual attempt try_now() { return attempt::closed; }
    // Whether try_now() may do more than block; a hint.
    virtual bool may_be_ready() const noexcept { return true; }
    // Whether backing off before standing in line is in vain.
    virtual bool must_stand_in_line() const noexcept { return false; }
    // Tries once more and, where it would block, puts node() in line; `lost` if the claim was decided before. A timer
    // is asked again when it is due.
    virtual attempt enlist() { return attempt::closed; }
    virtual void withdraw() {}
    // Someone else has completed the case. Throws what went wrong in doing so.
    virtual void completed() {}

    // ---- Time

    // When to look again although nobody has woken the select.
    virtual sync::clock::time_point next_look() const { return sync::clock::time_point::max(); }
    // Whether a deadline has passed, or a timer is due.
    virtual bool due() const { return false; }

private:
    kind kind_;
    waiter* node_ = nullptr;
};

// Decides a select that is enlisted for one of its own cases; `lost` if a peer was first.
inline attempt decide_for(waiter& self) {
    return contend(&self, nullptr, [] {}) == contest::won ? attempt::done : attempt::lost;
}

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
class selection {
public:
    // `order` is scratch space as long as `cases`.
    selection(std::span<select_case* const> cases, std::span<std::uint32_t> order, bool biased) noexcept
        : cases_(cases), order_(order), biased_(biased) {}

    // Waits until a case is chosen, or `limit` has passed: then fails with `at_limit`. The index of the case; it has
    // not been run.
    result<std::size_t> choose(const deadline& limit, errc at_limit) {
        begin();
        backoff spin;
        for (;;) {
            if (const std::size_t chosen = look(); chosen != no_case) return chosen;
            if (const std::size_t chosen = passed_deadline(); chosen != no_case) return chosen;
            if (otherwise_ != no_case) return otherwise_;
            if (in_race_ == 0 && next_deadline() == forever) return unexpected(errc::closed);
            if (limit.passed()) return unexpected(at_limit);
            if (backed_off(spin)) continue;
            if (const std::size_t chosen = wait_in_line(limit, spin); chosen != no_case) return chosen;
        }
    }

private:
    using time_point = sync::clock::time_point;
    static constexpr time_point forever = time_point::max();

    void begin() {
        for (std::uint32_t i = 0; i < cases_.size(); ++i) {
            cases_[i]->start();
            switch (cases_[i]->what()) {
                case select_case::kind::race: order_[racing_++] = i; break;
                case select_case::kind::deadline: has_deadline_ = true; break;
                case select_case::kind::otherwise: otherwise_ = i; break;
            }
        }
    }

    select_case& in_order(std::uint32_t place) const noexcept { return *cases_[order_[place]]; }

    // Tries the cases, each as likely to be first as the others left; counts those that are not out of the race.
    std::size_t look() {
        in_race_ = 0;
        for (std::uint32_t place = 0; place < racing_; ++place) {
            if (!biased_) std::swap(order_[place], order_[place + sync::random_below(racing_ - place)]);
            switch (in_order(place).try_now()) {
                case attempt::done: return order_[place];
                case attempt::closed: break;
                default: ++in_race_;
            }
        }
        return no_case;
    }

    std::size_t passed_deadline() const {
        if (!has_deadline_) return no_case;
        for (std::size_t i = 0; i < cases_.size(); ++i) {
            if (cases_[i]->what() == select_case::kind::deadline && cases_[i]->due()) return i;
        }
        return no_case;
    }

    time_point next_deadline() const {
        time_point next = forever;
        if (has_deadline_) {
            for (select_case* const c : cases_) {
                if (c->what() == select_case::kind::deadline) next = std::min(next, c->next_look());
            }
        }
        return next;
    }

    // Waits a little while no case may be ready; false when it is time to stand in line.
    bool backed_off(backoff& spin) const {
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

    // Stands in line everywhere, sleeps, steps out of the lines. The case that was chosen; none if it is time to look
    // again.
    std::size_t wait_in_line(const deadline& limit, backoff& spin) {
        parker sleeper;
        claim decision;
        decision.open_cases = racing_ + (next_deadline() == forever ? 0 : 1);
        std::size_t chosen = no_case;
        std::uint32_t enlisted = 0;
        std::exception_ptr thrown;
        try {
            chosen = stand_in_line(sleeper, decision, enlisted);
            if (chosen == no_case) chosen = sleep(sleeper, decision, limit, spin);
        } catch (...) {
            thrown = std::current_exception();
        }
        const bool by_peer = decide(decision);
        if (by_peer) sleeper.wait();
        for (std::uint32_t place = 0; place < enlisted; ++place) in_order(place).withdraw();
        if (by_peer && decision.winner) {
            while (&in_order(--enlisted).node() != decision.winner) {
            }
            in_order(enlisted).completed();
            return order_[enlisted];
        }
        if (thrown) std::rethrow_exception(thrown);
        return chosen;
    }

    // The case that could be completed on the way; none if the select stands in every line or was decided.
    std::size_t stand_in_line(parker& sleeper, claim& decision, std::uint32_t& enlisted) {
        while (enlisted < racing_) {
            const std::uint32_t place = enlisted++;
            select_case& c = in_order(place);
            c.node().sleeper = &sleeper;
            c.node().owner = &decision;
            switch (c.enlist()) {
                case attempt::done: return order_[place];
                case attempt::lost: return no_case;
                case attempt::closed: drop_out(decision); break;
                default: break;
            }
        }
        return no_case;
    }

    // Sleeps until the claim is decided or a deadline has passed; on the way sees to the timers that are due, and
    // returns the one that was completed.
    std::size_t sleep(parker& sleeper, claim& decision, const deadline& limit, backoff& spin) {
        for (;;) {
            if (is_decided(decision)) return no_case;
            time_point until = std::min(next_deadline(), limit.next_look());
            for (std::uint32_t place = 0; place < racing_; ++place)
                until = std::min(until, in_order(place).next_look());
            if (sleeper.wait(deadline::at_steady(until), spin)) return no_case;
            for (std::uint32_t place = 0; place < racing_; ++place) {
                if (!in_order(place).due()) continue;
                const attempt tried = in_order(place).enlist();
                if (tried == attempt::done) return order_[place];
                if (tried != attempt::blocked) return no_case;  // the timer is over, or a peer was first
            }
            if (passed_deadline() != no_case || limit.passed()) return no_case;
        }
    }

    // Sees to it that no peer can complete the select from now on; true if a peer has decided it, and wakes it or has
    // done so.
    static bool decide(claim& decision) {
        const guard held(decision.lock);
        decision.decided = true;
        return decision.by_peer;
    }
    static bool is_decided(claim& decision) {
        const guard held(decision.lock);
        return decision.decided;
    }
    static void drop_out(claim& decision) {
        const guard held(decision.lock);
        if (--decision.open_cases == 0) decision.decided = true;
    }

    std::span<select_case* const> cases_;
    std::span<std::uint32_t> order_;
    const bool biased_;
    std::uint32_t racing_ = 0;   // how many cases are in `order_`
    std::uint32_t in_race_ = 0;  // of them, those that can still become ready
    bool has_deadline_ = false;
    std::size_t otherwise_ = no_case;
};

}  // namespace sluice::detail
