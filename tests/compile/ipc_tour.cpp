// Both tours as a program.
#include "ipc_tour.hpp"

int main() {
    tour::processes();
    tour::everything();
}
