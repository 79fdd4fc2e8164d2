// What a model program asks of the explorer beside sync objects: threads, choices, faults, waits, checks and marks of
// operations.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include <model/explorer/clock.hpp>
#include <model/explorer/stop_token.hpp>
#include <model/explorer/vector_clock.hpp>

namespace model {

// Ends the execution and reports what went wrong, with the schedule that led to it.
[[noreturn]] void fail(const std::string& complaint);
inline void expect(bool condition, const char* complaint) {
    if (!condition) fail(complaint);
}
// Fails if the running thread holds a mutex.
void expect_unlocked(const char* what);

// ---- Threads

// Its destructor waits for it.
class thread {
public:
    template <class F>
    explicit thread(F&& f) {
        using body = std::decay_t<F>;
        auto* const held = new body(std::forward<F>(f));
        number_ = start(
            [](void* p) {
                const std::unique_ptr<body> owned(static_cast<body*>(p));
                (*owned)();
            },
            held);
    }
    thread(const thread&) = delete;
    thread& operator=(const thread&) = delete;
    ~thread() { join(); }
    void join();
    int number() const noexcept { return number_; }

private:
    static int start(void (*run)(void*), void* argument);
    int number_;
};

// The number of the running thread.
int self() noexcept;
// What sync.hpp keeps for each thread; that of the running one.
struct thread_context {
    void* running_loop = nullptr;
    unsigned completed_in_a_row = 0;
};
thread_context& context_of_this_thread() noexcept;
void yield() noexcept;
// What sync.hpp says of the machine. With one CPU a thread backs off by yielding alone, without pauses before, which is
// all that matters to most schedules.
inline bool several_cpus = false;

// Waits until every other thread has ended or waits for something that only this one can bring about.
void wait_until_quiet();
// Waits until that thread sleeps in a condition variable, or has ended; whether it sleeps.
bool wait_until_asleep(const thread& t);
// Whether a thread sleeps in a condition variable and has no reason to wake up yet; and the last step that it took. To
// be asked by a thread that knows of that step.
bool is_asleep(int thread) noexcept;
std::uint32_t last_step(int thread) noexcept;

// ---- Choices

// A number below `bound`: the explorer tries them all.
std::uint32_t choose_below(std::uint32_t bound) noexcept;
// Whether something that may go wrong does so here: the explorer tries both, as often as the budget of faults allows.
bool inject_fault() noexcept;
// As long as it lives, operator new may fail, as often as the budget of faults allows.
class scarce_memory {
public:
    scarce_memory() noexcept;
    scarce_memory(const scarce_memory&) = delete;
    scarce_memory& operator=(const scarce_memory&) = delete;
    ~scarce_memory();
};

// ---- Operations, for the history of an execution (see ../history.hpp)

// Names what the running thread is doing, for reports.
void doing(const char* what) noexcept;

// The beginning and the end of an operation in the order of events: what the running thread knows, and the number of
// its step. If settings::strict, they are steps that synchronise with each other: one operation comes before another if
// it ended before that began. Otherwise only if the program could tell.
vector_clock begin_operation();
std::uint32_t end_operation();

// What the clock says, without a step.
clock::time_point time_of_the_model() noexcept;
// Whether executions in which operations begin or end at other times are told from each other.
inline bool time_matters = false;

// The operation that has begun, and has taken no step yet, has that stop token. As it takes its first step that another
// thread could notice, it is noted how far the request has come: nobody can tell that it began before.
void begins_under(const stop_token& token) noexcept;

// What is noted of an operation while it lasts.
struct circumstances {
    enum class request : std::uint8_t { unknown, none, under_way, complete };
    request at_first_step = request::unknown;
    bool slept_when_stopped = false;  // as a stop was requested
    bool slept_when_due = false;      // as its deadline passed
};
circumstances of_this_operation() noexcept;

}  // namespace model
