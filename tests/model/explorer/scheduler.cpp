// The scheduler: collects what may happen next, and lets the search choose.
//
// run() begins an execution with its first thread, and gets control back when the execution ends. In between threads
// give way in step() and at their end: schedule_next() decides which goes on, and switch_to() goes there. A choice that
// is no choice of a thread (which value a load finds, say) is made within a step, by choose() and spend().
#include <model/explorer/scheduler.hpp>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <string>

#include <model/explorer/stop_state.hpp>

namespace model {

// There is one: the sync objects of a program, and the hooks of its memory, have no other way to find it.
scheduler scheduler::the;

// ---- Executions

// States are known within one exploration: of one program, with one set of limits.
void scheduler::begin(const settings& how) {
    how_ = how;
    known_states_.clear();
    steps_ = 0;
}

// An execution depends on its choices alone: time, numbers of objects and addresses begin anew. The search keeps its
// path, and the known states stay.
void scheduler::begin_execution() {
    thread_count_ = 0;
    left_ = how_.limits;
    steps_ = 0;
    object_count_ = 0;
    lock_order_.clear();
    time_ = {};
    operations_known_ = {};
    operations_hash_ = 0;
    forget_foreign_atomics();
    report_.clear();
    memory::reset();
    search_.begin_execution();
}

// Returns when some fiber calls end_execution(). Only an execution that came to its end can leak: one that was broken
// off leaves blocks behind as a matter of course.
scheduler::ending scheduler::run(const std::function<void()>& body) {
    begin_execution();
    body_ = &body;
    become(&threads_[0]);
    // From here until an execution ends the hooks of memory.cpp watch.
    view.busy = false;
    start([](void*) { (*the.body_)(); }, nullptr);
    auto how = static_cast<ending>(fiber::run(threads_[0].stack));
    view.busy = true;
    if (how == ending::done) {
        if (const std::size_t leaked = memory::live_blocks(); leaked > 0) {
            report_.set_failure(std::to_string(leaked) + " allocations were never freed");
            how = ending::failed;
        }
        search_.end_execution(steps_);
    }
    become(nullptr);
    return how;
}

// ---- Threads

// The new thread has not taken a step yet: it stands before `begin`, which others may keep it from for as long as they
// like. After its first turn it stands before its first step, which differs in `next`, though it has observed nothing.
int scheduler::start(void (*function)(void*), void* argument) {
    const bool is_first = thread_count_ == 0;
    if (!is_first) step(action::start_thread);
    if (thread_count_ == max_threads) fail("too many threads");
    const int number = thread_count_;
    thread_state& t = threads_[number];
    t.number = number;
    t.done = t.notified = t.begins = false;
    t.yields_in_vain = 0;
    t.next = action::begin;
    t.on = nullptr;
    // What its maker has observed is all that a thread knows at first.
    t.past_hash = mix(static_cast<std::uint64_t>(number), is_first ? 0 : current_->past_hash);
    t.now = is_first ? vector_clock{} : current_->now;
    t.advance();
    t.held_count = t.scarce_memory = 0;
    t.context = {};
    t.token = nullptr;
    t.seen = {};
    t.doing = "";
    t.run = function;
    t.argument = argument;
    t.stack.reset(memory::stack(number), memory::stack_size, run_thread, is_first);
    t.priority = search_.new_priority();
    ++thread_count_;
    if (!is_first) {
        current_->advance();
        note("starts thread %d", number);
    }
    return number;
}

// The bottom of every stack: nothing may leave it, neither an exception nor the thread.
void scheduler::run_thread() {
    const thread_state& t = the.me();
    try {
        t.run(t.argument);
    } catch (const std::exception& e) {
        fail(std::string("an exception leaves a thread: ") + e.what());
    } catch (...) {
        fail("an exception leaves a thread");
    }
    the.finish_thread();
}

// The end is part of the last step, as no thread comes in between; join() notices it, and wait_until_asleep(). Then the
// stack is left for good: is_enabled() is never asked of a thread that is done. The first thread ends the execution.
void scheduler::finish_thread() {
    thread_state& t = me();
    t.advance();
    t.done = true;
    t.next = action::end;
    t.on = nullptr;
    if (t.held_count > 0) fail("a thread ends and holds a mutex");
    note("ends");
    if (t.number == 0) {
        for (const thread_state& other : threads()) {
            if (!other.done) fail("the first thread ends before the others");
        }
        end_execution(ending::done);
    }
    switch_to(schedule_next());
    std::abort();
}

// Returns when another thread switches back. All that a thread must not carry over to others is in its fiber.
void scheduler::switch_to(thread_state& t) {
    thread_state& before = me();
    if (&t == &before) return;
    become(&t);
    before.stack.switch_to(t.stack);
}

// ---- Steps

// The only place where a thread is left, but for its end. So a state of the program, as known states and the hash of a
// thread take it, is always one in which each thread stands before a step of its own.
void scheduler::step(action a, const sync_object* on) {
    thread_state& t = me();
    t.next = a;
    t.on = on;
    switch_to(schedule_next());
    t.advance();
    if (!on) return;
    on->check_use(t.number, t.now);
    if (t.begins) note_first_step();
}

void scheduler::step_at_once(action a, const sync_object* on) {
    thread_state& t = me();
    t.next = a;
    t.on = on;
    ++steps_;
    t.advance();
    on->check_use(t.number, t.now);
    if (t.begins) note_first_step();
}

// Before its first step that another thread can notice, an operation has not begun for anybody: what its stop token
// says now, it said as the operation began.
void scheduler::note_first_step() {
    thread_state& t = me();
    t.begins = false;
    if (!t.token) return;
    t.seen.at_first_step = t.token->progress();
    t.observe(static_cast<std::uint64_t>(t.seen.at_first_step));
}

// In real time, an operation that has ended comes before one that begins after that. Here that is an order that threads
// learn of, as if all operations began and ended under one lock.
void scheduler::synchronise_operations() {
    step(action::mark_operation);
    thread_state& t = me();
    t.now.join(operations_known_);
    t.observe(operations_hash_);
    operations_hash_ = t.past_hash;
    operations_known_.join(t.now);
}

// The mark is made only where time matters. It is part of the sleeper's past, or two states that differ in nothing else
// would be taken for one.
void scheduler::pass_to(clock::time_point later) {
    for (thread_state& t : threads()) {
        if (!time_matters || !is_asleep(t) || later < t.until) continue;
        t.seen.slept_when_due = true;
        t.observe(0xdead11e);
    }
    time_ = later;
}

// ---- Choosing

// Whether its next step can be taken now. Reads what the thread said as it gave way, and the state of the program, so
// it may be asked of any thread at any time and changes nothing. A thread that is chosen takes its step at once: if
// that is `lock` or `wake`, the mutex is as free as it was here. Waiting for quiet is enabled by nothing:
// schedule_next() ends it where there is nothing else to do.
bool scheduler::is_enabled(const thread_state& t) const {
    switch (t.next) {
        case action::lock: return !static_cast<const mutex*>(t.on)->is_locked();
        case action::wake: return (t.notified || time_ >= t.until) && !t.reacquires->is_locked();
        case action::join: return threads_[t.other].done;
        case action::wait_until_asleep: return threads_[t.other].done || is_asleep(threads_[t.other]);
        case action::await_callback: return !t.awaits_in->is_running(t.awaits);
        case action::wait_until_quiet:
        case action::end: return false;
        default: return true;
    }
}

struct scheduler::option_list {
    // One for each thread at most, and one for the clock.
    option all[2 * max_threads + 1];
    std::uint32_t count = 0;
    bool has_step = false;

