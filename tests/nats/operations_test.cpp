// Every operation of channels, on ends with NATS between them.
#include "support.hpp"

#include <sluice/pollable.hpp>

#include <numeric>

namespace {

using namespace test;

server& shared_server() {
    static server one;
    return one;
}

/// Both ends of a subject, and what comes.
struct ends {
    explicit ends(const std::string& subject)
        : bus(connect(shared_server())), rx(bus.receiver<int>(subject)), tx(bus.sender<int>(subject)) {}
    const nats::connection bus;
    sluice::receiver<int> rx;
    sluice::sender<int> tx;
};

}  // namespace

TEST_CASE("every way to send, and every way to receive") {
    const ends e("op.all");
    const std::stop_source never_stopped;
    const std::stop_token token = never_stopped.get_token();
    const auto soon_after = std::chrono::steady_clock::now() + patience;
    const auto by_calendar = std::chrono::system_clock::now() + patience;
    int sent = 0;
    REQUIRE(e.tx.send(sent++));
    REQUIRE(e.tx.send(sent++, token));
    REQUIRE(e.tx.try_send(sent++));
    REQUIRE(e.tx.send_timeout(sent++, patience));
    REQUIRE(e.tx.send_timeout(sent++, patience, token));
    REQUIRE(e.tx.send_until(sent++, soon_after));
    REQUIRE(e.tx.send_until(sent++, by_calendar, token));
    const auto forced = e.tx.force_send(sent++);
    REQUIRE(forced);
    CHECK(!*forced);  // there was room
    const auto next_four = [&] {
        std::vector<int> some(4);
        std::iota(some.begin(), some.end(), sent);
        sent += 4;
        return some;
    };
    CHECK(e.tx.send_many(next_four()) == 4);
    CHECK(e.tx.send_many(next_four(), token) == 4);
    CHECK(e.tx.try_send_many(next_four()) == 4);
    CHECK(sluice::select(sluice::on_send(e.tx, sent++)) == 0u);
    sluice::selector group;
    group.add(sluice::on_send(e.tx, sent++));
    CHECK(group.wait());
    const sluice::weak_sender<int> weak = e.tx.downgrade();
    REQUIRE(weak.lock().send(sent++));

    std::vector<int> got;
    const auto take = [&](const sluice::result<int>& m) { got.push_back(m.value_or(-1)); };
    take(e.rx.recv());
    take(e.rx.recv(token));
    take(e.rx.recv_timeout(patience));
    take(e.rx.recv_timeout(patience, token));
    take(e.rx.recv_until(soon_after));
    take(e.rx.recv_until(by_calendar, token));
    REQUIRE(eventually([&] { return !e.rx.empty(); }));
    take(e.rx.try_recv());
    for (const int m : e.rx) {
        got.push_back(m);
        break;
    }
    for (const int m : e.rx.until(token)) {
        got.push_back(m);
        break;
    }
    const auto to_got = [&] { return std::back_inserter(got); };
    CHECK(e.rx.recv_many(to_got(), 1) == 1);
    CHECK(e.rx.recv_many(to_got(), 1, token) == 1);
    CHECK(e.rx.recv_batch(to_got(), 2, patience) == 2);
    CHECK(e.rx.recv_batch(to_got(), 2, patience, token) == 2);
    REQUIRE(eventually([&] { return e.rx.size() == static_cast<std::size_t>(sent) - got.size(); }));
    CHECK(e.rx.try_recv_many(to_got(), 2) == 2);
    std::optional<int> into;
    CHECK(sluice::select(sluice::on_recv(e.rx, into)) == 0u);
    got.push_back(into.value_or(-1));
    sluice::selector receives;
    receives.add(sluice::on_recv(e.rx, [&](int m) { got.push_back(m); }));
    CHECK(receives.try_wait());
    CHECK(receives.wait());
    sluice::pollable<int> polled(e.rx.downgrade().lock());
    take(polled.try_recv());
    while (got.size() < static_cast<std::size_t>(sent)) take(soon(e.rx));
    std::vector<int> all(static_cast<std::size_t>(sent));
    std::iota(all.begin(), all.end(), 0);
    CHECK(got == all);
    CHECK(e.rx.try_recv().error() == sluice::errc::empty);
    CHECK(e.rx.recv_timeout(1ms).error() == sluice::errc::timeout);
}

