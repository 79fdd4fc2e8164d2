// Rejected with "sluice: .*a message of this type cannot leave the process: it is or holds a pointer": an array of pointers is sent to another process, where they point to nothing.
#include <sluice/ipc.hpp>

#include <array>

auto misuse(sluice::ipc::pipe& link) { return link.sender<std::array<const char*, 2>>(); }