    void add(thread_state* who, option::what kind, bool preempts) {
        all[count++] = {who, kind, preempts};
        has_step |= kind == option::what::step;
    }
};

// All but the clock: to go on comes first, then what the other threads do, which preempts if this one could go on.
// Returns the next deadline of a thread that sleeps. The order is part of what a trace means; an execution that is given
// no choice takes the first. What no budget is left for is no option.
clock::time_point scheduler::collect_options(thread_state& me, bool goes_on, option_list& options) {
    const bool others_first = me.next == action::yield && me.yields_in_vain == thread_state::most_yields_in_vain;
    clock::time_point earliest = clock::time_point::max();
    // Where this thread can't go on, or yields, all others are free.
    const bool others = !goes_on || left_.preemptions > 0;
    const auto add_sleeper = [&](thread_state& t) {
        if (t.until > time_) earliest = std::min(earliest, t.until);
        if (others && left_.spurious_wakeups > 0 && !t.reacquires->is_locked())
            options.add(&t, option::what::spurious_wakeup, goes_on);
    };
    if (goes_on) options.add(&me, option::what::step, false);
    for (thread_state& t : threads()) {
        if (t.done || &t == &me) continue;
        if (is_enabled(t)) {
            if (others) options.add(&t, option::what::step, goes_on);
        } else if (t.next == action::wake && !t.notified) {
            add_sleeper(t);
        }
    }
    if (!goes_on && !me.done) {
        if (is_enabled(me)) {
            if (!others_first || (!options.has_step && earliest == clock::time_point::max())) options.add(&me, option::what::step, false);
        } else if (me.next == action::wake && !me.notified) {
            add_sleeper(me);
        }
    }
    return earliest;
}

// Of several, the one that was started last; the others wait until it is quiet again.
thread_state* scheduler::waiting_for_quiet() noexcept {
    thread_state* last = nullptr;
    for (thread_state& t : threads()) {
        if (!t.done && t.next == action::wait_until_quiet) last = &t;
    }
    return last;
}

// The next thread to take a step. To move the clock on is an option like any other, after which the threads are looked
// at again: it may be taken several times in a row. wait_until_quiet() ends when there is nothing else to do, not even
// to wait for a deadline; that is how a model sees whether a thread waits for ever.
thread_state& scheduler::schedule_next() {
    thread_state& running = me();
    const bool yields = running.next == action::yield;
    // Each turn is one choice. Turns of the clock count as steps too: one that runs for ever is a livelock like
    // another.
    for (;;) {
        if (++steps_ > how_.steps) fail("livelock: the step bound is reached");
        const bool enabled = !running.done && is_enabled(running);
        // After a yield in vain a spin has no choice here until it has done something that others can notice.
        if (enabled && yields && running.yields_in_vain > 0 &&
            running.yields_in_vain < thread_state::most_yields_in_vain) {
            ++running.yields_in_vain;
            return running;
        }
        const bool goes_on = enabled && !yields;
        option_list options;
        const clock::time_point earliest = collect_options(running, goes_on, options);
        const bool has_deadline = earliest != clock::time_point::max();
        if (!options.has_step && !has_deadline) {
            // Nothing can go, now or when time passes. If a thread waits for that, it has come; if none does, it is a
            // deadlock.
            thread_state* const waits = waiting_for_quiet();
            if (!waits) fail("deadlock: no thread can go on");
            options.add(waits, option::what::step, false);
        }
        // Nothing can go before a deadline passes: that is no choice, and costs nothing.
        const bool must_tick = !options.has_step;
        if (must_tick && options.count == 0) {
            pass_to(earliest);
            continue;
        }
        if (has_deadline && (must_tick || left_.ticks > 0)) options.add(nullptr, option::what::clock_tick, false);

        std::uint32_t chosen = 0;
        if (options.count > 1) {
            // With one option there is nothing to save: the next state with several is looked up.
            if (search_.may_end_early() && known_states_.is_known(state_hash(running, goes_on), left_))
                end_execution(ending::known_state);
            chosen = search_.choose_next(running, options.all, options.count, steps_);
        }
        const option& o = options.all[chosen];
        if (o.kind == option::what::clock_tick) {
            if (!must_tick) --left_.ticks;
            pass_to(must_tick ? earliest : time_ + clock::tick);
            note("(the clock moves on to %lld ms)", milliseconds());
            continue;
        }
        // Paid for after the state was looked up: an entry stands for all options that could be had with what was left
        // then.
        if (o.preempts) --left_.preemptions;
        if (o.kind == option::what::spurious_wakeup) {
            --left_.spurious_wakeups;
            o.who->notified = true;
            o.who->observe(0x5b);
        }
        if (yields && o.who == &running && options.count > 1) running.yields_in_vain = 1;
        return *o.who;
    }
}

// What the past of the threads does not tell, or not at once, is added to it: see explorer.hpp.
std::uint64_t scheduler::state_hash(const thread_state& me, bool goes_on) const {
    // The time decides who is due; the thread that could go on, which options cost a preemption.
    std::uint64_t state = mix(time_hash(), goes_on ? static_cast<std::uint64_t>(me.number) : 99u);
    // What the next operation that begins or ends will observe.
    if (how_.strict) state = mix(state, operations_hash_);
    for (int i = 0; i < thread_count_; ++i) {
        const thread_state& t = threads_[i];
        // A thread does not observe its own end, nor that it stands before another step without having observed
        // anything, as between falling asleep and waking up. Nor does it see that it is notified; and the notifier has
        // seen how many were asleep, not which: litmus test states/notified. Mutexes, atomics, stop states and memory
        // need no place here: their present state follows from what the threads have observed.
        state = mix(state, t.past_hash + (t.done ? 1 : 0));
        state = mix(
            state, static_cast<std::uint64_t>(t.next) | (t.notified ? 0x100u : 0u) | (t.yields_in_vain << 9));
    }
    return state;
}

}  // namespace model
