// The verdict of an example program on its own run.
#pragma once

#include <cstdio>

namespace example {

// Prints what was checked and returns the exit status of the program: 0 if the claim holds, else 1.
[[nodiscard]] inline int checked(bool holds, const char* claim) {
    std::fprintf(holds ? stdout : stderr, "%s: %s\n", holds ? "checked" : "check failed", claim);
    return holds ? 0 : 1;
}

}  // namespace example
