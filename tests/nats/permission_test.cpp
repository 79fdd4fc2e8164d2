// What a server does not permit: the ends that want it hear of it, by its name, and no others.
#include "support.hpp"

namespace {

using namespace test;

/// The configuration of a server that lets its one user, ann, do so much.
std::string permitting(const std::string& publish, const std::string& subscribe) {
    return "authorization { users = [ { user: ann, password: right, permissions: { publish: [" + publish +
           "], subscribe: [" + subscribe + "] } } ] }\n";
}
const std::string usual = "\"open\", \"_INBOX.>\", \"$JS.API.>\", \"$JS.ACK.>\"";

nats::connection connect_as_ann(const server& to) { return connect(to, {.user = "ann", .password = "right"}); }

}  // namespace

TEST_CASE("asking where it is not permitted fails at once, and only there") {
    const text_file users(permitting(usual, usual));
    const server strict({"-c", users.name()});
    const auto bus = connect_as_ann(strict);
    const auto calls = bus.service<int, int>("open");
    task asks_elsewhere([&] { return bus.request<int>("open", 1, patience); });
    auto call = soon(calls);
    REQUIRE(call);
    const stopwatch asking;
    CHECK(bus.request<int>("shut", 1, 1h).error() == sluice::errc::closed);
    CHECK(asking.elapsed() < patience);
    CHECK(bus.error() == std::errc::permission_denied);
    CHECK(call->reply(2));
    CHECK(asks_elsewhere.get() == 2);
    CHECK(bus.request<int>("shut", 1, 1h).error() == sluice::errc::closed);  // again
    std::vector<std::unique_ptr<task<sluice::errc>>> all;
    for (int i = 0; i < 20; ++i) {
        all.push_back(std::make_unique<task<sluice::errc>>(
            [&bus, i] { return bus.request<int>("shut." + std::to_string(i), 1, 1h).error(); }));
    }
    for (auto& one : all) CHECK(one->get() == sluice::errc::closed);
}

TEST_CASE("of many who send where it is not permitted each hears of its own subject") {
    const text_file users(permitting(usual, usual));
    const server strict({"-c", users.name()});
    const auto bus = connect_as_ann(strict);
    const auto rx = bus.receiver<int>("open");
    const auto tx = bus.sender<int>("open");
    std::vector<sluice::sender<int>> shut;
    for (int i = 0; i < 20; ++i) shut.push_back(bus.sender<int>("shut." + std::to_string(i)));
    for (const auto& s : shut) REQUIRE(s.send(1));
    for (std::size_t i = 0; i < shut.size(); ++i) {
        REQUIRE(eventually([&] { return shut[i].is_closed(); }));
        CHECK(reason_of(shut[i]).find("shut." + std::to_string(i) + ":") != std::string::npos);
    }
    const auto later = bus.sender<int>("shut.0");
    CHECK(!later.is_closed());
    REQUIRE(later.send(1));
    CHECK(eventually([&] { return later.is_closed(); }));
    REQUIRE(tx.send(2));
    CHECK(soon(rx) == 2);
}

TEST_CASE("receiving where it is not permitted throws, whatever else is refused meanwhile") {
    const text_file users(permitting(usual, usual));
    const server strict({"-c", users.name()});
    const auto bus = connect_as_ann(strict);
    const std::string said = words_of([&] { (void)bus.receiver<int>("shut"); });
    CHECK(said.find("receiving from shut") != std::string::npos);
    CHECK(said.find(strict.url()) != std::string::npos);
    CHECK(said.find("ermission") != std::string::npos);
    CHECK(words_of([&] { (void)bus.receiver<int>("shut.*", {.queue = "q"}); }).find("shut.*") != std::string::npos);
    CHECK(words_of([&] { (void)bus.service<int, int>("shut"); }).find("serving shut") != std::string::npos);

    std::atomic<bool> enough{false};
    std::atomic<int> refused_queries{0};
    task asks([&] {
        while (!enough) {
            if (bus.request<int>("shut.noise", 1, patience).error() != sluice::errc::closed) return false;
            ++refused_queries;
        }
        return true;
    });
    REQUIRE(eventually([&] { return refused_queries > 0; }));
    for (int i = 0; i < 50; ++i) {
        std::optional<sluice::receiver<int>> rx;
        const std::string refused = words_of([&] { rx.emplace(bus.receiver<int>("shut.too")); });
        // Where the one answer has covered the other, it is told a moment later.
        if (rx) {
            REQUIRE(eventually([&] { return rx->is_closed(); }));
            CHECK(reason_of(*rx).find("shut.too") != std::string::npos);
        } else {
            CHECK(refused.find("shut.too") != std::string::npos);
        }
    }
    enough = true;
    CHECK(asks.get());
    CHECK(!bus.receiver<int>("open").is_closed());
}

TEST_CASE("what was permitted, and is not after an outage, closes its ends with the reason") {
    const text_file users(permitting(usual + ", \"more\"", usual + ", \"more\""));
    server strict({"-c", users.name()});
    const auto bus = connect_as_ann(strict);
    const auto more = bus.receiver<int>("more"), open = bus.receiver<int>("open");
    const auto to_more = bus.sender<int>("more"), to_open = bus.sender<int>("open");
    REQUIRE(to_more.send(1));
    CHECK(soon(more) == 1);
    strict.kill();
    std::ofstream(users.name()) << permitting(usual, usual);
    strict.start();
    CHECK(soon(more).error() == sluice::errc::closed);
    CHECK(reason_of(more).find("receiving from more") != std::string::npos);
    REQUIRE(to_more.send(2));
    CHECK(eventually([&] { return to_more.is_closed(); }));
    REQUIRE(to_open.send(3));
    CHECK(soon(open) == 3);
}

TEST_CASE("a stream's sender, where only that is permitted which is not its subject") {
    const text_file users(permitting(usual + ", \"kept.open\"", usual));
    const server strict({"-c", users.name()});
    const auto bus = connect_as_ann(strict);
    const auto stream = bus.stream("KEPT", {.subjects = {"kept.>"}, .in_memory = true});
    const auto tx = stream.sender<int>("kept.open"), shut = stream.sender<int>("kept.shut");
    REQUIRE(tx.send(1));
    REQUIRE(stream.flush(patience));
    REQUIRE(shut.send(1));
    REQUIRE(eventually([&] { return shut.is_closed(); }));
    CHECK(reason_of(shut).find("kept.shut") != std::string::npos);
    CHECK(!tx.is_closed());
    CHECK(stream.flush(patience).error() == sluice::errc::closed);
}
