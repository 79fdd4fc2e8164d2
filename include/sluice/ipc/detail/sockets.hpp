// Sockets as the system has them: how they are opened, connected, named and listened at.
#pragma once

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sluice/detail/waiter.hpp>
#include <sluice/ipc/address.hpp>
#include <sluice/ipc/detail/descriptor.hpp>
#include <sluice/ipc/detail/process.hpp>
#include <sluice/ipc/options.hpp>

namespace sluice::ipc::detail {

// ---- Sockets

inline void set_flag(int fd, int level, int name) noexcept {
    const int on = 1;
    ::setsockopt(fd, level, name, &on, sizeof on);
}

// Of a socket that is connected or will be.
inline void tune(int fd, int family) noexcept {
    if (family != AF_UNIX) {
        set_flag(fd, IPPROTO_TCP, TCP_NODELAY);
        set_flag(fd, SOL_SOCKET, SO_KEEPALIVE);  // a machine that has died does not say so
    }
#if defined(SO_NOSIGPIPE)
    set_flag(fd, SOL_SOCKET, SO_NOSIGPIPE);
#endif
}

// A new socket; empty, with errno, on failure.
inline descriptor open_socket(int family) {
    return descriptor([family]() noexcept {
#if defined(__linux__)
        const int fd = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
#else
        const int fd = ::socket(family, SOCK_STREAM, 0);
        if (fd >= 0) prepare(fd, true);
#endif
        if (fd >= 0) tune(fd, family);
        return fd;
    });
}

// The next connection; empty, with errno, if there is none.
inline descriptor accept_from(int listening, int family) {
    return descriptor([=]() noexcept {
        return uninterrupted([=]() noexcept {
#if defined(__linux__)
            const int fd = ::accept4(listening, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
#else
            const int fd = ::accept(listening, nullptr, nullptr);
            if (fd >= 0) prepare(fd, true);
#endif
            if (fd >= 0) tune(fd, family);
            return fd;
        });
    });
}

// Whether there is just nobody to accept: another reason for accept() to fail may last.
inline bool nobody_waits(int error) noexcept { return would_block(error) || error == ECONNABORTED; }

// ---- Peers that are gone without a word

// Has the system ask a TCP peer from which nothing comes whether it is still there. Sockets that are accepted have it
// from the one that listens.
inline void expect_life(int fd, [[maybe_unused]] std::chrono::seconds dead_after) noexcept {
    const auto within = static_cast<int>(std::clamp<std::chrono::seconds::rep>(dead_after.count(), 0, 30'000));
    if (within == 0) return;
    const int first = (std::max)(within / 2, 1), rest = (std::max)(within - first, 1);
    const int count = (std::min)(rest, 4), pause = rest / count;
    const auto set = [fd](int name, int value) noexcept { ::setsockopt(fd, IPPROTO_TCP, name, &value, sizeof value); };
#if defined(TCP_KEEPIDLE)
    set(TCP_KEEPIDLE, first);
#elif defined(TCP_KEEPALIVE)
    set(TCP_KEEPALIVE, first);
#endif
#if defined(TCP_KEEPINTVL) && defined(TCP_KEEPCNT)
    set(TCP_KEEPINTVL, pause);
    set(TCP_KEEPCNT, count);
#endif
}

// Notices that a TCP peer's machine is dead while something that was sent to it has not arrived: the system itself asks
// only when all has, and otherwise tries again for a quarter of an hour. (TCP_USER_TIMEOUT would end that sooner, but
// it also ends connections to a peer that answers and just does not receive.)
class life_watch {
public:
    using clock = std::chrono::steady_clock;

    // For a socket of which life is expected.
    explicit life_watch([[maybe_unused]] int fd) noexcept {
#if defined(__linux__)
        int first = 0, pause = 0, count = 0;
        if (read(fd, TCP_KEEPIDLE, first) && read(fd, TCP_KEEPINTVL, pause) && read(fd, TCP_KEEPCNT, count))
            limit_ = std::chrono::seconds(first + pause * count);
        look_again();
#endif
    }

    // When to look.
    std::optional<clock::time_point> next() const noexcept { return next_; }

    // Whether it is found dead; looks if it is time to.
    bool finds_dead([[maybe_unused]] int fd) noexcept {
        if (!next_ || clock::now() < *next_) return false;
        look_again();
#if defined(__linux__)
        tcp_info seen{};
        return read(fd, TCP_INFO, seen) && (seen.tcpi_retransmits >= 2 || seen.tcpi_probes >= 2) &&
               std::chrono::milliseconds(seen.tcpi_last_ack_recv) >= limit_;
#else
        return false;
#endif
    }

private:
#if defined(__linux__)
    template <class Value>
    static bool read(int fd, int name, Value& to) noexcept {
        socklen_t size = sizeof to;
        return ::getsockopt(fd, IPPROTO_TCP, name, &to, &size) == 0;
    }
#endif
    // All that have the same limit at once: whoever waits for many of them wakes up once for all.
    void look_again() noexcept {
        if (limit_ <= clock::duration::zero()) return;
        const clock::duration grain = limit_ / 4;
        next_ = clock::time_point((clock::now().time_since_epoch() / grain + 1) * grain);
    }

    clock::duration limit_{};
    std::optional<clock::time_point> next_;
};

// ---- Names of hosts

// A host's name is asked for on a thread of its own, which nothing can interrupt: who does not wait any longer leaves
// it, and it ends by itself, or with the process. Who asks for the same host meanwhile waits for the same one.
class [[gnu::visibility("default")]] host_query {
public:
    static std::shared_ptr<host_query> of(const address& a) {
        static queries& all = *new queries;  // for ever: a thread may outlive the statics
        const std::unique_lock<std::mutex> held(all.mutex, std::try_to_lock);  // a forked child may never get it
        if (held) {
            std::erase_if(all.begun, [](const auto& each) { return each.expired(); });
            for (const auto& each : all.begun) {
                if (auto q = each.lock(); q && q->asks_for(a)) return q;
            }
        }
        const auto q = std::make_shared<host_query>(a);
        if (held) all.begun.push_back(q);
        start_thread("sluice-host", [q] { q->ask(); }).detach();
        return q;
    }

    explicit host_query(const address& a) : where_(a) {}

    // Readable once there is an answer. Nobody clears it, for all who wait.
    int fd() const noexcept { return answered_.fd(); }
    bool answered() const noexcept { return over_.load(std::memory_order_acquire); }
    const names_of_host& answer() const noexcept { return answer_; }

private:
    struct queries {
        std::mutex mutex;
        std::vector<std::weak_ptr<host_query>> begun;
    };

    bool asks_for(const address& a) const { return !answered() && where_ == a && generation_ == process::generation(); }

    void ask() noexcept {
        try {
            answer_ = ask_for_host(where_.host(), where_.port(), 0);
        } catch (...) {
            answer_.outcome = EAI_MEMORY;
        }
        over_.store(true, std::memory_order_release);
        answered_.signal();
    }

    const address where_;
    const unsigned generation_ = process::generation();
    wake_up answered_;
    names_of_host answer_;
    std::atomic<bool> over_{false};
};

// As resolve(), but fails at the deadline, and when `stopped` is signalled.
inline std::vector<socket_name> resolve(const address& a, const sluice::detail::deadline& until,
                                        const wake_up& stopped) {
    using clock = std::chrono::steady_clock;
    if (a.kind() == address::family::unix_socket) return {name_of_file(a)};
    if (names_of_host numbers = ask_for_host(a.host(), a.port(), AI_NUMERICHOST); numbers.outcome != EAI_NONAME)
        return names_in(std::move(numbers), a);
    // Also who does not want to wait gets a name that this machine knows by itself.
    const clock::time_point at_least = clock::now() + std::chrono::milliseconds(20);
    const std::shared_ptr<host_query> query = host_query::of(a);
    while (!query->answered()) {
        if (until.passed() && clock::now() >= at_least)
            fail(ETIMEDOUT, a.to_string() + ": nobody knows the name of the host in time");
        pollfd waiting[] = {{query->fd(), POLLIN, 0}, {stopped.fd(), POLLIN, 0}};
        const auto patience = until.is_never() ? std::nullopt : std::optional((std::max)(until.wake_time(), at_least));
        if (::poll(waiting, 2, milliseconds_until(patience)) < 0 && errno != EINTR) fail(errno, a.to_string());
        if (waiting[1].revents != 0 && !query->answered()) fail(ECANCELED, a.to_string());
    }
    return names_in(query->answer(), a);
}

// ---- Connecting

// Of a socket that has just connected: 0, or why that is worth nothing. A socket that the system gives the very port
// that it connects to, where nobody listens, is connected to itself. It is ended without the parting that would keep
// the port from a listener for a minute.
inline int judge_connection(int fd) noexcept {
    socket_name us, them;
    us.size = them.size = sizeof us.storage;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&us.storage), &us.size) != 0) return errno;
    if (us.family() == AF_UNIX) return 0;
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&them.storage), &them.size) != 0) return errno;
    if (us.size != them.size || std::memcmp(&us.storage, &them.storage, us.size) != 0) return 0;
    const linger at_once{1, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    return ECONNREFUSED;
}

