// The scheduler of the models: runs their threads as fibers, one step at a time, and tries the orders in which they can go.
#include <model/scheduler.hpp>

#include <csetjmp>
#include <csignal>
#include <chrono>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <cxxabi.h>
#include <exception>
#include <mutex>
#include <new>
#include <random>
#include <string>
#include <vector>

#include <link.h>
#include <ucontext.h>

#include <model/memory.hpp>

#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#endif

namespace model {

namespace {

constexpr std::uint32_t alive = 0x600df00d, dead = 0xdeadbeef;
constexpr std::uint32_t most_things = 256;  // of an execution, that the lock order is kept for

std::uint64_t mix(std::uint64_t a, std::uint64_t b) noexcept {
    std::uint64_t z = (a ^ (b + 0x9e3779b97f4a7c15u + (a << 6) + (a >> 2)));
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

// What a thread is about to do.
enum class act : std::uint8_t {
    begin,
    lock,
    try_lock,
    unlock,
    wait,
    wake,
    notify,
    load,
    store,
    change,
    yield,
    now,
    start,
    join,
    quiet,
    asleep,
    stop,
    await_callback,
    operation,
    end,
};

const char* name(act a) {
    constexpr const char* names[] = {"begins",          "locks",
                                     "tries to lock",   "unlocks",
                                     "waits on",        "wakes on",
                                     "notifies",        "loads",
                                     "stores to",       "changes",
                                     "yields",          "reads the clock",
                                     "starts a thread", "joins a thread",
                                     "waits for quiet", "waits until a thread sleeps",
                                     "stop token",      "waits for a stop callback",
                                     "operation",       "ends"};
    return names[static_cast<int>(a)];
}

bool acquires(std::memory_order o) noexcept {
    return o == std::memory_order_acquire || o == std::memory_order_acq_rel || o == std::memory_order_seq_cst ||
           o == std::memory_order_consume;
}
bool releases(std::memory_order o) noexcept {
    return o == std::memory_order_release || o == std::memory_order_acq_rel || o == std::memory_order_seq_cst;
}

// The exceptions that a thread is handling; the runtime keeps them by kernel thread, so they are swapped with the fiber.
struct handled_exceptions {
    void* caught;
    unsigned int uncaught;
};

// The thread-local objects of the program, of which each fiber has its own.
struct thread_locals {
    static constexpr std::size_t most = 4096;
    char* here = nullptr;
    std::size_t size = 0;
    const char* initial = nullptr;
    std::size_t initial_size = 0;

    void find() {
        dl_iterate_phdr(
            [](dl_phdr_info* info, std::size_t, void* me) {
                auto& t = *static_cast<thread_locals*>(me);
                for (int i = 0; i < info->dlpi_phnum; ++i) {
                    const auto& header = info->dlpi_phdr[i];
                    if (header.p_type != PT_TLS) continue;
                    t.here = static_cast<char*>(info->dlpi_tls_data);
                    t.size = header.p_memsz;
                    t.initial = reinterpret_cast<const char*>(info->dlpi_addr + header.p_vaddr);
                    t.initial_size = header.p_filesz;
                }
                return 1;  // the first is the program itself
            },
            this);
        if (size > most) std::abort();
    }
};

enum class how_it_ended { done, pruned, failed };

}  // namespace

void vector_clock::join(const vector_clock& other) noexcept {
    for (std::size_t i = 0; i < at.size(); ++i) {
        if (other.at[i] > at[i]) at[i] = other.at[i];
    }
}

// Shared by a stop_source and its tokens; its steps are atomic, as if under a lock that is never held across one.
class stop_state : public thing {
public:
    stop_state() : thing('s') {}

private:
    friend class engine;
    friend class stop_handle;
    int handles_ = 0;
    bool requested_ = false;
    bool complete_ = false;  // the request has returned
    stop_callback_base* first_ = nullptr;
    stop_callback_base* running_ = nullptr;
    int runner_ = -1;
    bool* gone_ = nullptr;  // told when the running callback is destroyed by itself
};

class engine {
public:
    outcome explore(const std::function<void()>& body, const settings& how);
    outcome replay(const std::function<void()>& body, const settings& how, const std::string& trace);

    [[noreturn]] void fail(const char* what);

    // ---- What threads do

    void make(thing& t) noexcept;
    void destroy(thing& t);
    void lock(mutex& m);
    bool try_lock(mutex& m);
    void unlock(mutex& m);
    void wait(condition_variable& c, mutex& m, clock::time_point until);
    void notify(condition_variable& c, bool all);
    void make(cell& c, std::uint64_t initial);
    std::uint64_t load(const cell& c, std::memory_order order);
    void store(cell& c, std::uint64_t v, std::memory_order order);
    template <class F>
    std::uint64_t change(cell& c, std::memory_order order, F&& f);
    clock::time_point now();
    void yield();
    std::uint32_t choose_below(std::uint32_t bound);
    bool goes_wrong(const char* what);
    int start(void (*run)(void*), void* what);
    void join(int thread);
    void quiet();
    bool asleep(int thread);
    bool is_asleep(int thread) const noexcept { return is_asleep(fibers_[thread]); }
    std::uint32_t last_step(int thread) const noexcept {
        return fibers_[thread].now.at[static_cast<std::size_t>(thread)];
    }
    clock::time_point time() const noexcept { return time_; }
    void call_under(const stop_state* s) noexcept { current_->token = s; }
    circumstances of_this_operation() const noexcept { return current_->seen; }
    vector_clock begin_operation();
    std::uint32_t end_operation();
    bool stop_requested(stop_state& s);
    bool request_stop(stop_state& s);
    void enlist(stop_state* s, stop_callback_base& c, stop_callback_base::function run, void* what);
    void leave(stop_callback_base& c);
    void drop(stop_state* s);

    // ---- What the memory hooks ask

    bool running() const noexcept { return view.now && !busy_; }
    int self() const noexcept { return current_->number; }
    std::uint32_t step_of_self() const noexcept { return current_->now.at[static_cast<std::size_t>(current_->number)]; }
    int locks_held() const noexcept { return current_ ? current_->holds_count : 0; }
    void doing(const char* what) noexcept {
        if (current_) current_->doing = what;
    }
    int& scarce() noexcept { return current_->scarce; }
    // A real atomic of the standard library, which has no place for what is known of it.
    void foreign_atomic(const void* where, bool reads, bool writes);

