// A cluster of three servers, which keep a stream three times: its leader dies under load.
#include "support.hpp"

#include <set>

namespace {

using namespace test;

/// Three servers that know of each other.
class cluster {
public:
    cluster() {
        for (int& port : routes_) port = free_port();
        for (int i = 0; i < 3; ++i) {
            servers_[static_cast<std::size_t>(i)] = std::make_unique<server>(
                std::vector<std::string>{"--name", "n" + std::to_string(i), "--cluster_name", "C", "--cluster",
                                         "nats://127.0.0.1:" + std::to_string(routes_[i]), "--routes", routes()});
        }
    }
    std::string url() const { return servers_[0]->url() + "," + servers_[1]->url() + "," + servers_[2]->url(); }
    server& named(const std::string& name) { return *servers_[static_cast<std::size_t>(name.at(1) - '0')]; }

private:
    std::string routes() const {
        std::string all;
        for (const int port : routes_) all += (all.empty() ? "" : ",") + ("nats://127.0.0.1:" + std::to_string(port));
        return all;
    }
    int routes_[3];
    std::unique_ptr<server> servers_[3];
};

/// Who leads a stream; empty if nobody does now.
std::string leader_of(const nats::connection& bus, const std::string& stream) {
    const auto said = bus.request<std::string>("$JS.API.STREAM.INFO." + stream, std::string(), 2s);
    const std::string label = "\"leader\":\"";
    const std::size_t at = said ? said->find(label) : std::string::npos;
    return at == std::string::npos ? "" : said->substr(at + label.size(), 2);
}

/// The same as eventually(), but leaves the processors to the servers, which are about to agree on a leader.
template <class Condition>
bool at_last(Condition condition) {
    return eventually([&] {
        if (condition()) return true;
        std::this_thread::sleep_for(10ms);
        return false;
    });
}

}  // namespace

TEST_CASE("the leader of a stream is killed under load: nothing confirmed is lost") {
    cluster three;
    const nats::connection bus(three.url(), {.connect_timeout = 10s, .reconnect_wait = 20ms});
    std::optional<nats::stream> stream;
    // Until the servers have found each other, and a leader.
    REQUIRE(at_last([&] {
        try {
            stream.emplace(bus.stream("LEDGER", {.subjects = {"ledger.>"}, .replicas = 3}));
            return true;
        } catch (const std::system_error&) {
            return false;
        }
    }));
    const auto tx = stream->sender<int>("ledger.x", {.confirm_within = 1s});
    std::atomic<int> confirmed{0};
    std::atomic<bool> enough{false};
    task sending([&] {
        int sent = 0;
        for (; !enough; ++sent) {
            if (!tx.send(sent)) return -1;
            if (sent % 50 != 49) continue;
            if (!stream->flush(patience)) return -2;
            confirmed = sent + 1;
        }
        return stream->flush(patience) ? sent : -3;
    });
    for (int death = 0; death < 2; ++death) {
        const int before = confirmed;
        REQUIRE(at_last([&] { return confirmed >= before + 200; }));
        std::string leader;
        REQUIRE(at_last([&] { return !(leader = leader_of(bus, "LEDGER")).empty(); }));
        three.named(leader).kill();
        const int at_death = confirmed;
        REQUIRE(at_last([&] { return confirmed >= at_death + 200; }));
        three.named(leader).start();
    }
    enough = true;
    const int count = sending.get();
    REQUIRE(count > 0);
    // Who reads begins where there is a leader of the consumer too.
    std::optional<sluice::receiver<nats::delivery<int>>> rx;
    REQUIRE(at_last([&] {
        try {
            rx.emplace(stream->receiver<int>({.durable = "audit", .capacity = 256}));
            return true;
        } catch (const std::system_error&) {
            return false;
        }
    }));
    std::set<int> stored;
    while (stored.size() < std::size_t(count)) {
        auto d = soon(*rx);
        REQUIRE(d);
        stored.insert(**d);
        (void)d->ack();
    }
    CHECK(*stored.begin() == 0);
    CHECK(*stored.rbegin() == count - 1);
}

TEST_CASE("a cluster of which one server dies: plain handles go on at another") {
    cluster three;
    const nats::connection bus(three.url(), {.connect_timeout = 10s, .reconnect_wait = 20ms});
    const nats::connection other(three.named("n2").url(), {.connect_timeout = 10s});
    const auto rx = other.receiver<int>("moves");
    const auto tx = bus.sender<int>("moves");
    // Until the route between the two is there.
    REQUIRE(at_last([&] { return tx.send(0) && rx.recv_timeout(20ms); }));
    three.named("n0").kill();
    three.named("n1").kill();  // wherever it was
    int last = 0;
    REQUIRE(at_last([&] {
        (void)tx.send(++last);
        const auto m = rx.recv_timeout(20ms);
        return m && *m > 0;
    }));
    CHECK(!tx.is_closed());
}
