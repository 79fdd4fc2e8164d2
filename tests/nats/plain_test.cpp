// Senders and receivers without a stream: what travels, to whom, how many, and how an end closes.
#include "support.hpp"

namespace {

using namespace test;

server& shared_server() {
    static server one;
    return one;
}

/// Text that says of itself that it is none.
struct picky {
    std::string text;
};

}  // namespace

template <>
struct sluice::codec<picky> {
    static void encode(const picky& p, std::vector<std::byte>& out) {
        if (p.text == "secret") throw std::runtime_error("it stays here");
        codec<std::string>::encode(p.text, out);
    }
    static picky decode(std::span<const std::byte> bytes) {
        picky p{codec<std::string>::decode(bytes)};
        if (p.text == "bad") throw std::invalid_argument("bad text");
        return p;
    }
};

TEST_CASE("what is sent to a subject comes to all its receivers, in order") {
    const auto bus = connect(shared_server());
    const auto one = bus.receiver<int>("count"), two = bus.receiver<int>("count");
    const auto tx = bus.sender<int>("count");
    for (int i = 0; i < 1000; ++i) REQUIRE(tx.send(i));
    for (int i = 0; i < 1000; ++i) {
        REQUIRE(soon(one) == i);
        REQUIRE(soon(two) == i);
    }
    CHECK(one.try_recv().error() == sluice::errc::empty);
    CHECK(!bus.error());
}

TEST_CASE("wildcards of subjects, and messages that carry their subject") {
    const auto bus = connect(shared_server());
    const auto star = bus.receiver<nats::message<std::string>>("orders.*");
    const auto rest = bus.receiver<nats::message<std::string>>("orders.>");
    const auto any = bus.sender<nats::message<std::string>>();
    REQUIRE(any.send({"orders.new", "tea"}));
    REQUIRE(any.send({"orders.old.paid", "milk"}));
    REQUIRE(any.send({"orders.gone", "cup"}));
    CHECK(soon(star)->subject == "orders.new");
    const auto second = soon(star);
    CHECK(second->subject == "orders.gone");
    CHECK(second->value == "cup");
    CHECK(soon(rest)->value == "tea");
    CHECK(soon(rest)->subject == "orders.old.paid");
    CHECK(soon(rest)->value == "cup");
}

TEST_CASE("each message to one of a queue group, about evenly") {
    const auto bus = connect(shared_server()), other = connect(shared_server());
    const auto a = bus.receiver<int>("work", {.queue = "workers"});
    const auto b = other.receiver<int>("work", {.queue = "workers"});
    const auto all = bus.receiver<int>("work");
    const auto tx = bus.sender<int>("work");
    const int count = 2000;
    for (int i = 0; i < count; ++i) REQUIRE(tx.send(i));
    for (int i = 0; i < count; ++i) REQUIRE(soon(all) == i);
    REQUIRE(eventually([&] { return a.size() + b.size() == std::size_t(count); }));
    std::vector<int> seen(count, 0);
    const double share = double(a.size()) / count;
    for (const auto* rx : {&a, &b}) {
        while (const auto m = rx->try_recv()) ++seen[static_cast<std::size_t>(*m)];
    }
    CHECK(std::all_of(seen.begin(), seen.end(), [](int n) { return n == 1; }));
    CHECK(share > 0.4);
    CHECK(share < 0.6);
}

