// ready_signal: what a pollable shares with the peers that make its descriptor readable.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include <sluice/detail/event_signal.hpp>
#include <sluice/detail/lock.hpp>
#include <sluice/detail/sync.hpp>
#include <sluice/detail/waiter.hpp>
#include <sluice/detail/watch.hpp>

namespace sluice::detail {

// The descriptor is in one of two states, `raised_` says in which:
//   - raised: readable. Nobody is to make it so.
//   - lowered: not readable. Then it is armed: the watcher stands in a line, or somebody has taken it out there and is
//     about to raise the descriptor, or the owner, who has lowered it, is about to arm or to raise it.
// Raised becomes lowered by lower() alone, called by who has looked and found nothing; it returns true once for each
// time that the descriptor was raised, and whoever gets that true puts the watcher into a line, or raises the descriptor.
//
// Why no edge is missed. The owner looks, finds nothing, lowers, and then arms, which looks once more under the locks
// under which a message is published: the watcher stands in line only where there is nothing. What comes after that finds
// it there, takes it out before it is shown, and raises the descriptor, after the descriptor was lowered. What came between
// the first look and the second makes the second fail, and the owner raises the descriptor again: an edge for loops that
// wait for edges.
//
// Why nothing is touched too late. An armed watcher holds the signal, so that its memory is there for who wakes it. The
// descriptor is closed under the lock under which it is written, so that it is never written afterwards, when its number may
// be that of another file. The owner does not wait for who is just waking the watcher: that finds no descriptor any more.
//
// The lock is taken with no other lock held, and none is taken under it.
class ready_signal : watcher {
public:
    // Lowered, for the owner to arm or to raise. Throws std::system_error.
    ready_signal() {
        has_callback = true;
        callback = [](waiter& w) noexcept {
            auto& self = static_cast<ready_signal&>(w);
            const std::shared_ptr<ready_signal> kept = std::move(self.kept_);
            kept->raise();
        };
    }

    // For the owner, until it has closed it.
    int fd() const noexcept { return event_->fd(); }

    void raise() noexcept {
        const spin_lock_guard held(lock_);
        if (raised_ || !event_) return;
        raised_ = true;
        event_->set();
    }
    bool lower() noexcept {
        const spin_lock_guard held(lock_);
        if (!raised_) return false;
        raised_ = false;
        event_->clear();
        return true;
    }

    // Before the watcher is put into a line; `self` is this.
    watcher& arm(const std::shared_ptr<ready_signal>& self) noexcept {
        kept_ = self;
        return *this;
    }
    // The watcher was not put into a line, or was taken out of it before it was told.
    void disarm() noexcept { kept_.reset(); }

    // Closes the descriptor, for good. Before that, withdraw(watcher) takes the watcher out of the line where it may
    // stand, and returns whether it stood there. In the child of a fork no line and no lock is touched: threads that are
    // not there may hold them for ever.
    template <class F>
    void close(F&& withdraw) {
        if (made_in_ != sync::fork_count()) {
            event_.reset();
            return disarm();
        }
        if (std::forward<F>(withdraw)(static_cast<watcher&>(*this))) disarm();
        const spin_lock_guard held(lock_);
        event_.reset();
    }

private:
    const unsigned made_in_ = sync::fork_count();
    std::shared_ptr<ready_signal> kept_;  // while it is armed
    sync::mutex lock_;
    bool raised_ = false;
    std::optional<event_signal<owned_fd>> event_{std::in_place};
};

}  // namespace sluice::detail
