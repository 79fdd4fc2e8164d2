// Rejected with "sluice: .*at most one otherwise": a select with two ways out when nothing is ready.
#include <sluice/sluice.hpp>

int main() {
    (void)sluice::select(sluice::otherwise([] {}), sluice::otherwise([] {}));
}
