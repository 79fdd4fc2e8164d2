// Servers that die, come back, or fall silent; programs that die, fork, or end.
#include "support.hpp"

#include <set>

namespace {

using namespace test;

nats::stream make(const nats::connection& bus, const std::string& name) {
    return bus.stream(name, {.subjects = {name + ".>"}});
}

}  // namespace

TEST_CASE("a server that is started again: handles stay open, and sends wait meanwhile") {
    server one;
    const auto bus = connect(one);
    const auto rx = bus.receiver<int>("again");
    const auto tx = bus.sender<int>("again", {.capacity = 16});
    REQUIRE(tx.send(1));
    CHECK(soon(rx) == 1);
    one.kill();
    // What the client had not noticed by then may be lost; the rest waits, and then there is no room.
    int sent = 2;
    REQUIRE(eventually([&] {
        const auto tried = tx.try_send(sent);
        if (tried) ++sent;
        return !tried && tried.error() == sluice::errc::full;
    }));
    std::stop_source stop;
    task waits([&] { return tx.send(0, stop.get_token()).error(); });
    REQUIRE(wait_until_asleep(waits));
    stop.request_stop();
    CHECK(waits.get() == sluice::errc::stopped);
    CHECK(!tx.is_closed());
    one.start();
    int last = 0;
    while (last != sent - 1) {
        const auto m = soon(rx);
        REQUIRE(m);
        REQUIRE(*m > last);
        last = *m;
    }
    REQUIRE(tx.send(sent));
    CHECK(soon(rx) == sent);
}

TEST_CASE("a connection that is given up closes its handles, with the cause, and ends who is blocked") {
    server one;
    const auto bus = connect(one, {.reconnect_for = 200ms});
    const auto rx = bus.receiver<int>("gone");
    const auto tx = bus.sender<int>("gone");
    const auto calls = bus.service<int, int>("gone.calls");
    const auto stream = make(bus, "GONE");
    const auto kept = stream.sender<int>("GONE.x");
    const auto work = stream.receiver<int>({.durable = "w"});
    REQUIRE(kept.send(1));
    auto d = soon(work);
    REQUIRE(d);
    task receives([&] { return rx.recv().error(); });
    task asks([&] { return bus.request<int>("gone.calls", 1, 1h).error(); });
    REQUIRE(wait_until_asleep(receives));
    REQUIRE(wait_until_asleep(asks));
    one.kill();
    CHECK(receives.get() == sluice::errc::closed);
    CHECK(asks.get() == sluice::errc::closed);
    REQUIRE(eventually([&] { return tx.is_closed() && calls.is_closed() && kept.is_closed() && work.is_closed(); }));
    for (const std::string& why : {reason_of(rx), reason_of(tx), reason_of(calls), reason_of(kept), reason_of(work)})
        CHECK(why.find(one.url()) != std::string::npos);
    REQUIRE(eventually([&] { return d->in_progress().error() == sluice::errc::closed; }));
    CHECK(d->ack().error() == sluice::errc::closed);
    CHECK(stream.flush(patience).error() == sluice::errc::closed);
    CHECK(words_of([&] { (void)bus.receiver<int>("gone"); }).find(one.url()) != std::string::npos);
}

TEST_CASE("retry_first_connect opens before there is a server") {
    const int port = free_port();
    const std::string url = "nats://127.0.0.1:" + std::to_string(port);
    const nats::connection bus(url, {.connect_timeout = 5s, .retry_first_connect = true, .reconnect_wait = 20ms});
    const auto tx = bus.sender<int>("first");
    REQUIRE(tx.send(1));
    CHECK(bus.request<int>("first", 1, 50ms).error() == sluice::errc::timeout);
    server one({}, port);
    const auto rx = bus.receiver<int>("first");
    REQUIRE(tx.send(2));
    auto m = soon(rx);
    if (m == 1) m = soon(rx);
    CHECK(m == 2);
}

