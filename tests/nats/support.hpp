// What the tests over NATS have in common: servers of their own, on free ports of loopback.
#pragma once

#include "../../examples/nats_server.hpp"
#include "../ipc/support.hpp"

#include <sluice/nats.hpp>
#include <sluice/sluice.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace test {

using namespace std::chrono_literals;
namespace nats = sluice::nats;
using example::free_port;

/// A connected socket of loopback, for who speaks the protocol by itself.
class plain_socket {
public:
    explicit plain_socket(int port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(static_cast<std::uint16_t>(port));
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        connected_ = ::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
    }
    plain_socket(const plain_socket&) = delete;
    ~plain_socket() { ::close(fd_); }

    bool is_connected() const { return connected_; }
    void write(const std::string& text) {
        REQUIRE(::send(fd_, text.data(), text.size(), MSG_NOSIGNAL) == ssize_t(text.size()));
    }
    /// The next line, without its end; what there is of it if it takes too long.
    std::string line() {
        std::string text;
        for (char c = 0; readable() && ::recv(fd_, &c, 1, 0) == 1 && c != '\n';) text += c;
        if (text.ends_with('\r')) text.pop_back();
        return text;
    }
    /// Reads lines until one begins so.
    std::string line_with(const std::string& begin) {
        for (;;) {
            const std::string text = line();
            if (text.starts_with(begin) || text.empty()) return text;
        }
    }

private:
    bool readable() const {
        pollfd p{fd_, POLLIN, 0};
        return ::poll(&p, 1, static_cast<int>(std::chrono::milliseconds(patience).count())) == 1;
    }
    int fd_;
    bool connected_;
};

/// A nats-server with JetStream, and a storage folder of its own, which outlives its runs and goes with this object.
class server {
public:
    explicit server(std::vector<std::string> more = {}, int port = free_port()) : port_(port), more_(std::move(more)) {
        start();
    }
    server(const server&) = delete;
    ~server() { kill(); }

    int port() const { return port_; }
    std::string url() const { return "nats://127.0.0.1:" + std::to_string(port_); }
    std::string url(const std::string& who) const { return "nats://" + who + "@127.0.0.1:" + std::to_string(port_); }
    const std::string& folder() const { return folder_.path(); }

    /// Starts it, again on the same port, and waits until it takes connections. It ends with the thread that does so.
    void start() {
        std::vector<std::string> words{
            SLUICE_NATS_SERVER,  "-a", "127.0.0.1",      "-p", std::to_string(port_), "-js", "-sd",
            folder() + "/store", "-l", folder() + "/log"};
        words.insert(words.end(), more_.begin(), more_.end());
        std::vector<char*> pointers;
        for (std::string& w : words) pointers.push_back(w.data());
        pointers.push_back(nullptr);
        id_ = ::fork();
        if (id_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that is given up takes it along
            ::execv(pointers[0], pointers.data());
            ::_exit(127);
        }
        REQUIRE(id_ > 0);
        REQUIRE(eventually([this] { return plain_socket(port_).is_connected(); }));
    }
    /// Ends it at once, as a machine that fails.
    void kill() { end(SIGKILL); }
    /// Has it end in order.
    void stop() { end(SIGTERM); }
    void freeze() { ::kill(id_, SIGSTOP); }
    void thaw() { ::kill(id_, SIGCONT); }

private:
    void end(int signal) {
        if (id_ <= 0) return;
        ::kill(id_, signal);
        ::kill(id_, SIGCONT);
        ::waitpid(id_, nullptr, 0);
        id_ = 0;
    }

    pid_t id_ = 0;
    const int port_;
    const std::vector<std::string> more_;
    const example::own_folder folder_;
};

inline std::ptrdiff_t threads() { return holdings().threads; }
inline std::ptrdiff_t descriptors() { return holdings().descriptors; }

/// Whether no connection of this process is left: each has a thread of that name, which is its last.
inline bool no_connections() {
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
        std::ifstream file(task.path() / "comm");
        std::string name;
        if (std::getline(file, name) && name.starts_with("sluice-")) return false;
    }
    return true;
}

/// A file with this text, for as long as the object lives.
class text_file {
public:
    explicit text_file(const std::string& text) : name_(std::filesystem::temp_directory_path() / "sluice-nats-XXXXXX") {
        const int fd = ::mkstemp(name_.data());
        REQUIRE(fd >= 0);
        const bool written = ::write(fd, text.data(), text.size()) == ssize_t(text.size());
        ::close(fd);
        REQUIRE(written);
    }
    text_file(const text_file&) = delete;
    ~text_file() { ::unlink(name_.c_str()); }
    const std::string& name() const { return name_; }

private:
    std::string name_;
};

/// What the exception that `f` throws says; empty if it throws none.
template <class F>
std::string words_of(F&& f) {
    try {
        f();
    } catch (const std::system_error& e) {
        return e.what();
    }
    return {};
}

/// What the channel of a handle was closed with, in words.
template <class Handle>
std::string reason_of(const Handle& h) {
    const std::exception_ptr cause = h.close_cause();
    return cause ? words_of([&] { std::rethrow_exception(cause); }) : std::string();
}

/// A connection whose options suit tests.
inline nats::connection connect(const server& to, nats::connection_options chosen = {}) {
    chosen.reconnect_wait = 20ms;
    if (chosen.connect_timeout == nats::connection_options().connect_timeout) chosen.connect_timeout = 5s;
    return nats::connection(to.url(), std::move(chosen));
}

template <class T>
auto soon(const sluice::receiver<T>& rx) {
    return rx.recv_timeout(patience);
}

}  // namespace test