    static engine the;

private:
    struct fiber {
        int number = 0;
        bool used = false, done = false, entered = false, has_entry = false, impatient = false;
        act next = act::begin;
        const thing* on = nullptr;
        mutex* reacquires = nullptr;
        bool notified = false;
        clock::time_point until{};
        int joins = -1;
        const stop_callback_base* awaits = nullptr;
        const stop_state* awaits_in = nullptr;
        bool begins = false;  // an operation that has taken no step yet
        const stop_state* token = nullptr;
        circumstances seen;
        std::uint64_t history = 0;
        vector_clock now;
        mutex* holds[16];
        int holds_count = 0;
        int scarce = 0;
        const char* doing = "";
        int priority = 0;
        void (*run)(void*) = nullptr;
        void* what = nullptr;
        handled_exceptions exceptions{};
        char locals[thread_locals::most];
        ucontext_t first;
        jmp_buf entry, resume;
    };
    enum class special : std::uint8_t { none, spurious, tick };
    struct option {
        fiber* who;
        special how;
        bool preempts;
    };
    struct node {
        std::uint32_t chosen, count;
    };
    struct foreign {
        const void* where;
        std::uint64_t history;
        vector_clock released;
    };

    static void trampoline();
    static void catch_signals();
    how_it_ended run_once(const std::function<void()>& body);
    void start_execution();
    void finish();  // of a fiber: does not return

    void become(fiber* f) noexcept {
        current_ = f;
        view.now = f ? &f->now : nullptr;
        view.thread = f ? f->number : 0;
    }
    void step(act a, const thing* on, bool others_may_go_first = true);
    void touch(stop_state& s);
    void witness();
    void check_use(const thing& t);
    bool able(const fiber& f) const;
    bool is_asleep(const fiber& f) const noexcept {
        return !f.done && f.next == act::wake && !f.notified && time_ < f.until;
    }
    void pass_to(clock::time_point later);
    void note_first_step();
    fiber& pick();
    void switch_to(fiber& f);
    void check_prune(const fiber& me, bool me_goes_on);
    std::uint32_t choose(std::uint32_t count, unsigned one_in);
    std::uint32_t choose_schedule(const option* options, std::uint32_t count);
    // After a step that releases: what the thread does next is not part of what it has released.
    void tick() { ++current_->now.at[static_cast<std::size_t>(current_->number)]; }
    void observe(std::uint64_t what) { current_->history = mix(current_->history, what); }
    void holds(mutex& m);
    void add_order(std::uint32_t before, std::uint32_t after);
    void note(const char* format, ...) __attribute__((format(printf, 2, 3)));
    void describe_threads();
    foreign& foreign_of(const void* where);

    struct scope {
        bool before = std::exchange(the.busy_, true);
        ~scope() { the.busy_ = before; }
    };

    // Of the exploration
    settings how_;
    std::vector<node> path_;
    std::size_t replayed_ = 0;  // so much of the path is given
    struct visited {
        std::uint64_t state, budgets;
    };
    std::vector<visited> cache_;
    std::size_t cached_ = 0;
    std::mt19937_64 random_;
    std::uint64_t total_steps_ = 0;
    std::uint64_t typical_steps_ = 100;