inline bool is_absent(int error) noexcept { return error == ENOENT || error == ECONNREFUSED || error == ECONNRESET; }

// Connects to the first of several names that answers; empty, with an error number, if none does. When one keeps silent
// for a while the next is tried beside it, as RFC 8305 has it, so that all have their turn before the deadline.
class connecting {
public:
    connecting(const std::vector<socket_name>& names, const sluice::detail::deadline& until, const wake_up& stopped)
        : names_(names), until_(until), stopped_(stopped) {}

    descriptor first_to_answer(int& error) {
        for (;;) {
            if (next_ < names_.size() && (begun_.empty() || clock::now() >= next_begin_)) {
                if (descriptor fd = begin(names_[next_++])) return fd;
                continue;
            }
            error = error_;
            if (begun_.empty()) return {};
            pollfd_of_all();
            const int ready = ::poll(polled_.data(), polled_.size(), milliseconds_until(patience()));
            if (ready < 0 && errno != EINTR) return failed_by(errno, error);
            if (ready <= 0) {
                if (until_.passed()) return failed_by(ETIMEDOUT, error);
                continue;
            }
            if (polled_[0].revents != 0) return failed_by(ECANCELED, error);
            if (descriptor fd = look()) return fd;
        }
    }

private:
    using clock = std::chrono::steady_clock;

