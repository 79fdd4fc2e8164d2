// Rejected with "sluice: .*a message of this type cannot leave the process: it is or holds a pointer": a reference is sent to another process.
#include <sluice/ipc.hpp>

#include <functional>

auto misuse(sluice::ipc::pipe& link) { return link.sender<std::reference_wrapper<int>>(); }
