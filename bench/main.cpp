// Runs the benchmarks that the other source files add; ends with 1 if any of them received something wrong.
#include "harness.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

// Names and medians are enough to read; the file has everything.
class medians : public benchmark::ConsoleReporter {
public:
    medians() : ConsoleReporter(OO_None) {}
    bool ReportContext(const Context& context) override {
        const bool fine = ConsoleReporter::ReportContext(context);
        name_field_width_ = 55;
        return fine;
    }
    void ReportRuns(const std::vector<Run>& runs) override {
        std::vector<Run> shown;
        for (Run run : runs) {
            if (run.run_type == Run::RT_Aggregate ? run.aggregate_name != "median" : run.repetitions > 1) continue;
            auto& name = run.run_name;
            for (std::string* detail : {&name.min_time, &name.iterations, &name.repetitions, &name.time_type}) {
                detail->clear();
            }
            run.run_type = Run::RT_Iteration;  // for its plain name
            shown.push_back(run);
        }
        if (!shown.empty()) ConsoleReporter::ReportRuns(shown);
    }
};

}  // namespace

int main(int argc, char** argv) {
    bench::plan plan;
    const auto is_quick = [](std::string_view word) { return word == "--quick"; };
    const auto end = std::remove_if(argv + 1, argv + argc, is_quick);
    plan.quick = end != argv + argc;
    argc = static_cast<int>(end - argv);

    // The C library's locks are cheaper in a process that never had a second thread, and hardly any program sends to itself alone.
    std::thread([] {}).join();

    for (const bench::part::adder add : bench::part::all()) add(plan);
#ifdef SLUICE_BENCH_PEERS
    benchmark::AddCustomContext("peers", SLUICE_BENCH_PEERS);
#endif
#ifdef SLUICE_BENCH_COROUTINE_PEERS
    benchmark::AddCustomContext("coroutine_peers", SLUICE_BENCH_COROUTINE_PEERS);
#endif
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
    medians display;
    benchmark::RunSpecifiedBenchmarks(&display);
    return bench::wrong ? 1 : 0;
}
