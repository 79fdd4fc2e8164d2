// The scheduler: the threads of an execution, and which of them takes the next step.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include <model/explorer/control.hpp>
#include <model/explorer/explorer.hpp>
#include <model/explorer/fiber.hpp>
#include <model/explorer/hash.hpp>
#include <model/explorer/lock_order.hpp>
#include <model/explorer/memory.hpp>
#include <model/explorer/mutex.hpp>
#include <model/explorer/report.hpp>
#include <model/explorer/search.hpp>
#include <model/explorer/state_cache.hpp>
#include <model/explorer/sync_object.hpp>
#include <model/explorer/vector_clock.hpp>

namespace model {

// What a thread is about to do.
enum class action : std::uint8_t {
    begin,
    lock,
    try_lock,
    unlock,
    wait,
    wake,
    notify,
    load,
    store,
    modify,
    yield,
    read_clock,
    start_thread,
    join,
    wait_until_quiet,
    wait_until_asleep,
    use_stop_state,
    await_callback,
    mark_operation,
    end,
};

// One thread of an execution. `next` and `on` say what it is about to do: it sets them before it gives way, and they
// stay while others run, so that is_enabled() can be asked of a thread that is stopped anywhere. What it has observed,
// and what it knows of, only its own steps add to, but for marks that pass_to() leaves in sleepers, and a spurious
// wake-up.
struct thread_state {
    int number = 0;
    bool done = false;
    // It has yielded so often since it was let go on though others could, and has done nothing that they could notice. It
    // goes on at these yields, but for those after more than any spin has that ends by itself: then the others go.
    std::uint32_t yields_in_vain = 0;
    static constexpr std::uint32_t most_yields_in_vain = 4;

    action next = action::begin;
    const sync_object* on = nullptr;             // what its next step is on, if anything
    int other = -1;                              // the thread that it waits for
    const stop_callback_base* awaits = nullptr;  // the callback that it waits for
    const stop_state* awaits_in = nullptr;

    // While it sleeps in a condition variable. Others set `notified`, and it observes nothing then: state_hash() adds it.
    mutex* reacquires = nullptr;
    bool notified = false;
    clock::time_point until{};

    std::uint64_t past_hash = 0;  // hash of all that it has observed
    vector_clock now;             // what it knows of, its own steps included

    static constexpr int max_held = 16;
    // In the order in which they were locked: lock_order is told of each pair.
    mutex* held[max_held];
    int held_count = 0;

    // Of its operation
    bool begins = false;  // it has taken no step yet
    const stop_state* token = nullptr;
    circumstances seen;
    const char* doing = "";

    int scarce_memory = 0;  // how many of these it has
    thread_context context;
    int priority = 0;       // see strategy::pct

    void (*run)(void*) = nullptr;
    void* argument = nullptr;
    fiber stack;

    std::uint32_t last_step() const noexcept { return now[number]; }
    // After a step that releases: what the thread does next is not part of what it has released.
    void advance() noexcept { ++now[number]; }
    void observe(std::uint64_t what) noexcept { past_hash = mix(past_hash, what); }
};

// All fibers run in one kernel thread, so nothing here is locked: from one step to the next the running thread has
// everything to itself. A step goes like this. The sync object calls step(), which notes what is to come and lets
// schedule_next() choose; others may run; step() returns when the choice falls on this thread; and the object does what
// the step is, before it calls step() again. So whatever a thread finds after step() stays as it is until its next.
class scheduler {
public:
    // How an execution ends: the first thread came to its end; the state is known; or something is wrong.
    enum class ending { none, done, known_state, failed };

    static scheduler the;

    // Explores from here on in that way; returns how an execution of `body` ends.
    void begin(const settings& how);
    ending run(const std::function<void()>& body);

    // ---- For what the running thread does

    bool in_execution() const noexcept { return current_ != nullptr; }
    thread_state& me() noexcept { return *current_; }
    std::span<thread_state> threads() noexcept { return {threads_, static_cast<std::size_t>(thread_count_)}; }

