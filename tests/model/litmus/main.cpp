// Runs the litmus tests. One that fails as it should is replayed too; one that passes must have been explored to the
// end.
#include <model/litmus/litmus.hpp>

#include <cstdio>
#include <string>

namespace model {

namespace {

// What is wrong with the explorer, or nothing.
std::string problem_of(const litmus& l) {
    settings how;
    how.limits = l.limits;
    const outcome found = explore(l.body, how);
    if (!*l.complaint)
        return found.failed     ? "it complains of what is right: " + found.complaint
               : found.finished ? ""
                                : "it was not explored to the end";
    if (!found.failed) return "it is passed";
    if (found.complaint.find(l.complaint) == std::string::npos)
        return "it complains of something else: " + found.complaint;
    if (replay(l.body, how, found.trace).complaint != found.complaint) return "the replay does not fail likewise";
    return "";
}

}  // namespace

}  // namespace model

int main() {
    int tests = 0, failed = 0;
    for (const auto list : {model::memory_orders, model::locks, model::faults, model::states, model::limits}) {
        for (const model::litmus& l : list()) {
            ++tests;
            const std::string problem = model::problem_of(l);
            if (problem.empty()) continue;
            ++failed;
            std::printf("FAILED: %s: %s\n", l.name, problem.c_str());
        }
    }
    std::printf("%d of %d litmus tests passed\n", tests - failed, tests);
    return failed > 0;
}
