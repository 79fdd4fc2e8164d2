// Rejected with "sluice: .*must not be a reference": a handle on a channel of references.
#include <sluice/sluice.hpp>

int main() {
    sluice::sender<int&> tx;
    return tx ? 1 : 0;
}
