// Streams: what is stored, confirmed, delivered again, given back, and refused.
#include "support.hpp"

#include <map>
#include <set>

namespace {

using namespace test;

server& shared_server() {
    static server one;
    return one;
}

/// A number that takes a while to be destroyed.
struct lingering {
    int number;
    lingering(int n) : number(n) {}
    lingering(lingering&& other) noexcept : number(other.number) {}
    lingering& operator=(lingering&&) noexcept = default;
    ~lingering() { std::this_thread::sleep_for(2ms); }
};

nats::stream make(const nats::connection& bus, const std::string& name, nats::stream_options chosen = {}) {
    if (chosen.subjects.empty()) chosen.subjects = {name + ".>"};
    chosen.in_memory = true;
    return bus.stream(name, chosen);
}

}  // namespace

template <>
struct sluice::codec<lingering> {
    static void encode(const lingering& l, std::vector<std::byte>& out) { codec<int>::encode(l.number, out); }
    static lingering decode(std::span<const std::byte> bytes) { return {codec<int>::decode(bytes)}; }
};

TEST_CASE("what is sent into a stream is stored, and delivered to who comes later") {
    const auto bus = connect(shared_server());
    const auto orders = make(bus, "LATER");
    const auto tx = orders.sender<int>("LATER.new");
    const auto any = orders.sender<nats::message<int>>();
    for (int i = 0; i < 100; ++i) REQUIRE(tx.send(i));
    REQUIRE(orders.flush(patience));
    REQUIRE(any.send({"LATER.old", 100}));
    REQUIRE(orders.flush(patience));
    const auto rx = orders.receiver<int>({.durable = "reader"});
    for (int i = 0; i <= 100; ++i) {
        auto d = soon(rx);
        REQUIRE(d);
        REQUIRE(**d == i);
        REQUIRE(d->attempt() == 1);
        REQUIRE(d->subject() == (i < 100 ? "LATER.new" : "LATER.old"));
        REQUIRE(d->ack(patience));
        REQUIRE(d->ack().error() == sluice::errc::closed);
    }
    CHECK(rx.try_recv().error() == sluice::errc::empty);
    // Another name begins at the start, or with what is new, or with one subject.
    const auto again = orders.receiver<nats::message<int>>({.durable = "again"});
    CHECK(soon(again)->operator*().subject == "LATER.new");
    const auto fresh = orders.receiver<int>({.durable = "fresh", .from = nats::new_messages{}});
    const auto some = orders.receiver<int>({.durable = "some", .filter = "LATER.old"});
    CHECK(**soon(some) == 100);
    REQUIRE(tx.send(7));
    CHECK(**soon(fresh) == 7);
}

