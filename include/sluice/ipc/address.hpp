// Where a listener can be found: unix_socket(name), tcp(host, port).
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <sluice/ipc/detail/descriptor.hpp>

namespace sluice::ipc {

/// The address of a listener: a path, or a host and a port.
class address {
public:
    enum class family : std::uint8_t { unix_socket, tcp };

    address(family kind, std::string where, std::uint16_t port = 0)
        : kind_(kind), where_(std::move(where)), port_(port) {}

    family kind() const noexcept { return kind_; }
    /// The path of the socket file; empty for TCP.
    std::string path() const { return kind_ == family::unix_socket ? where_ : std::string(); }
    std::string host() const { return kind_ == family::tcp ? where_ : std::string(); }
    std::uint16_t port() const noexcept { return port_; }
    /// For people: "unix:PATH" or "tcp:HOST:PORT".
    std::string to_string() const {
        if (kind_ == family::unix_socket) return "unix:" + where_;
        const bool bare = where_.find(':') == std::string::npos;
        return "tcp:" + (bare ? where_ : "[" + where_ + "]") + ":" + std::to_string(unsigned{port_});
    }

    friend bool operator==(const address&, const address&) = default;

private:
    family kind_;
    std::string where_;
    std::uint16_t port_;
};

namespace detail {

// The folder of this user for sockets: the system's, or one of our own making, which belongs to the user alone.
inline std::string runtime_folder() {
    if (const char* const given = std::getenv("XDG_RUNTIME_DIR"); given && *given) return given;
    const char* const temporary = std::getenv("TMPDIR");
    std::string folder = temporary && *temporary ? temporary : P_tmpdir;
    folder += "/sluice-" + std::to_string(::getuid());
    if (::mkdir(folder.c_str(), S_IRWXU) != 0 && errno != EEXIST) fail(errno, folder);
    struct stat found {};
    if (::lstat(folder.c_str(), &found) != 0) fail(errno, folder);
    if (!S_ISDIR(found.st_mode) || found.st_uid != ::getuid() || (found.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        fail(EPERM, folder);
    return folder;
}

// An address as the system's calls take it.
struct socket_name {
    sockaddr_storage storage{};
    socklen_t size = 0;

    const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
    int family() const noexcept { return storage.ss_family; }
};

// Never empty. Asks the network for the name of a host, which may take its time.
inline std::vector<socket_name> resolve(const address& a) {
    if (a.kind() == address::family::unix_socket) {
        socket_name name;
        const std::string path = a.path();
        sockaddr_un un{};
        un.sun_family = AF_UNIX;
        if (path.size() >= sizeof un.sun_path) fail(ENAMETOOLONG, a.to_string());
        std::memcpy(un.sun_path, path.c_str(), path.size() + 1);
        std::memcpy(&name.storage, &un, sizeof un);
        name.size = sizeof un;
        return {name};
    }
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV;
    addrinfo* found = nullptr;
    const std::string host = a.host();
    const int outcome = ::getaddrinfo(host.c_str(), std::to_string(unsigned{a.port()}).c_str(), &hints, &found);
    if (outcome != 0) fail(outcome == EAI_SYSTEM ? errno : ENXIO, a.to_string() + ": " + ::gai_strerror(outcome));
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, ::freeaddrinfo);
    std::vector<socket_name> names;
    for (const addrinfo* each = found; each; each = each->ai_next) {
        socket_name& name = names.emplace_back();
        std::memcpy(&name.storage, each->ai_addr, each->ai_addrlen);
        name.size = each->ai_addrlen;
    }
    return names;
}

}  // namespace detail

/// A socket file. A name without a slash lives in the user's runtime folder (`$XDG_RUNTIME_DIR`, or else a folder of
/// the user's own among the temporary files); one with a slash is a path.
inline address unix_socket(std::string_view name) {
    std::string path(name);
    if (path.find('/') == std::string::npos) path = detail::runtime_folder() + "/" + path;
    return {address::family::unix_socket, std::move(path)};
}

/// A TCP port of this or another machine; port 0 has the system choose one, then listener::address() tells which. What
/// is sent is neither encrypted nor is it checked who sends it: keep to the loopback interface, or to a network that
/// you trust.
inline address tcp(std::string_view host, std::uint16_t port) {
    return {address::family::tcp, std::string(host), port};
}

}  // namespace sluice::ipc
