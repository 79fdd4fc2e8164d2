// Rejected with "sluice: .*a message of this type cannot leave the process": a type that nobody can encode is sent to another one.
#include <sluice/ipc.hpp>

#include <map>

auto misuse(sluice::ipc::pipe& link) { return link.sender<std::map<int, int>>(); }
