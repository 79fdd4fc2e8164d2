// What a model program is written with: threads, mutexes, atomics and a clock whose every step a deterministic scheduler chooses.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <type_traits>
#include <utility>

namespace model {

inline constexpr int most_threads = 8;

// Which steps of which threads happened before: for each thread the number of its last step that did.
struct vector_clock {
    std::array<std::uint32_t, most_threads> at{};

    void join(const vector_clock& other) noexcept;
    bool knows(int thread, std::uint32_t step) const noexcept { return at[static_cast<std::size_t>(thread)] >= step; }
};

// Ends the execution and reports what went wrong, with the schedule that led to it.
[[noreturn]] void fail(const std::string& what);
inline void expect(bool condition, const char* what) {
    if (!condition) fail(what);
}

// ---- Things that threads synchronise by. Each operation on one is a step of its thread: a point at which another may go first.

// What is known of each of them. It must be alive and known to whoever uses it, and nobody may use it after its destruction, or
// without an order between the use and the destruction.
class thing {
public:
    thing(const thing&) = delete;
    thing& operator=(const thing&) = delete;

protected:
    explicit thing(char kind) noexcept;
    ~thing();

private:
    friend class engine;

    std::uint32_t life_;
    std::uint32_t number_;  // its name in reports
    char kind_;
    std::uint64_t history_;  // stands for everything that has led to its present state
    vector_clock released_;  // what one who acquires it learns
    vector_clock used_;      // the last step of each thread that used it
    int maker_;
    std::uint32_t made_;  // at which step of its maker
};

class mutex : public thing {
public:
    mutex() noexcept : thing('m') {}
    ~mutex();
    void lock();
    bool try_lock();
    void unlock() noexcept;

private:
    friend class engine;
    int owner_ = -1;
};

// Model time: starts at 0 and moves on by a tick when the scheduler says so, or to the next deadline when nothing else can happen.
struct clock {
    using duration = std::chrono::nanoseconds;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<clock>;
    static constexpr bool is_steady = true;
    static constexpr duration tick = std::chrono::milliseconds(1);
    static time_point now() noexcept;
};

class condition_variable : public thing {
public:
    condition_variable() noexcept : thing('c') {}
    ~condition_variable();
    void wait(std::unique_lock<mutex>& lock) { wait_until(lock, clock::time_point::max()); }
    void wait_until(std::unique_lock<mutex>& lock, clock::time_point until);
    void notify_one() noexcept;
    void notify_all() noexcept;

private:
    friend class engine;
};

// An atomic of up to eight bytes that remembers its last values: a load may find an older one that nothing has made known to be old.
class cell : public thing {
protected:
    cell(std::uint64_t initial, char kind = 'a') noexcept;
    ~cell();
    std::uint64_t load(std::memory_order order) const noexcept;
    void store(std::uint64_t value, std::memory_order order) noexcept;
    std::uint64_t exchange(std::uint64_t value, std::memory_order order) noexcept;
    std::uint64_t fetch_add(std::uint64_t difference, std::memory_order order) noexcept;
    bool compare_exchange(std::uint64_t& expected, std::uint64_t value, std::memory_order order) noexcept;

private:
    friend class engine;

    struct written {
        std::uint64_t value;
        std::uint64_t history;
        vector_clock released;
        std::uint32_t step;
        int thread;
    };
    struct sighting {
        std::uint32_t index;
        std::uint32_t step;
        int thread;
    };
    static constexpr std::uint32_t kept = 4;
    static constexpr std::uint32_t most_sightings = 12;

    const written& at(std::uint32_t index) const noexcept { return values_[index % kept]; }

