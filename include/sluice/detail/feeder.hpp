// Where the messages of a channel come from, if that is not a sender in this process.
#pragma once

#include <sluice/detail/backoff.hpp>
#include <sluice/detail/deadline.hpp>
#include <sluice/detail/parker.hpp>

namespace sluice::detail {

// Brings messages to a channel. A thread that waits for one may fetch it by itself, which saves a change of threads.
// The code of a feeder may be unloaded, after the feeder: so it is called only between enter() and leave(), for whose
// last one it waits before it goes.
class feeder {
public:
    feeder() = default;
    feeder(const feeder&) = delete;
    feeder& operator=(const feeder&) = delete;

    // Under a lock of the channel, under which it is also made known and taken away.
    virtual void enter() noexcept = 0;
    virtual void leave() noexcept = 0;

    // Whether wait() is likely to fetch, so that there is nothing to be waited for before it; a hint.
    virtual bool fetches() const noexcept = 0;
    // Instead of sleeper.wait(until, spin), which it also ends like: waits for the operation of this thread, which stands
    // in line.
    virtual bool wait(parker& sleeper, const deadline& until, backoff& spin) = 0;

protected:
    ~feeder() = default;
};

}  // namespace sluice::detail
