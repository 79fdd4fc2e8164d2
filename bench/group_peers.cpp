// The round trip through a group of select.cpp in other languages, where they are installed: each is a program that
// times itself.
#include "harness.hpp"

#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <string>
#include <utility>

#include <stdio.h>  // popen

namespace bench {
namespace {

double seconds_of_program(const char* program, number width, number messages) {
    const std::string command =
        '"' + std::string(program) + "\" " + std::to_string(width) + ' ' + std::to_string(messages);
    std::FILE* const output = ::popen(command.c_str(), "r");
    double seconds = 0;
    const bool read = output && std::fscanf(output, "%lf", &seconds) == 1;
    if (!read || ::pclose(output) != 0) {
        std::fprintf(stderr, "%s failed\n", command.c_str());
        std::exit(EXIT_FAILURE);
    }
    return seconds;
}

const part groups([](const plan& p) {
    const effort how{.repetitions = p.few_repetitions(), .seconds = p.seconds()};
    for (const auto& [name, program] : std::initializer_list<std::pair<const char*, const char*>> {
#if defined(SLUICE_BENCH_GROUP_GO)
             {"Go", SLUICE_BENCH_GROUP_GO},
#endif
#if defined(SLUICE_BENCH_GROUP_CROSSBEAM)
                 {"crossbeam", SLUICE_BENCH_GROUP_CROSSBEAM},
#endif
         }) {
        for (const number width : {1, 10, 100, 1000, 10'000}) {
            add_timed("group round trip", std::to_string(width), name, how,
                      [program = program, width](benchmark::State&, number messages) {
                          return seconds_of_program(program, width, messages);
                      });
        }
    }
});

}  // namespace
}  // namespace bench
