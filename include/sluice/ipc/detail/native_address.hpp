// Addresses as system calls take them, and how those of a host are found.
#pragma once

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <netdb.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <sluice/ipc/address.hpp>
#include <sluice/ipc/detail/errors.hpp>

namespace sluice::ipc::detail {

// An address as system calls take it.
struct native_address {
    sockaddr_storage storage{};
    socklen_t size = 0;

    const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
    int family() const noexcept { return storage.ss_family; }
};

inline native_address native_file_address(const address& a) {
    native_address name;
    const std::string path = a.path();
    sockaddr_un un{};
    un.sun_family = AF_UNIX;
    if (path.size() >= sizeof un.sun_path) fail(ENAMETOOLONG, a.to_string());
    std::memcpy(un.sun_path, path.c_str(), path.size() + 1);
    std::memcpy(&name.storage, &un, sizeof un);
    name.size = sizeof un;
    return name;
}

// What looking up a host has found: addresses, or why there are none.
struct host_lookup {
    std::vector<native_address> addresses;
    int status = 0;  // of getaddrinfo()
    int error = 0;   // errno, for EAI_SYSTEM
};

// Asks the network unless the host is a number, or the flags say that it is; that takes half a minute where a name
// server does not answer.
inline host_lookup look_up_host(const std::string& host, std::uint16_t port, int flags) {
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV | flags;
    addrinfo* found = nullptr;
    host_lookup answer;
    answer.status = ::getaddrinfo(host.c_str(), std::to_string(unsigned{port}).c_str(), &hints, &found);
    answer.error = errno;
    if (answer.status != 0) return answer;
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, ::freeaddrinfo);
    for (const addrinfo* each = found; each; each = each->ai_next) {
        native_address& name = answer.addresses.emplace_back();
        std::memcpy(&name.storage, each->ai_addr, each->ai_addrlen);
        name.size = each->ai_addrlen;
    }
    return answer;
}

// Never empty; throws std::system_error.
inline std::vector<native_address> addresses_or_throw(host_lookup answer, const address& a) {
    const int status = answer.status;
    if (status != 0) fail(status == EAI_SYSTEM ? answer.error : ENXIO, a.to_string() + ": " + ::gai_strerror(status));
    return std::move(answer.addresses);
}

}  // namespace sluice::ipc::detail
