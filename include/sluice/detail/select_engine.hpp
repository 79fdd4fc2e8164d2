// The select engine: makes one choice among any cases. Every form of select builds an array of cases and calls
// choose().
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include <sluice/detail/backoff.hpp>
#include <sluice/detail/compiler.hpp>
#include <sluice/detail/deadline.hpp>
#include <sluice/detail/parker.hpp>
#include <sluice/detail/select_cases.hpp>
#include <sluice/detail/select_registration.hpp>
#include <sluice/detail/stop_callback.hpp>
#include <sluice/detail/sync.hpp>
#include <sluice/detail/waiter.hpp>
#include <sluice/result.hpp>

namespace sluice::detail {

// One choice, in the phases of Go's selectgo: look() tries each case; enter() puts the select in line at all of them, a
// registration; then what drives the engine waits for as long as must_wait() says, a thread in choose() or a coroutine;
// leave() ends the registration, and says what was chosen. Unlike there, the channels are locked one at a time, and the
// claim keeps a second peer from completing the select.
//
// Why nothing is lost. A peer completes a case only while the claim is undecided, and deciding it and handing over the
// message are one step under the claim's lock; so at most one case is completed, and a peer that comes too late has
// handed over nothing. The select leaves its lines only when the claim is decided, by a peer, whose wake-up it then
// waits for, or by itself, so that no completion is overlooked. An event that happens after the look at a channel finds
// the case in line there, since the look and the registration are one step under the channel's locks.
//
// Why "nothing is ready" is exact, and a preferred case is not passed over. Looking at one case after the other is not
// enough: a message may go from a channel that was not looked at yet to one that was. So when all have been looked at
// in vain, each but the last is asked whether it is unchanged; if all are, none was ready at the moment at which the
// last was found not to be. And a case is taken before those that are listed earlier only if they are all found
// unchanged under the lock under which it is taken. Where others are so busy that this fails again and again, the
// select registers everywhere: it does so in the listed order, each case is tried as it is registered, and as long as
// the claim is undecided no earlier one has become ready. (A timer that becomes due completes no case by itself; so a
// peer that completes a case listed after it looks at the clock: see try_claim().)
//
// Clocks and stop tokens are looked at before the channels, so that what came before a deadline or a stop is found.
// While the select is registered, a stop decides the claim like a peer; so does a deadline, on the select's own thread.
class select_engine : public select_cases {
public:
    using select_cases::select_cases;

    // Waits until a case is chosen, or `limit` has passed: then fails with `on_expiry`. The case has not been run. The
    // stop was not requested before.
    void choose(const deadline& limit, errc on_expiry, const stop_token& stop = {}) {
        backoff spin;
        begin(limit, on_expiry, stop);
        while (!look(&spin) && !sleep(spin)) {
        }
        finish();
    }

    // ---- The same in steps: begin(); then look(), and while that is not the end, enter(), as many waits as must_wait()
    // says, leave(), and while that is not the end, look() again. All of them may throw what the move of a message
    // throws, and then it is over, in no line. The arguments of begin() must outlive that.

    void begin(const deadline& limit, errc on_expiry, const stop_token& stop) {
        sort(true);
        limit_ = &limit;
        on_expiry_ = on_expiry;
        stop_ = &stop;
        // Of a stop and the limit the earlier counts, from here on.
        if (stop.stop_possible() && !limit.is_never()) note_stop_.emplace(stop, stop_noter(*this));
    }

    // Tries the cases; true if that is the end, else it is time to register. Backs off before that, with a budget.
    bool look(backoff* spin) {
        for (;; ++looks_) {
            state_ = state::looking;
            expired_ = passed_deadline();
            may_block_ = expired_ == no_case && otherwise_ == no_case && !limit_->passed();
            bool superseded = false;
            const std::size_t chosen = try_all(superseded);
            if (superseded) state_ = state::preferred_is_ready;
            if (chosen == no_case && state_ == state::looking) {
                const bool none_can_be = live_ == 0 && may_block_ && next_deadline().is_never();
                if ((none_can_be || !may_block_) && was_at_one_moment()) {
                    if (none_can_be) return ends_with(errc::closed);
                    state_ = state::nothing_is_ready;
                }
                if (may_block_ && spin && backed_off(*spin)) continue;
            }
            if (chosen == no_case && state_ != state::nothing_is_ready) {
                if (looks_ < max_looks && (!may_block_ || state_ == state::preferred_is_ready)) continue;
                return false;
            }
            if (is_end(chosen)) return true;
        }
    }

