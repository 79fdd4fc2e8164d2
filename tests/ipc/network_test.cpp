// What a network and a shared folder can do to listeners and clients: silent name servers, silent hosts,
// machines that die, and neighbours on this one.
#include "../../examples/own_folder.hpp"
#include "support.hpp"

#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include <arpa/inet.h>
#include <dlfcn.h>
#include <linux/filter.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

using namespace std::chrono_literals;
using sluice::errc;
using test::family;
using test::serial;

namespace {

// Name servers as the tests wish: a silent one, which answers when it is released, and a host with several addresses.
class name_server {
public:
    static name_server& self() {
        static name_server instance;
        return instance;
    }

    // The host "silent.test" is asked for in vain from now on.
    void fall_silent() {
        const std::lock_guard held(mutex_);
        silent_ = true;
    }
    void answer() {
        const std::lock_guard held(mutex_);
        silent_ = false;
        changed_.notify_all();
    }
    int wait() {
        std::unique_lock lock(mutex_);
        ++asking_;
        changed_.wait(lock, [this] { return !silent_; });
        --asking_;
        return EAI_AGAIN;
    }
    int asking() const {
        const std::lock_guard held(mutex_);
        return asking_;
    }

    // The ports of this machine at which the host "several.test" is said to be found.
    std::vector<std::uint16_t> ports;

private:
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    bool silent_ = false;
    int asking_ = 0;
};

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    name.sin_port = htons(port);
    return name;
}

