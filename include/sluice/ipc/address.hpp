// Where a listener can be found: unix_socket(name), tcp(host, port).
#pragma once

#if !defined(__linux__) && !defined(__APPLE__)
#error "sluice: sluice/ipc/address.hpp needs POSIX; it is tested on Linux"
#endif

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <sluice/ipc/detail/runtime_folder.hpp>

namespace sluice::ipc {

/// The address of a listener: the path of a socket file, or a host and a port. A value; its members do not block.
class address {
public:
    /// The kinds of address.
    enum class family : std::uint8_t {
        unix_socket,  ///< A socket file, within a machine.
        tcp,          ///< A host and a port.
    };

    /// As unix_socket() and tcp() make them: `where` is the path of a socket file, or a host.
    address(family kind, std::string where, std::uint16_t port = 0)
        : kind_(kind), where_(std::move(where)), port_(port) {}

    /// Which kind it is.
    family kind() const noexcept { return kind_; }
    /// The path of the socket file; empty for TCP.
    std::string path() const { return kind_ == family::unix_socket ? where_ : std::string(); }
    /// The host's name or number; empty for a socket file.
    std::string host() const { return kind_ == family::tcp ? where_ : std::string(); }
    /// The port; 0 for a socket file.
    std::uint16_t port() const noexcept { return port_; }
    /// For people: "unix:PATH" or "tcp:HOST:PORT".
    std::string to_string() const {
        if (kind_ == family::unix_socket) return "unix:" + where_;
        const bool bare = where_.find(':') == std::string::npos;
        return "tcp:" + (bare ? where_ : "[" + where_ + "]") + ":" + std::to_string(unsigned{port_});
    }

    /// Equal if kind, path or host, and port are.
    friend bool operator==(const address&, const address&) = default;

private:
    family kind_;
    std::string where_;
    std::uint16_t port_;
};

/// The address of a socket file. A name without a slash lies in the user's runtime folder: `$XDG_RUNTIME_DIR`, or a
/// folder of the user in `$TMPDIR` or `/tmp`, which is made if it is not there. A name with a slash is a path.
///
/// Does not block, but for the file system. Throws std::system_error, which says what to change, if that folder
/// belongs to another user, is open to others, or is a link. May be called from any thread, as getenv() may.
inline address unix_socket(std::string_view name) {
    std::string path(name);
    if (path.find('/') == std::string::npos) path = detail::runtime_folder() + "/" + path;
    return {address::family::unix_socket, std::move(path)};
}

/// The address of a TCP port, of this or another machine. With port 0 the system chooses one for a listener, whose
/// address() says which. Does not block: the host is looked up by connect() and by the constructor of a listener.
///
/// What is sent is neither encrypted, nor is it checked who sends it: keep to the loopback interface, or to a network
/// that you trust.
inline address tcp(std::string_view host, std::uint16_t port) {
    return {address::family::tcp, std::string(host), port};
}

}  // namespace sluice::ipc
