// What the tests between processes have in common: the peer program, names of their own, and what a process holds.
#pragma once

#include "../catch.hpp"
#include "../support/scale.hpp"
#include "../support/task.hpp"

#include <sluice/ipc.hpp>
#include <sluice/sluice.hpp>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <initializer_list>
#include <iterator>
#include <ostream>
#include <string>
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

using serial = std::uint64_t;

/// How a process has ended: with an exit status, or by a signal.
struct exit_status {
    int code = 0, signal = 0;
    bool operator==(const exit_status&) const = default;
    friend std::ostream& operator<<(std::ostream& out, const exit_status& s) {
        return out << (s.signal != 0 ? "signal " : "status ") << (s.signal != 0 ? s.signal : s.code);
    }
};
inline constexpr exit_status success;

/// A run of the peer program.
class peer {
public:
    /// `inherited` descriptors stay open in it, under the same numbers.
    explicit peer(std::initializer_list<std::string> words, std::initializer_list<int> inherited = {}) {
        int in[2], out[2];
        REQUIRE(::pipe2(in, O_CLOEXEC) == 0);
        REQUIRE(::pipe2(out, O_CLOEXEC) == 0);
        std::vector<std::string> arguments{SLUICE_IPC_PEER};
        arguments.insert(arguments.end(), words);
        std::vector<char*> pointers;
        for (std::string& a : arguments) pointers.push_back(a.data());
        pointers.push_back(nullptr);
        id_ = ::fork();
        if (id_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that is given up takes it along
            ::dup2(in[0], 0);
            ::dup2(out[1], 1);
            for (const int fd : inherited) ::fcntl(fd, F_SETFD, 0);
            ::execv(pointers[0], pointers.data());
            ::_exit(127);
        }
        ::close(in[0]);
        ::close(out[1]);
        in_ = in[1];
        out_ = out[0];
        REQUIRE(id_ > 0);
    }
    peer(const peer&) = delete;
    peer(peer&& other) noexcept
        : id_(std::exchange(other.id_, 0)), in_(std::exchange(other.in_, -1)), out_(std::exchange(other.out_, -1)) {}
    ~peer() {
        if (id_ > 0) {
            ::kill(id_, SIGKILL);
            wait();
        }
        if (in_ >= 0) ::close(in_);
        if (out_ >= 0) ::close(out_);
    }

    /// The next line that it writes; what there is of it if it ends or takes too long.
    std::string line() {
        std::string text;
        for (char c = 0; writes() && ::read(out_, &c, 1) == 1 && c != '\n';) text += c;
        return text;
    }
    /// Lets it go on, where it waits for the test.
    [[nodiscard]] bool release() { return ::write(in_, "\n", 1) == 1; }
    void signal(int which) { ::kill(id_, which); }

    /// How it has ended. One that takes too long is killed.
    exit_status wait() {
        for (char c = 0; writes() && ::read(out_, &c, 1) == 1;) {
        }
        if (!writes()) ::kill(id_, SIGKILL);
        int status = 0;
        while (::waitpid(id_, &status, 0) == -1 && errno == EINTR) {
        }
        id_ = 0;
        return WIFEXITED(status) ? exit_status{WEXITSTATUS(status), 0} : exit_status{0, WTERMSIG(status)};
    }

private:
    // False if it neither writes nor ends.
    bool writes() const {
        pollfd p{out_, POLLIN, 0};
        return ::poll(&p, 1, static_cast<int>(std::chrono::milliseconds(patience).count())) == 1;
    }

    pid_t id_ = 0;
    int in_ = -1, out_ = -1;
};

/// A name that no other test uses, for a socket in the runtime folder or a queue.
inline std::string fresh_name() {
    static std::atomic<int> count{0};
    return "sluice-test-" + std::to_string(::getpid()) + "-" + std::to_string(++count);
}

