// Runs the models: explores them all, or those asked for, and says how many schedules that took.
#include <model/models.hpp>

#include <sluice/result.hpp>

#include <sluice/ipc/error.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

namespace {

void usage() {
    std::fputs(
        "Usage: sluice_models [--filter TEXT]... [--shard I/N] [--list] [OPTION...]\n"
        "  --filter TEXT        only models whose name contains TEXT, or ends with it if it ends with $; may be given "
        "several "
        "times\n"
        "  --without TEXT       but not these\n"
        "  --shard I/N          only every Nth model, from the Ith\n"
        "  --list               names and properties\n"
        "  --replay TRACE       one schedule, step by step (with a --filter that names one model, and the options of "
        "the failure)\n"
        "  --strict             operations are ordered by when they ran, not only by what the program could tell\n"
        "  --preemptions N, --stale N, --spurious N, --try-lock N, --ticks N, --faults N, --detours N\n"
        "                       how often a schedule may do something unlikely; otherwise what the model says\n"
        "  --random, --pct      random schedules, or probabilistic concurrency testing, instead of all\n"
        "  --seed N, --seconds S, --executions N\n"
        "                       of CPU time for each model; it then counts as passed even if it was not explored to "
        "the end\n"
        "  --deepen             first all models without preemptions, then with one, and so on: for the shortest "
        "failure\n"
        "  --keep-going         after a failure go on with the next model\n"
        "  --verbose            a line for each model\n"
        "  --quiet              of a failure only the complaint\n",
        stderr);
}

struct options {
    std::vector<std::string> filters, exceptions;
    std::size_t shard = 0, shards = 1;
    bool list = false, verbose = false, quiet = false, deepen = false, keep_going = false;
    std::string trace;
    bool replay = false;
    model::settings how;
    model::budgets given{-1, -1, -1, -1, -1, -1, -1};
};

// Each budget has an option.
struct knob {
    const char* option;
    int model::budgets::*limit;
};
constexpr knob knobs[] = {
    {"--preemptions", &model::budgets::preemptions},
    {"--stale", &model::budgets::stale_reads},
    {"--spurious", &model::budgets::spurious_wakeups},
    {"--try-lock", &model::budgets::failing_try_locks},
    {"--ticks", &model::budgets::ticks},
    {"--faults", &model::budgets::faults},
    {"--detours", &model::budgets::detours},
};

bool parse_switch(const std::string& option, options& o) {
    if (option == "--list") return o.list = true;
    if (option == "--verbose") return o.verbose = true;
    if (option == "--quiet") return o.quiet = true;
    if (option == "--keep-going") return o.keep_going = true;
    if (option == "--deepen") return o.deepen = true;
    if (option == "--strict") return o.how.strict = true;
    if (option == "--random") return o.how.how = model::strategy::random, true;
    if (option == "--pct") return o.how.how = model::strategy::pct, true;
    return false;
}

bool parse_value(const std::string& option, const char* value, options& o) {
    for (const knob& k : knobs) {
        if (option == k.option) return o.given.*k.limit = std::atoi(value), true;
    }
    if (option == "--filter") return o.filters.emplace_back(value), true;
    if (option == "--without") return o.exceptions.emplace_back(value), true;
    if (option == "--replay") return o.trace = value, o.replay = true;
    if (option == "--seed") return o.how.seed = std::strtoull(value, nullptr, 10), true;
    if (option == "--seconds") return o.how.seconds = std::atof(value), true;
    if (option == "--executions") return o.how.executions = std::strtoull(value, nullptr, 10), true;
    if (option == "--shard") {
        return std::sscanf(value, "%zu/%zu", &o.shard, &o.shards) == 2 && o.shard < o.shards;
    }
    return false;
}

bool parse(int argc, char** argv, options& o) {
    for (int i = 1; i < argc; ++i) {
        if (parse_switch(argv[i], o)) continue;
        if (i + 1 == argc || !parse_value(argv[i], argv[i + 1], o)) return false;
        ++i;
    }
    return true;
}

bool matches_any(const std::string& name, const std::vector<std::string>& texts) {
    return std::any_of(texts.begin(), texts.end(), [&name](const std::string& t) {
        return t.ends_with('$') ? name.ends_with(t.substr(0, t.size() - 1)) : name.find(t) != std::string::npos;
    });
}

bool selected(const options& o, const std::string& name) {
    return (o.filters.empty() || matches_any(name, o.filters)) && !matches_any(name, o.exceptions);
}

std::vector<const model::program*> chosen_by(const options& o) {
    std::vector<const model::program*> chosen;
    std::size_t position = 0;
    for (const model::program& p : model::programs()) {
        if (selected(o, p.name) && position++ % o.shards == o.shard) chosen.push_back(&p);
    }
    return chosen;
}

model::settings settings_of(const options& o, const model::program& p) {
    model::settings how = o.how;
    how.limits = p.limits;
    for (const knob& k : knobs) {
        if (o.given.*k.limit >= 0) how.limits.*k.limit = o.given.*k.limit;
    }
    return how;
}

struct totals {
    std::uint64_t models = 0, failed = 0, executions = 0, pruned = 0, states = 0, steps = 0, unfinished = 0;
};

// Of this program alone: what else the machine does is no matter.
double seconds_since(std::clock_t then) { return static_cast<double>(std::clock() - then) / CLOCKS_PER_SEC; }

void tell_failure(const model::program& p, const model::settings& how, const model::outcome& r, char** arguments) {
    std::printf("\nFAILED: %s\nIt must hold: %s\n%s\n\nTo see it again: %s --filter '%s$' --replay %s", p.name.c_str(),
                p.property.c_str(), r.report.c_str(), arguments[0], p.name.c_str(), r.trace.c_str());
    while (const char* const a = *++arguments) {
        if (std::strcmp(a, "--filter") == 0 || std::strcmp(a, "--without") == 0 || std::strcmp(a, "--shard") == 0) {
            ++arguments;
        } else if (std::strcmp(a, "--deepen") != 0) {
            std::printf(" %s", a);
        }
    }
    std::printf(" --preemptions %d\n", how.limits.preemptions);
}

// False if it has failed and that is the end.
bool run_model(const model::program& p, const model::settings& how, const options& o, char** arguments, totals& sum) {
    const auto since = std::clock();
    const model::outcome r = model::explore(p.body, how);
    ++sum.models;
    sum.executions += r.executions;
    sum.pruned += r.pruned;
    sum.states += r.states;
    sum.steps += r.steps;
    if (!r.finished) ++sum.unfinished;
    if (o.verbose) {
        std::printf("%-60s %9llu schedules, %9llu broken off, %9llu states, %6.2f s%s\n", p.name.c_str(),
                    static_cast<unsigned long long>(r.executions), static_cast<unsigned long long>(r.pruned),
                    static_cast<unsigned long long>(r.states), seconds_since(since), r.finished ? "" : ", not all");
        std::fflush(stdout);
    }
    if (!r.failed) return true;
    ++sum.failed;
    if (o.quiet) {
        std::printf("FAILED: %s\nComplaint: %s\n", p.name.c_str(), r.complaint.c_str());
    } else {
        tell_failure(p, how, r, arguments);
    }
    std::fflush(stdout);
    return o.keep_going;
}

// False when one has failed.
bool run_models(const std::vector<const model::program*>& chosen, const options& o, char** arguments, totals& sum) {
    bool deeper = o.deepen;
    for (int bound = 0; deeper; ++bound) {
        deeper = false;
        for (const model::program* const p : chosen) {
            model::settings how = settings_of(o, *p);
            if (how.limits.preemptions <= bound) continue;
            deeper = true;
            how.limits.preemptions = bound;
            totals not_counted;
            if (!run_model(*p, how, o, arguments, not_counted)) return false;
        }
    }
    for (const model::program* const p : chosen) {
        if (!run_model(*p, settings_of(o, *p), o, arguments, sum)) return false;
    }
    return true;
}

}  // namespace

