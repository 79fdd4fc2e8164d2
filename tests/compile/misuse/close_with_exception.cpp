// Rejected with "sluice: close takes nothing, or the cause as a std::exception_ptr": an exception itself.
#include <sluice/sluice.hpp>

#include <stdexcept>

int main() {
    auto [tx, rx] = sluice::unbounded<int>();
    tx.close(std::runtime_error("the disk is full"));
}
