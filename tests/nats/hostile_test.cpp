// Servers that break the protocol, peers that send what nobody expects, and names that would be commands of the protocol.
#include "support.hpp"

#include <functional>
#include <optional>

namespace {

using namespace test;

/// A server that greets, answers pings, and else does what the test says with each line of its clients.
class fake_server {
public:
    /// `hears` gets the socket and a line; true if nothing is to be answered to it.
    explicit fake_server(std::function<bool(int, const std::string&)> hears)
        : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), hears_(std::move(hears)) {
        sockaddr_in name{};
        name.sin_family = AF_INET;
        name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof name;
        REQUIRE(::bind(fd_, reinterpret_cast<const sockaddr*>(&name), size) == 0);
        REQUIRE(::getsockname(fd_, reinterpret_cast<sockaddr*>(&name), &size) == 0);
        REQUIRE(::listen(fd_, 10) == 0);
        port_ = ntohs(name.sin_port);
        thread_ = std::thread([this] {
            for (int client; (client = ::accept(fd_, nullptr, nullptr)) >= 0;) {
                serve(client);
                ::close(client);
            }
        });
    }
    fake_server(const fake_server&) = delete;
    ~fake_server() {
        ends_ = true;
        ::shutdown(fd_, SHUT_RDWR);
        thread_.join();
        ::close(fd_);
    }
    std::string url() const { return "nats://127.0.0.1:" + std::to_string(port_); }
    int clients() const { return clients_; }

    static void say(int fd, const std::string& text) { (void)::send(fd, text.data(), text.size(), MSG_NOSIGNAL); }

private:
    void serve(int client) {
        ++clients_;
        say(client,
            "INFO "
            "{\"server_id\":\"X\",\"version\":\"2.9.0\",\"proto\":1,\"headers\":true,\"max_payload\":1048576}\r\n");
        std::string line;
        while (!ends_) {
            pollfd p{client, POLLIN, 0};
            if (::poll(&p, 1, 20) != 1) continue;
            char c;
            if (::recv(client, &c, 1, 0) != 1) return;
            line += c;
            if (c != '\n') continue;
            if (!hears_(client, line) && line.starts_with("PING")) say(client, "PONG\r\n");
            line.clear();
        }
    }

    const int fd_;
    int port_ = 0;
    const std::function<bool(int, const std::string&)> hears_;
    std::atomic<bool> ends_{false};
    std::atomic<int> clients_{0};
    std::thread thread_;
};

nats::connection connect_to(const fake_server& s) {
    return nats::connection(s.url(), {.connect_timeout = 500ms, .reconnect_wait = 20ms, .linger = 100ms});
}

}  // namespace

TEST_CASE("a server that says what is no protocol is left, and tried again") {
    const fake_server strange([](int fd, const std::string& line) {
        if (!line.starts_with("SUB")) return false;
        fake_server::say(fd, "MSG \xff\xff \r\nHELLO\r\n{}{}\r\n");
        return true;
    });
    const auto bus = connect_to(strange);
    REQUIRE(eventually([&] { return strange.clients() >= 3; }));
    CHECK(bus.request<int>("any", 1, 20ms).error() == sluice::errc::timeout);
}

TEST_CASE("a message that claims to be enormous, and one of a subscription that nobody has") {
    if (sanitized) {
        SUCCEED("the client keeps the memory of a message that is cut off, which a sanitizer takes for a leak");
        return;
    }
    const fake_server strange([](int fd, const std::string& line) {
        static std::string number;
        if (line.starts_with("SUB size"))
            number = line.substr(line.find_last_of(' ') + 1, line.find('\r') - line.find_last_of(' ') - 1);
        if (!line.starts_with("PUB go")) return false;
        fake_server::say(fd, "MSG size 99999 3\r\nabc\r\n");
        fake_server::say(fd, "MSG size " + number + " 2000000000\r\nabc");
        return false;
    });
    const auto bus = connect_to(strange);
    const auto rx = bus.receiver<std::string>("size");
    REQUIRE(bus.sender<int>("go").send(1));
    CHECK(rx.recv_timeout(100ms).error() == sluice::errc::timeout);
    CHECK(!rx.is_closed());
}

TEST_CASE("a server that confirms no subscription: opening ends in time, and says which") {
    const fake_server mute([](int fd, const std::string& line) {
        (void)fd;
        static std::atomic<bool> subscribed{false};
        if (line.starts_with("CONNECT")) subscribed = false;
        if (line.starts_with("SUB mute")) subscribed = true;
        return subscribed.load();
    });
    const auto bus = connect_to(mute);
    const stopwatch opening;
    const std::string words = words_of([&] { (void)bus.receiver<int>("mute"); });
    CHECK(opening.elapsed() < 10s);
    CHECK(words.find("mute") != std::string::npos);
}

