// Reports of failures: the complaint, what each thread is about, and in a replay each step.
#include <model/explorer/report.hpp>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>

#include <model/explorer/scheduler.hpp>

namespace model {

namespace {

const char* name(action a) {
    constexpr const char* names[] = {"begins",          "locks",
                                     "tries to lock",   "unlocks",
                                     "waits on",        "wakes on",
                                     "notifies",        "loads",
                                     "stores to",       "modifies",
                                     "yields",          "reads the clock",
                                     "starts a thread", "joins a thread",
                                     "waits for quiet", "waits until a thread sleeps",
                                     "stop token",      "waits for a stop callback",
                                     "operation",       "ends"};
    return names[static_cast<int>(a)];
}

std::string describe(const thread_state& t, bool runs) {
    if (t.done) return "ended";
    std::string text = *t.doing ? std::string(t.doing) + "; " : "";
    text += runs ? "runs, last step: " : "next step: ";
    text += name(t.next);
    if (t.on) text += std::string(" ") + t.on->kind() + std::to_string(t.on->number());
    if (t.next == action::lock && t.on) {
        const auto* const m = static_cast<const mutex*>(t.on);
        if (m->is_locked()) text += ", which thread " + std::to_string(m->owner()) + " holds";
    }
    if (t.next == action::wake) {
        text += t.notified ? ", notified" : ", not notified";
        text += t.until == clock::time_point::max() ? ", without a deadline" : ", with a deadline";
    }
    if (t.next == action::join) text += " (" + std::to_string(t.other) + ")";
    for (int i = 0; i < t.held_count; ++i) text += (i == 0 ? "; holds m" : ", m") + std::to_string(t.held[i]->number());
    return text;
}

}  // namespace

void report::clear() {
    failure_.clear();
    log_.clear();
}

void report::note(const char* format, ...) {
    const outside_of_model allocates;
    scheduler& s = scheduler::the;
    char line[256];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    char head[128];
    std::snprintf(head, sizeof head, "%5llu  thread %d  %-28s ", static_cast<unsigned long long>(s.steps()),
                  s.me().number, s.me().doing);
    log_ += head;
    log_ += line;
    log_ += '\n';
}

void report::set_failure(const std::string& complaint) {
    failure_ = complaint;
    scheduler& s = scheduler::the;
    for (const thread_state& t : s.threads())
        failure_ += "\n  thread " + std::to_string(t.number) + ": " + describe(t, &t == &s.me());
}

void fail(const std::string& complaint) {
    view.busy = true;
    scheduler& s = scheduler::the;
    if (!s.in_execution()) {
        std::fprintf(stderr, "outside of an execution: %s\n", complaint.c_str());
        std::abort();
    }
    s.reports().set_failure(complaint);
    scheduler::end_execution(scheduler::ending::failed);
}

}  // namespace model
