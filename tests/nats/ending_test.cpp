// How connections and their ends go: in time, whatever the server does, giving back what they were sent, keeping nothing.
#include "support.hpp"

#include <sys/resource.h>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include <condition_variable>
#include <mutex>
#include <set>

namespace {

using namespace test;

/// Takes connections on a port, by its queue alone, and says nothing.
class mute_server {
public:
    explicit mute_server(int port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        const int yes = 1;
        ::setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
        sockaddr_in name{};
        name.sin_family = AF_INET;
        name.sin_port = htons(static_cast<std::uint16_t>(port));
        name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        REQUIRE(::bind(fd_, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
        REQUIRE(::listen(fd_, 10) == 0);
    }
    mute_server(const mute_server&) = delete;
    ~mute_server() { ::close(fd_); }
    bool has_client() const {
        pollfd p{fd_, POLLIN, 0};
        return ::poll(&p, 1, 0) == 1;
    }

private:
    const int fd_;
};

/// A number that is decoded only while a door is open. The thread that delivers waits there.
struct held_up {
    int number;
};
class door {
public:
    void shut() { set(false); }
    void open() { set(true); }
    void pass() {
        std::unique_lock lock(mutex_);
        ++waiting_;
        changed_.wait(lock, [&] { return open_; });
        --waiting_;
    }
    bool has_waiting() const {
        const std::lock_guard lock(mutex_);
        return waiting_ > 0;
    }

private:
    void set(bool open) {
        const std::lock_guard lock(mutex_);
        open_ = open;
        changed_.notify_all();
    }
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    int waiting_ = 0;
    bool open_ = true;
};
door the_door;

/// It is open again when the test ends.
struct shut_door {
    shut_door() { the_door.shut(); }
    ~shut_door() { the_door.open(); }
};

}  // namespace

template <>
struct sluice::codec<held_up> {
    static void encode(held_up h, std::vector<std::byte>& out) { codec<int>::encode(h.number, out); }
    static held_up decode(std::span<const std::byte> bytes) {
        the_door.pass();
        return {codec<int>::decode(bytes)};
    }
};

TEST_CASE("servers store in the folder for temporary files") {
    const auto folder = std::filesystem::temp_directory_path() / fresh_name();
    REQUIRE(std::filesystem::create_directory(folder));
    const char* const before = std::getenv("TMPDIR");
    const std::string kept = before ? before : "";
    REQUIRE(::setenv("TMPDIR", folder.c_str(), 1) == 0);
    {
        const server one;
        CHECK(std::filesystem::path(one.folder()).parent_path() == folder);
    }
    before ? ::setenv("TMPDIR", kept.c_str(), 1) : ::unsetenv("TMPDIR");
    CHECK(std::filesystem::is_empty(folder));
    std::filesystem::remove(folder);
}

TEST_CASE("a connection is given up in time, though an attempt to connect is under way") {
    server one;
    const auto bus = connect(one, {.connect_timeout = 1h, .reconnect_for = 1s});
    const auto rx = bus.receiver<int>("muted");
    const auto tx = bus.sender<int>("muted");
    one.kill();
    {
        const mute_server mute(one.port());
        REQUIRE(eventually([&] { return mute.has_client(); }));
        CHECK(!rx.is_closed());
        const stopwatch lost;
        REQUIRE(eventually([&] { return rx.is_closed() && tx.is_closed(); }));
        CHECK(lost.elapsed() < 10s);
        CHECK(reason_of(rx).find("in time") != std::string::npos);
        CHECK(bus.request<int>("muted", 1, 1h).error() == sluice::errc::closed);
    }
    CHECK(eventually(no_connections));  // the mute server has hung up, and the attempt has ended
}

TEST_CASE("a full socket to a silent server holds up nobody's end") {
    server one;
    REQUIRE(eventually(no_connections));
    {
        const auto warm_up = connect(one);  // what the client makes only once
        const auto rx = warm_up.receiver<int>("warm");
        REQUIRE(warm_up.sender<int>("warm").send(1));
        CHECK(soon(rx) == 1);
    }
    REQUIRE(eventually(no_connections));
    const holdings before;
    std::optional<stopwatch> dropped;
    {
        const auto bus = connect(one, {.dead_after = 1h, .linger = 300ms});
        const auto tx = bus.sender<std::string>("full", {.capacity = 4});
        const auto rx = bus.receiver<int>("full.in");
        one.freeze();
        const std::string large(100'000, 'x');
        REQUIRE(eventually([&] { return tx.try_send(large).error_or(sluice::errc::empty) == sluice::errc::full; }));
        dropped.emplace();
    }
    CHECK(dropped->elapsed() < 200ms);  // it is not waited for
    CHECK(!no_connections());
    CHECK(eventually(no_connections));
    CHECK(dropped->elapsed() >= 300ms);
    CHECK(dropped->elapsed() < 10s);
    CHECK(eventually([&] { return threads() <= before.threads && descriptors() <= before.descriptors; }));
    one.thaw();
}

TEST_CASE("where the server is gone and nothing is left to be sent, a connection ends at once") {
    REQUIRE(eventually(no_connections));
    std::optional<stopwatch> dropped;
    {
        server one;
        const auto bus = connect(one, {.connect_timeout = 200ms, .linger = 1h});
        const auto stream = bus.stream("GONE", {.subjects = {"gone.>"}});
        const auto rx = bus.receiver<int>("gone.x");
        const auto tx = bus.sender<int>("gone.x"), unused = bus.sender<int>("other");
        const auto kept = stream.sender<int>("gone.x");
        REQUIRE(tx.send(1));
        CHECK(soon(rx) == 1);
        one.kill();
        CHECK(!words_of([&] { (void)bus.receiver<int>("y"); }).empty());
        dropped.emplace();
    }
    CHECK(eventually(no_connections));
    CHECK(dropped->elapsed() < 10s);
}

TEST_CASE("a server that is started again while a connection ends does not hold it up") {
    server one;
    REQUIRE(eventually(no_connections));
    {
        const auto bus = connect(one, {.dead_after = 1h, .linger = 1h});
        const auto rx = bus.receiver<int>("again");
        one.freeze();
    }
    one.kill();
    one.start();
    CHECK(eventually(no_connections));
}

TEST_CASE("within linger, a server that is silent for a while gets everything") {
    server one;
    const auto watcher = connect(one, {.dead_after = 1h});
    const auto rx = watcher.receiver<std::string>("awakes");
    const std::string large(100'000, 'x');
    std::size_t sent = 0;
    {
        const auto bus = connect(one, {.dead_after = 1h, .linger = patience});
        const auto tx = bus.sender<std::string>("awakes", {.capacity = 4});
        one.freeze();
        REQUIRE(eventually([&] {
            const auto tried = tx.try_send(large);
            if (tried) ++sent;
            return !tried && tried.error() == sluice::errc::full;
        }));
    }
    one.thaw();
    for (std::size_t i = 0; i < sent; ++i) REQUIRE(soon(rx) == large);
}

TEST_CASE("a connection whose thread cannot be started throws, and keeps nothing") {
    server one;
    { const auto warm_up = connect(one); }
    REQUIRE(eventually(no_connections));
    const holdings before;
    rlimit usual{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &usual) == 0);
    // With as many descriptors as the client needs, and none for the thread.
    const auto cannot_start = [&] {
        int next[3];
        for (int& fd : next) fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
        for (const int fd : next) ::close(fd);
        const rlimit tight{static_cast<rlim_t>(next[2]), usual.rlim_max};
        if (::setrlimit(RLIMIT_NOFILE, &tight) != 0) return false;
        std::error_code why;
        try {
            const auto bus = connect(one);
        } catch (const std::system_error& e) {
            why = e.code();
        }
        return ::setrlimit(RLIMIT_NOFILE, &usual) == 0 && why == std::errc::too_many_files_open;
    };
#if defined(__GLIBC__)
    const auto allocated = [] { return static_cast<std::ptrdiff_t>(::mallinfo2().uordblks); };
#else
    const auto allocated = [] { return std::ptrdiff_t(0); };
#endif
    std::ptrdiff_t at_first = 0;
    for (int i = 0; i < 21; ++i) {
        REQUIRE(eventually(cannot_start));
        REQUIRE(eventually([&] { return descriptors() <= before.descriptors; }));
        if (i == 0) at_first = allocated();
    }
    CHECK(eventually([&] { return allocated() - at_first < 200'000; }));  // one connection takes more than a tenth
    CHECK(eventually([&] { return threads() <= before.threads; }));
}

TEST_CASE("what was on its way to a receiver that goes is given back at once") {
    server one;
    const auto bus = connect(one);
    const auto stream = bus.stream("FLYING", {.subjects = {"FLYING.>"}});
    const auto tx = stream.sender<int>("FLYING.x");
    const int count = 8;
    for (int i = 0; i < count; ++i) REQUIRE(tx.send(i));
    REQUIRE(stream.flush(patience));
    {
        const shut_door shut;
        const auto rx = stream.receiver<held_up>({.durable = "w", .ack_wait = 1h, .capacity = count});
        REQUIRE(eventually([] { return the_door.has_waiting(); }));
        (void)bus.stream("FLYING");  // the server has answered: more of them have come
    }
    const auto next = stream.receiver<int>({.durable = "w", .ack_wait = 1h, .capacity = count});
    std::set<int> got;
    for (int i = 0; i < count; ++i) {
        auto d = soon(next);
        REQUIRE(d);
        CHECK(d->ack(patience));
        got.insert(**d);
    }
    CHECK(got.size() == count);
}

TEST_CASE("what the client drops, since it is delivered too slowly, is counted too") {
    server one;
    const auto sends = connect(one), bus = connect(one);
    const int count = nats::detail::client::max_waiting + 5000;
    const auto rx = bus.receiver<held_up>("slow", {.capacity = 1000});
    const auto tx = sends.sender<int>("slow");
    {
        const shut_door shut;
        for (int i = 0; i < count; ++i) REQUIRE(tx.send(i));
        // So many have come that some are dropped.
        REQUIRE(eventually([&] { return bus.error() == std::errc::no_buffer_space; }));
        CHECK(eventually([&] { return rx.dropped() > 0; }));
    }
    REQUIRE(eventually([&] { return rx.size() + rx.dropped() >= std::size_t(count); }));
    CHECK(rx.size() + rx.dropped() == std::size_t(count));
    while (rx.try_recv()) {
    }
    REQUIRE(tx.send(-1));
    CHECK(soon(rx)->number == -1);
}

TEST_CASE("a connection to a silent server ends within linger, whatever is left: once, not one after the other") {
    server one;
    REQUIRE(eventually(no_connections));
    const auto linger = 3s;
    std::optional<stopwatch> dropped;
    {
        const auto bus = connect(one, {.dead_after = 1h, .linger = linger});
        const auto stream = bus.stream("SILENT", {.subjects = {"silent.>"}});
        const auto kept = stream.sender<int>("silent.x");
        const auto work = stream.receiver<int>({.durable = "w", .ack_wait = 1h, .capacity = 4});
        const auto rx = bus.receiver<int>("other");
        const auto tx = bus.sender<std::string>("large", {.capacity = 4});
        for (int i = 0; i < 4; ++i) REQUIRE(kept.send(i));
        REQUIRE(eventually([&] { return work.size() == 4; }));
        auto received = soon(work);
        REQUIRE(received);
        one.freeze();
        const std::string large(100'000, 'x');
        REQUIRE(eventually([&] { return tx.try_send(large).error_or(sluice::errc::empty) == sluice::errc::full; }));
        REQUIRE(kept.send(4));
        CHECK(received->ack());
        dropped.emplace();
    }
    CHECK(!no_connections());
    CHECK(eventually(no_connections));
    CHECK(dropped->elapsed() >= linger - 100ms);  // from when it sees that they are dropped, it has all of it
    CHECK(dropped->elapsed() < 2 * linger - 500ms);
    one.thaw();
}

TEST_CASE("a sender that is dropped has its own linger, and leaves the others alone") {
    server one;
    const auto bus = connect(one, {.dead_after = 1h, .linger = 200ms});
    const auto watcher = connect(one, {.dead_after = 1h});
    const auto rx = watcher.receiver<std::string>("goes");
    const auto stays = bus.sender<std::string>("goes", {.capacity = 4});
    one.freeze();
    const std::string large(100'000, 'x');
    REQUIRE(eventually([&] { return !stays.send_timeout(large, 200ms); }));  // nothing more is taken from any sender
    {
        const auto gone = bus.sender<std::string>("goes");
        REQUIRE(gone.send("too late"));
        REQUIRE(gone.close());
        REQUIRE(eventually([&] { return gone.receiver_count() == 0; }));  // what it had is given up
    }
    one.thaw();
    REQUIRE(stays.send("the last"));
    for (std::string text; text != "the last";) {
        const auto m = soon(rx);
        REQUIRE(m);
        text = *m;
        CHECK(text != "too late");
    }
}

TEST_CASE("no subscription is left at the server when its handle has gone") {
    const int monitor = free_port();
    const server one({"-m", std::to_string(monitor)});
    const auto subscriptions = [&] {
        plain_socket asks(monitor);
        asks.write("GET /subsz HTTP/1.0\r\n\r\n");
        const std::string label = "\"num_subscriptions\": ";
        for (int i = 0; i < 50; ++i) {
            const std::string text = asks.line();
            if (const auto at = text.find(label); at != std::string::npos)
                return std::stoi(text.substr(at + label.size()));
        }
        return -1;
    };
    const auto bus = connect(one);
    const auto stream = bus.stream("SUBS", {.subjects = {"subs.>"}});
    // What the server and the client make only once. The server may not have heard yet that it was dropped, so `before`
    // may be one too many, and there are several of each kind.
    { const auto rx = stream.receiver<int>({.durable = "w"}); }
    const int before = subscriptions();
    REQUIRE(before > 0);
    {
        std::vector<sluice::receiver<int>> all;
        std::vector<sluice::receiver<nats::call<int, int>>> calls;
        std::vector<sluice::receiver<nats::delivery<int>>> work;
        for (int i = 0; i < 50; ++i) all.push_back(bus.receiver<int>("subs." + std::to_string(i), {.queue = "q"}));
        for (int i = 0; i < 3; ++i) calls.push_back(bus.service<int, int>("calls"));
        for (int i = 0; i < 3; ++i) work.push_back(stream.receiver<int>({.durable = "w"}));
        for (int i = 0; i < 3; ++i) CHECK(bus.request<int>("nobody", 1, patience).error() == sluice::errc::closed);
        CHECK(subscriptions() >= before + 50);
        all[0].close();
    }
    CHECK(eventually([&] { return subscriptions() <= before; }));
}

TEST_CASE("handles, and the connection with them, are dropped in the handler of a select") {
    server one;
    REQUIRE(eventually(no_connections));
    const auto rounds = sanitized ? 5 : 20;
    for (int round = 0; round < rounds; ++round) {
        std::optional<nats::connection> bus(connect(one));
        auto rx = bus->receiver<int>("drop");
        auto tx = bus->sender<int>("drop");
        const auto drop_all = [&](int m) {
            CHECK(m == round);
            rx = {};
            tx = {};
            bus.reset();
        };
        REQUIRE(tx.send(round));
        if (round % 2 == 0) {
            CHECK(sluice::select(sluice::on_recv(rx, drop_all), sluice::on_timeout(patience)) == 0u);
        } else {
            sluice::selector group;
            group.add(sluice::on_recv(rx, drop_all));
            CHECK(group.wait_timeout(patience));
        }
        CHECK(!bus);
    }
    CHECK(eventually(no_connections));

    // A delivery outlives what it came from.
    std::optional<nats::connection> bus(connect(one));
    std::optional<nats::stream> stream(bus->stream("DROP", {.subjects = {"drop.>"}}));
    auto work = stream->receiver<int>({.durable = "w", .ack_wait = 1h, .capacity = 1});
    auto kept = stream->sender<int>("drop.x");
    REQUIRE(kept.send(1));
    REQUIRE(kept.send(2));
    bool acknowledged = false;
    const auto drop_first = [&](nats::delivery<int> d) {
        work = {};
        kept = {};
        stream.reset();
        bus.reset();
        acknowledged = *d == 1 && d.ack(patience);
    };
    CHECK(sluice::select(sluice::on_recv(work, drop_first), sluice::on_timeout(patience)) == 0u);
    CHECK(acknowledged);
    CHECK(eventually(no_connections));
    const auto later = connect(one);
    const auto next = later.stream("DROP").receiver<int>({.durable = "w", .ack_wait = 1h, .capacity = 1});
    auto d = soon(next);
    REQUIRE(d);
    CHECK(**d == 2);
}
