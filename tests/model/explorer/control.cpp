// What a model program asks of the explorer beside sync objects.
#include <model/explorer/control.hpp>

#include <model/explorer/scheduler.hpp>

namespace model {

void expect_unlocked(const char* what) {
    scheduler& s = scheduler::the;
    if (s.in_execution() && s.me().held_count > 0) fail(std::string("under a lock: ") + what);
}

// ---- Threads

int thread::start(void (*run)(void*), void* argument) { return scheduler::the.start(run, argument); }

void thread::join() {
    if (number_ == 0) return;
    scheduler& s = scheduler::the;
    thread_state& me = s.me();
    me.other = std::exchange(number_, 0);
    s.step(action::join);
    const thread_state& joined = s.threads()[static_cast<std::size_t>(me.other)];
    me.now.join(joined.now);
    me.observe(joined.past_hash);
    note("has joined thread %d", joined.number);
}

int self() noexcept { return scheduler::the.me().number; }
thread_context& context_of_this_thread() noexcept { return scheduler::the.me().context; }

void yield() noexcept {
    scheduler::the.step(action::yield);
    scheduler::the.me().observe(0x1e1d);
}

void wait_until_quiet() {
    scheduler& s = scheduler::the;
    s.step(action::wait_until_quiet);
    for (const thread_state& t : s.threads()) {
        s.me().observe(t.past_hash);
        s.me().now.join(t.now);
    }
    note("sees that all is quiet");
}

bool wait_until_asleep(const thread& t) {
    if (t.number() == 0) return false;
    scheduler& s = scheduler::the;
    thread_state& me = s.me();
    me.other = t.number();
    s.step(action::wait_until_asleep);
    const thread_state& other = s.threads()[static_cast<std::size_t>(t.number())];
    me.now.join(other.now);
    me.observe(mix(other.past_hash, other.done ? 1 : 2));
    if (time_matters) me.observe(s.time_hash());
    note(other.done ? "sees that thread %d has ended" : "sees thread %d asleep", other.number);
    return !other.done;
}

bool is_asleep(int thread) noexcept {
    scheduler& s = scheduler::the;
    return s.is_asleep(s.threads()[static_cast<std::size_t>(thread)]);
}
std::uint32_t last_step(int thread) noexcept {
    return scheduler::the.threads()[static_cast<std::size_t>(thread)].last_step();
}

// ---- Choices

std::uint32_t choose_below(std::uint32_t bound) noexcept {
    scheduler& s = scheduler::the;
    if (bound <= 1 || s.left().detours <= 0) return 0;
    const std::uint32_t chosen = s.choose(bound, 1);
    if (chosen > 0) --s.left().detours;
    s.me().observe(mix(0xd1ce, chosen));
    note("draws %u of %u", chosen, bound);
    return chosen;
}

namespace {

bool inject_fault(const char* what) {
    scheduler& s = scheduler::the;
    if (!s.spend(&budgets::faults, 8)) return false;
    s.me().observe(0xbad);
    note("%s", what);
    return true;
}

}  // namespace

bool inject_fault() noexcept { return inject_fault("(something goes wrong here)"); }
bool allocation_fails() { return scheduler::the.me().scarce_memory > 0 && inject_fault("(no memory here)"); }

scarce_memory::scarce_memory() noexcept { ++scheduler::the.me().scarce_memory; }
scarce_memory::~scarce_memory() { --scheduler::the.me().scarce_memory; }

// ---- The clock

clock::time_point clock::now() noexcept {
    scheduler& s = scheduler::the;
    s.step(action::read_clock);
    if (s.spend(&budgets::ticks, 8)) s.pass_to(s.time() + clock::tick);
    s.me().observe(s.time_hash());
    note("reads the clock: %lld ms", s.milliseconds());
    return s.time();
}

clock::time_point time_of_the_model() noexcept { return scheduler::the.time(); }

// ---- Operations

void doing(const char* what) noexcept {
    if (scheduler::the.in_execution()) scheduler::the.me().doing = what;
}

vector_clock begin_operation() {
    scheduler& s = scheduler::the;
    thread_state& me = s.me();
    me.yields_in_vain = 0;
    if (s.is_strict()) s.synchronise_operations();
    if (time_matters) me.observe(s.time_hash());
    me.begins = true;
    me.token = nullptr;
    me.seen = {};
    return me.now;
}

std::uint32_t end_operation() {
    scheduler& s = scheduler::the;
    thread_state& me = s.me();
    me.begins = false;
    if (time_matters) me.observe(s.time_hash());
    s.is_strict() ? s.synchronise_operations() : me.advance();
    return me.last_step();
}

void begins_under(const stop_token& token) noexcept { scheduler::the.me().token = token.handle_.state; }
circumstances of_this_operation() noexcept { return scheduler::the.me().seen; }

}  // namespace model