TEST_CASE("a server that hangs up at once: an exception that names it") {
    const fake_server rude([](int fd, const std::string&) {
        ::shutdown(fd, SHUT_RDWR);
        return true;
    });
    CHECK(words_of([&] { (void)connect_to(rude); }).find(rude.url()) != std::string::npos);
}

TEST_CASE("no name becomes a command of the protocol, or a part of its JSON") {
    server one;
    const auto bus = connect(one);
    const auto spy = bus.receiver<std::string>("spy");
    const std::string command = "x\r\nPUB spy 4\r\nevil\r\n";
    for (const std::string& bad :
         {command, std::string("a b"), std::string("a\tb"), std::string("a\0b", 3), std::string("."), std::string(".a"),
          std::string("a."), std::string(), std::string("a\"b c")}) {
        INFO(bad);
        CHECK(!words_of([&] { (void)bus.sender<int>(bad); }).empty());
        CHECK(!words_of([&] { (void)bus.receiver<int>(bad); }).empty());
        CHECK(!words_of([&] { (void)bus.service<int, int>(bad); }).empty());
        CHECK(!words_of([&] { (void)bus.request<int>(bad, 1, 10ms); }).empty());
        const auto any = bus.sender<nats::message<int>>();
        REQUIRE(any.send({bad, 1}));
        REQUIRE(eventually([&] { return any.is_closed(); }));
    }
    for (const std::string& bad : {command, std::string("a b"), std::string("a\"b\\"), std::string("a.b")}) {
        INFO(bad);
        if (!nats::detail::is_subject(bad, false))
            CHECK(!words_of([&] { (void)bus.receiver<int>("q", {.queue = bad}); }).empty());
        CHECK(!words_of([&] { (void)bus.stream(bad); }).empty());
        CHECK(!words_of([&] { (void)bus.stream(bad, {.subjects = {"s"}}); }).empty());
    }
    const auto stream = bus.stream("NAMES", {.subjects = {"names.>"}});
    for (const std::string& bad : {command, std::string("a b"), std::string("x\",\"deliver_policy\":\"new")}) {
        INFO(bad);
        CHECK(!words_of([&] { (void)stream.receiver<int>({.durable = bad}); }).empty());
        CHECK(!words_of([&] { (void)stream.receiver<int>({.durable = "w", .filter = bad}); }).empty());
        CHECK(!words_of([&] { (void)bus.stream("OTHER", {.subjects = {bad}}); }).empty());
    }
    CHECK(spy.recv_timeout(50ms).error() == sluice::errc::timeout);
    CHECK(!bus.receiver<int>("still").is_closed());
}