    // The socket if it is connected at once.
    descriptor begin(const socket_name& name) {
        descriptor fd = open_socket(name.family());
        if (!fd) return failed(errno);
        int error = ::connect(fd.get(), name.get(), name.size) == 0 ? 0 : errno;
        if (error == EINPROGRESS || error == EINTR) {  // an interrupted call goes on by itself
            begun_.push_back(std::move(fd));
            next_begin_ = clock::now() + share();
            return {};
        }
        if (error == 0) error = judge_connection(fd.get());
        return error == 0 ? std::move(fd) : failed(error);
    }
    descriptor look() {
        for (std::size_t i = begun_.size(); i-- > 0;) {
            if (polled_[i + 1].revents == 0) continue;
            descriptor fd = std::move(begun_[i]);
            begun_.erase(begun_.begin() + static_cast<std::ptrdiff_t>(i));
            int error = 0;
            socklen_t size = sizeof error;
            if (::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
            if (error == 0) error = judge_connection(fd.get());
            if (error == 0) return fd;
            (void)failed(error);
        }
        return {};
    }
    void pollfd_of_all() {
        polled_.assign(1, {stopped_.fd(), POLLIN, 0});
        for (const descriptor& fd : begun_) polled_.push_back({fd.get(), POLLOUT, 0});
    }
    std::optional<clock::time_point> patience() const {
        std::optional<clock::time_point> when;
        if (!until_.is_never()) when = until_.wake_time();
        if (next_ < names_.size()) when = when ? (std::min)(*when, next_begin_) : next_begin_;
        return when;
    }
    clock::duration share() const {
        constexpr clock::duration most = std::chrono::milliseconds(250);
        if (until_.is_never()) return most;
        const clock::time_point now = clock::now(), end = until_.wake_time();
        if (end <= now) return {};
        return (std::min)(most, (end - now) / static_cast<clock::rep>(2 * (names_.size() - next_ + 1)));
    }
    static descriptor failed_by(int why, int& error) noexcept {
        error = why;
        return {};
    }
    // Of several errors the one that says most about whether somebody listens: EAGAIN, that somebody does, with more
    // clients waiting than it has room for.
    descriptor failed(int error) {
        const auto weight = [](int e) { return e == EAGAIN ? 3 : is_absent(e) ? 2 : e != 0 ? 1 : 0; };
        if (weight(error) >= weight(error_)) error_ = error;
        return {};
    }

    const std::vector<socket_name>& names_;
    const sluice::detail::deadline& until_;
    const wake_up& stopped_;
    std::size_t next_ = 0;
    clock::time_point next_begin_;
    std::vector<descriptor> begun_;
    std::vector<pollfd> polled_;
    int error_ = 0;
};

// How connect() goes about it.
struct attempts {
    sluice::detail::deadline until = sluice::detail::deadline::never();
    bool patient = false;  // tries again where nobody listens
};

// Who listens at a socket file may be somebody else than its owner's name suggests.
inline void check_listener(const descriptor& fd, const address& where) {
#if defined(SO_PEERCRED)
    ucred who{};
    socklen_t size = sizeof who;
    if (::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &who, &size) != 0) fail(errno, where.to_string());
    const uid_t user = who.uid;
#else
    uid_t user = 0;
    gid_t group = 0;
    if (::getpeereid(fd.get(), &user, &group) != 0) fail(errno, where.to_string());
#endif
    if (user != ::geteuid())
        fail(EPERM, where.to_string() + ": who listens there is another user (number " + std::to_string(user) + ")");
}