    // Registers everywhere; `by` is told when it is to look what has happened. False if there is nothing to wait for.
    bool enter(select_sleeper& by) {
        state_ = state::looking;
        has_registered_ = true;
        for (std::uint32_t place = 0; place < count_; ++place) in_order(place).prepare();
        registration_.emplace(*this, by);
        registration& here = *registration_;
        bool superseded = false;
        here.found = register_all(superseded);
        if (here.found != no_case || superseded) return false;
        here.attach(here.stopped, true);  // a tick that came before the stop counts
        if (stop_->stop_possible()) here.decide_by_stop.emplace(*stop_, stop_decider(*limit_, here.stopped));
        bool retains = false;
        for (std::uint32_t place = 0; place < count_; ++place) retains |= in_order(place).retains_memory();
        if (retains) here.idle = deadline::in(std::chrono::milliseconds(10));
        return true;
    }

    // Whether to wait, until the sleeper is told or that time has come, and then to ask again. Meanwhile tries the timers
    // that are due. Where it ends because of a deadline, or since it may not block, `state_` says that nothing is ready:
    // if the claim is still undecided after that, nothing was.
    bool must_wait(deadline& until) {
        registration& here = *registration_;
        if (here.decision.is_decided()) return false;
        expired_ = passed_deadline();
        const bool over = !may_block_ || expired_ != no_case || limit_->passed();
        for (std::uint32_t place = 0; place < count_; ++place) {
            select_case& c = in_order(place);
            if (c.of_kind() != select_case::kind::event || (!c.is_due() && !c.is_out_of_line())) continue;
            const op_status tried = c.try_register();
            if (tried == op_status::done) here.found = order_[place];
            if (tried != op_status::blocked) return false;  // or the timer is over, or a peer was first
        }
        if (over) {
            state_ = state::nothing_is_ready;
            return false;
        }
        if (here.idle.passed()) {
            for (std::uint32_t place = 0; place < count_; ++place) in_order(place).give_back_memory();
            here.idle = deadline::never();
        }
        until = deadline::sooner(deadline::sooner(next_deadline(), *limit_), here.idle);
        for (std::uint32_t place = 0; place < count_; ++place)
            until = deadline::sooner(until, in_order(place).wake_time());
        return true;
    }

    // Leaves the lines; true if that is the end.
    bool leave() {
        const struct ending {
            explicit ending(select_engine& e) noexcept : engine(e) {}
            ~ending() { engine.registration_.reset(); }
            select_engine& engine;
        } ends(*this);
        registration& here = *registration_;
        std::size_t chosen = here.found;
        if (here.leave()) {
            const waiter* const selected = here.decision.selected();
            if (selected == &here.stopped) return ends_with(errc::stopped);
            state_ = state::looking;
            if (selected) {  // otherwise a channel was closed
                std::uint32_t place = 0;
                while (in_order(place).in_line() != selected) ++place;
                in_order(place).on_completed();
                chosen = order_[place];
            }
        }
        if (is_end(chosen)) return true;
        ++looks_;
        return false;
    }

    // At the end; then nothing tells the sleeper anything any more.
    void finish() noexcept { note_stop_.reset(); }
    // In place of all that: that case is chosen.
    void decide(std::size_t chosen) noexcept { chosen_ = chosen; }
    // The index of the case that was chosen; no case if the choice failed, and why. Not as one result: one that is copied
    // just after it was written waits for the writes.
    std::size_t chosen() const noexcept { return chosen_; }
    errc failure() const noexcept { return failure_; }

    // For what is given up while it waits: leaves the lines, with whatever it had been given.
    void abandon() noexcept {
        note_stop_.reset();
        if (!registration_) return;
        if (registration_->leave() && registration_->decision.selected()) {
            for (std::uint32_t place = 0; place < count_; ++place) {
                if (in_order(place).in_line() == registration_->decision.selected()) in_order(place).discard();
            }
        }
        registration_.reset();
    }

    // After a choice that failed: true only if each case can still become ready.
    bool all_are_live() const noexcept { return live_ == count_ && !has_registered_; }

private:
    // How often a select that does not block looks at its cases before it registers.
    static constexpr int max_looks = 4;

    enum class state : std::uint8_t { looking, preferred_is_ready, nothing_is_ready };

    // ---- Register

    class stop_decider {
    public:
        stop_decider(const deadline& limit, waiter& stopped) noexcept : limit_(limit), stopped_(stopped) {}
        void operator()() const {
            if (!limit_.passed() && claim::claim_without_transfer(stopped_)) stopped_.wake();
        }

    private:
        const deadline& limit_;
        waiter& stopped_;
    };

    // The select in the lines of its channels. Leaves them however this ends, also where the thread is cancelled in its
    // sleep.
    class registration final : public timer_watch {
    public:
        registration(select_engine& s, select_sleeper& by) noexcept : decision(by), engine_(s) {}
        ~registration() { leave(); }