TEST_CASE("a hundred thousand messages through a stream, each once") {
    const auto bus = connect(shared_server());
    const auto stream = make(bus, "MANY");
    const auto tx = stream.sender<int>("MANY.x");
    const auto rx = stream.receiver<int>({.durable = "all", .capacity = 512, .max_ack_pending = 10000});
    const int count = scaled(100'000);
    task sending([&] {
        for (int i = 0; i < count; ++i) {
            if (!tx.send(i)) return false;
        }
        return true;
    });
    int in_order = 0;
    for (int i = 0; i < count; ++i) {
        auto d = soon(rx);
        REQUIRE(d);
        if (**d == i && d->ack()) ++in_order;
    }
    CHECK(in_order == count);
    CHECK(sending.get());
    CHECK(stream.flush(patience));
    CHECK(rx.try_recv().error() == sluice::errc::empty);
}

TEST_CASE("nak delivers again at once, or after a delay; term never; attempt counts") {
    const auto bus = connect(shared_server());
    const auto stream = make(bus, "NAK");
    const auto tx = stream.sender<std::string>("NAK.x");
    const auto rx = stream.receiver<std::string>({.durable = "w", .ack_wait = 1h});
    REQUIRE(tx.send("one"));
    for (std::uint64_t attempt = 1; attempt <= 3; ++attempt) {
        auto d = soon(rx);
        REQUIRE(d);
        CHECK(d->attempt() == attempt);
        CHECK(d->nak());
        CHECK(d->ack().error() == sluice::errc::closed);  // the first word counts
    }
    auto d = soon(rx);
    REQUIRE(d);
    const auto then = std::chrono::steady_clock::now();
    CHECK(d->nak(300ms));
    d = soon(rx);
    REQUIRE(d);
    CHECK(std::chrono::steady_clock::now() - then >= 250ms);
    CHECK(d->attempt() == 5);
    CHECK(d->term());
    REQUIRE(tx.send("two"));
    d = soon(rx);
    REQUIRE(d);
    CHECK(**d == "two");
    CHECK(d->in_progress());
    CHECK(d->ack());
    CHECK(d->in_progress().error() == sluice::errc::closed);
}

TEST_CASE("ack_wait passes after recv, and a delivery without a word comes again") {
    const auto bus = connect(shared_server());
    const auto stream = make(bus, "WAIT");
    const auto tx = stream.sender<int>("WAIT.x");
    const auto rx = stream.receiver<int>({.durable = "w", .ack_wait = 400ms});
    REQUIRE(tx.send(1));
    auto first = soon(rx);
    REQUIRE(first);
    auto again = soon(rx);
    REQUIRE(again);
    CHECK(again->attempt() == 2);
    CHECK(again->ack());
}

TEST_CASE("ack_wait does not pass while a delivery waits in the channel, and is whole after recv") {
    const auto bus = connect(shared_server()), other = connect(shared_server());
    const auto stream = make(bus, "PATIENT");
    const auto tx = stream.sender<int>("PATIENT.x");
    const auto wait = 600ms;
    const nats::stream_receiver_options chosen{.durable = "w", .ack_wait = wait, .capacity = 4};
    const auto rx = stream.receiver<int>(chosen);
    REQUIRE(tx.send(1));
    REQUIRE(tx.send(2));
    REQUIRE(eventually([&] { return rx.size() == 2; }));
    const auto thief = other.stream("PATIENT").receiver<int>(chosen);
    // Four times as long as the server would wait, nobody else gets them.
    CHECK(thief.recv_timeout(4 * wait).error() == sluice::errc::timeout);
    CHECK(rx.size() == 2);
    auto one = soon(rx);
    const auto received = std::chrono::steady_clock::now();
    REQUIRE(one);
    CHECK(one->attempt() == 1);
    auto two = soon(rx);
    REQUIRE(two);
    CHECK(two->attempt() == 1);
    CHECK(two->ack(patience));
    // The first one comes again, to either, when all of its time has passed.
    const auto comes_again = [&](nats::delivery<int> d) {
        CHECK(std::chrono::steady_clock::now() - received >= wait * 9 / 10);
        CHECK(*d == 1);
        CHECK(d.attempt() == 2);
        CHECK(d.ack());
    };
    CHECK(sluice::select(sluice::on_recv(rx, comes_again), sluice::on_recv(thief, comes_again),
                         sluice::on_timeout(patience)) != 2u);
}

TEST_CASE("what is in the channel when its receiver goes is given back at once") {
    const auto bus = connect(shared_server());
    const auto stream = make(bus, "BACK");
    const auto tx = stream.sender<int>("BACK.x");
    const nats::stream_receiver_options chosen{.durable = "w", .ack_wait = 1h, .capacity = 8};
    auto rx = stream.receiver<int>(chosen);
    for (int i = 0; i < 8; ++i) REQUIRE(tx.send(i));
    REQUIRE(eventually([&] { return rx.size() == 8; }));
    auto kept = soon(rx);  // received: it is not given back
    REQUIRE(kept);
    rx = {};
    const auto next = stream.receiver<int>(chosen);
    std::set<int> got;
    for (int i = 0; i < 7; ++i) {
        auto d = soon(next);
        REQUIRE(d);
        CHECK(d->attempt() == 2);
        CHECK(d->ack());
        got.insert(**d);
    }
    CHECK(got.size() == 7);
    CHECK(got.count(**kept) == 0);
    CHECK(kept->ack(patience));
}

TEST_CASE("after close() the deliveries that are left can be received, in time") {
    const auto bus = connect(shared_server()), other = connect(shared_server());
    const auto stream = make(bus, "DRAIN");
    const auto tx = stream.sender<int>("DRAIN.x");
    const nats::stream_receiver_options chosen{.durable = "w", .ack_wait = 300ms, .capacity = 4};
    const auto rx = stream.receiver<int>(chosen);
    for (int i = 0; i < 4; ++i) REQUIRE(tx.send(i));
    REQUIRE(eventually([&] { return rx.size() == 4; }));
    rx.close();
    const auto thief = other.stream("DRAIN").receiver<int>(chosen);
    CHECK(thief.recv_timeout(1200ms).error() == sluice::errc::timeout);
    for (int i = 0; i < 4; ++i) {
        auto d = rx.recv();
        REQUIRE(d);
        CHECK(**d == i);
        CHECK(d->ack(patience));
    }
    CHECK(rx.recv().error() == sluice::errc::closed);
}

TEST_CASE("bytes that do not decode are terminated, not delivered again") {
    const auto bus = connect(shared_server());
    const auto stream = make(bus, "GARBLED");
    const auto tx = stream.sender<std::string>("GARBLED.x");
    const auto rx = stream.receiver<int>({.durable = "w", .ack_wait = 200ms});
    REQUIRE(tx.send("no int"));
    REQUIRE(tx.send("1234"));  // the size of one
    auto d = soon(rx);
    REQUIRE(d);
    CHECK(d->ack());
    CHECK(rx.recv_timeout(600ms).error() == sluice::errc::timeout);
    CHECK(bus.error() == sluice::ipc::ipc_errc::not_decoded);
}

TEST_CASE("a receiver fetches no more than its channel has room for") {
    const auto bus = connect(shared_server());
    const auto stream = make(bus, "ROOM");
    const auto tx = stream.sender<int>("ROOM.x");
    const auto slow = stream.receiver<int>({.durable = "w", .ack_wait = 1h, .capacity = 3});
    const int count = 60;
    for (int i = 0; i < count; ++i) REQUIRE(tx.send(i));
    REQUIRE(stream.flush(patience));
    REQUIRE(eventually([&] { return slow.full(); }));
    const auto quick = stream.receiver<int>({.durable = "w", .ack_wait = 1h, .capacity = 100});
    std::set<int> got;
    while (got.size() < std::size_t(count) - 3) {
        auto d = soon(quick);
        REQUIRE(d);
        CHECK(d->attempt() == 1);
        CHECK(d->ack());
        got.insert(**d);
    }
    CHECK(slow.size() == 3);
    for (int i = 0; i < 3; ++i) {
        auto d = soon(slow);
        REQUIRE(d);
        CHECK(d->ack());
        got.insert(**d);
    }
    CHECK(got.size() == std::size_t(count));
}

TEST_CASE("whatever takes long in receiving, nothing is fetched for which there is no room") {
    const auto bus = connect(shared_server());
    const auto stream = make(bus, "TIGHT");
    const auto tx = stream.sender<int>("TIGHT.x");
    const int count = 20;
    for (int i = 0; i < count; ++i) REQUIRE(tx.send(i));
    for (const std::size_t capacity : {1U, 2U, 3U}) {
        const auto rx = stream.receiver<lingering>(
            {.durable = "w" + std::to_string(capacity), .ack_wait = 1h, .capacity = capacity});
        for (int i = 0; i < count; ++i) {
            auto d = soon(rx);
            REQUIRE(d);
            CHECK(d->attempt() == 1);
            CHECK((*d)->number == i);
            CHECK(d->ack());
        }
    }
}

TEST_CASE("what a stream refuses for good closes the sender with the reason, and flush says so") {
    const auto bus = connect(shared_server());
    const auto full = make(bus, "FULL", {.max_messages = 5});
    const auto tx = full.sender<int>("FULL.x");
    for (int i = 0; i < 6; ++i) REQUIRE(tx.send(i));
    CHECK(full.flush(patience).error() == sluice::errc::closed);
    REQUIRE(eventually([&] { return tx.is_closed(); }));
    CHECK(reason_of(tx).find("maximum messages") != std::string::npos);
    CHECK(reason_of(tx).find("FULL") != std::string::npos);
    CHECK(full.flush(patience).error() == sluice::errc::closed);  // and it stays so

    const auto large = make(bus, "LARGE");
    const auto wide = large.sender<std::string>("LARGE.x");
    REQUIRE(wide.send(std::string(2 << 20, 'x')));
    REQUIRE(eventually([&] { return wide.is_closed(); }));
    CHECK(reason_of(wide).find("2097152 bytes") != std::string::npos);
}

TEST_CASE("what is wrong with a stream is thrown, with names and the server's words") {
    const auto bus = connect(shared_server());
    const std::string none = words_of([&] { (void)bus.stream("NOSUCH"); });
    CHECK(none.find("NOSUCH") != std::string::npos);
    CHECK(none.find("not found") != std::string::npos);
    const auto stream = make(bus, "KNOWN");
    (void)make(bus, "KNOWN");  // the same configuration
    const std::string other = words_of([&] { (void)make(bus, "KNOWN", {.max_messages = 7}); });
    CHECK(other.find("KNOWN") != std::string::npos);
    CHECK(other.find("10058") != std::string::npos);
    CHECK(other.find("different configuration") != std::string::npos);
    CHECK(words_of([&] { (void)make(bus, "OTHER", {.subjects = {"KNOWN.x"}}); }).find("overlap") != std::string::npos);
    CHECK(words_of([&] { (void)stream.sender<int>("elsewhere"); }).find("elsewhere") != std::string::npos);
    CHECK(words_of([&] { (void)stream.receiver<int>({}); }).find("durable") != std::string::npos);
    const auto rx = stream.receiver<int>({.durable = "w"});
    CHECK(words_of([&] { (void)stream.receiver<int>({.durable = "w", .from = nats::new_messages{}}); }).find("KNOWN") !=
          std::string::npos);
}

TEST_CASE("max_deliver ends it, and backoff takes the place of ack_wait") {
    const auto bus = connect(shared_server());
    const auto stream = make(bus, "BACKOFF");
    const auto tx = stream.sender<int>("BACKOFF.x");
    const auto rx = stream.receiver<int>({.durable = "w", .ack_wait = 1h, .max_deliver = 3, .backoff = {100ms, 200ms}});
    REQUIRE(tx.send(1));
    for (std::uint64_t attempt = 1; attempt <= 3; ++attempt) {
        auto d = soon(rx);
        REQUIRE(d);
        CHECK(d->attempt() == attempt);
    }
    CHECK(rx.recv_timeout(800ms).error() == sluice::errc::timeout);
}

TEST_CASE("workers share a name, and each message is done by one") {
    const auto bus = connect(shared_server()), other = connect(shared_server());
    const auto stream = make(bus, "SHARE", {.work_queue = true});
    const auto tx = stream.sender<int>("SHARE.x");
    const auto a = stream.receiver<int>({.durable = "w"});
    const auto b = other.stream("SHARE").receiver<int>({.durable = "w"});
    const int count = scaled(2000);
    std::atomic<int> done{0};
    task one([&] {
        std::vector<int> mine;
        for (auto& d : a) {
            if (d.ack(patience)) mine.push_back(*d);
            ++done;
        }
        return mine;
    });
    task two([&] {
        std::vector<int> mine;
        for (auto& d : b) {
            if (d.ack(patience)) mine.push_back(*d);
            ++done;
        }
        return mine;
    });
    for (int i = 0; i < count; ++i) REQUIRE(tx.send(i));
    REQUIRE(eventually([&] { return done == count; }));
    a.close();
    b.close();
    std::vector<int> all = one.get();
    const std::vector<int> rest = two.get();
    CHECK(!all.empty());
    CHECK(!rest.empty());
    all.insert(all.end(), rest.begin(), rest.end());
    std::sort(all.begin(), all.end());
    CHECK(all.size() == std::size_t(count));
    CHECK(std::adjacent_find(all.begin(), all.end()) == all.end());
}
