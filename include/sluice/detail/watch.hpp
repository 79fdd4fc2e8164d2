// How a group hears that one of its idle channels may be ready, without looking at each of them.
#pragma once

#include <atomic>
#include <utility>

#include <sluice/detail/compiler.hpp>
#include <sluice/detail/lock.hpp>
#include <sluice/detail/sync.hpp>
#include <sluice/detail/waiter.hpp>

namespace sluice::detail {

class watch_hub;

// Stands in a line of a channel for a group, also between two waits of the group, but takes nothing: it is told, once,
// that there may be something for it. Whoever is about to show a message, room, or that the channel is closed, tells
// all watchers of that line before, under the lock that guards the line, and takes them out of it. A watcher comes into
// the line with both locks held, where there is nothing for it. So as long as it stands there, there has been nothing.
// All watchers are told, so that a group that is between two waits, or finds something else first, keeps nothing from
// the others.
//
// On a rendezvous there is nothing before somebody stands in line: who does so on one side tells those that watch for it
// on the other, before it is shown there. They stand in lines of their own, where nobody takes them for a peer: two sides
// that only watch do not meet.
struct watcher : waiter {
    watcher() noexcept { watches = true; }

    watch_hub* hub = nullptr;  // none: the watcher itself is woken in place of being told
    // Of one that was told, guarded by the hub: the next one, and what points to this one.
    watcher* next_told = nullptr;
    watcher** place_told = nullptr;
};

// Where the watchers of a group are told. Its lock comes after those of channels and before those of claims.
class watch_hub {
public:
    watch_hub() = default;
    watch_hub(const watch_hub&) = delete;
    watch_hub& operator=(const watch_hub&) = delete;

    // `w` was just taken out of its line, under `locked`. Wakes the group after that, if it waits.
    void tell(watcher& w, section& locked) {
        const spin_lock_guard held(lock_);
        w.next_told = nullptr;
        w.place_told = end_;
        *end_ = &w;
        end_ = &w.next_told;
        has_news_.store(true, std::memory_order_release);
        if (waiter* const group = std::exchange(waiting_, nullptr)) {
            if (claim::claim_without_transfer(*group)) locked.wake_after(*group);
        }
        wake_listeners(locked);
    }
    // Wakes the listeners, as tell() does. Requires no lock.
    void ring() {
        section held(lock_);
        wake_listeners(held);
    }

    // ---- For the thread that has the group

    // Whether a watcher was told that was not taken yet. If not, no watcher in line had anything at some moment of the
    // call: news is made before what it tells of is shown.
    bool has_news() const noexcept { return has_news_.load(std::memory_order_acquire); }
    // The watchers that were told, in that order: a chain by next_told.
    watcher* take_told() {
        const spin_lock_guard held(lock_);
        end_ = &first_;
        has_news_.store(false, std::memory_order_relaxed);
        return std::exchange(first_, nullptr);
    }
    // `w` was told, was not taken since then, and is about to go.
    void forget(const watcher& w) {
        const spin_lock_guard held(lock_);
        (w.next_told ? w.next_told->place_told : end_) = w.place_told;
        *w.place_told = w.next_told;
        if (!first_) has_news_.store(false, std::memory_order_relaxed);
    }
    // Has the next watcher that is told decide and wake the select of `group`; false if there is news already.
    bool wait_for_news(waiter& group) {
        const spin_lock_guard held(lock_);
        if (first_) return false;
        waiting_ = &group;
        return true;
    }
    void stop_waiting() {
        const spin_lock_guard held(lock_);
        waiting_ = nullptr;
    }

    // Has `l` woken, once, when a watcher is told, or the hub rings: between two waits too.
    void listen(waiter& l) {
        const spin_lock_guard held(lock_);
        listeners_.push_back(l);
    }
    // Ends that; false if `l` has been taken out, to be woken.
    bool stop_listening(waiter& l) {
        const spin_lock_guard held(lock_);
        if (!l.linked) return false;
        listeners_.remove(l);
        return true;
    }
    bool has_listeners() const noexcept { return !listeners_.empty(); }

private:
    // Requires the lock.
    void wake_listeners(section& locked) {
        while (waiter* const l = listeners_.front()) {
            listeners_.remove(*l);
            locked.wake_after(*l);
        }
    }

    sync::mutex lock_;
    watcher* first_ = nullptr;  // of those that were told
    watcher** end_ = &first_;
    waiter* waiting_ = nullptr;
    wait_queue listeners_;
    sync::atomic<bool> has_news_{false};
};

// Of a line that is not empty.
SLUICE_NOINLINE inline void tell_watchers_among(wait_queue& line, section& locked) {
    for (waiter* next = line.front(); waiter* const w = next;) {
        next = line.after(*w);
        if (!w->watches) continue;
        line.remove(*w);
        auto& told = static_cast<watcher&>(*w);
        if (told.hub) {
            told.hub->tell(told, locked);
        } else {
            locked.wake_after(told);
        }
    }
}

// Tells all watchers in the line. Requires the lock that guards it.
inline void tell_watchers(wait_queue& line, section& locked) {
    if (line.front()) tell_watchers_among(line, locked);
}

}  // namespace sluice::detail