    written values_[kept];
    mutable sighting seen_[most_sightings];
    mutable std::uint32_t sightings_ = 0;
    mutable std::uint32_t at_least_ = 0;  // older values are out of everybody's sight
    std::uint32_t count_ = 0;
};

template <class T>
class atomic : cell {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 8);

public:
    atomic(T initial = T{}) noexcept : cell(bits(initial)) {}
    T load(std::memory_order order = std::memory_order_seq_cst) const noexcept { return value(cell::load(order)); }
    void store(T v, std::memory_order order = std::memory_order_seq_cst) noexcept { cell::store(bits(v), order); }
    T exchange(T v, std::memory_order order = std::memory_order_seq_cst) noexcept {
        return value(cell::exchange(bits(v), order));
    }
    bool compare_exchange_strong(T& expected, T v, std::memory_order order = std::memory_order_seq_cst) noexcept {
        std::uint64_t e = bits(expected);
        const bool done = cell::compare_exchange(e, bits(v), order);
        expected = value(e);
        return done;
    }
    bool compare_exchange_weak(T& expected, T v, std::memory_order order = std::memory_order_seq_cst) noexcept {
        return compare_exchange_strong(expected, v, order);
    }
    T fetch_add(T d, std::memory_order order = std::memory_order_seq_cst) noexcept requires std::is_integral_v<T> {
        static_assert(sizeof(T) == 8);
        return value(cell::fetch_add(bits(d), order));
    }
    T fetch_sub(T d, std::memory_order order = std::memory_order_seq_cst) noexcept requires std::is_integral_v<T> {
        return fetch_add(static_cast<T>(T{} - d), order);
    }
    operator T() const noexcept { return load(); }
    T operator=(T v) noexcept {
        store(v);
        return v;
    }

private:
    static std::uint64_t bits(T v) noexcept {
        std::uint64_t b = 0;
        std::memcpy(&b, &v, sizeof v);
        return b;
    }
    static T value(std::uint64_t b) noexcept {
        T v;
        std::memcpy(&v, &b, sizeof v);
        return v;
    }
};

// ---- Stop tokens. The callbacks run in the thread that requests the stop, and a callback's destructor waits for it to return, as in
// the standard library.

class stop_state;

class stop_callback_base {
protected:
    using function = void (*)(void*);
    // `run` is called with `what`, here if the stop has been requested.
    void enlist(stop_state* of, function run, void* what);
    void leave();

private:
    friend class engine;
    stop_state* state_ = nullptr;
    function run_ = nullptr;
    void* what_ = nullptr;
    stop_callback_base* next_ = nullptr;
};

class stop_handle {
public:
    stop_handle() noexcept = default;
    explicit stop_handle(stop_state* s) noexcept;
    stop_handle(const stop_handle& other) noexcept : stop_handle(other.state) {}
    stop_handle(stop_handle&& other) noexcept : state(std::exchange(other.state, nullptr)) {}
    stop_handle& operator=(stop_handle other) noexcept {
        std::swap(state, other.state);
        return *this;
    }
    ~stop_handle();
    stop_state* state = nullptr;
};

class stop_token {
public:
    stop_token() noexcept = default;
    bool stop_requested() const noexcept;
    bool stop_possible() const noexcept { return handle_.state != nullptr; }

private:
    friend class stop_source;
    template <class F>
    friend class stop_callback;
    friend void call_under(const stop_token& token) noexcept;
    explicit stop_token(stop_handle h) noexcept : handle_(std::move(h)) {}
    stop_handle handle_;
};

class stop_source {
public:
    stop_source();
    stop_token get_token() const noexcept { return stop_token(handle_); }
    bool request_stop();

private:
    stop_handle handle_;
};

template <class F>
class stop_callback : stop_callback_base {
public:
    template <class G>
    stop_callback(const stop_token& token, G&& f) : keeps_(token.handle_), f_(std::forward<G>(f)) {
        enlist(
            keeps_.state, [](void* me) { static_cast<stop_callback*>(me)->f_(); }, this);
    }
    stop_callback(const stop_callback&) = delete;
    stop_callback& operator=(const stop_callback&) = delete;
    ~stop_callback() { leave(); }

private:
    stop_handle keeps_;
    F f_;
};

// ---- Threads