    // Of the execution
    fiber fibers_[most_threads];
    int fiber_count_ = 0;
    fiber* current_ = nullptr;
    bool& busy_ = view.busy;
    bool logging_ = false;
    bool exhausting_ = false;
    const std::function<void()>* body_ = nullptr;
    std::size_t depth_ = 0;
    budgets left_;
    std::uint64_t steps_ = 0;
    std::uint32_t things_ = 0;
    std::uint32_t ordered_ = 0;
    clock::time_point time_{};
    vector_clock witness_;  // of strict histories
    std::uint64_t witness_history_ = 0;
    std::uint64_t order_[most_things][most_things / 64];
    std::vector<foreign> foreign_;
    std::vector<std::uint64_t> change_points_;
    jmp_buf back_;
    thread_locals locals_;
    std::string failure_, log_;
};

engine engine::the;
view_of_thread view;

// ---- Failing

void engine::fail(const char* what) {
    busy_ = true;
    failure_ = what;
    if (current_) {
        describe_threads();
        _longjmp(back_, static_cast<int>(how_it_ended::failed) + 1);
    }
    std::fprintf(stderr, "outside of an execution: %s\n", what);
    std::abort();
}

void fail(const std::string& what) { engine::the.fail(what.c_str()); }

void engine::note(const char* format, ...) {
    if (!logging_) return;
    const scope out_of_model;
    char line[256];
    va_list args;
    va_start(args, format);
    std::vsnprintf(line, sizeof line, format, args);
    va_end(args);
    char head[128];
    std::snprintf(head, sizeof head, "%5llu  thread %d  %-28s ", static_cast<unsigned long long>(steps_),
                  current_->number, current_->doing);
    log_ += head;
    log_ += line;
    log_ += '\n';
}

void engine::describe_threads() {
    for (int i = 0; i < fiber_count_; ++i) {
        const fiber& f = fibers_[i];
        failure_ += "\n  thread " + std::to_string(i) + ": ";
        if (f.done) {
            failure_ += "ended";
            continue;
        }
        failure_ += *f.doing ? std::string(f.doing) + "; " : "";
        failure_ += &f == current_ ? "runs, last step: " : "next step: ";
        failure_ += name(f.next);
        if (f.on) failure_ += std::string(" ") + f.on->kind_ + std::to_string(f.on->number_);
        if (f.next == act::lock && f.on) {
            const int owner = static_cast<const mutex*>(f.on)->owner_;
            if (owner >= 0) failure_ += ", which thread " + std::to_string(owner) + " holds";
        }
        if (f.next == act::wake) {
            failure_ += f.notified ? ", notified" : ", not notified";
            failure_ += f.until == clock::time_point::max() ? ", without a deadline" : ", with a deadline";
        }
        if (f.next == act::join) failure_ += " (" + std::to_string(f.joins) + ")";
        for (int h = 0; h < f.holds_count; ++h)
            failure_ += (h == 0 ? "; holds m" : ", m") + std::to_string(f.holds[h]->number_);
    }
}

// ---- Choosing

std::uint32_t engine::choose(std::uint32_t count, unsigned one_in) {
    const scope out_of_model;
    if (depth_ < path_.size()) {
        node& n = path_[depth_++];
        if (n.count == 0) n.count = count;
        if (n.count != count || n.chosen >= count) fail("the program does not do the same when it is run again");
        return n.chosen;
    }
    std::uint32_t chosen = 0;
    if (how_.how != strategy::exhaustive && random_() % one_in == 0)
        chosen = static_cast<std::uint32_t>(random_() % count);
    path_.push_back({chosen, count});
    ++depth_;
    return chosen;
}

std::uint32_t engine::choose_schedule(const option* options, std::uint32_t count) {
    if (how_.how == strategy::exhaustive || depth_ < path_.size()) return choose(count, 1);
    const scope out_of_model;
    std::uint32_t chosen = 0;
    if (how_.how == strategy::random) {
        // What is rare stays rare; otherwise all are alike.
        do {
            chosen = static_cast<std::uint32_t>(random_() % count);
        } while (options[chosen].how != special::none && random_() % 16 != 0);
    } else {
        for (std::uint32_t i = 1; i < count; ++i) {
            if (options[i].how != special::none) {
                if (random_() % 64 == 0) {
                    chosen = i;
                    break;
                }
            } else if (options[chosen].how == special::none &&
                       options[i].who->priority > options[chosen].who->priority) {
                chosen = i;
            }
        }
    }
    path_.push_back({chosen, count});
    ++depth_;
    return chosen;
}

bool engine::able(const fiber& f) const {
    switch (f.next) {
        case act::lock: return static_cast<const mutex*>(f.on)->owner_ < 0;
        case act::wake: return (f.notified || time_ >= f.until) && f.reacquires->owner_ < 0;
        case act::join: return fibers_[f.joins].done;
        case act::asleep: return fibers_[f.joins].done || is_asleep(fibers_[f.joins]);
        case act::await_callback: return f.awaits_in->running_ != f.awaits;
        case act::quiet:
        case act::end: return false;
        default: return true;
    }
}

// The next thread to take a step.
engine::fiber& engine::pick() {
    fiber& me = *current_;
    for (;;) {
        if (++steps_ > how_.steps) fail("livelock: the step bound is reached");
        const bool me_able = !me.done && able(me);
        const bool yields = me.next == act::yield;
        if (me_able && yields && me.impatient) return me;
        const bool goes_on = me_able && !yields;
        option options[2 * most_threads + 1];
        std::uint32_t count = 0;
        const bool others = !goes_on || left_.preemptions > 0;
        if (goes_on) options[count++] = {&me, special::none, false};
        clock::time_point earliest = clock::time_point::max();
        for (int i = 0; i < fiber_count_; ++i) {
            fiber& f = fibers_[i];
            if (f.done || &f == &me) continue;
            if (able(f)) {
                if (others) options[count++] = {&f, special::none, goes_on};
            } else if (f.next == act::wake && !f.notified) {
                if (f.until > time_ && f.until < earliest) earliest = f.until;
                if (others && left_.spurious_wakeups > 0 && f.reacquires->owner_ < 0)
                    options[count++] = {&f, special::spurious, goes_on};
            }
        }
        if (me_able && yields) options[count++] = {&me, special::none, false};
        if (!me_able && me.next == act::wake && !me.done && !me.notified) {
            if (me.until > time_ && me.until < earliest) earliest = me.until;
            if (left_.spurious_wakeups > 0 && me.reacquires->owner_ < 0)
                options[count++] = {&me, special::spurious, false};
        }
        bool nobody = true;
        for (std::uint32_t i = 0; i < count; ++i) nobody &= options[i].how != special::none;
        if (nobody) {
            if (earliest != clock::time_point::max()) {
                if (count == 0) {
                    pass_to(earliest);
                    continue;
                }
            } else {
                fiber* quiet = nullptr;
                for (int i = 0; i < fiber_count_; ++i) {
                    if (!fibers_[i].done && fibers_[i].next == act::quiet) quiet = &fibers_[i];
                }
                if (quiet) {
                    options[count++] = {quiet, special::none, false};
                } else {
                    fail("deadlock: no thread can go on");
                }
            }
        }
        if (earliest != clock::time_point::max() && (left_.ticks > 0 || nobody))
            options[count++] = {nullptr, special::tick, false};
        std::uint32_t chosen = 0;
        if (count > 1) {
            check_prune(me, goes_on);
            if (how_.how == strategy::pct) {
                for (const std::uint64_t p : change_points_) {
                    if (p == steps_) me.priority = -static_cast<int>(steps_);
                }
                if (yields) me.priority = -static_cast<int>(steps_);
            }
            chosen = choose_schedule(options, count);
        }
        const option& o = options[chosen];
        if (o.how == special::tick) {
            if (!nobody) --left_.ticks;
            pass_to(nobody ? earliest : time_ + clock::tick);
            note("(the clock moves on to %lld ms)", static_cast<long long>(time_.time_since_epoch().count() / 1000000));
            continue;
        }
        if (o.preempts) --left_.preemptions;
        if (o.how == special::spurious) {
            --left_.spurious_wakeups;
            o.who->notified = true;
            o.who->history = mix(o.who->history, 0x5b);
        }
        if (yields && o.who == &me && count > 1) me.impatient = true;
        return *o.who;
    }
}

// The clock moves on; those whose deadline passes meanwhile, and who sleep, are marked.
void engine::pass_to(clock::time_point later) {
    for (int i = 0; i < fiber_count_; ++i) {
        fiber& f = fibers_[i];
        if (!time_matters || !is_asleep(f) || later < f.until) continue;
        f.seen.slept_when_due = true;
        f.history = mix(f.history, 0xdead11e);
    }
    time_ = later;
}

// Breaks the execution off if this state was met before, with as much left to spend.
void engine::check_prune(const fiber& me, bool me_goes_on) {
    if (!exhausting_ || depth_ < replayed_) return;
    std::uint64_t state = mix(static_cast<std::uint64_t>(time_.time_since_epoch().count()),
                              me_goes_on ? static_cast<std::uint64_t>(me.number) : 99u);
    if (how_.strict) state = mix(state, witness_history_);
    for (int i = 0; i < fiber_count_; ++i) {
        const fiber& f = fibers_[i];
        state = mix(state, f.history + (f.done ? 1 : 0));
        state =
            mix(state, static_cast<std::uint64_t>(f.next) | (f.notified ? 0x100u : 0u) | (f.impatient ? 0x200u : 0u));
    }
    const auto clamped = [](int n) { return static_cast<std::uint64_t>(n < 0 ? 0 : n > 127 ? 127 : n); };
    const std::uint64_t budget = clamped(left_.preemptions) | clamped(left_.stale_reads) << 8 |
                                 clamped(left_.spurious_wakeups) << 16 | clamped(left_.failing_try_locks) << 24 |
                                 clamped(left_.ticks) << 32 | clamped(left_.faults) << 40 |
                                 clamped(left_.detours) << 48;
    constexpr std::uint64_t high = 0x8080808080808080u;
    const auto covers = [](std::uint64_t a, std::uint64_t b) { return (((a | high) - b) & high) == high; };
    if (state == 0) state = 1;
    const scope out_of_model;
    if (cached_ * 2 >= cache_.size()) {
        std::vector<visited> old(cache_.empty() ? 1 << 12 : cache_.size() * 2);
        old.swap(cache_);
        for (const visited& v : old) {
            if (v.state == 0) continue;
            std::size_t i = v.state & (cache_.size() - 1);
            while (cache_[i].state != 0) i = (i + 1) & (cache_.size() - 1);
            cache_[i] = v;
        }
    }
    std::size_t i = state & (cache_.size() - 1);
    for (; cache_[i].state != 0; i = (i + 1) & (cache_.size() - 1)) {
        if (cache_[i].state != state) continue;
        if (covers(cache_[i].budgets, budget)) {
            _longjmp(back_, static_cast<int>(how_it_ended::pruned) + 1);
        }
        if (covers(budget, cache_[i].budgets)) {
            cache_[i].budgets = budget;
            return;
        }
    }
    cache_[i] = {state, budget};
    ++cached_;
}

// ---- Fibers

void engine::trampoline() {
    fiber* const f = the.current_;
    f->has_entry = true;
    if (_setjmp(f->entry) == 2) std::abort();
    try {
        f->run(f->what);
    } catch (const std::exception& e) {
        the.fail((std::string("an exception leaves a thread: ") + e.what()).c_str());
    } catch (...) {
        the.fail("an exception leaves a thread");
    }
    the.finish();
}

void engine::finish() {
    fiber& me = *current_;
    ++me.now.at[static_cast<std::size_t>(me.number)];
    me.done = true;
    me.next = act::end;
    me.on = nullptr;
    if (me.holds_count > 0) fail("a thread ends and holds a mutex");
    note("ends");
    if (me.number == 0) {
        for (int i = 0; i < fiber_count_; ++i) {
            if (!fibers_[i].done) fail("the first thread ends before the others");
        }
        _longjmp(back_, static_cast<int>(how_it_ended::done) + 1);
    }
    switch_to(pick());
    std::abort();
}

void engine::switch_to(fiber& f) {
    fiber& me = *current_;
    if (&f == &me) return;
    auto* const globals = reinterpret_cast<handled_exceptions*>(abi::__cxa_get_globals());
    me.exceptions = *globals;
    *globals = f.exceptions;
    std::memcpy(me.locals, locals_.here, locals_.size);
    std::memcpy(locals_.here, f.locals, locals_.size);
    if (_setjmp(me.resume) != 0) return;
    become(&f);
    if (f.entered) _longjmp(f.resume, 1);
    f.entered = true;
    if (f.has_entry) _longjmp(f.entry, 1);
    setcontext(&f.first);
    std::abort();
}

void engine::start_execution() {
    fiber_count_ = 0;
    depth_ = 0;
    left_ = how_.limits;
    total_steps_ += steps_;
    steps_ = 0;
    things_ = 0;
    for (std::uint32_t i = 0; i < ordered_; ++i) {
        for (auto& word : order_[i]) word = 0;
    }
    ordered_ = 0;
    time_ = {};
    witness_ = {};
    witness_history_ = 0;
    foreign_.clear();
    failure_.clear();
    log_.clear();
    memory::reset();
    if (how_.how == strategy::pct) {
        change_points_.clear();
        for (int i = 0; i + 1 < how_.pct_depth; ++i) change_points_.push_back(random_() % typical_steps_);
    }
}

how_it_ended engine::run_once(const std::function<void()>& body) {
    start_execution();
    body_ = &body;
    auto* const globals = reinterpret_cast<handled_exceptions*>(abi::__cxa_get_globals());
    const handled_exceptions mine = *globals;
    *globals = {};
    const int ended = _setjmp(back_);
    if (ended == 0) {
        become(&fibers_[0]);
        busy_ = false;
        start([](void*) { (*the.body_)(); }, nullptr);
        fibers_[0].entered = true;
        if (fibers_[0].has_entry) _longjmp(fibers_[0].entry, 1);
        setcontext(&fibers_[0].first);
        std::abort();
    }
    *globals = mine;
    auto how = static_cast<how_it_ended>(ended - 1);
    busy_ = true;
    if (how == how_it_ended::done) {
        if (const std::size_t leaked = memory::live_blocks(); leaked > 0) {
            failure_ = std::to_string(leaked) + " allocations were never freed";
            describe_threads();
            how = how_it_ended::failed;
        }
        typical_steps_ = steps_ + 1;
    }
    become(nullptr);
    return how;
}

int engine::start(void (*run)(void*), void* what) {
    if (fiber_count_ == most_threads) fail("too many threads");
    if (fiber_count_ > 0) step(act::start, nullptr);
    fiber& f = fibers_[fiber_count_];
    const bool has_entry = f.has_entry;
    const int number = fiber_count_;
    if (!f.used) {
        getcontext(&f.first);
        f.first.uc_stack.ss_sp = memory::stack(number);
        f.first.uc_stack.ss_size = memory::stack_size;
        f.first.uc_link = nullptr;
        makecontext(&f.first, trampoline, 0);
        f.used = true;
    }
    f.number = number;
    f.done = f.entered = f.impatient = f.notified = false;
    f.has_entry = has_entry;
    f.next = act::begin;
    f.on = nullptr;
    f.history = mix(static_cast<std::uint64_t>(number), number == 0 ? 0 : current_->history);
    f.now = number == 0 ? vector_clock{} : current_->now;
    ++f.now.at[static_cast<std::size_t>(number)];
    f.holds_count = 0;
    f.scarce = 0;
    f.begins = false;
    f.token = nullptr;
    f.seen = {};
    f.doing = "";
    f.run = run;
    f.what = what;
    f.exceptions = {};
    char* const locals = number == 0 ? locals_.here : f.locals;
    std::memcpy(locals, locals_.initial, locals_.initial_size);
    std::memset(locals + locals_.initial_size, 0, locals_.size - locals_.initial_size);
    f.priority = how_.how == strategy::pct ? static_cast<int>(random_() % 1000000) : 0;
    ++fiber_count_;
    if (number > 0) {
        tick();
        note("starts thread %d", number);
    }
    return number;
}

// Lets the scheduler choose who goes first, and returns when it is the turn of this thread.
void engine::step(act a, const thing* on, bool others_may_go_first) {
    fiber& me = *current_;
    me.next = a;
    me.on = on;
    if (others_may_go_first) {
        switch_to(pick());
    } else {
        ++steps_;
    }
    ++me.now.at[static_cast<std::size_t>(me.number)];
    if (on) check_use(*on);
    if (me.begins && on) note_first_step();
}

void engine::note_first_step() {
    fiber& me = *current_;
    me.begins = false;
    if (!me.token) return;
    using request = circumstances::request;
    me.seen.at_first_step = me.token->complete_    ? request::complete
                            : me.token->requested_ ? request::under_way
                                                   : request::none;
    observe(static_cast<std::uint64_t>(me.seen.at_first_step));
}

void engine::check_use(const thing& t) {
    if (t.life_ != alive)
        fail(t.life_ == dead ? "a thing is used after its destruction" : "a thing is used that does not exist");
    if (!current_->now.knows(t.maker_, t.made_))
        fail("a thing is used by a thread to which its construction is not known");
    const_cast<thing&>(t).used_.at[static_cast<std::size_t>(current_->number)] = step_of_self();
}

void engine::make(thing& t) noexcept {
    t.life_ = alive;
    t.history_ = 1;
    t.released_ = {};
    t.used_ = {};
    t.maker_ = 0;
    t.made_ = 0;
    t.number_ = things_++;
    if (current_) {
        t.maker_ = current_->number;
        t.made_ = ++current_->now.at[static_cast<std::size_t>(current_->number)];
    }
}

void engine::destroy(thing& t) {
    if (!current_) return;
    if (t.life_ != alive) fail("a thing is destroyed twice");
    for (int i = 0; i < fiber_count_; ++i) {
        const std::uint32_t used = t.used_.at[static_cast<std::size_t>(i)];
        if (!current_->now.knows(i, used)) {
            current_->on = &t;
            fail(("a thing is destroyed, and nothing orders its use by thread " + std::to_string(i) + " before that")
                     .c_str());
        }
        if (!fibers_[i].done && i != current_->number && fibers_[i].on == &t && fibers_[i].next != act::begin &&
            fibers_[i].next != act::quiet && fibers_[i].next != act::join) {
            fail("a thing is destroyed that a thread is about to use");
        }
    }
    t.life_ = dead;
}

// ---- Mutex and condition variable

void engine::add_order(std::uint32_t before, std::uint32_t after) {
    if (before >= most_things || after >= most_things) return;
    const auto has = [this](std::uint32_t a, std::uint32_t b) { return (order_[a][b / 64] >> (b % 64) & 1) != 0; };
    if (has(before, after)) return;
    if (has(after, before)) {
        fail(("lock order inversion: m" + std::to_string(after) + " is locked while m" + std::to_string(before) +
              " is held, and it was the other way round before")
                 .c_str());
    }
    if (std::max(before, after) >= ordered_) ordered_ = std::max(before, after) + 1;
    for (std::uint32_t i = 0; i < ordered_; ++i) {
        if (i != before && !has(i, before)) continue;
        order_[i][after / 64] |= std::uint64_t{1} << (after % 64);
        for (std::uint32_t w = 0; w < most_things / 64; ++w) order_[i][w] |= order_[after][w];
    }
}

void engine::holds(mutex& m) {
    fiber& me = *current_;
    m.owner_ = me.number;
    me.now.join(m.released_);
    observe(m.history_);
    me.impatient = false;
    for (int i = 0; i < me.holds_count; ++i) add_order(me.holds[i]->number_, m.number_);
    if (me.holds_count == 16) fail("too many locks");
    me.holds[me.holds_count++] = &m;
}

void engine::lock(mutex& m) {
    if (m.life_ == alive && m.owner_ == current_->number) fail("a thread locks a mutex that it holds");
    step(act::lock, &m);
    holds(m);
    note("locks m%u", m.number_);
}

bool engine::try_lock(mutex& m) {
    if (m.life_ == alive && m.owner_ == current_->number) fail("a thread locks a mutex that it holds");
    step(act::try_lock, &m);
    if (m.owner_ >= 0) {
        observe(0xfa11);
        note("finds m%u locked by thread %d", m.number_, m.owner_);
        return false;
    }
    if (left_.failing_try_locks > 0 && choose(2, 16) == 1) {
        --left_.failing_try_locks;
        observe(0xfa11);
        note("fails to lock m%u, for no reason", m.number_);
        return false;
    }
    holds(m);
    note("locks m%u", m.number_);
    return true;
}

void engine::unlock(mutex& m) {
    // What others do before it, they can as well do after it; only one who tries in vain to lock it could tell, and that he can do
    // at the step before.
    step(act::unlock, &m, false);
    fiber& me = *current_;
    if (m.owner_ != me.number) fail("a thread unlocks a mutex that it does not hold");
    m.owner_ = -1;
    m.released_ = me.now;
    observe(0x0c);  // or the state before would be taken for this one where another unlock follows
    m.history_ = me.history;
    tick();
    int i = me.holds_count - 1;
    while (me.holds[i] != &m) --i;
    for (; i + 1 < me.holds_count; ++i) me.holds[i] = me.holds[i + 1];
    --me.holds_count;
    note("unlocks m%u", m.number_);
}

void engine::wait(condition_variable& c, mutex& m, clock::time_point until) {
    fiber& me = *current_;
    step(act::wait, &c);
    if (m.owner_ != me.number) fail("a thread waits without holding the mutex");
    if (me.holds_count != 1) fail("a thread waits and holds another mutex");
    m.owner_ = -1;
    m.released_ = me.now;
    m.history_ = mix(me.history, 0x0d);
    tick();
    me.holds_count = 0;
    me.notified = false;
    me.until = until;
    me.reacquires = &m;
    note("waits on c%u, which unlocks m%u", c.number_, m.number_);
    step(act::wake, &c);
    check_use(m);
    observe(me.notified ? 0x77 : 0x78);
    note(me.notified ? "wakes up and locks m%u" : "wakes up at its deadline and locks m%u", m.number_);
    me.notified = false;
    holds(m);
}

void engine::notify(condition_variable& c, bool all) {
    step(act::notify, &c);
    fiber* waiting[most_threads];
    std::uint32_t count = 0;
    for (int i = 0; i < fiber_count_; ++i) {
        fiber& f = fibers_[i];
        if (!f.done && f.next == act::wake && f.on == &c && !f.notified && time_ < f.until) waiting[count++] = &f;
    }
    observe(mix(0x90, count));
    note("notifies c%u, on which %u wait", c.number_, count);
    if (count == 0) return;
    if (all) {
        for (std::uint32_t i = 0; i < count; ++i) waiting[i]->notified = true;
    } else {
        const std::uint32_t chosen = count > 1 ? choose(count, 1) : 0;
        observe(chosen);
        waiting[chosen]->notified = true;
    }
}

// ---- Atomics

void engine::make(cell& c, std::uint64_t initial) {
    c.values_[0] = {initial, 1, {}, c.made_, c.maker_};
    if (current_) c.values_[0].released = current_->now;
    c.count_ = 1;
}

std::uint64_t engine::load(const cell& c, std::memory_order order) {
    step(act::load, &c);
    fiber& me = *current_;
    std::uint32_t oldest = c.count_ > cell::kept ? c.count_ - cell::kept : 0;
    if (c.at_least_ > oldest) oldest = c.at_least_;
    for (std::uint32_t i = c.count_; i-- > oldest;) {
        if (me.now.knows(c.at(i).thread, c.at(i).step)) {
            oldest = i;
            break;
        }
    }
    for (std::uint32_t i = 0; i < c.sightings_; ++i) {
        const cell::sighting& s = c.seen_[i];
        if (s.index > oldest && me.now.knows(s.thread, s.step)) oldest = s.index;
    }
    std::uint32_t index = c.count_ - 1;
    if (order != std::memory_order_seq_cst && oldest < index && left_.stale_reads > 0) {
        if (const std::uint32_t back = choose(index - oldest + 1, 4); back > 0) {
            index -= back;
            --left_.stale_reads;
        }
    }
    bool known = false;
    for (std::uint32_t i = 0; i < c.sightings_; ++i)
        known |= c.seen_[i].thread == me.number && c.seen_[i].index >= index;
    if (!known) {
        if (c.sightings_ == cell::most_sightings) {
            for (std::uint32_t i = 0; i < c.sightings_; ++i) c.at_least_ = std::max(c.at_least_, c.seen_[i].index);
            c.sightings_ = 0;
        }
        c.seen_[c.sightings_++] = {index, step_of_self(), me.number};
    }
    const cell::written& w = c.at(index);
    if (acquires(order)) me.now.join(w.released);
    observe(w.history);
    note("loads %#llx from a%u%s", static_cast<unsigned long long>(w.value), c.number_,
         index + 1 == c.count_ ? "" : ", which is an old value");
    return w.value;
}

void engine::store(cell& c, std::uint64_t v, std::memory_order order) {
    step(act::store, &c);
    fiber& me = *current_;
    observe(c.at(c.count_ - 1).history);
    me.impatient = false;
    cell::written& w = c.values_[c.count_ % cell::kept];
    w = {v, mix(me.history, v), releases(order) ? me.now : vector_clock{}, step_of_self(), me.number};
    if (releases(order)) tick();
    ++c.count_;
    note("stores %#llx to a%u", static_cast<unsigned long long>(v), c.number_);
}

template <class F>
std::uint64_t engine::change(cell& c, std::memory_order order, F&& f) {
    step(act::change, &c);
    fiber& me = *current_;
    const cell::written before = c.at(c.count_ - 1);
    if (acquires(order)) me.now.join(before.released);
    observe(before.history);
    me.impatient = false;
    std::uint64_t v = before.value;
    if (!f(v)) {
        note("compares a%u, which is %#llx, in vain", c.number_, static_cast<unsigned long long>(v));
        return before.value;
    }
    cell::written& w = c.values_[c.count_ % cell::kept];
    w = {v, mix(me.history, v), before.released, step_of_self(), me.number};
    if (releases(order)) {
        w.released.join(me.now);
        tick();
    }
    ++c.count_;
    note("changes a%u from %#llx to %#llx", c.number_, static_cast<unsigned long long>(before.value),
         static_cast<unsigned long long>(v));
    return before.value;
}

engine::foreign& engine::foreign_of(const void* where) {
    for (foreign& f : foreign_) {
        if (f.where == where) return f;
    }
    foreign_.push_back({where, 1, {}});
    return foreign_.back();
}

void engine::foreign_atomic(const void* where, bool reads, bool writes) {
    step(act::change, nullptr);
    const scope out_of_model;
    foreign& f = foreign_of(where);
    if (reads) current_->now.join(f.released);
    observe(f.history);
    if (writes) {
        f.history = mix(current_->history, 0xf0);
        f.released.join(current_->now);
        tick();
    }
    note("uses an atomic of the standard library");
}

// ---- The rest

clock::time_point engine::now() {
    step(act::now, nullptr);
    if (left_.ticks > 0 && choose(2, 8) == 1) {
        --left_.ticks;
        pass_to(time_ + clock::tick);
    }
    observe(static_cast<std::uint64_t>(time_.time_since_epoch().count()));
    note("reads the clock: %lld ms", static_cast<long long>(time_.time_since_epoch().count() / 1000000));
    return time_;
}

void engine::yield() {
    step(act::yield, nullptr);
    observe(0x1e1d);
}

std::uint32_t engine::choose_below(std::uint32_t bound) {
    if (bound <= 1 || left_.detours <= 0) return 0;
    const std::uint32_t chosen = choose(bound, 1);
    if (chosen > 0) --left_.detours;
    observe(mix(0xd1ce, chosen));
    note("draws %u of %u", chosen, bound);
    return chosen;
}

bool engine::goes_wrong(const char* what) {
    if (left_.faults <= 0 || choose(2, 8) == 0) return false;
    --left_.faults;
    observe(0xbad);
    note("%s", what);
    return true;
}

void engine::join(int thread) {
    current_->joins = thread;
    step(act::join, nullptr);
    current_->now.join(fibers_[thread].now);
    observe(fibers_[thread].history);
    note("has joined thread %d", thread);
}

void engine::quiet() {
    step(act::quiet, nullptr);
    for (int i = 0; i < fiber_count_; ++i) {
        observe(fibers_[i].history);
        current_->now.join(fibers_[i].now);
    }
    note("sees that all is quiet");
}

bool engine::asleep(int thread) {
    current_->joins = thread;
    step(act::asleep, nullptr);
    const fiber& f = fibers_[thread];
    current_->now.join(f.now);
    observe(mix(f.history, f.done ? 1 : 2));
    if (time_matters) observe(static_cast<std::uint64_t>(time_.time_since_epoch().count()));
    note(f.done ? "sees that thread %d has ended" : "sees thread %d asleep", thread);
    return !f.done;
}

// A step that knows of all steps of this kind before it.
void engine::witness() {
    step(act::operation, nullptr);
    fiber& me = *current_;
    me.now.join(witness_);
    observe(witness_history_);
    witness_history_ = me.history;
    witness_.join(me.now);
}

vector_clock engine::begin_operation() {
    fiber& me = *current_;
    me.impatient = false;
    if (how_.strict) witness();
    if (time_matters) observe(static_cast<std::uint64_t>(time_.time_since_epoch().count()));
    me.begins = true;
    me.token = nullptr;
    me.seen = {};
    return me.now;
}

std::uint32_t engine::end_operation() {
    current_->begins = false;
    if (time_matters) observe(static_cast<std::uint64_t>(time_.time_since_epoch().count()));
    if (how_.strict) {
        witness();
    } else {
        ++current_->now.at[static_cast<std::size_t>(current_->number)];
    }
    return step_of_self();
}

bool engine::stop_requested(stop_state& s) {
    step(act::stop, &s);
    if (s.requested_) current_->now.join(s.released_);
    observe(s.requested_ ? s.history_ : 0x0ff);
    note(s.requested_ ? "sees the stop request" : "sees no stop request");
    return s.requested_;
}

// A step at a stop state, which may change it.
void engine::touch(stop_state& s) {
    step(act::stop, &s);
    fiber& me = *current_;
    me.now.join(s.released_);
    observe(s.history_);
    s.released_ = me.now;
    s.history_ = me.history;
    tick();
}

bool engine::request_stop(stop_state& s) {
    touch(s);
    if (s.requested_) return false;
    s.requested_ = true;
    s.runner_ = current_->number;
    note("requests the stop");
    for (int i = 0; time_matters && i < fiber_count_; ++i) {
        if (!is_asleep(fibers_[i])) continue;
        fibers_[i].seen.slept_when_stopped = true;
        observe(static_cast<std::uint64_t>(i));
    }
    for (;;) {
        touch(s);
        if (!s.first_) return s.complete_ = true;
        stop_callback_base* const c = s.first_;
        s.first_ = c->next_;
        s.running_ = c;
        bool gone = false;
        s.gone_ = &gone;
        note("calls a stop callback");
        c->run_(c->what_);
        touch(s);
        s.running_ = nullptr;
        s.gone_ = nullptr;
    }
}

void engine::enlist(stop_state* s, stop_callback_base& c, stop_callback_base::function run, void* what) {
    c.state_ = s;
    c.run_ = run;
    c.what_ = what;
    if (!s) return;
    touch(*s);
    if (s->requested_) {
        c.state_ = nullptr;
        run(what);
        return;
    }
    c.next_ = s->first_;
    s->first_ = &c;
    note("puts up a stop callback");
}

void engine::leave(stop_callback_base& c) {
    stop_state* const s = c.state_;
    if (!s) return;
    touch(*s);
    for (stop_callback_base** at = &s->first_; *at; at = &(*at)->next_) {
        if (*at == &c) {
            *at = c.next_;
            note("takes its stop callback down");
            return;
        }
    }
    fiber& me = *current_;
    if (s->running_ == &c && s->runner_ != me.number) {
        me.awaits = &c;
        me.awaits_in = s;
        step(act::await_callback, s);
        me.now.join(s->released_);
        observe(s->history_);
        note("has waited for its stop callback");
    }
}

void engine::drop(stop_state* s) {
    current_->now.join(s->released_);
    s->released_.join(current_->now);
    tick();
    if (--s->handles_ == 0) {
        s->used_ = {};  // its count of handles has ordered them
        delete s;
    }
}

// ---- Exploring

// An access to nowhere is a failure of the program as any other.
void engine::catch_signals() {
    static char stack[64 * 1024];
    stack_t alternative{};
    alternative.ss_sp = stack;
    alternative.ss_size = sizeof stack;
    sigaltstack(&alternative, nullptr);
    struct sigaction action {};
    action.sa_handler = [](int signal) {
        if (the.current_) the.fail(signal == SIGSEGV ? "an access to memory that is not there" : "a program error");
        std::signal(signal, SIG_DFL);
    };
    action.sa_flags = SA_ONSTACK | SA_NODEFER;
    for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) sigaction(signal, &action, nullptr);
}

outcome engine::explore(const std::function<void()>& body, const settings& how) {
#if __has_include(<sys/single_threaded.h>)
    __libc_single_threaded = false;  // or std::shared_ptr would count without atomics
#endif
    catch_signals();
    locals_.find();
    busy_ = true;
    how_ = how;
    path_.clear();
    cache_.clear();
    cached_ = 0;
    random_.seed(how.seed);
    total_steps_ = steps_ = 0;
    exhausting_ = how.how == strategy::exhaustive;
    outcome out;
    const auto begun = std::clock();
    const auto late = [&] {
        return out.executions + out.pruned >= how.executions ||
               ((out.executions + out.pruned) % 64 == 0 &&
                static_cast<double>(std::clock() - begun) / CLOCKS_PER_SEC > how.seconds);
    };
    for (;;) {
        replayed_ = path_.size();
        const how_it_ended ended = run_once(body);
        if (ended == how_it_ended::failed) {
            out.failed = true;
            for (std::size_t i = 0; i < depth_; ++i) {
                out.trace += std::to_string(path_[i].chosen);
                out.trace += '.';
            }
            out.report = failure_;
            out.complaint = failure_.substr(0, failure_.find('\n'));
            break;
        }
        ++(ended == how_it_ended::done ? out.executions : out.pruned);
        if (how.how == strategy::exhaustive) {
            path_.resize(depth_);
            while (!path_.empty() && path_.back().chosen + 1 == path_.back().count) path_.pop_back();
            if (path_.empty()) {
                out.finished = true;
                break;
            }
            ++path_.back().chosen;
        } else {
            path_.clear();
        }
        if (late()) break;
    }
    out.states = cached_;
    out.steps = total_steps_ + steps_;
    if (out.failed) {
        const outcome again = replay(body, how, out.trace);
        if (again.failed) {
            out.report = again.report;
        } else {
            out.report += "\n(the replay did not fail)";
        }
    }
    return out;
}

outcome engine::replay(const std::function<void()>& body, const settings& how, const std::string& trace) {
#if __has_include(<sys/single_threaded.h>)
    __libc_single_threaded = false;
#endif
    catch_signals();
    locals_.find();
    busy_ = true;
    how_ = how;
    how_.how = strategy::exhaustive;
    exhausting_ = false;
    path_.clear();
    std::uint32_t number = 0;
    for (const char c : trace) {
        if (c == '.') {
            path_.push_back({number, 0});
            number = 0;
        } else if (c >= '0' && c <= '9') {
            number = number * 10 + static_cast<std::uint32_t>(c - '0');
        }
    }
    replayed_ = path_.size();
    logging_ = true;
    const how_it_ended ended = run_once(body);
    logging_ = false;
    outcome out;
    out.failed = ended == how_it_ended::failed;
    out.trace = trace;
    out.steps = steps_;
    out.complaint = failure_.substr(0, failure_.find('\n'));
    out.report = log_ + failure_;
    return out;
}

outcome explore(const std::function<void()>& body, const settings& how) { return engine::the.explore(body, how); }
outcome replay(const std::function<void()>& body, const settings& how, const std::string& trace) {
    return engine::the.replay(body, how, trace);
}

// ---- The doors

thing::thing(char kind) noexcept : kind_(kind) { engine::the.make(*this); }
thing::~thing() { engine::the.destroy(*this); }

mutex::~mutex() {
    if (owner_ >= 0 && engine::the.running()) engine::the.fail("a mutex is destroyed that is locked");
}
void mutex::lock() { engine::the.lock(*this); }
bool mutex::try_lock() { return engine::the.try_lock(*this); }
void mutex::unlock() noexcept { engine::the.unlock(*this); }

condition_variable::~condition_variable() = default;
void condition_variable::wait_until(std::unique_lock<mutex>& lock, clock::time_point until) {
    engine::the.wait(*this, *lock.mutex(), until);
}
void condition_variable::notify_one() noexcept { engine::the.notify(*this, false); }
void condition_variable::notify_all() noexcept { engine::the.notify(*this, true); }

clock::time_point clock::now() noexcept { return engine::the.now(); }

cell::cell(std::uint64_t initial, char kind) noexcept : thing(kind) { engine::the.make(*this, initial); }
cell::~cell() = default;
std::uint64_t cell::load(std::memory_order order) const noexcept { return engine::the.load(*this, order); }
void cell::store(std::uint64_t value, std::memory_order order) noexcept { engine::the.store(*this, value, order); }
std::uint64_t cell::exchange(std::uint64_t value, std::memory_order order) noexcept {
    return engine::the.change(*this, order, [&](std::uint64_t& v) {
        v = value;
        return true;
    });
}
std::uint64_t cell::fetch_add(std::uint64_t difference, std::memory_order order) noexcept {
    return engine::the.change(*this, order, [&](std::uint64_t& v) {
        v += difference;
        return true;
    });
}
bool cell::compare_exchange(std::uint64_t& expected, std::uint64_t value, std::memory_order order) noexcept {
    bool done = false;
    const std::uint64_t before = engine::the.change(*this, order, [&](std::uint64_t& v) {
        done = v == expected;
        if (done) v = value;
        return done;
    });
    expected = before;
    return done;
}

stop_handle::stop_handle(stop_state* s) noexcept : state(s) {
    if (state) ++state->handles_;
}
stop_handle::~stop_handle() {
    if (state) engine::the.drop(state);
}
bool stop_token::stop_requested() const noexcept { return handle_.state && engine::the.stop_requested(*handle_.state); }
stop_source::stop_source() : handle_(new stop_state) {}
bool stop_source::request_stop() { return engine::the.request_stop(*handle_.state); }
void stop_callback_base::enlist(stop_state* of, function run, void* what) { engine::the.enlist(of, *this, run, what); }
void stop_callback_base::leave() { engine::the.leave(*this); }

int thread::start(void (*run)(void*), void* what) { return engine::the.start(run, what); }
void thread::join() {
    if (number_ > 0) engine::the.join(std::exchange(number_, 0));
}

void yield() noexcept { engine::the.yield(); }
int self() noexcept { return engine::the.self(); }
std::uint32_t choose_below(std::uint32_t bound) noexcept { return engine::the.choose_below(bound); }
bool goes_wrong() noexcept { return engine::the.goes_wrong("(something goes wrong here)"); }
void wait_until_quiet() { engine::the.quiet(); }
int locks_held() noexcept { return engine::the.locks_held(); }
void user_code(const char* what) {
    if (locks_held() > 0) fail(std::string("under a lock: ") + what);
}
bool wait_until_asleep(const thread& t) { return t.number() != 0 && engine::the.asleep(t.number()); }
bool is_asleep(int thread) noexcept { return engine::the.is_asleep(thread); }
std::uint32_t last_step(int thread) noexcept { return engine::the.last_step(thread); }
clock::time_point time_of_the_model() noexcept { return engine::the.time(); }
void call_under(const stop_token& token) noexcept { engine::the.call_under(token.handle_.state); }
circumstances of_this_operation() noexcept { return engine::the.of_this_operation(); }
void doing(const char* what) noexcept { engine::the.doing(what); }
vector_clock begin_operation() { return engine::the.begin_operation(); }
std::uint32_t end_operation() { return engine::the.end_operation(); }
void foreign_atomic(const void* where, bool reads, bool writes) { engine::the.foreign_atomic(where, reads, writes); }
bool allocation_fails() { return engine::the.scarce() > 0 && engine::the.goes_wrong("(no memory here)"); }
scarce_memory::scarce_memory() noexcept { ++engine::the.scarce(); }
scarce_memory::~scarce_memory() { --engine::the.scarce(); }

}  // namespace model
