// Runs a small program of several threads again and again, each time with another schedule, until all schedules within
// given budgets were tried. The program names mutex, condition variable, atomics, stop tokens and clock of this folder,
// which take the place of the library's detail/sync.hpp; a single kernel thread runs its threads as fibers, one step at
// a time.
//
// What is explored. Each operation on a sync object is a step, before which any other thread that can go may go first.
// A load may find an older value, of the last four, where the memory order allows it. A timed wait may end at its
// deadline once the clock gets there, and the clock may move on though a thread could go. notify_one() may wake any
// sleeper. Spurious wake-ups, failing try_locks, faults that the program offers (inject_fault(), scarce_memory) and
// draws other than 0 (choose_below()) happen or not. How often an execution may leave the path of least surprise in
// each of these ways is bounded: see budgets. A thread that cannot go on, or yields, is left without a preemption being
// counted.
//
// What is checked, in each execution. Deadlock; livelock, which is too many steps; two mutexes that are locked in both
// orders; misuse of a mutex; sync objects used outside of their life, or destroyed with no order after their use; data
// races, use after delete, double deletes and leaks (memory.cpp), by vector clocks: two accesses that nothing orders
// are found though they did not come next to each other; and what the program expects.
//
// What is not explored (../litmus has a test of most of this, and of what is checked):
//   - Modification order is the order in which stores were executed, and no load finds a value that was not yet stored:
//     two threads that write two variables in opposite orders never end with both first values, and two loads never
//     find what the other thread stores after its load, though relaxed orders allow both.
//   - A seq_cst load finds the newest value, even of stores that are not seq_cst: stronger than the standard has it.
//     Fences do nothing, and compare_exchange_weak does not fail for no reason.
//   - Atomics of the standard library (the counts of std::shared_ptr) are steps, but acq_rel, and never old.
//   - A thread that yields and is let go on though another could go is left at no further yield, until it has done
//     something that others can notice, or has yielded oftener than any spin does that ends by itself: then the others
//     go first. So a spin that ends after some turns has few schedules.
//   - More than max_threads threads, or 20,000 steps of an execution.
//   - Nothing goes between the last step before an unlock and the unlock: only a try_lock() that fails, of a thread
//     that has seen that step, could tell. The budget failing_try_locks makes up for it.
//
// Why an execution may be ended at a known state. Each thread keeps a hash of all that it has observed (past_hash):
// which write a load has found, who had held the mutex that it locks, which store comes before its own, what was drawn,
// and so on, each of them again as a hash of what the other thread had observed until then. Between two steps a thread
// is deterministic, so its hash stands for the point that it has got to, and for all of its steps. The hashes of all
// threads together stand for which step has read, or follows, the effect of which: two executions with equal hashes
// differ at most in the order of steps that do not affect each other, and have the same values in every sync object,
// the same clocks, and, as a race has ended them otherwise, the same memory. What is to come differs only by what
// state_hash() adds: the time, whom a switch would preempt, what each thread is about to do and whether it was
// notified. When a state is met again its whole future has been explored, for the hash of a thread never comes back
// within an execution, and the search goes depth first. So if at least as much of every budget was left then, all that
// can follow is known. ../known_states.cpp compares the outcomes of random programs with and without this, and
// ../litmus/states.cpp has programs that are passed if certain states are taken for one.
//
// Where this has holes, which cost schedules, not false alarms:
//   - Hashes of 64 bits may collide: for a model of a million states, with a chance of 1 in 37 million.
//   - Addresses are not observed. Heap blocks lie in the order of allocation, so that where two threads allocate, a
//     program that goes by addresses (locks in address order, say) has two states with one hash, of which one goes on.
//   - What is kept of an atomic is bounded: a thirteenth reader lets go of old values for all, and the order of the
//     readers before it is not observed. So is what is kept of memory, for each word of eight bytes: a write, or
//     another read by the same thread, hides those before it of other bytes. A race with one that is hidden is found
//     only in schedules in which it is not hidden yet.
//   - Which thread has just yielded is not part of the state, although one that was let go on is not left at its next
//     yields: in a state that is known from there, to leave it at a yield has cost a preemption.
//
// Why not Relacy (Dmitry Vyukov's, https://github.com/dvyukov/relacy), whose full and context-bound searches do what is
// done here, for more of the memory model. It sees a race on plain data only where the data is wrapped in rl::var and
// each access says so, whereas here the library is compiled as it is and the compiler tells of each access. A timed
// wait there ignores its deadline: there is no clock by which a model could ask whether a stop or a deadline came
// first. It has no stop tokens. And it runs every schedule to its end.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace model {

// How often an execution may leave the path of least surprise.
struct budgets {
    int preemptions = 3;  // a thread that could go on does not
    int stale_reads = 1;
    int spurious_wakeups = 0;
    int failing_try_locks = 0;  // of mutexes that are free
    int ticks = 1;              // the clock moves on although a thread could go
    int faults = 0;
    int detours = 4;  // draws other than 0
};

enum class strategy {
    exhaustive,
    random,  // each choice at random
    pct,     // probabilistic concurrency testing: random priorities, which change at a few random steps
};

struct settings {
    budgets limits;
    bool strict = false;  // see begin_operation()
    strategy how = strategy::exhaustive;
    bool ends_at_known_states = true;  // otherwise every schedule is run to its end
    std::uint64_t seed = 1;
    double seconds = 1e9;              // of CPU time; give up after that, unfinished
    std::uint64_t executions = ~0ull;  // likewise
    std::uint64_t steps = 20000;       // of one execution; more is a livelock
    int pct_depth = 3;
};

struct outcome {
    std::uint64_t executions = 0;  // to the end
    std::uint64_t pruned = 0;      // ended at a known state
    std::uint64_t states = 0;
    std::uint64_t steps = 0;
    bool finished = false;  // everything within the budgets was explored
    bool failed = false;
    std::string complaint;  // what failed, in a line
    std::string report;     // the schedule, what failed, and what each thread was about
    std::string trace;      // replays it
};

// Explores until an execution fails.
outcome explore(const std::function<void()>& body, const settings& how);
// Runs one schedule, and reports each step.
outcome replay(const std::function<void()>& body, const settings& how, const std::string& trace);

}  // namespace model
