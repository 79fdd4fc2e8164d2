// Instantiates what there is to warn about.
#include "../../compile/ipc_tour.hpp"

#include <cstdio>

int main() {
    tour::processes();
    tour::everything();
    std::puts("no warnings");
}
