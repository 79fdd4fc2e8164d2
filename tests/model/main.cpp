// Runs the models: explores them all, or those asked for, and says how many schedules that took.
#include <model/models.hpp>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>

namespace {

void usage() {
    std::fputs(
        "Usage: sluice_models [--filter TEXT]... [--shard I/N] [--list] [OPTION...]\n"
        "  --filter TEXT        only models whose name contains TEXT; may be given several times\n"
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
        "  --verbose            a line for each model\n"
        "  --quiet              of a failure only the complaint\n",
        stderr);
}

struct options {
    std::vector<std::string> filters;
    std::size_t shard = 0, shards = 1;
    bool list = false, verbose = false, quiet = false;
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

bool selected(const options& o, const std::string& name) {
    for (const std::string& f : o.filters) {
        if (name.find(f) != std::string::npos) return true;
    }
    return o.filters.empty();
}

}  // namespace

int main(int argc, char** argv) {
    options o;
    if (!parse(argc, argv, o)) {
        usage();
        return 2;
    }

    std::uint64_t executions = 0, pruned = 0, states = 0, steps = 0;
    std::size_t ran = 0, unfinished = 0, position = 0;
    // Of this program alone: what else the machine does is no matter.
    const auto begun = std::clock();
    const auto elapsed = [](std::clock_t since) { return static_cast<double>(std::clock() - since) / CLOCKS_PER_SEC; };
    for (const model::program& p : model::programs()) {
        if (!selected(o, p.name) || position++ % o.shards != o.shard) continue;
        if (o.list) {
            std::printf("%s: %s\n", p.name.c_str(), p.property.c_str());
            continue;
        }
        model::settings how = o.how;
        how.limits = p.limits;
        for (const knob& k : knobs) {
            if (o.given.*k.limit >= 0) how.limits.*k.limit = o.given.*k.limit;
        }
        if (o.replay) {
            const model::outcome r = model::replay(p.body, how, o.trace);
            std::printf("%s\n%s\n", p.name.c_str(), r.report.c_str());
            return r.failed ? 1 : 0;
        }
        const auto since = std::clock();
        const model::outcome r = model::explore(p.body, how);
        ++ran;
        executions += r.executions;
        pruned += r.pruned;
        states += r.states;
        steps += r.steps;
        if (!r.finished) ++unfinished;
        if (o.verbose) {
            std::printf("%-60s %9llu schedules, %9llu broken off, %9llu states, %6.2f s%s\n", p.name.c_str(),
                        static_cast<unsigned long long>(r.executions), static_cast<unsigned long long>(r.pruned),
                        static_cast<unsigned long long>(r.states), elapsed(since), r.finished ? "" : ", not all");
            std::fflush(stdout);
        }
        if (r.failed && o.quiet) {
            std::printf("FAILED: %s\nComplaint: %s\n", p.name.c_str(), r.complaint.c_str());
            return 1;
        }
        if (r.failed) {
            std::printf("\nFAILED: %s\nIt must hold: %s\n%s\n\nTo see it again: %s --filter '%s' --replay %s",
                        p.name.c_str(), p.property.c_str(), r.report.c_str(), argv[0], p.name.c_str(), r.trace.c_str());
            for (int i = 1; i < argc; ++i) {
                if (std::strcmp(argv[i], "--filter") == 0 || std::strcmp(argv[i], "--shard") == 0) {
                    ++i;
                } else {
                    std::printf(" %s", argv[i]);
                }
            }
            std::printf("\n");
            return 1;
        }
    }
    if (o.list) return 0;
    std::printf(
        "%zu models passed: %llu schedules to the end and %llu broken off as known, %llu states, %llu steps, %.1f s",
        ran, static_cast<unsigned long long>(executions), static_cast<unsigned long long>(pruned),
        static_cast<unsigned long long>(states), static_cast<unsigned long long>(steps), elapsed(begun));
    if (unfinished > 0) std::printf("; %zu not explored to the end", unfinished);
    std::printf("\n");
    return ran > 0 ? 0 : 2;
}