/// How many threads and descriptors this process has.
struct holdings {
    static std::ptrdiff_t entries(const char* folder) {
        return std::distance(std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator());
    }
    std::ptrdiff_t threads = entries("/proc/self/task");
    std::ptrdiff_t descriptors = entries("/proc/self/fd");

    bool operator==(const holdings&) const = default;
};

/// Notes what the process holds; in the end it must hold no more.
class no_leaks {
public:
    no_leaks() {
        static const std::ptrdiff_t idle = holdings().threads;
        REQUIRE(eventually([] { return holdings().threads <= idle; }));  // what an earlier test has dropped is gone
        const sluice::ipc::pipe first;                                   // what is made only once is made now
        (void)first.error();
        before_ = holdings();
        before_.descriptors -= 2;
    }
    bool threads_gone() const {
        return eventually([this] { return holdings().threads <= before_.threads; });
    }
    bool hold() const {
        const bool same =
            threads_gone() && eventually([this] { return holdings().descriptors <= before_.descriptors; });
        const holdings now;
        UNSCOPED_INFO("threads " << before_.threads << " to " << now.threads << ", descriptors " << before_.descriptors
                                 << " to " << now.descriptors);
        return same;
    }

private:
    holdings before_;
};

enum class family { unix_socket, tcp };

inline sluice::ipc::address fresh_address(family f) {
    if (f == family::tcp) return sluice::ipc::tcp("127.0.0.1", 0);
    return sluice::ipc::unix_socket(fresh_name());
}

/// As the peer takes it.
inline std::string spelled(const sluice::ipc::address& a) {
    return a.kind() == sluice::ipc::address::family::tcp ? a.to_string() : a.path();
}

/// A client that knows nothing of the library.
class plain_client {
public:
    explicit plain_client(const sluice::ipc::address& to) {
        const auto name = sluice::ipc::detail::resolve(to, sluice::detail::deadline::never(), {}).front();
        fd_ = ::socket(name.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
        REQUIRE(fd_ >= 0);
        REQUIRE(::connect(fd_, name.get(), name.size) == 0);
    }
    plain_client(const plain_client&) = delete;
    ~plain_client() { close(); }

    void close() {
        if (fd_ >= 0) ::close(std::exchange(fd_, -1));
    }
    /// Sends all, unless the other side hangs up first.
    void write(const void* bytes, std::size_t size) {
        for (const char* p = static_cast<const char*>(bytes); size > 0;) {
            const ssize_t n = ::send(fd_, p, size, MSG_NOSIGNAL);
            if (n <= 0) return;
            p += n;
            size -= static_cast<std::size_t>(n);
        }
    }
    template <class Plain>
    void write(const Plain& value) {
        write(&value, sizeof value);
    }
    /// A handshake as the library would send it, which expects messages of the type `returned_type` in return, if any.
    template <class T>
    void send_handshake(std::uint64_t returned_type = 0) {
        sluice::ipc::detail::handshake hello;
        hello.sent_type = sluice::ipc::detail::type_id<T>();
        hello.returned_type = returned_type;
        write(hello);
    }
    /// Whether the other side hangs up, whatever it says before.
    bool hung_up() {
        (void)all_it_gets();
        return hung_up_;
    }
    /// What the other side says until it hangs up.
    std::string all_it_gets() {
        std::string all;
        for (char bytes[64]; !hung_up_;) {
            pollfd p{fd_, POLLIN, 0};
            if (::poll(&p, 1, static_cast<int>(std::chrono::milliseconds(patience).count())) != 1) break;
            const ssize_t size = ::recv(fd_, bytes, sizeof bytes, 0);
            hung_up_ = size <= 0;
            if (size > 0) all.append(bytes, static_cast<std::size_t>(size));
        }
        return all;
    }

private:
    int fd_ = -1;
    bool hung_up_ = false;
};

/// How long something took. A bound on it is far above what it takes, and far below what a wait for a time-out would.
class stopwatch {
public:
    std::chrono::milliseconds elapsed() const {
        return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start_);
    }

private:
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace test