TEST_CASE("a message with headers of many kilobytes, and empty ones, are received as any other") {
    server one;
    const auto bus = connect(one);
    const auto rx = bus.receiver<std::string>("headers");
    plain_socket other(one.port());
    other.write("CONNECT {\"verbose\":false,\"headers\":true}\r\nPING\r\n");
    REQUIRE(other.line_with("PONG") == "PONG");
    const auto publish = [&](const std::string& headers, const std::string& body) {
        other.write("HPUB headers " + std::to_string(headers.size()) + " " +
                    std::to_string(headers.size() + body.size()) + "\r\n" + headers + body + "\r\n");
    };
    publish("NATS/1.0\r\nLong: " + std::string(200'000, 'h') + "\r\n\r\n", "one");
    publish("NATS/1.0\r\n\r\n", "");
    publish("NATS/1.0 503\r\n\r\n", "");  // what a server says where nobody listens
    other.write("PUB headers 0\r\n\r\n");
    publish("no headers at all", "two");
    CHECK(soon(rx) == "one");
    CHECK(soon(rx) == "");
    CHECK(soon(rx) == "");
    CHECK(soon(rx) == "");
    CHECK(soon(rx) == "two");
}

TEST_CASE("what a stranger sends to the inbox of a connection is no answer") {
    server one;
    const auto bus = connect(one);
    plain_socket spy(one.port());
    spy.write("CONNECT {\"verbose\":false}\r\nSUB ask 1\r\nPING\r\n");
    REQUIRE(spy.line_with("PONG") == "PONG");
    task asking([&] { return bus.request<std::string>("ask", std::string("?"), patience); });
    const std::string asked = spy.line_with("MSG ask 1 ");
    std::string reply_to = asked.substr(std::string("MSG ask 1 ").size());
    reply_to.resize(reply_to.find(' '));
    const std::string inbox = reply_to.substr(0, reply_to.rfind('.') + 1);
    for (const char* const number : {"0", "999999999", "99999999999999999999999999", "x", "-1", "77.2.3"})
        spy.write("PUB " + inbox + number + " 3\r\nbad\r\n");
    spy.write("PUB " + reply_to + " 4\r\ngood\r\nPUB " + reply_to + " 5\r\ntwice\r\n");
    CHECK(asking.get() == "good");
    CHECK(bus.request<int>("nobody", 1, patience).error() == sluice::errc::closed);
}

TEST_CASE("a wrong token") {
    server strict({"--auth", "right"});
    const std::string refused = words_of([&] { nats::connection bus(strict.url(), {.token = "wrong"}); });
    CHECK(refused.find(strict.url()) != std::string::npos);
    CHECK(refused.find("Authorization") != std::string::npos);
    const auto bus = connect(strict, {.token = "right"});
    CHECK(!bus.receiver<int>("x").is_closed());
}

TEST_CASE("what an exception says of a URL is not its secrets") {
    server strict({"--auth", "right"});
    const std::string host = strict.url().substr(strict.url().find("://") + 3);
    const std::string refused = words_of([&] { nats::connection bus("nats://wrong@" + host + ",user:secret@" + host); });
    CHECK(refused.find("nats://" + host + "," + host) != std::string::npos);
    const nats::connection bus("nats://right@" + host);
    CHECK(!bus.receiver<int>("x").is_closed());
    CHECK(words_of([&] { (void)bus.receiver<int>("a b"); }).find("right") == std::string::npos);
}

TEST_CASE("a delivery is acknowledged after the server was started again") {
    server one;
    const auto bus = connect(one);
    const auto stream = bus.stream("LATE", {.subjects = {"late.>"}});
    const auto tx = stream.sender<int>("late.x");
    const auto rx = stream.receiver<int>({.durable = "w", .ack_wait = 10s});
    REQUIRE(tx.send(1));
    REQUIRE(stream.flush(patience));
    auto d = soon(rx);
    REQUIRE(d);
    one.stop();
    task acks([&] { return bool(d->ack(patience)); });
    one.start();
    CHECK(acks.get());
    REQUIRE(tx.send(2));
    auto next = soon(rx);
    REQUIRE(next);
    CHECK(**next == 2);
    CHECK(next->ack(patience));
}

TEST_CASE("threads that open, ask and send while the connection is given up") {
    for (int round = 0; round < (sanitized ? 3 : 10); ++round) {
        auto one = std::make_unique<server>();
        const auto bus = connect(*one, {.connect_timeout = 300ms, .reconnect_for = 1ms});
        std::vector<std::unique_ptr<task<int>>> busy;
        for (int t = 0; t < 4; ++t) {
            busy.push_back(std::make_unique<task<int>>([&, t] {
                const std::string subject = "busy." + std::to_string(t);
                int done = 0;
                try {
                    for (;; ++done) {
                        const auto rx = bus.receiver<int>(subject);
                        const auto tx = bus.sender<int>(subject);
                        if (!tx.send(done)) break;
                        (void)bus.request<int>(subject, 1, 1ms);
                        (void)rx.recv_timeout(1ms);
                    }
                } catch (const std::system_error&) {
                    return done;
                }
                return done;
            }));
        }
        one->kill();
        for (auto& b : busy) CHECK(b->get() >= 0);
    }
}

TEST_CASE("a stop token ends flush, ack and request at once") {
    server one;
    const auto bus = connect(one, {.dead_after = 1h});
    const auto stream = bus.stream("STOPS", {.subjects = {"stops.>"}});
    const auto tx = stream.sender<int>("stops.x");
    const auto rx = stream.receiver<int>({.durable = "w"});
    REQUIRE(tx.send(1));
    auto d = soon(rx);
    REQUIRE(d);
    one.freeze();
    REQUIRE(tx.send(2));
    std::stop_source stop;
    task flushes([&] { return stream.flush(1h, stop.get_token()).error(); });
    task acks([&] { return d->ack(1h, stop.get_token()).error(); });
    REQUIRE(wait_until_asleep(flushes));
    REQUIRE(wait_until_asleep(acks));
    stop.request_stop();
    CHECK(flushes.get() == sluice::errc::stopped);
    CHECK(acks.get() == sluice::errc::stopped);
    one.thaw();
    CHECK(d->ack(patience));  // it may be called again
    CHECK(stream.flush(patience));
}
