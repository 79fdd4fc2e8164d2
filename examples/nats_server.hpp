// A nats-server of an example's own: on loopback, on a free port, with a storage folder that goes with it.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <system_error>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace example {

class nats_server {
public:
    nats_server() {
        std::string name = std::filesystem::temp_directory_path() / "sluice-example-XXXXXX";
        if (!::mkdtemp(name.data())) throw std::runtime_error("no folder for the server");
        folder_ = name;
        const std::string port = std::to_string(port_ = free_port()), store = folder_ + "/store",
                          log = folder_ + "/log";
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
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }

    std::string url() const { return "nats://127.0.0.1:" + std::to_string(port_); }

private:
    static int free_port() {
        const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in name{};
        name.sin_family = AF_INET;
        name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof name;
        const bool found = ::bind(fd, reinterpret_cast<const sockaddr*>(&name), size) == 0 &&
                           ::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size) == 0;
        ::close(fd);
        if (!found) throw std::runtime_error("no free port for the server");
        return ntohs(name.sin_port);
    }

    std::string folder_;
    int port_ = 0;
    pid_t id_ = 0;
};

}  // namespace example
