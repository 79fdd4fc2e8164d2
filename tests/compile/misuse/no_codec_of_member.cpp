// Rejected with "sluice: .*a message of this type cannot leave the process: it is or holds a pointer": a class is sent to another process that has pointers in it.
#include <sluice/ipc.hpp>

struct names {
    int count;
    const char* all[4];
};

auto misuse(sluice::ipc::pipe& link) { return link.sender<names>(); }