        // Ends the claim, so that no peer can complete the select any more, and leaves the lines; true if a peer has
        // decided it.
        bool leave() {
            if (left_) return by_peer_;
            decide_by_stop.reset();
            by_peer_ = decision.end();
            if (by_peer_)
                decision.sleeper.wait_for_wake();  // may be cancelled in that; the destructor comes here again
            left_ = true;
            for (std::uint32_t place = 0; place < registered; ++place) engine_.in_order(place).unregister();
            return by_peer_;
        }
        // Makes `w` one of the waiters that decide this select and wake it.
        void attach(waiter& w, bool yields_to_timer) noexcept {
            decision.sleeper.attach(w);
            w.decision = &decision;
            w.yields_to_timer = yields_to_timer;
        }

        bool is_timer_due() const override {
            for (std::uint32_t place = 0; place < engine_.count_; ++place) {
                if (engine_.in_order(place).is_timer() && engine_.in_order(place).is_due()) return true;
            }
            return false;
        }

        select_claim decision;
        std::uint32_t registered = 0;
        std::size_t found = no_case;  // a case that the select has completed itself
        deadline idle = deadline::never();
        waiter stopped;  // which belongs to no case
        std::optional<stop_callback<stop_decider>> decide_by_stop;

    private:
        select_engine& engine_;
        bool left_ = false, by_peer_ = false;
    };

    // The case that could be completed on the way; none if the select stands in every line, or if it is `superseded`:
    // it was decided, or is to look at a timer first.
    std::size_t register_all(bool& superseded) {
        registration& here = *registration_;
        bool has_timer = false;
        for (std::uint32_t place = 0; place < count_; ++place) has_timer |= in_order(place).is_timer();
        here.decision.begin(count_ + (next_deadline().is_never() ? 0 : 1), has_timer ? &here : nullptr);
        bool behind_timer = false;
        live_ = 0;
        while (here.registered < count_) {
            const std::uint32_t place = here.registered++;
            select_case& c = in_order(place);
            here.attach(*c.in_line(), behind_timer);
            if (prefers_ == preference::listed && c.is_timer()) behind_timer = true;
            switch (c.try_register()) {
                case op_status::done: return order_[place];
                case op_status::superseded: superseded = true; return no_case;
                case op_status::closed: here.decision.drop_case(); break;
                case op_status::blocked: ++live_; break;
            }
        }
        return no_case;
    }

    // ---- A stop

    class stop_noter {
    public:
        explicit stop_noter(select_engine& e) noexcept : engine_(e) {}
        void operator()() const {
            if (!engine_.limit_->passed()) engine_.stop_came_first_.store(true, std::memory_order_release);
        }

    private:
        select_engine& engine_;
    };
    // ---- The end

    bool ends_with(std::size_t chosen) noexcept {
        chosen_ = chosen;
        return true;
    }
    bool ends_with(errc failure) noexcept {
        failure_ = failure;
        return true;
    }
    // Whether that is the end, once all was looked at; no case if `state_` says what was found: `looking`, that it is
    // time to look again.
    bool is_end(std::size_t chosen) {
        if (chosen != no_case) {
            if (!has_more(chosen)) return ends_with(chosen);
            looks_ = 0;
            return false;
        }
        if (state_ != state::nothing_is_ready) return false;
        if (expired_ != no_case) return ends_with(expired_);
        if (otherwise_ != no_case) return ends_with(otherwise_);
        if (live_ == 0 && next_deadline().is_never()) return ends_with(errc::closed);
        return ends_with(stop_came_first_.load(std::memory_order_acquire) ? errc::stopped : on_expiry_);
    }

    // ---- A thread that drives it

    class parked_thread final : public select_sleeper {
    public:
        void attach(waiter& w) noexcept override {
            w.has_callback = false;
            w.sleeper = &place;
        }
        void wait_for_wake() override { place.wait_for_wake(); }
        void wake() noexcept override { place.wake(); }
        void poke() noexcept override { place.interrupt(); }

        parker place;
    };

    SLUICE_NOINLINE bool sleep(backoff& spin) {
        parked_thread me;
        const struct leaving {
            explicit leaving(select_engine& e) noexcept : engine(e) {}
            ~leaving() { engine.registration_.reset(); }
            select_engine& engine;
        } leaves(*this);
        if (enter(me)) {
            deadline until = deadline::never();
            while (must_wait(until) && !me.place.wait(until, spin)) {
            }
        }
        return leave();
    }

    state state_ = state::looking;
    bool has_registered_ = false;
    std::size_t expired_ = no_case;  // a deadline that was seen to have passed

    const deadline* limit_ = nullptr;
    const stop_token* stop_ = nullptr;
    errc on_expiry_ = errc::timeout;
    int looks_ = 1;
    bool may_block_ = false;
    sync::atomic<bool> stop_came_first_{false};
    std::optional<stop_callback<stop_noter>> note_stop_;
    std::size_t chosen_ = no_case;
    errc failure_ = errc::empty;
    std::optional<registration> registration_;
};

}  // namespace sluice::detail
