// The modelled mutex and condition variable.
#include <model/explorer/mutex.hpp>

#include <model/explorer/scheduler.hpp>

namespace model {

mutex::~mutex() {
    if (is_locked() && scheduler::the.in_execution() && !view.busy) fail("a mutex is destroyed that is locked");
}

// The second half of locking: the step has been taken, and the mutex is free. The thread learns what the last owner
// knew, and observes what that had observed: so its hash tells all owners before it. It may now be left at yields
// again, as others can notice that the mutex is taken.
void mutex::acquire() {
    scheduler& s = scheduler::the;
    thread_state& me = s.me();
    owner_ = me.number;
    me.now.join(released_);
    me.observe(past_hash_);
    me.yields_in_vain = 0;
    // An inversion is found in any execution that locks both ways, though no deadlock comes of it in this one.
    for (int i = 0; i < me.held_count; ++i) {
        const std::uint32_t before = me.held[i]->number();
        if (s.locks().add(before, number())) continue;
        fail("lock order inversion: m" + std::to_string(number()) + " is locked while m" + std::to_string(before) +
             " is held, and it was the other way round before");
    }
    if (me.held_count == thread_state::max_held) fail("too many locks");
    me.held[me.held_count++] = this;
}

// The step is enabled while the mutex is free: a thread that is chosen always gets it, and one that has to wait is not
// chosen. A mutex that is not alive has no owner to ask for: step() says what is wrong with it.
void mutex::lock() {
    scheduler& s = scheduler::the;
    if (is_alive() && owner_ == s.me().number) fail("a thread locks a mutex that it holds");
    s.step(action::lock, this);
    acquire();
    note("locks m%u", number());
}

bool mutex::try_lock() {
    scheduler& s = scheduler::the;
    thread_state& me = s.me();
    if (is_alive() && owner_ == me.number) fail("a thread locks a mutex that it holds");
    s.step(action::try_lock, this);
    // That it has failed is all that a thread observes: not who holds the mutex, and nothing is ordered by it.
    const bool locked = is_locked();
    if (locked || s.spend(&budgets::failing_try_locks, 16)) {
        me.observe(0xfa11);
        locked ? note("finds m%u locked by thread %d", number(), owner_)
               : note("fails to lock m%u, for no reason", number());
        return false;
    }
    acquire();
    note("locks m%u", number());
    return true;
}

// No other thread goes before it: whatever one does while the mutex is locked it can do after that as well. Only a
// try_lock() that fails could tell, if its thread has seen the last step of the owner: see explorer.hpp.
// The owner observes nothing here: states are looked up before steps alone, and by its next step a thread that has
// observed the same has unlocked the same.
void mutex::unlock() noexcept {
    scheduler& s = scheduler::the;
    s.step_at_once(action::unlock, this);
    thread_state& me = s.me();
    if (owner_ != me.number) fail("a thread unlocks a mutex that it does not hold");
    owner_ = -1;
    // Replaced, not joined: the owner has learned what was there as it locked.
    released_ = me.now;
    past_hash_ = me.past_hash;
    me.advance();
    // Mostly the last one; they need not be unlocked in the reverse order.
    int i = me.held_count - 1;
    while (me.held[i] != this) --i;
    for (; i + 1 < me.held_count; ++i) me.held[i] = me.held[i + 1];
    --me.held_count;
    note("unlocks m%u", number());
}

// Two steps. The first gives the mutex back and falls asleep, with nothing in between: a wake-up can be lost only by
// what the program does before. The second wakes up and takes the mutex, once both is possible; until then the thread
// is found by its `next` and `on`, as a condition variable keeps no list. A second mutex would stay locked while it
// sleeps.
void condition_variable::wait_until(std::unique_lock<mutex>& lock, clock::time_point until) {
    scheduler& s = scheduler::the;
    thread_state& me = s.me();
    mutex& m = *lock.mutex();
    s.step(action::wait, this);
    if (m.owner_ != me.number) fail("a thread waits without holding the mutex");
    if (me.held_count != 1) fail("a thread waits and holds another mutex");
    m.owner_ = -1;
    // As in unlock(). The order in which threads fell asleep shows in the past of the next owner:
    // states/who-slept-last.
    m.released_ = me.now;
    m.past_hash_ = mix(me.past_hash, 0x0d);
    me.advance();
    me.held_count = 0;
    me.notified = false;
    me.until = until;
    me.reacquires = &m;
    note("waits on c%u, which unlocks m%u", number(), m.number());
    s.step(action::wake, this);  // enabled once it is notified or due, and the mutex is free: it locks in the same step
    m.check_use(me.number, me.now);
    me.observe(me.notified ? 0x77 : 0x78);
    note(me.notified ? "wakes up and locks m%u" : "wakes up at its deadline and locks m%u", m.number());
    me.notified = false;
    m.acquire();
}

// Marks sleepers and returns; each takes its step when it is chosen. One whose deadline has passed is awake already,
// and takes no notification away from others. With nobody asleep it is lost, as a real one is.
void condition_variable::notify(bool all) noexcept {
    scheduler& s = scheduler::the;
    s.step(action::notify, this);
    thread_state* waiting[max_threads];
    std::uint32_t count = 0;
    for (thread_state& t : s.threads()) {
        if (t.on == this && s.is_asleep(t)) waiting[count++] = &t;
    }
    // A notification orders nothing: the waiter learns of it by what it reads under the mutex.
    s.me().observe(mix(0x90, count));
    note("notifies c%u, on which %u wait", number(), count);
    if (count == 0) return;
    if (all) {
        for (std::uint32_t i = 0; i < count; ++i) waiting[i]->notified = true;
        return;
    }
    const std::uint32_t chosen = count > 1 ? s.choose(count, 1) : 0;
    // Among how many it was chosen has been observed, too.
    s.me().observe(chosen);
    waiting[chosen]->notified = true;
}

}  // namespace model