TEST_CASE("a server that falls silent is lost after dead_after") {
    server one;
    const auto bus = connect(one, {.reconnect_for = 1ms, .dead_after = 400ms});
    const auto rx = bus.receiver<int>("silent");
    const auto tx = bus.sender<int>("silent");
    REQUIRE(tx.send(1));
    CHECK(soon(rx) == 1);
    one.freeze();
    const stopwatch silent;
    CHECK(rx.recv().error() == sluice::errc::closed);
    CHECK(silent.elapsed() >= 200ms);
    CHECK(silent.elapsed() < 10s);
    CHECK(reason_of(rx).find(one.url()) != std::string::npos);
    REQUIRE(eventually([&] { return tx.is_closed(); }));
    one.thaw();
}

TEST_CASE("a server that falls silent is lost though its socket takes no more") {
    server one;
    const auto bus = connect(one, {.reconnect_for = 1ms, .dead_after = 400ms});
    const auto rx = bus.receiver<int>("stuffed.in");
    const auto tx = bus.sender<std::string>("stuffed", {.capacity = 4});
    one.freeze();
    const stopwatch silent;
    const std::string large(100'000, 'x');
    REQUIRE(eventually([&] { return tx.try_send(large).error_or(sluice::errc::empty) == sluice::errc::full; }));
    REQUIRE(eventually([&] { return rx.is_closed() && tx.is_closed(); }));
    CHECK(silent.elapsed() < 10s);
    one.thaw();
}

TEST_CASE("while a server is silent nothing blocks but sends, and when it goes on nothing was lost") {
    server one;
    const auto bus = connect(one, {.dead_after = 1h});
    const auto rx = bus.receiver<std::string>("pause");
    const auto tx = bus.sender<std::string>("pause", {.capacity = 4});
    REQUIRE(tx.send("before"));
    CHECK(soon(rx) == "before");
    one.freeze();
    const std::string large(100'000, 'x');
    std::size_t sent = 0;
    REQUIRE(eventually([&] {
        const auto tried = tx.send_timeout(large, 50ms);
        if (tried) ++sent;
        return !tried && tried.error() == sluice::errc::timeout;
    }));
    CHECK(bus.request<int>("pause.nobody", 1, 20ms).error() == sluice::errc::timeout);
    CHECK(rx.recv_timeout(20ms).error() == sluice::errc::timeout);
    {
        const auto other = bus.sender<int>("elsewhere");  // and may be dropped with messages in it
        REQUIRE(other.try_send(1));
    }
    one.thaw();
    for (std::size_t i = 0; i < sent; ++i) REQUIRE(soon(rx) == large);
    REQUIRE(tx.send("after"));
    CHECK(soon(rx) == "after");
}

TEST_CASE("a stream over a server that dies under load: nothing confirmed is lost, nothing is there twice") {
    server one;
    const auto bus = connect(one);
    const auto stream = make(bus, "LEDGER");
    const auto tx = stream.sender<int>("LEDGER.x");
    const auto rx = stream.receiver<int>({.durable = "w", .ack_wait = 2s, .capacity = 64});
    const int count = scaled(6000);
    task sending([&] {
        for (int i = 0; i < count; ++i) {
            if (!tx.send(i)) return false;
        }
        return bool(stream.flush(patience));
    });
    std::set<int> got;
    while (got.size() < std::size_t(count)) {
        auto d = soon(rx);
        REQUIRE(d);
        const bool is_new = got.insert(**d).second;
        (void)d->ack();
        if (is_new && (got.size() == std::size_t(count) / 4 || got.size() == std::size_t(count) / 2)) {
            one.kill();
            one.start();
        }
    }
    CHECK(sending.get());
    // Twice in the stream would be more messages than were sent.
    const auto all = stream.receiver<int>({.durable = "audit", .capacity = 512});
    std::vector<int> stored;
    for (int i = 0; i < count; ++i) {
        auto d = soon(all);
        REQUIRE(d);
        stored.push_back(**d);
        REQUIRE(d->ack());
    }
    CHECK(all.recv_timeout(200ms).error() == sluice::errc::timeout);
    std::sort(stored.begin(), stored.end());
    CHECK(std::adjacent_find(stored.begin(), stored.end()) == stored.end());
}

TEST_CASE("with one unconfirmed message the order is kept over an outage") {
    server one;
    const auto bus = connect(one);
    const auto stream = make(bus, "ORDER");
    const auto tx = stream.sender<int>("ORDER.x", {.unconfirmed = 1});
    const auto rx = stream.receiver<int>({.durable = "w", .ack_wait = 2s, .capacity = 64});
    const int count = scaled(400);
    task sending([&] {
        for (int i = 0; i < count; ++i) {
            if (!tx.send(i)) return false;
        }
        return bool(stream.flush(patience));
    });
    REQUIRE(eventually([&] { return rx.size() > 5; }));
    one.kill();
    one.start();
    CHECK(sending.get());
    const auto all = stream.receiver<int>({.durable = "audit"});
    for (int i = 0; i < count; ++i) {
        auto d = soon(all);
        REQUIRE(d);
        REQUIRE(**d == i);
        REQUIRE(d->ack());
    }
}

TEST_CASE("a consumer that is killed before it acknowledged: delivered again, to another") {
    server one;
    const auto bus = connect(one);
    const auto stream = make(bus, "KILLED");
    const auto tx = stream.sender<int>("KILLED.x");
    REQUIRE(tx.send(42));
    peer worker({"hold", one.url(), "KILLED", "w"});
    REQUIRE(worker.line() == "42");
    worker.signal(SIGKILL);
    CHECK(worker.wait() == exit_status{0, SIGKILL});
    const auto rx = stream.receiver<int>({.durable = "w", .ack_wait = 500ms, .capacity = 1});
    auto d = soon(rx);
    REQUIRE(d);
    CHECK(**d == 42);
    CHECK(d->attempt() == 2);
    CHECK(d->ack(patience));
}

TEST_CASE("at the end of a program what was sent is written") {
    server one;
    const auto bus = connect(one);
    const auto rx = bus.receiver<int>("leaving");
    const int count = scaled(20'000);
    peer other({"leave", one.url(), "leaving", std::to_string(count)});
    for (int i = 0; i < count; ++i) REQUIRE(soon(rx) == i);
    CHECK(other.wait() == success);
}

TEST_CASE("at the end of a program the deliveries that nobody received are given back at once") {
    server one;
    const auto bus = connect(one);
    const auto stream = make(bus, "LEFT");
    const auto tx = stream.sender<int>("LEFT.x");
    const int count = 8;
    for (int i = 0; i < count; ++i) REQUIRE(tx.send(i));
    REQUIRE(stream.flush(patience));
    peer other({"keep", one.url(), "LEFT", "w", std::to_string(count)});
    const std::string received = other.line();
    REQUIRE(received == "0");
    REQUIRE(other.release());
    CHECK(other.wait() == success);
    const auto rx = stream.receiver<int>({.durable = "w", .ack_wait = 1h, .capacity = std::size_t(count)});
    std::set<int> got;
    while (got.size() < std::size_t(count) - 1) {
        auto d = soon(rx);
        REQUIRE(d);
        CHECK(d->attempt() == 2);
        CHECK(d->ack());
        got.insert(**d);
    }
    CHECK(got.count(0) == 0);  // it was received, and is delivered again after ack_wait
}

TEST_CASE("a stream that is deleted closes its ends, with the reason") {
    server one;
    const auto bus = connect(one);
    const auto stream = make(bus, "DELETED");
    const auto tx = stream.sender<int>("DELETED.x");
    const auto rx = stream.receiver<int>({.durable = "w"});
    REQUIRE(tx.send(1));
    REQUIRE(soon(rx)->ack(patience));
    CHECK(bus.request<std::string>("$JS.API.STREAM.DELETE.DELETED", std::string(), patience)->find("true") !=
          std::string::npos);
    REQUIRE(tx.send(2));
    CHECK(soon(rx).error() == sluice::errc::closed);
    CHECK(reason_of(rx).find("DELETED") != std::string::npos);
    REQUIRE(eventually([&] { return tx.is_closed(); }));
    CHECK(reason_of(tx).find("stream not found") != std::string::npos);
    CHECK(stream.flush(patience).error() == sluice::errc::closed);
}
