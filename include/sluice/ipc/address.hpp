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

// Throws, with what to do about it, unless the folder is this user's, closed to others, and no link to somewhere else.
inline void check_private_folder(const std::string& folder, const std::string& remedy) {
    struct stat found {};
    if (::lstat(folder.c_str(), &found) != 0) fail(errno, folder + ": " + remedy);
    if (S_ISLNK(found.st_mode)) fail(ENOTDIR, folder + ": it is a link: " + remedy);
    if (!S_ISDIR(found.st_mode)) fail(ENOTDIR, folder + ": it is no folder: " + remedy);
    if (const std::string why = shared_with_others(found); !why.empty())
        fail(EPERM, folder + ": " + why + ": " + remedy);
}

// The folder of this user for sockets: the system's, or one of our own making, which belongs to the user alone.
inline std::string runtime_folder() {
    const auto variable = [](const char* name) {
        const char* const value = std::getenv(name);
        std::string path = value ? value : "";
        while (path.size() > 1 && path.ends_with('/')) path.pop_back();  // behind a slash a link is followed
        return path;
    };
    std::string folder = variable("XDG_RUNTIME_DIR");
    if (!folder.empty()) {
        check_private_folder(
            folder, "set XDG_RUNTIME_DIR to a folder of this user alone, or unset it, or give a path to the socket");
        return folder;
    }
    folder = variable("TMPDIR");
    if (folder.empty()) folder = P_tmpdir;
    folder += "/sluice-" + std::to_string(::geteuid());
    const std::string remedy = "remove it, or set XDG_RUNTIME_DIR to a folder of this user alone";
    if (::mkdir(folder.c_str(), S_IRWXU) != 0 && errno != EEXIST)
        fail(errno, folder + ": set XDG_RUNTIME_DIR to a folder of this user alone");
    check_private_folder(folder, remedy);
    return folder;
}

// An address as the system's calls take it.
struct socket_name {
    sockaddr_storage storage{};
    socklen_t size = 0;

    const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
    int family() const noexcept { return storage.ss_family; }
};

inline socket_name name_of_file(const address& a) {
    socket_name name;
    const std::string path = a.path();
    sockaddr_un un{};
    un.sun_family = AF_UNIX;
    if (path.size() >= sizeof un.sun_path) fail(ENAMETOOLONG, a.to_string());
    std::memcpy(un.sun_path, path.c_str(), path.size() + 1);
    std::memcpy(&name.storage, &un, sizeof un);
    name.size = sizeof un;
    return name;
}

// What asking for a host has led to: names, or the reason why there are none.
struct names_of_host {
    std::vector<socket_name> names;
    int outcome = 0;  // of getaddrinfo()
    int error = 0;    // errno, where that says so
};

// Asks the network, unless the host is a number, or the flags say that it is. May take its time then: half a minute
// where a name server does not answer.
inline names_of_host ask_for_host(const std::string& host, std::uint16_t port, int flags) {
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV | flags;
    addrinfo* found = nullptr;
    names_of_host answer;
    answer.outcome = ::getaddrinfo(host.c_str(), std::to_string(unsigned{port}).c_str(), &hints, &found);
    answer.error = errno;
    if (answer.outcome != 0) return answer;
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, ::freeaddrinfo);
    for (const addrinfo* each = found; each; each = each->ai_next) {
        socket_name& name = answer.names.emplace_back();
        std::memcpy(&name.storage, each->ai_addr, each->ai_addrlen);
        name.size = each->ai_addrlen;
    }
    return answer;
}

// Never empty.
inline std::vector<socket_name> names_in(names_of_host answer, const address& a) {
    const int outcome = answer.outcome;
    if (outcome != 0)
        fail(outcome == EAI_SYSTEM ? answer.error : ENXIO, a.to_string() + ": " + ::gai_strerror(outcome));
    return std::move(answer.names);
}

// Never empty. Blocks for as long as the network takes.
inline std::vector<socket_name> resolve(const address& a) {
    if (a.kind() == address::family::unix_socket) return {name_of_file(a)};
    return names_in(ask_for_host(a.host(), a.port(), 0), a);
}

}  // namespace detail

/// A socket file. A name without a slash lives in the user's runtime folder (`$XDG_RUNTIME_DIR`, or else a folder of
/// the user's own among the temporary files, which it makes); one with a slash is a path. Throws std::system_error that
/// says what to change if that folder belongs to another user, is open to others, or is a link. Does not block; safe to
/// call from any thread, as far as getenv() is.
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
