// Explores: one execution after the other.
#include <model/explorer/explorer.hpp>

#include <csignal>
#include <ctime>

#include <model/explorer/scheduler.hpp>

#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#endif

namespace model {

namespace {

// An access to nowhere is a failure of the program as any other.
void catch_signals() {
    static char stack[64 * 1024];
    stack_t alternative{};
    alternative.ss_sp = stack;
    alternative.ss_size = sizeof stack;
    sigaltstack(&alternative, nullptr);
    struct sigaction action {};
    action.sa_handler = [](int signal) {
        if (scheduler::the.in_execution())
            fail(signal == SIGSEGV ? "an access to memory that is not there" : "a program error");
        std::signal(signal, SIG_DFL);
    };
    action.sa_flags = SA_ONSTACK | SA_NODEFER;
    for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) sigaction(signal, &action, nullptr);
}

void prepare() {
#if __has_include(<sys/single_threaded.h>)
    __libc_single_threaded = false;  // or std::shared_ptr would count without atomics
#endif
    catch_signals();
    fiber::find_thread_locals();
    view.busy = true;
}

bool is_late(const outcome& so_far, const settings& how, std::clock_t begun) {
    const std::uint64_t runs = so_far.executions + so_far.pruned;
    return runs >= how.executions ||
           (runs % 64 == 0 && static_cast<double>(std::clock() - begun) / CLOCKS_PER_SEC > how.seconds);
}

}  // namespace

outcome explore(const std::function<void()>& body, const settings& how) {
    prepare();
    const auto begun = std::clock();
    scheduler& s = scheduler::the;
    s.begin(how);
    s.schedules().begin(how);
    outcome out;
    do {
        const scheduler::ending ended = s.run(body);
        out.steps += s.steps();
        if (ended == scheduler::ending::failed) {
            out.failed = true;
            break;
        }
        ++(ended == scheduler::ending::done ? out.executions : out.pruned);
        out.finished = !s.schedules().advance();
    } while (!out.finished && !is_late(out, how, begun));
    out.states = s.states().size();
    if (out.failed) {
        out.trace = s.schedules().trace();
        out.report = s.reports().failure();
        out.complaint = s.reports().complaint();
        const outcome again = replay(body, how, out.trace);
        out.report = again.failed ? again.report : out.report + "\n(the replay did not fail)";
    }
    return out;
}

outcome replay(const std::function<void()>& body, const settings& how, const std::string& trace) {
    prepare();
    scheduler& s = scheduler::the;
    s.begin(how);
    s.schedules().begin_replay(trace);
    s.reports().log(true);
    outcome out;
    out.failed = s.run(body) == scheduler::ending::failed;
    s.reports().log(false);
    out.trace = trace;
    out.steps = s.steps();
    out.complaint = s.reports().complaint();
    out.report = s.reports().log() + s.reports().failure();
    return out;
}

}  // namespace model