    // Lets the search choose who goes first, and returns when it is the turn of this thread. Whatever others use must be
    // fit for use when it is called.
    void step(action a, const sync_object* on = nullptr);
    // A step before which no other thread goes: the caller has to argue why no schedule is lost.
    void step_at_once(action a, const sync_object* on);
    // Makes a thread that knows what this one knows, and has not run yet; returns its number.
    int start(void (*function)(void*), void* argument);

    bool is_asleep(const thread_state& t) const noexcept {
        return !t.done && t.next == action::wake && !t.notified && time_ < t.until;
    }
    clock::time_point time() const noexcept { return time_; }
    std::uint64_t time_hash() const noexcept { return static_cast<std::uint64_t>(time_.time_since_epoch().count()); }
    long long milliseconds() const noexcept { return time_.time_since_epoch().count() / 1000000; }
    // The clock moves on; sleeping threads whose deadline passes meanwhile are marked.
    void pass_to(clock::time_point later);

    std::uint32_t choose(std::uint32_t count, unsigned one_in) { return search_.choose(count, one_in); }
    // Whether something that the budget `which` pays for happens here; one in `one_in` where schedules are random.
    bool spend(int budgets::*which, unsigned one_in) {
        if (left_.*which <= 0 || choose(2, one_in) == 0) return false;
        --(left_.*which);
        return true;
    }
    budgets& left() noexcept { return left_; }
    bool is_strict() const noexcept { return how_.strict; }

    search& schedules() noexcept { return search_; }
    const state_cache& states() const noexcept { return known_states_; }
    lock_order& locks() noexcept { return lock_order_; }
    report& reports() noexcept { return report_; }
    std::uint64_t steps() const noexcept { return steps_; }
    std::uint32_t next_object_number() noexcept { return object_count_++; }

    // Strictly, an operation begins and ends with a step that knows of all such steps before it.
    void synchronise_operations();

    // Leaves all fibers where they are, whatever they hold. No destructor runs: the next execution begins with new
    // memory.
    [[noreturn]] static void end_execution(ending how) { fiber::leave(static_cast<int>(how)); }

private:
    struct option_list;

    static void run_thread();
    [[noreturn]] void finish_thread();
    void begin_execution();
    // The hooks of memory.cpp see the running thread by `view`: it changes with it, before the stacks are switched.
    void become(thread_state* t) noexcept {
        current_ = t;
        view.now = t ? &t->now : nullptr;
        view.thread = t ? t->number : 0;
    }

    thread_state& schedule_next();
    bool is_enabled(const thread_state& t) const;
    clock::time_point collect_options(thread_state& me, bool goes_on, option_list& options);
    thread_state* waiting_for_quiet() noexcept;
    // `goes_on`: this thread could go on, so that to choose another one is a preemption.
    std::uint64_t state_hash(const thread_state& me, bool goes_on) const;
    void switch_to(thread_state& t);
    void note_first_step();

    // Of an exploration
    settings how_;
    search search_;
    state_cache known_states_;
    report report_;

    // Of an execution. begin_execution() and start() reset all of it: with what they forget, an execution depends on
    // those before it, and its trace does not replay.
    const std::function<void()>* body_ = nullptr;
    thread_state threads_[max_threads];
    int thread_count_ = 0;
    thread_state* current_ = nullptr;
    // Of the limits in how_; only ever spent, so that an execution leaves the path of least surprise a bounded number
    // of times.
    budgets left_;
    std::uint64_t steps_ = 0;
    std::uint32_t object_count_ = 0;
    clock::time_point time_{};
    lock_order lock_order_;
    vector_clock operations_known_;  // see synchronise_operations()
    std::uint64_t operations_hash_ = 0;
};

// Notes a step of the running thread in the log of a replay.
template <class... Arguments>
void note(const char* format, Arguments... arguments) {
    report& r = scheduler::the.reports();
    if (r.is_logging()) r.note(format, arguments...);
}

}  // namespace model