// A connection to whoever listens. The system tells nobody that a listener has appeared, so that who waits for one
// looks again and again, at growing distances up to a fiftieth of a second, until the deadline or until `stopped`.
inline descriptor connect_to(const address& where, const attempts& how, const wake_up& stopped,
                             std::chrono::seconds dead_after) {
    const std::vector<socket_name> names = resolve(where, how.until, stopped);
    for (auto nap = std::chrono::milliseconds(1);; nap = (std::min)(2 * nap, std::chrono::milliseconds(20))) {
        int error = 0;
        if (descriptor fd = connecting(names, how.until, stopped).first_to_answer(error)) {
            if (where.kind() == address::family::tcp) {
                expect_life(fd.get(), dead_after);
            } else {
                check_listener(fd, where);
            }
            return fd;
        }
        if (error != EAGAIN && !(how.patient && is_absent(error))) fail(error, where.to_string());
        if (how.until.passed()) fail(ETIMEDOUT, where.to_string());
        pollfd stop{stopped.fd(), POLLIN, 0};
        if (::poll(&stop, 1, static_cast<int>(nap.count())) > 0) fail(ECANCELED, where.to_string());
    }
}

// ---- Listening

// Held by who makes a socket file, or replaces a dead one, so that no two do at once: one would take the other's for
// dead. It is a file beside it, of this user alone, so that nobody else can hold it up; it goes with the lock, and the
// system lets go of it even when we die. Who finds that the file is gone by the time that it is locked begins anew.
class name_lock {
public:
    name_lock(const address& of, const wake_up& stopped) : path_(of.path() + ".sluice-lock") {
        const auto limit = std::chrono::steady_clock::now() + patience;
        const std::string what = of.to_string() + ": its lock " + path_;
        for (auto nap = std::chrono::milliseconds(1);;) {
            file_ = descriptor([this]() noexcept {
                constexpr int flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
                return ::open(path_.c_str(), flags, S_IRUSR | S_IWUSR);
            });
            if (!file_) fail(errno, what + " cannot be opened");
            struct stat found {};
            if (::fstat(file_.get(), &found) != 0) fail(errno, what);
            if (!S_ISREG(found.st_mode)) fail(EPERM, what + " is no file: remove it");
            if (const std::string why = shared_with_others(found); !why.empty())
                fail(EPERM, what + ": " + why + ": remove it, or take another name");
            const bool locked =
                uninterrupted([this]() noexcept { return ::flock(file_.get(), LOCK_EX | LOCK_NB); }) == 0;
            if (locked && is_still_there(found)) return;
            if (!locked && !would_block(errno))
                fail(errno, what + " cannot be locked: take a folder of another file system");
            if (std::chrono::steady_clock::now() >= limit) fail(ETIMEDOUT, what + " is held by another process");
            pollfd stop{stopped.fd(), POLLIN, 0};
            if (::poll(&stop, 1, static_cast<int>(nap.count())) > 0) fail(ECANCELED, what + " was waited for");
            nap = (std::min)(2 * nap, std::chrono::milliseconds(20));
        }
    }
    name_lock(const name_lock&) = delete;
    name_lock& operator=(const name_lock&) = delete;
    ~name_lock() { ::unlink(path_.c_str()); }

private:
    static constexpr std::chrono::seconds patience{5};  // it is held for as long as a few calls of the system take

    bool is_still_there(const struct stat& opened) const noexcept {
        struct stat now {};
        return ::lstat(path_.c_str(), &now) == 0 && now.st_dev == opened.st_dev && now.st_ino == opened.st_ino;
    }

    const std::string path_;
    descriptor file_;
};

// A socket that listens; for a socket file, also that file, which goes when it is closed.
class listening_socket {
public:
    // Waits for the name of a host, and for others who start to listen at the same file, until a stop is requested.
    listening_socket(const ipc::address& where, const options& chosen) : where_(where) {
        naming(where.to_string(), [&] {
            wake_up stopped;
            const auto wake = [&stopped] { stopped.signal(); };
            const sluice::detail::stop_callback<decltype(wake)> on_stop(chosen.stop, wake);
            if (where.kind() == ipc::address::family::unix_socket) return listen_at_file(name_of_file(where), stopped);
            int error = 0;
            for (const socket_name& name : resolve(where, sluice::detail::deadline::never(), stopped)) {
                family_ = name.family();
                error = listen_at_port(name, chosen.dead_after);
                if (error == 0) break;
            }
            if (error != 0) fail(error, where.to_string());
            where_ = ipc::tcp(where.host(), bound_port());
        });
    }
    listening_socket(const listening_socket&) = delete;
    listening_socket& operator=(const listening_socket&) = delete;
    ~listening_socket() { close(); }

