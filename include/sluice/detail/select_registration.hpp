// What a blocked select has beside its cases: a claim, and what sleeps, a thread or a coroutine.
#pragma once

#include <sluice/detail/waiter.hpp>

namespace sluice::detail {

// What sleeps while a select stands in its lines. To add a kind of sleeper, derive from this, and drive the engine.
class select_sleeper {
public:
    select_sleeper() = default;
    select_sleeper(const select_sleeper&) = delete;
    select_sleeper& operator=(const select_sleeper&) = delete;

    // `w` is one of the waiters that wake it; its claim is a select_claim.
    virtual void attach(waiter& w) noexcept = 0;
    // The select was decided by a peer: its last access, of which there is at most one for each registration.
    virtual void wake() noexcept = 0;
    // Until that wake(), which is certain to come, has ended.
    virtual void wait_for_wake() = 0;
    // Makes it look again.
    virtual void poke() noexcept = 0;

protected:
    ~select_sleeper() = default;
};

struct select_claim : claim {
    explicit select_claim(select_sleeper& by) noexcept : sleeper(by) {}
    select_sleeper& sleeper;
};

}  // namespace sluice::detail
