// Litmus tests of the explorer itself: small programs with a fault of each kind, which it must find and name, and
// programs that are right, which it must pass.
#pragma once

#include <model/explorer/explorer.hpp>

#include <functional>
#include <vector>

namespace model {

struct litmus {
    const char* name;
    const char* complaint;  // a part of what must be said; "": nothing
    std::function<void()> body;
    budgets limits{};
};

inline budgets with(int budgets::*which, int value) {
    budgets b;
    b.*which = value;
    return b;
}

// Each is the file of that name.
std::vector<litmus> memory_orders();
std::vector<litmus> locks();
std::vector<litmus> faults();
std::vector<litmus> limits();
std::vector<litmus> states();

}  // namespace model
