// What a case of a select offers to the engine.
#pragma once

#include <cstdint>

#include <sluice/detail/deadline.hpp>
#include <sluice/detail/sync.hpp>
#include <sluice/detail/waiter.hpp>
#include <sluice/detail/watch.hpp>

namespace sluice::detail {

// One case while a select chooses, as the engine sees it. To add a kind of case: derive from this, in cases.hpp or
// beside what it waits for, as timer_core.hpp does; override what differs from the defaults below; and add an on_...()
// function, which returns what makes it. The engine does not change.
class select_case {
public:
    enum class kind : std::uint8_t {
        event,      // a channel, a timer: what is ready first
        stop,       // a stop token, likewise; comes before the others if the stop was requested before
        deadline,   // runs if nothing else was ready by then
        otherwise,  // runs if nothing is ready now
    };

    explicit select_case(kind k = kind::event) noexcept : kind_(k) {}
    select_case(const select_case&) = delete;
    select_case& operator=(const select_case&) = delete;
    virtual ~select_case() = default;

    kind of_kind() const noexcept { return kind_; }
    // Calls the handler; after the choice, with no lock held.
    virtual void run() = 0;

    // ---- Events and stops. What an attempt returns: `done`, chosen; `blocked`; `closed`, can never be ready any more;
    // `superseded`, was ready, but the precondition did not hold, or the claim was decided before.

    virtual op_status try_now(const precondition*) { return op_status::closed; }
    // Whether the case has not been ready since try_now() found that it was not: from the end of that call to the
    // beginning of this one. May be false by mistake, never true.
    virtual bool is_unchanged() const { return true; }
    // Whether try_now() may do more than block; a hint.
    virtual bool maybe_ready() const noexcept { return true; }
    // Whether nothing can happen before it is registered, so that backing off before that is in vain.
    virtual bool must_register_first() const noexcept { return false; }
    // Before it is registered. Makes sure that try_register() throws nothing but what the move of a message throws.
    virtual void prepare() {}
    // Once it is prepared: its place in a line. Deadlines have none.
    virtual waiter* in_line() noexcept { return nullptr; }
    // Tries once more and, where that would block, puts in_line() in line. A timer is asked again when it is due.
    virtual op_status try_register() { return op_status::closed; }
    virtual void unregister() {}
    // A peer has completed the case. Throws what the move of its message threw, if it did.
    virtual void on_completed() {}
    // A peer has completed the case, of a coroutine that is destroyed.
    virtual void discard() noexcept {}
    // Whether it can never be ready any more, given whether this choice fell on it: a handler that hears of the closing
    // has to be called before.
    virtual bool is_done(bool /*chosen*/) const noexcept { return false; }
    // Whether its channel keeps memory that a receiver gives back when it has slept for a while.
    virtual bool retains_memory() const noexcept { return false; }
    virtual void give_back_memory() {}

    // ---- In a group, which keeps its cases between choices.

    // Has `w` told when the case may be ready; false if it may be ready now, or can't be watched.
    virtual bool watch(watcher& /*w*/) { return false; }
    // The same for a case that has to be tried by each choice, and stands in line while that waits: between two choices.
    virtual bool watch_between_waits(watcher& /*w*/) { return false; }
    // Ends either. After it `w` stands in no line; false if it was told.
    virtual bool unwatch(watcher& /*w*/) { return true; }
    // For a case that can't be watched in either way: sees to it that `hub` rings when it may be ready, unless it may be
    // now: `done`; or never: `closed`. Of time nobody is told.
    virtual op_status notify(watch_hub& /*hub*/) { return op_status::blocked; }
    // Whether it is never ready: a case on an empty handle.
    virtual bool is_switched_off() const noexcept { return false; }

    // ---- Time

    // A choice begins; of deadlines alone.
    virtual void start() {}
    // When to look again although the select was not woken.
    virtual deadline wake_time() const { return deadline::never(); }
    // Whether a deadline has passed, a timer is due, or a stop was requested.
    virtual bool is_due() const { return false; }
    // Whether it was taken out of its line since it was registered, to look again.
    virtual bool is_out_of_line() const noexcept { return false; }
    // Whether it is a timer; then is_due() may also be asked by a peer, under the lock of the claim.
    virtual bool is_timer() const noexcept { return false; }

private:
    kind kind_;
};

}  // namespace sluice::detail