int main(int argc, char** argv) {
    options o;
    if (!parse(argc, argv, o)) {
        usage();
        return 2;
    }
    const std::vector<const model::program*> chosen = chosen_by(o);
    if (chosen.empty()) {
        std::fputs("no model has such a name\n", stderr);
        return 2;
    }
    if (o.list) {
        for (const model::program* const p : chosen) std::printf("%s: %s\n", p->name.c_str(), p->property.c_str());
        return 0;
    }
    if (o.replay && !o.filters.empty()) {
        const model::program& p = *chosen[0];
        const model::outcome r = model::replay(p.body, settings_of(o, p), o.trace);
        std::printf("%s\n%s\n", p.name.c_str(), r.report.c_str());
        return r.failed ? 1 : 0;
    }

    // What is made once and never freed is made here, or the first model to make it would seem to leak it.
    (void)sluice::category();
    (void)sluice::ipc::category();

    const auto begun = std::clock();
    totals sum;
    if (!run_models(chosen, o, argv, sum)) return 1;
    if (sum.failed > 0) {
        std::printf("%llu of %llu models failed\n", static_cast<unsigned long long>(sum.failed),
                    static_cast<unsigned long long>(sum.models));
        return 1;
    }
    std::printf(
        "%llu models passed: %llu schedules to the end and %llu broken off as known, %llu states, %llu steps, %.1f s",
        static_cast<unsigned long long>(sum.models), static_cast<unsigned long long>(sum.executions),
        static_cast<unsigned long long>(sum.pruned), static_cast<unsigned long long>(sum.states),
        static_cast<unsigned long long>(sum.steps), seconds_since(begun));
    if (sum.unfinished > 0) {
        std::printf("; %llu not explored to the end", static_cast<unsigned long long>(sum.unfinished));
    }
    std::printf("\n");
    return 0;
}