// A thread of the model; its destructor waits for it.
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
    static int start(void (*run)(void*), void* what);
    int number_;
};

void yield() noexcept;
// Whether it pauses before it yields. With one CPU a thread backs off by giving it away alone, which is all that matters to most
// schedules.
inline bool several_cpus = false;
// The number of the running thread.
int self() noexcept;
// A number below `bound`: the scheduler tries them all.
std::uint32_t choose_below(std::uint32_t bound) noexcept;
// Whether something that may go wrong does so here; the scheduler tries both, as often as its budget of faults allows.
bool goes_wrong() noexcept;
// Waits until every other thread has ended or waits for something that only this one can bring about.
void wait_until_quiet();
// Waits until that thread sleeps in a condition variable, or has ended; whether it sleeps.
bool wait_until_asleep(const thread& t);
// Whether a thread sleeps in a condition variable, with no reason to wake up yet; and the last step that it took. For one who knows of
// that step.
bool is_asleep(int thread) noexcept;
std::uint32_t last_step(int thread) noexcept;
// How many mutexes the running thread holds.
int locks_held() noexcept;
// Fails if the running thread holds a mutex: nobody's code but moves may run then.
void user_code(const char* what);
// Names what the running thread is doing, for reports.
void doing(const char* what) noexcept;

// The beginning and the end of an operation in the order of events. Strictly, they are steps of their own that synchronise with each
// other: then one operation comes before another if it ended before that began. Otherwise only if the program could tell.
vector_clock begin_operation();
std::uint32_t end_operation();
// What the clock says, without a step.
clock::time_point time_of_the_model() noexcept;
// Whether executions in which operations begin or end at other times are told from each other.
inline bool time_matters = false;

// The operation that was begun, and has taken no step yet, has that stop token. As it takes its first step that another thread could
// notice, it is noted how far the request has come: that is when the operation begins, for nobody can tell that it began before.
void call_under(const stop_token& token) noexcept;

// What is noted of an operation while it lasts.
struct circumstances {
    enum class request : std::uint8_t { unknown, none, under_way, complete };
    request at_first_step = request::unknown;
    bool slept_when_stopped = false;  // as a stop was requested
    bool slept_when_due = false;      // as its deadline passed
};
circumstances of_this_operation() noexcept;

// Lets operator new fail, as often as the budget of faults allows, as long as it lives.
class scarce_memory {
public:
    scarce_memory() noexcept;
    scarce_memory(const scarce_memory&) = delete;
    scarce_memory& operator=(const scarce_memory&) = delete;
    ~scarce_memory();
};

// ---- Running

// How often an execution may leave the path of least surprise.
struct budgets {
    int preemptions = 3;  // a thread that could go on does not
    int stale_reads = 1;
    int spurious_wakeups = 0;
    int failing_try_locks = 0;
    int ticks = 1;  // the clock moves on although somebody could act
    int faults = 0;
    int detours = 4;  // random numbers other than 0
};

enum class strategy { exhaustive, random, pct };

struct settings {
    budgets limits;
    bool strict = false;  // see begin_operation()
    strategy how = strategy::exhaustive;
    std::uint64_t seed = 1;
    double seconds = 1e9;              // of CPU time; give up after that, unfinished
    std::uint64_t executions = ~0ull;  // likewise
    std::uint64_t steps = 20000;       // of one execution; more is a livelock
    int pct_depth = 3;
};

struct outcome {
    std::uint64_t executions = 0;  // to the end
    std::uint64_t pruned = 0;      // broken off where they joined what was explored before
    std::uint64_t states = 0;
    std::uint64_t steps = 0;
    bool finished = false;  // everything within the budgets was explored
    bool failed = false;
    std::string complaint;  // what failed, in a line
    std::string report;     // the schedule, what failed, and what each thread was about
    std::string trace;      // replays it
};

outcome explore(const std::function<void()>& body, const settings& how);
outcome replay(const std::function<void()>& body, const settings& how, const std::string& trace);

}  // namespace model
