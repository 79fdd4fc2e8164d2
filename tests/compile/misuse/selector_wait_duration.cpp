// Rejected with "sluice: .*there is wait_timeout": a wait for a duration.
#include <sluice/sluice.hpp>

#include <chrono>

int main() {
    sluice::selector group;
    (void)group.wait(std::chrono::seconds(1));
}
