// A nats-server of an example's own: on loopback, on a free port, with a storage folder that goes with it.
#pragma once

#include "own_folder.hpp"

#include <stdexcept>
#include <string>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace example {

// A port of loopback that is free now.
inline int free_port() {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof name;
    const bool found = ::bind(fd, reinterpret_cast<const sockaddr*>(&name), size) == 0 &&
                       ::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size) == 0;
    ::close(fd);
    if (!found) throw std::runtime_error("no free port of loopback");
    return ntohs(name.sin_port);
}

class nats_server {
public:
    nats_server() {
        const std::string port = std::to_string(port_), store = folder_.path() + "/store",
                          log = folder_.path() + "/log";
        id_ = ::fork();
        if (id_ == 0) {
            for (const char* program : {"nats-server", "/usr/sbin/nats-server"}) {
                ::execlp(program, "nats-server", "-a", "127.0.0.1", "-p", port.c_str(), "-js", "-sd", store.c_str(),
                         "-l", log.c_str(), static_cast<char*>(nullptr));
            }
            ::_exit(127);
        }
    }
    nats_server(const nats_server&) = delete;
    ~nats_server() {
        ::kill(id_, SIGTERM);
        ::waitpid(id_, nullptr, 0);
    }

    std::string url() const { return "nats://127.0.0.1:" + std::to_string(port_); }

private:
    const own_folder folder_;
    const int port_ = free_port();
    pid_t id_ = 0;
};

}  // namespace example