TEST_CASE("a hundred thousand messages each way, intact and in order") {
    const auto here = connect(shared_server()), there = connect(shared_server());
    const int count = scaled(100'000);
    const sluice::nats::receiver_options roomy{.capacity = 200'000};
    const auto in_here = here.receiver<std::string>("ways.back", roomy);
    const auto in_there = there.receiver<std::string>("ways.forth", roomy);
    const auto forth = here.sender<std::string>("ways.forth"), back = there.sender<std::string>("ways.back");
    const auto text = [](int i) { return std::string(static_cast<std::size_t>(i % 200), 'x') + std::to_string(i); };
    task sends_forth([&] {
        for (int i = 0; i < count; ++i) {
            if (!forth.send(text(i))) return false;
        }
        return true;
    });
    task sends_back([&] {
        for (int i = 0; i < count; ++i) {
            if (!back.send(text(i))) return false;
        }
        return true;
    });
    for (int i = 0; i < count; ++i) {
        const auto a = soon(in_there), b = soon(in_here);
        if (a != text(i) || b != text(i)) FAIL("message " << i);
    }
    CHECK(sends_forth.get());
    CHECK(sends_back.get());
    CHECK(in_here.dropped() + in_there.dropped() == 0);
}

TEST_CASE("selects, batches and stop tokens work on remote ends") {
    const auto bus = connect(shared_server());
    const auto numbers = bus.receiver<int>("sel.numbers");
    const auto words = bus.receiver<std::string>("sel.words");
    const auto n = bus.sender<int>("sel.numbers");
    const auto w = bus.sender<std::string>("sel.words");
    int sum = 0;
    std::string last;
    const std::vector<int> many{1, 2, 3};
    CHECK(n.send_many(many) == 3);
    int sent = 0;
    CHECK(sluice::select(sluice::on_send(w, std::string("word"), [&] { ++sent; }), sluice::on_timeout(patience)) == 0u);
    for (int i = 0; i < 4; ++i) {
        const auto fired =
            sluice::select(sluice::on_recv(numbers, [&](int m) { sum += m; }),
                           sluice::on_recv(words, [&](std::string m) { last = m; }), sluice::on_timeout(patience));
        REQUIRE(fired);
        REQUIRE(*fired < 2u);
    }
    CHECK(sum == 6);
    CHECK(last == "word");
    CHECK(n.try_send_many(many) == 3);
    std::vector<int> got;
    CHECK(numbers.recv_batch(std::back_inserter(got), 3, patience) == 3);
    CHECK(got == many);

    std::stop_source stop;
    task waits([&] { return numbers.recv(stop.get_token()).error(); });
    REQUIRE(wait_until_asleep(waits));
    stop.request_stop();
    CHECK(waits.get() == sluice::errc::stopped);
    task waits_for_close([&] { return numbers.recv().error(); });
    REQUIRE(wait_until_asleep(waits_for_close));
    numbers.close();
    CHECK(waits_for_close.get() == sluice::errc::closed);
    CHECK(numbers.close_cause() == nullptr);
}

TEST_CASE("closing a receiver ends its subscription, and no one else's") {
    const auto bus = connect(shared_server());
    auto gone = bus.receiver<int>("ending", {.queue = "q"});
    const auto stays = bus.receiver<int>("ending", {.queue = "q"});
    const auto watch = bus.receiver<int>("ending");
    const auto tx = bus.sender<int>("ending");
    gone = {};
    // Once the end has gone, a message to the group reaches the other one, always.
    int last = -1, got = 0, in_row = 0;
    REQUIRE(eventually([&] {
        if (!tx.send(++last) || soon(watch) != last) return false;
        const auto m = stays.try_recv();
        if (m) ++got;
        in_row = m ? in_row + 1 : 0;
        return in_row >= 20;
    }));
    CHECK(got >= 20);
    CHECK(stays.dropped() == 0);
}

TEST_CASE("a message as large as the server takes, and one that is larger") {
    const auto bus = connect(shared_server());
    const auto rx = bus.receiver<std::string>("large");
    const auto tx = bus.sender<std::string>("large");
    const std::size_t limit = 1 << 20;
    REQUIRE(tx.send(std::string(limit, 'm')));
    CHECK(soon(rx)->size() == limit);
    REQUIRE(tx.send(std::string(limit + 1, 'm')));
    REQUIRE(eventually([&] { return tx.is_closed(); }));
    CHECK(reason_of(tx).find("large") != std::string::npos);
    CHECK(bus.error() == std::errc::message_size);
    const auto again = bus.sender<std::string>("large");  // the connection lives
    REQUIRE(again.send("small"));
    CHECK(soon(rx) == "small");
}

TEST_CASE("bytes that do not decode are skipped and noted; what does not encode closes its sender") {
    const auto bus = connect(shared_server());
    const auto rx = bus.receiver<picky>("picky");
    const auto raw = bus.sender<std::string>("picky");
    for (const char* text : {"one", "bad", "two"}) REQUIRE(raw.send(text));
    CHECK(soon(rx)->text == "one");
    CHECK(soon(rx)->text == "two");
    CHECK(bus.error() == sluice::ipc::ipc_errc::not_decoded);
    const auto tx = bus.sender<picky>("picky");
    REQUIRE(tx.send({"three"}));
    REQUIRE(tx.send({"secret"}));
    CHECK(soon(rx)->text == "three");
    REQUIRE(eventually([&] { return tx.is_closed(); }));
    CHECK(reason_of(tx).find("it stays here") != std::string::npos);
    CHECK(bus.error() == sluice::ipc::ipc_errc::not_encoded);
}

TEST_CASE("a receiver that does not keep up discards, by its rule, and counts") {
    const auto bus = connect(shared_server());
    const auto oldest = bus.receiver<int>("fast", {.capacity = 10});
    const auto newest = bus.receiver<int>("fast", {.capacity = 10, .when_full = sluice::overflow::drop_newest});
    const auto all = bus.receiver<int>("fast");
    const auto tx = bus.sender<int>("fast");
    for (int i = 0; i < 100; ++i) REQUIRE(tx.send(i));
    for (int i = 0; i < 100; ++i) REQUIRE(soon(all) == i);
    REQUIRE(eventually([&] { return oldest.dropped() == 90 && newest.dropped() == 90; }));
    CHECK(oldest.recv() == 90);
    CHECK(newest.recv() == 0);
}

TEST_CASE("what is sent is written behind when the last handle and the connection go") {
    const auto watcher = connect(shared_server());
    const auto rx = watcher.receiver<int>("behind");
    const int count = scaled(20'000);
    {
        auto bus = connect(shared_server());
        const auto tx = bus.sender<int>("behind");
        for (int i = 0; i < count; ++i) REQUIRE(tx.send(i));
    }
    for (int i = 0; i < count; ++i) REQUIRE(soon(rx) == i);
}

TEST_CASE("what is wrong in opening is thrown, with names and the server's words") {
    const auto port = free_port();
    const std::string nowhere = "nats://127.0.0.1:" + std::to_string(port);
    CHECK(words_of([&] { nats::connection bus(nowhere); }).find(nowhere) != std::string::npos);
    const auto bus = connect(shared_server());
    CHECK(words_of([&] { (void)bus.sender<int>("a b"); }).find("\"a b\"") != std::string::npos);
    CHECK(words_of([&] { (void)bus.sender<int>("a.*"); }).find("\"a.*\"") != std::string::npos);
    CHECK(words_of([&] { (void)bus.receiver<int>("a..b"); }).find("\"a..b\"") != std::string::npos);
    CHECK(words_of([&] { (void)bus.receiver<int>("a", {.when_full = sluice::overflow::block}); }).find("when_full") !=
          std::string::npos);
    const auto any = bus.sender<nats::message<int>>();
    REQUIRE(any.send({"no subject\r\nPUB x 1\r\n", 1}));
    REQUIRE(eventually([&] { return any.is_closed(); }));
    CHECK(reason_of(any).find("no subject") != std::string::npos);
}

TEST_CASE("who may not: a wrong password, subjects that are not permitted") {
    const text_file users(
        "authorization { users = [ { user: ann, password: right, permissions: { publish: [\"open\", \"_INBOX.>\"], "
        "subscribe: [\"open\", \"_INBOX.>\"] } } ] }\n");
    {
        const server strict({"-c", users.name()});
        const std::string refused =
            words_of([&] { nats::connection bus(strict.url(), {.user = "ann", .password = "wrong"}); });
        CHECK(refused.find(strict.url()) != std::string::npos);
        CHECK(refused.find("Authorization") != std::string::npos);
        const auto bus = connect(strict, {.user = "ann", .password = "right"});
        CHECK(words_of([&] { (void)bus.receiver<int>("shut"); }).find("\"shut\"") != std::string::npos);
        const auto rx = bus.receiver<int>("open");
        const auto tx = bus.sender<int>("open"), shut = bus.sender<int>("shut");
        REQUIRE(shut.send(1));
        REQUIRE(eventually([&] { return shut.is_closed(); }));
        CHECK(reason_of(shut).find("shut") != std::string::npos);
        CHECK(bus.error() == std::errc::permission_denied);
        REQUIRE(tx.send(2));
        CHECK(soon(rx) == 2);
    }
}

TEST_CASE("a thousand subjects take no more threads than one, and nothing stays behind") {
    {
        const auto warm_up = connect(shared_server());  // what the client makes only once
        const auto rx = warm_up.receiver<int>("warm");
        REQUIRE(warm_up.sender<int>("warm").send(1));
        CHECK(soon(rx) == 1);
    }
    REQUIRE(eventually(no_connections));
    const auto idle = threads(), files = descriptors();
    {
        const auto bus = connect(shared_server());
        const auto first = bus.receiver<int>("one");
        const auto with_one = threads();
        std::vector<sluice::receiver<int>> rx;
        std::vector<sluice::sender<int>> tx;
        const int count = sanitized ? 100 : 1000;
        for (int i = 0; i < count; ++i) {
            rx.push_back(bus.receiver<int>("many." + std::to_string(i)));
            tx.push_back(bus.sender<int>("many." + std::to_string(i)));
        }
        for (int i = 0; i < count; ++i) REQUIRE(tx[static_cast<std::size_t>(i)].send(i));
        for (int i = 0; i < count; ++i) REQUIRE(soon(rx[static_cast<std::size_t>(i)]) == i);
        CHECK(threads() == with_one);
    }
    CHECK(eventually([&] { return threads() <= idle && descriptors() <= files; }));
}
