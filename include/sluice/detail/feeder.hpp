// Where the messages of a channel come from, if that is not a sender in this process.
#pragma once

#include <sluice/detail/wait.hpp>

namespace sluice::detail {

// Brings messages to a channel. A thread that waits for one may fetch it by itself, which saves a change of threads.
class feeder {
public:
    feeder() = default;
    feeder(const feeder&) = delete;
    feeder& operator=(const feeder&) = delete;

    // Whether wait() is likely to fetch, so that there is nothing to be waited for before it; a hint.
    virtual bool fetches() const noexcept = 0;
    // Instead of sleeper.wait(until, spin), which it also ends like: waits for the operation of this thread, which stands
    // in line.
    virtual bool wait(parker& sleeper, const deadline& until, backoff& spin) = 0;
    // The channel is gone.
    virtual void release() noexcept = 0;

protected:
    ~feeder() = default;
};

}  // namespace sluice::detail
