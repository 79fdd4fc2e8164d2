// Where the messages of a channel come from, if that is not a sender in this process.
#pragma once

#include <sluice/detail/backoff.hpp>
#include <sluice/detail/deadline.hpp>
#include <sluice/detail/parker.hpp>

namespace sluice::detail {

// Brings messages to a channel. A thread that waits for one may fetch it by itself, which saves a change of threads.
// The code of a feeder may be unloaded once the feeder is destroyed, so it is called only between enter() and leave(),
// and destroyed after the last leave().
class feeder {
public:
    feeder() = default;
    feeder(const feeder&) = delete;
    feeder& operator=(const feeder&) = delete;

    // enter() is called with the front lock of the channel held, under which the feeder is also set and taken away;
    // leave() with no lock.
    virtual void enter() noexcept = 0;
    virtual void leave() noexcept = 0;

    // Whether wait() is likely to fetch, so that backing off before it is in vain; a hint.
    virtual bool fetches() const noexcept = 0;
    // Waits for the operation of this thread, which stands in line, in place of sleeper.wait(until, spin) and with its
    // result.
    virtual bool wait(parker& sleeper, const deadline& until, backoff& spin) = 0;

protected:
    ~feeder() = default;
};

}  // namespace sluice::detail
