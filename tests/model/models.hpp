// The list of models: each a program, what it must keep to, and how thoroughly it is explored.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <model/history.hpp>
#include <model/message.hpp>
#include <model/explorer/control.hpp>
#include <model/explorer/explorer.hpp>
#include <model/explorer/mutex.hpp>

namespace model {

struct program {
    std::string name;
    std::string property;
    std::function<void()> body;
    budgets limits;
};

inline std::vector<program>& programs() {
    static std::vector<program> all;
    return all;
}

// Each file of models adds its own before main. The body runs in the first thread. What it has written down is checked
// at its end.
inline void add(std::string name, std::string property, budgets limits, std::function<void()> body) {
    // One that may find old values may find them after a deadline as well: no clock tells anything of memory.
    const bool timed = limits.stale_reads == 0 && limits.ticks > 0;
    programs().push_back({std::move(name), std::move(property),
                          [body = std::move(body), timed] {
                              history.clear();
                              messages.clear();
                              messages.moves_throw = false;
                              several_cpus = false;
                              time_matters = timed;
                              body();
                              history.check();
                              messages.check();
                          },
                          limits});
}

}  // namespace model