    void close() noexcept {
        if (!fd_) return;  // also in a forked child: the file is its parent's
        // While this socket listens nobody replaces its file; but somebody may have removed it, and another come.
        if (family_ == AF_UNIX && is_ours()) ::unlink(path_.c_str());
        fd_ = descriptor();
    }

    int fd() const noexcept { return fd_.get(); }
    int family() const noexcept { return family_; }
    const ipc::address& where() const noexcept { return where_; }

private:
    // An error number, or 0.
    int listen_at_port(const socket_name& name, std::chrono::seconds dead_after) {
        fd_ = open_socket(name.family());
        if (!fd_) return errno;
        set_flag(fd_.get(), SOL_SOCKET, SO_REUSEADDR);
        expect_life(fd_.get(), dead_after);
        return bind(name) && ::listen(fd_.get(), SOMAXCONN) == 0 ? 0 : errno;
    }
    void listen_at_file(const socket_name& name, const wake_up& stopped) {
        family_ = AF_UNIX;
        path_ = where_.path();
        const name_lock alone(where_, stopped);
        fd_ = open_socket(AF_UNIX);
        if (!fd_) fail(errno, where_.to_string());
#if defined(__linux__)
        ::fchmod(fd_.get(), S_IRUSR | S_IWUSR);  // what the file gets from the first moment
#endif
        if (!bind(name)) {
            if (errno != EADDRINUSE) fail(errno, where_.to_string());
            check_dead(name);
            if (::unlink(path_.c_str()) != 0 && errno != ENOENT) fail(errno, where_.to_string());
            if (!bind(name)) fail(errno, where_.to_string());
        }
#if !defined(__linux__)
        // Nobody can connect yet.
        ::fchmodat(AT_FDCWD, path_.c_str(), S_IRUSR | S_IWUSR, AT_SYMLINK_NOFOLLOW);
#endif
        struct stat made {};
        if (::lstat(path_.c_str(), &made) != 0) fail(errno, where_.to_string());
        const std::string why = S_ISSOCK(made.st_mode) ? shared_with_others(made) : "others have replaced it";
        if (!why.empty()) fail(EPERM, where_.to_string() + ": " + why + ": take a folder of this user alone");
        file_ = made;
        if (::listen(fd_.get(), SOMAXCONN) != 0) {
            const int error = errno;
            ::unlink(path_.c_str());
            fail(error, where_.to_string());
        }
    }
    bool bind(const socket_name& name) const noexcept { return ::bind(fd_.get(), name.get(), name.size) == 0; }

    // Throws, unless the file is a socket of this user's at which nobody listens.
    void check_dead(const socket_name& name) const {
        struct stat found {};
        if (::lstat(path_.c_str(), &found) != 0) {
            if (errno == ENOENT) return;
            fail(errno, where_.to_string());
        }
        if (!S_ISSOCK(found.st_mode)) fail(EADDRINUSE, where_.to_string() + ": what is there is no socket");
        if (found.st_uid != ::geteuid()) fail(EADDRINUSE, where_.to_string() + ": " + shared_with_others(found));
        const descriptor probe = open_socket(AF_UNIX);
        if (!probe) fail(errno, where_.to_string());
        if (::connect(probe.get(), name.get(), name.size) == 0 || errno != ECONNREFUSED)
            fail(EADDRINUSE, where_.to_string());
    }
    bool is_ours() const noexcept {
        struct stat now {};
        return ::lstat(path_.c_str(), &now) == 0 && now.st_dev == file_.st_dev && now.st_ino == file_.st_ino;
    }

    std::uint16_t bound_port() const {
        socket_name bound;
        bound.size = sizeof bound.storage;
        if (::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&bound.storage), &bound.size) != 0)
            fail(errno, where_.to_string());
        const void* const name = bound.get();
        return ntohs(bound.family() == AF_INET6 ? static_cast<const sockaddr_in6*>(name)->sin6_port
                                                : static_cast<const sockaddr_in*>(name)->sin_port);
    }

    ipc::address where_;
    std::string path_;
    descriptor fd_;
    int family_ = AF_UNSPEC;
    struct stat file_ {};
};

}  // namespace sluice::ipc::detail