// An owner for a plain descriptor.
class plain_socket {
public:
    explicit plain_socket(int fd) : fd_(fd) { REQUIRE(fd_ >= 0); }
    plain_socket(plain_socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    ~plain_socket() { close(); }
    void close() {
        if (fd_ >= 0) ::close(std::exchange(fd_, -1));
    }
    int fd() const { return fd_; }

private:
    int fd_;
};

plain_socket tcp_socket(int flags = 0) {
    return plain_socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0));
}
plain_socket bound_to(std::uint16_t port) {
    plain_socket s = tcp_socket();
    const sockaddr_in name = loopback(port);
    REQUIRE(::bind(s.fd(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
    return s;
}
std::uint16_t port_of(int fd) {
    sockaddr_in name{};
    socklen_t size = sizeof name;
    REQUIRE(::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size) == 0);
    return ntohs(name.sin_port);
}

// A port of this machine that does not answer clients, as a host that is switched off: its listener has as many
// clients waiting as it has room for.
class silent_port {
public:
    silent_port() {
        REQUIRE(::listen(listening_.fd(), 0) == 0);
        const sockaddr_in name = loopback(port());
        for (bool room = true; room;) {
            waiting_.push_back(tcp_socket(SOCK_NONBLOCK));
            ::connect(waiting_.back().fd(), reinterpret_cast<const sockaddr*>(&name), sizeof name);
            pollfd p{waiting_.back().fd(), POLLOUT, 0};
            room = ::poll(&p, 1, 50) == 1;
        }
    }
    std::uint16_t port() const { return port_of(listening_.fd()); }

private:
    plain_socket listening_ = bound_to(0);
    std::vector<plain_socket> waiting_;
};

// What comes out of f() as an error.
template <class F>
std::system_error error_of(F f) {
    try {
        (void)f();
    } catch (const std::system_error& e) {
        return e;
    }
    return std::system_error(std::error_code(), "nothing was thrown");
}
bool says(const std::system_error& e, std::initializer_list<std::string> words) {
    const std::string text = e.what();
    UNSCOPED_INFO(text);
    return std::all_of(words.begin(), words.end(),
                       [&](const std::string& w) { return text.find(w) != std::string::npos; });
}

// Far above what it takes, and far below the time that a network takes by itself.
constexpr auto promptly = test::sanitized || test::emulated ? 5000ms : 2000ms;

}  // namespace

// Instead of the C library's, which answers for all other hosts.
extern "C" int getaddrinfo(const char* host, const char* service, const addrinfo* hints, addrinfo** found) {
    static const auto original = reinterpret_cast<decltype(&::getaddrinfo)>(::dlsym(RTLD_NEXT, "getaddrinfo"));
    if (!host || (hints && (hints->ai_flags & AI_NUMERICHOST) != 0)) return original(host, service, hints, found);
    if (std::strcmp(host, "silent.test") == 0) return name_server::self().wait();
    if (std::strcmp(host, "several.test") != 0) return original(host, service, hints, found);
    addrinfo* last = nullptr;
    *found = nullptr;
    for (const std::uint16_t port : name_server::self().ports) {
        addrinfo* each = nullptr;
        const int outcome = original("127.0.0.1", std::to_string(port).c_str(), hints, &each);
        if (outcome != 0) return outcome;
        (last ? last->ai_next : *found) = each;
        last = each;
    }
    return 0;
}

TEST_CASE("a timeout holds although the name server is silent") {
    const test::no_leaks none;
    name_server::self().fall_silent();
    const auto where = sluice::ipc::tcp("silent.test", 80);
    const test::stopwatch watch;
    for (int i = 0; i < 3; ++i) {
        const auto e = error_of([&] { return sluice::ipc::connect<int>(where, 50ms); });
        CHECK(e.code() == std::errc::timed_out);
        CHECK(says(e, {"silent.test"}));
        const auto both = error_of([&] { return sluice::ipc::connect<int, int>(where, 50ms); });
        CHECK(both.code() == std::errc::timed_out);
    }
    CHECK(watch.elapsed() < promptly);
    CHECK(name_server::self().asking() == 1);  // all have waited for the same one
    name_server::self().answer();
    CHECK(none.hold());
    const auto e = error_of([&] { return sluice::ipc::connect<int>(where); });
    CHECK(says(e, {"silent.test", ::gai_strerror(EAI_AGAIN)}));
    CHECK(none.hold());
}

#if defined(__cpp_lib_jthread)
TEST_CASE("a stop ends the wait for a silent name server, or for a silent host") {
    const test::no_leaks none;
    name_server::self().fall_silent();
    {
        std::optional<silent_port> silent;
        std::stop_source stop;
        const sluice::ipc::options chosen{.stop = stop.get_token()};
        const auto kind = GENERATE(0, 1, 2);
        if (kind == 2) silent.emplace();
        const auto where = silent ? sluice::ipc::tcp("127.0.0.1", silent->port()) : sluice::ipc::tcp("silent.test", 80);
        test::task waiting([&] {
            if (kind == 0) return error_of([&] { return sluice::ipc::listener(where, chosen).address(); }).code();
            return error_of([&] { return sluice::ipc::connect<int>(where, chosen); }).code();
        });
        if (!silent) CHECK(test::eventually([] { return name_server::self().asking() == 1; }));
        CHECK(test::wait_until_asleep(waiting));
        stop.request_stop();
        CHECK(waiting.get() == std::errc::operation_canceled);
    }
    name_server::self().answer();
    CHECK(none.hold());
}
#endif

TEST_CASE("a program ends at once although a name server is silent") {
    const test::stopwatch watch;
    CHECK(test::peer({"silent_name_server"}).wait() == test::success);
    CHECK(watch.elapsed() < promptly);
}

TEST_CASE("of several addresses the one that answers is found in time") {
    const test::no_leaks none;
    {
        const silent_port silent;
        const plain_socket nobody = bound_to(0);
        sluice::ipc::listener inbox(sluice::ipc::tcp("127.0.0.1", 0));
        const auto rx = inbox.receiver<int>();
        const auto where = sluice::ipc::tcp("several.test", 80);
        auto& ports = name_server::self().ports;
        const test::stopwatch watch;
        SECTION("with a timeout") {
            ports = {silent.port(), port_of(nobody.fd()), silent.port(), inbox.address().port()};
            const auto tx = sluice::ipc::connect<int>(where, 1s);
            CHECK(tx.send(1));
            CHECK(rx.recv() == 1);
        }
        SECTION("without one") {
            ports = {silent.port(), inbox.address().port()};
            const auto tx = sluice::ipc::connect<int>(where);
            CHECK(tx.send(1));
            CHECK(rx.recv() == 1);
        }
        SECTION("none answers") {
            ports = {silent.port(), silent.port(), silent.port()};
            const auto e = error_of([&] { return sluice::ipc::connect<int>(where, 200ms); });
            CHECK(e.code() == std::errc::timed_out);
            CHECK(says(e, {"several.test"}));
        }
        SECTION("nobody listens at any") {
            ports = {port_of(nobody.fd()), port_of(nobody.fd())};
            CHECK(error_of([&] { return sluice::ipc::connect<int>(where); }).code() == std::errc::connection_refused);
        }
        SECTION("there is no time at all") {
            ports = {silent.port(), silent.port()};
            CHECK(error_of([&] { return sluice::ipc::connect<int>(where, 0s); }).code() == std::errc::timed_out);
        }
        CHECK(watch.elapsed() < promptly);
    }
    CHECK(none.hold());
}

TEST_CASE("a socket that has connected to itself is taken for refused, and leaves the port alone") {
    plain_socket self = bound_to(0);
    const std::uint16_t port = port_of(self.fd());
    const sockaddr_in name = loopback(port);
    REQUIRE(::connect(self.fd(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
    CHECK(sluice::ipc::detail::check_connected(self.fd()) == ECONNREFUSED);
    self.close();
    const sluice::ipc::listener inbox(sluice::ipc::tcp("127.0.0.1", port));
    CHECK(inbox.address().port() == port);
}

TEST_CASE("a client that connects to itself where nobody listens is refused") {
    // Of the range that the system gives to clients, the even ones first.
    const auto port = static_cast<std::uint16_t>(port_of(bound_to(0).fd()) & ~1u);
    const auto nobody = sluice::ipc::tcp("127.0.0.1", port);
    int connected = 0;
    for (int tries = 0; tries < (test::sanitized || test::emulated ? 3'000 : 30'000); ++tries) {
        const auto e = error_of([&] { return sluice::ipc::connect<int, int>(nobody); });
        connected += e.code() == std::errc::connection_refused ? 0 : 1;
    }
    CHECK(connected == 0);
}

namespace {

// A TCP peer that knows nothing of the library, and whose machine can die: from then on it says nothing any more.
class mortal_peer {
public:
    mortal_peer() { REQUIRE(::listen(listening_.fd(), 1) == 0); }
    sluice::ipc::address address() const { return sluice::ipc::tcp("127.0.0.1", port_of(listening_.fd())); }
    void accept() { connection_.emplace(::accept4(listening_.fd(), nullptr, nullptr, SOCK_CLOEXEC)); }
    // Waits for the first byte of what the library sends by itself, so that it is acknowledged.
    void hear() {
        char first;
        REQUIRE(::recv(connection_->fd(), &first, 1, MSG_PEEK) == 1);
    }
    void die() {
        sock_filter nothing[] = {{BPF_RET | BPF_K, 0, 0, 0}};
        const sock_fprog program{1, nothing};
        REQUIRE(::setsockopt(connection_->fd(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0);
    }

private:
    plain_socket listening_ = bound_to(0);
    std::optional<plain_socket> connection_;
};

// Whether the system says how the bytes of a connection fare, as qemu does not: it hands on an int, whatever was asked for.
bool tells_of_acknowledgements() {
    tcp_info seen{};
    socklen_t size = sizeof seen;
    return ::getsockopt(bound_to(0).fd(), IPPROTO_TCP, TCP_INFO, &seen, &size) == 0 && size > sizeof(int);
}

}  // namespace

TEST_CASE("a peer whose machine has died is given up") {
    const test::no_leaks none;
    {
        mortal_peer peer;
        const auto errors = std::make_shared<sluice::ipc::error_sink>();
        const auto tx = sluice::ipc::connect<std::string>(
            peer.address(), {.capacity = 1, .error_sink = errors, .dead_after = std::chrono::seconds(2)});
        peer.accept();
        SECTION("when nothing is sent") {
            peer.hear();
            peer.die();
        }
        if (tells_of_acknowledgements()) {
            SECTION("when a little is sent") {
                peer.die();
                CHECK(tx.send("hello"));
            }
            SECTION("when as much is sent as the system takes") {
                peer.die();
                while (tx.send_timeout(std::string(1 << 16, 'x'), 50ms)) {
                }
            }
            SECTION("when it has not received for a while") {
                while (tx.send_timeout(std::string(1 << 16, 'x'), 50ms)) {
                }
                peer.die();
            }
        }
        CHECK(test::eventually([&] { return tx.is_closed(); }));
        CHECK(errors->error() == std::errc::timed_out);
    }
    CHECK(none.hold());
}

TEST_CASE("a peer that lives but does not receive is not given up") {
    const test::no_leaks none;
    {
        mortal_peer peer;
        const auto errors = std::make_shared<sluice::ipc::error_sink>();
        const auto tx = sluice::ipc::connect<std::string>(
            peer.address(), {.capacity = 1, .error_sink = errors, .dead_after = std::chrono::seconds(1)});
        peer.accept();
        while (tx.send_timeout(std::string(1 << 16, 'x'), 50ms)) {
        }
        // Several times as long; the system may still find room for a little.
        for (const test::stopwatch watch; watch.elapsed() < 5s;) {
            CHECK(tx.send_timeout(std::string(1 << 16, 'x'), 1s) != errc::closed);
        }
        CHECK_FALSE(tx.is_closed());
        CHECK_FALSE(errors->error());
    }
    CHECK(none.hold());
}

TEST_CASE("the system asks a silent TCP peer for life, as the options say") {
    sluice::ipc::listener inbox(sluice::ipc::tcp("127.0.0.1", 0));
    const auto seconds = [](const sluice::ipc::detail::descriptor& fd) {
        const auto of = [&](int level, int name) {
            int value = 0;
            socklen_t size = sizeof value;
            CHECK(::getsockopt(fd.get(), level, name, &value, &size) == 0);
            return value;
        };
        return of(SOL_SOCKET, SO_KEEPALIVE) != 0
                   ? of(IPPROTO_TCP, TCP_KEEPIDLE) + of(IPPROTO_TCP, TCP_KEEPINTVL) * of(IPPROTO_TCP, TCP_KEEPCNT)
                   : 0;
    };
    const sluice::ipc::detail::wake_up never;
    for (const int chosen : {120, 1, 2, 3, 7, 60, 3600}) {
        const auto fd = sluice::ipc::detail::connect_to(inbox.address(), {}, never, std::chrono::seconds(chosen));
        CHECK(seconds(fd) >= chosen - 3);
        CHECK(seconds(fd) <= chosen + 1);
    }
    const sluice::ipc::detail::listening_socket listening(sluice::ipc::tcp("127.0.0.1", 0), {});
    const test::plain_client client(listening.where());
    CHECK(seconds(sluice::ipc::detail::accept_from(listening.fd(), listening.family())) == 120);
}

// ---- Neighbours on this machine

namespace {

// A folder that all may write to, as the one for temporary files is.
struct common_folder : example::own_folder {
    common_folder() { REQUIRE(::chmod(path().c_str(), 01777) == 0); }
    std::string at(const char* name) const { return path() + "/" + name; }
    bool is_empty() const { return std::filesystem::is_empty(path()); }
};

plain_socket made(const std::string& path, mode_t mode, uid_t owner) {
    plain_socket file(::open(path.c_str(), O_CREAT | O_EXCL | O_CLOEXEC | O_RDWR, 0600));
    REQUIRE(::fchmod(file.fd(), mode) == 0);
    REQUIRE(::fchown(file.fd(), owner, static_cast<gid_t>(-1)) == 0);
    return file;
}

}  // namespace

TEST_CASE("nobody holds up a listener by a lock on its folder") {
    const common_folder folder;
    const plain_socket locked(::open(folder.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    REQUIRE(::flock(locked.fd(), LOCK_EX) == 0);
    test::task listening([&] {
        const sluice::ipc::listener inbox(sluice::ipc::unix_socket(folder.at("s")));
        return true;
    });
    CHECK(listening.get());
    CHECK(folder.is_empty());
}

TEST_CASE("a lock that others could hold is refused, in words") {
    const common_folder folder;
    const auto where = sluice::ipc::unix_socket(folder.at("s"));
    const std::string lock = folder.at("s.sluice-lock");
    const auto refused = [&] { return error_of([&] { return sluice::ipc::listener(where).address(); }); };
    SECTION("open to others") {
        const plain_socket file = made(lock, 0666, ::geteuid());
        REQUIRE(::flock(file.fd(), LOCK_EX) == 0);
        CHECK(says(refused(), {where.path(), lock, "open to others", "remove it"}));
    }
    SECTION("of another user") {
        if (::geteuid() != 0) return;  // only root can make one
        const plain_socket file = made(lock, 0600, 12345);
        const auto e = refused();
        CHECK((says(e, {lock, "another user"}) || e.code() == std::errc::permission_denied));
    }
    SECTION("a link") {
        const plain_socket target = made(folder.at("target"), 0600, ::geteuid());
        REQUIRE(::symlink(folder.at("target").c_str(), lock.c_str()) == 0);
        CHECK(says(refused(), {lock, "cannot be opened"}));
        CHECK(std::filesystem::exists(folder.at("target")));
    }
    SECTION("no file") {
        REQUIRE(::mkfifo(lock.c_str(), 0600) == 0);
        CHECK(says(refused(), {lock, "no file"}));
    }
    SECTION("a folder that cannot be written to") {
        const auto nowhere = sluice::ipc::unix_socket(folder.at("no/s"));
        CHECK(says(error_of([&] { return sluice::ipc::listener(nowhere).address(); }),
                   {folder.at("no/s.sluice-lock"), "cannot be opened"}));
    }
    CHECK_FALSE(std::filesystem::exists(where.path()));
}

TEST_CASE("a lock that is held for long is not waited for without end") {
    const common_folder folder;
    const auto where = sluice::ipc::unix_socket(folder.at("s"));
    const std::string lock = folder.at("s.sluice-lock");
    plain_socket file = made(lock, 0600, ::geteuid());
    REQUIRE(::flock(file.fd(), LOCK_EX) == 0);
    SECTION("there is an end") {
        const auto e = error_of([&] { return sluice::ipc::listener(where).address(); });
        CHECK(e.code() == std::errc::timed_out);
        CHECK(says(e, {lock, "another process"}));
    }
#if defined(__cpp_lib_jthread)
    SECTION("a stop ends it") {
        std::stop_source stop;
        test::task listening([&] {
            return error_of([&] { return sluice::ipc::listener(where, {.stop = stop.get_token()}).address(); }).code();
        });
        stop.request_stop();
        CHECK(listening.get() == std::errc::operation_canceled);
    }
#endif
    SECTION("another takes its place before it lets go") {
        test::task listening([&] {
            const sluice::ipc::listener inbox(where);
            return std::filesystem::exists(where.path());
        });
        plain_socket another = made(folder.at("another"), 0600, ::geteuid());
        CHECK(::flock(another.fd(), LOCK_EX) == 0);
        std::filesystem::rename(folder.at("another"), lock);
        file.close();  // a listener that gets this one now finds that it is not the one that counts
        CHECK(test::wait_until_asleep(listening));
        CHECK_FALSE(std::filesystem::exists(where.path()));
        CHECK(std::filesystem::remove(lock));
        another.close();
        CHECK(listening.get());
        CHECK(folder.is_empty());
    }
}

TEST_CASE("of many that start to listen at a dead listener's name, one does") {
    const common_folder folder;
    const auto where = sluice::ipc::unix_socket(folder.at("s"));
    for (int round = 0; round < 20; ++round) {
        {
            // What a listener that was killed leaves.
            const plain_socket dead(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
            const auto name = sluice::ipc::detail::native_file_address(where);
            REQUIRE(::bind(dead.fd(), name.get(), name.size) == 0);
        }
        std::atomic<int> done{0};
        std::vector<std::unique_ptr<test::task<bool>>> starting;
        constexpr int many = 4;
        for (int i = 0; i < many; ++i) {
            starting.push_back(std::make_unique<test::task<bool>>([&] {
                std::optional<sluice::ipc::listener> inbox;
                const auto e = error_of([&] { return inbox.emplace(where).address(); });
                ++done;
                while (done < many) std::this_thread::yield();
                return inbox.has_value();
            }));
        }
        int listening = 0;
        for (const auto& each : starting) listening += each->get() ? 1 : 0;
        CHECK(listening == 1);
        CHECK(folder.is_empty());
    }
}

TEST_CASE("the mode of a socket file is its own from the first moment, and nothing else's is touched") {
    const common_folder folder;
    const mode_t before = ::umask(0);
    {
        const sluice::ipc::listener inbox(sluice::ipc::unix_socket(folder.at("s")));
        struct stat found {};
        CHECK(::lstat(folder.at("s").c_str(), &found) == 0);
        CHECK((found.st_mode & 07777u) == 0600u);
    }
    ::umask(before);
    // A file that is not there when it is looked for, and then a link: a dangling one is what bind() meets as well.
    const plain_socket target = made(folder.at("target"), 0644, ::geteuid());
    REQUIRE(::symlink(folder.at("target").c_str(), folder.at("s").c_str()) == 0);
    const auto e = error_of([&] { return sluice::ipc::listener(sluice::ipc::unix_socket(folder.at("s"))).address(); });
    CHECK(e.code() == std::errc::address_in_use);
    CHECK(says(e, {"no socket"}));
    struct stat found {};
    CHECK(::fstat(target.fd(), &found) == 0);
    CHECK((found.st_mode & 07777u) == 0644u);
}

TEST_CASE("a listener of another user is refused, and a dead one's file is left alone") {
    if (::geteuid() != 0) return;  // only root can make one
    const common_folder folder;
    const auto where = sluice::ipc::unix_socket(folder.at("s"));
    const plain_socket theirs(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const auto name = sluice::ipc::detail::native_file_address(where);
    SECTION("alive") {
        // Of a thread alone, as the C library's calls are of the whole process.
        test::task listening([&] {
            const auto as = [](uid_t user) { return ::syscall(SYS_setresuid, -1, user, -1) == 0; };
            const bool well =
                as(12345) && ::bind(theirs.fd(), name.get(), name.size) == 0 && ::listen(theirs.fd(), 5) == 0;
            return as(0) && well;
        });
        REQUIRE(listening.get());
        const auto e = error_of([&] { return sluice::ipc::connect<int>(where, 5s); });
        CHECK(e.code() == std::errc::operation_not_permitted);
        CHECK(says(e, {where.path(), "another user", "12345"}));
    }
    SECTION("dead") {
        REQUIRE(::bind(theirs.fd(), name.get(), name.size) == 0);
        REQUIRE(::chown(where.path().c_str(), 12345, 12345) == 0);
        const auto e = error_of([&] { return sluice::ipc::listener(where).address(); });
        CHECK(e.code() == std::errc::address_in_use);
        CHECK(says(e, {where.path(), "another user", "12345"}));
        CHECK(std::filesystem::exists(where.path()));
    }
}

TEST_CASE("an end that cannot be opened names its address") {
    const sluice::ipc::listener inbox(test::fresh_address(GENERATE(family::unix_socket, family::tcp)));
    const std::string named = inbox.address().to_string();
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    const rlimit none{0, before.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
    const auto connect_error = error_of([&] { return sluice::ipc::connect<int>(inbox.address()); });
    const auto listening = error_of([&] { return sluice::ipc::listener(inbox.address()).address(); });
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
    CHECK(says(connect_error, {named, "Too many open files"}));
    CHECK(says(listening, {named, "Too many open files"}));
}