TEST_CASE("what is waited for on a remote end ends by time, by a stop, and by closing, at once") {
    server one;
    const auto bus = connect(one, {.dead_after = 1h, .linger = 100ms});
    const auto rx = bus.receiver<std::string>("op.waits");
    const std::string large(100'000, 'x');
    one.freeze();
    const auto fill = [&](const sluice::sender<std::string>& tx) {
        return eventually([&] { return !tx.send_timeout(large, 100ms); });
    };
    const std::vector<std::string> many(3, large);
    for (const bool closes : {false, true}) {
        const auto tx = bus.sender<std::string>("op.waits", {.capacity = 4});
        REQUIRE(fill(tx));
        CHECK(tx.try_send(large).error() == sluice::errc::full);
        CHECK(tx.send_timeout(large, 1ms).error() == sluice::errc::timeout);
        std::stop_source stop;
        task sends([&] { return tx.send(large, stop.get_token()).error(); });
        task sends_many([&] { return tx.send_many(many, stop.get_token()); });
        task selects([&] {
            const auto fired = sluice::select(sluice::on_send(tx, large, [](sluice::result<void> r) { (void)r; }),
                                              sluice::on_stop(stop.get_token()));
            return fired ? static_cast<int>(*fired) : -1;
        });
        task receives([&] { return rx.recv(stop.get_token()).error(); });
        REQUIRE(wait_until_asleep(sends));
        REQUIRE(wait_until_asleep(sends_many));
        REQUIRE(wait_until_asleep(selects));
        REQUIRE(wait_until_asleep(receives));
        const stopwatch ending;
        if (closes) {
            CHECK(tx.close());
            CHECK(rx.close());
        } else {
            stop.request_stop();
        }
        const auto expected = closes ? sluice::errc::closed : sluice::errc::stopped;
        CHECK(sends.get() == expected);
        CHECK(sends_many.get() == 0u);
        CHECK(selects.get() == (closes ? 0 : 1));
        CHECK(receives.get() == expected);
        CHECK(ending.elapsed() < 10s);
        CHECK(!tx.close_cause());
    }
    one.thaw();
}

TEST_CASE("a select over ends of several connections, timers and local channels") {
    const ends a("op.a"), b("op.b");
    const auto [local_tx, local_rx] = sluice::bounded<int>(4);
    const int each = scaled(300);
    const auto send_all = [each](const sluice::sender<int>& tx) {
        for (int i = 0; i < each; ++i) {
            if (!tx.send(i)) return false;
        }
        return true;
    };
    task to_a([&] { return send_all(a.tx); }), to_b([&] { return send_all(b.tx); }),
        to_local([&, tx = local_tx] { return send_all(tx); });
    int next[3] = {0, 0, 0}, wrong = 0;
    const auto expect = [&](int which) { return [&, which](int m) { wrong += m != next[which]++; }; };
    for (int i = 0; i < 3 * each; ++i) {
        const auto fired =
            sluice::select(sluice::on_recv(a.rx, expect(0)), sluice::on_recv(b.rx, expect(1)),
                           sluice::on_recv(local_rx, expect(2)), sluice::on_timeout(patience, [&] { ++wrong; }));
        if (!fired || wrong != 0) break;
    }
    CHECK(wrong == 0);
    CHECK(next[0] + next[1] + next[2] == 3 * each);
    CHECK(to_a.get());
    CHECK(to_b.get());
    CHECK(to_local.get());
}

TEST_CASE("a broadcaster, and a channel of the program, are joined to a subject by loops") {
    const ends e("op.joined");
    sluice::broadcaster<int> out;
    const auto heard = out.subscribe(), too = out.subscribe();
    task forwards([&, rx = e.rx] {
        int count = 0;
        for (const int m : rx) count += static_cast<int>(out.send(m));
        return count;
    });
    for (int i = 0; i < 10; ++i) REQUIRE(e.tx.send(i));
    for (int i = 0; i < 10; ++i) {
        CHECK(soon(heard) == i);
        CHECK(soon(too) == i);
    }
    e.rx.close();
    CHECK(forwards.get() == 20);
}
