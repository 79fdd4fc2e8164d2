// Requests and services: answers, nobody there, answers that come too late, and many who ask at once.
#include "support.hpp"

namespace {

using namespace test;

server& shared_server() {
    static server one;
    return one;
}

using double_call = nats::call<int, int>;

}  // namespace

TEST_CASE("a request is answered by a service") {
    const auto asks = connect(shared_server()), serves = connect(shared_server());
    const auto calls = serves.service<int, std::string>("spell", {.queue = "spellers"});
    task serving([&] {
        auto c = soon(calls);
        if (!c || c->request() != 7) return sluice::errc::empty;
        if (!c->reply("seven")) return sluice::errc::full;
        return c->reply("again").error();
    });
    CHECK(asks.request<std::string>("spell", 7, patience) == "seven");
    CHECK(serving.get() == sluice::errc::closed);  // the second reply
}

TEST_CASE("nobody serves: closed at once") {
    const auto bus = connect(shared_server());
    CHECK(bus.request<int>("nobody.there", 1, 1h).error() == sluice::errc::closed);
}

TEST_CASE("a call without a reply times out, and a reply too late goes nowhere") {
    const auto bus = connect(shared_server());
    const auto calls = bus.service<int, int>("late");
    CHECK(bus.request<int>("late", 1, 50ms).error() == sluice::errc::timeout);
    auto first = soon(calls);
    REQUIRE(first);
    CHECK(first->reply(1));
    task serving([&] {
        auto c = soon(calls);
        return c && c->reply(c->request() + 1);
    });
    CHECK(bus.request<int>("late", 2, patience) == 3);
    CHECK(serving.get());
    std::stop_source stop;
    task asking([&] { return bus.request<int>("late", 3, 1h, stop.get_token()).error(); });
    REQUIRE(wait_until_asleep(asking));
    stop.request_stop();
    CHECK(asking.get() == sluice::errc::stopped);
}

TEST_CASE("a query that does not decode is not answered, and an answer that does not decode throws") {
    const auto bus = connect(shared_server());
    const auto calls = bus.service<int, std::string>("strict");
    CHECK(bus.request<std::string>("strict", std::string("no int"), 50ms).error() == sluice::errc::timeout);
    CHECK(bus.error() == sluice::ipc::ipc_errc::not_decoded);
    task serving([&] {
        auto c = soon(calls);
        return c && c->reply("no int either");
    });
    CHECK_THROWS_AS(bus.request<int>("strict", 1, patience), std::invalid_argument);
    CHECK(serving.get());
}

TEST_CASE("many threads ask at once, and each gets its own answers") {
    const auto bus = connect(shared_server());
    const auto calls = bus.service<int, int>("double");
    const auto serve = [&] {
        for (auto& c : calls) {
            if (!c.reply(2 * c.request())) return false;
        }
        return true;
    };
    task one(serve), two(serve);
    const int threads_that_ask = 8, each = scaled(500);
    std::vector<std::unique_ptr<task<int>>> asking;
    for (int t = 0; t < threads_that_ask; ++t) {
        asking.push_back(std::make_unique<task<int>>([&, t] {
            int right = 0;
            for (int i = 0; i < each; ++i)
                right += bus.request<int>("double", t * each + i, patience) == 2 * (t * each + i);
            return right;
        }));
    }
    for (auto& a : asking) CHECK(a->get() == each);
    calls.close();
    CHECK(one.get());
    CHECK(two.get());
}

TEST_CASE("a program in another language takes part: the protocol by a plain socket") {
    const auto bus = connect(shared_server());
    const auto rx = bus.receiver<std::string>("foreign.in");
    plain_socket other(shared_server().port());
    REQUIRE(other.is_connected());
    other.write("CONNECT {\"verbose\":false}\r\nSUB foreign.out 1\r\nSUB foreign.ask 2\r\nPING\r\n");
    REQUIRE(other.line_with("PONG") == "PONG");
    other.write("PUB foreign.in 5\r\nhello\r\n");
    CHECK(soon(rx) == "hello");
    const auto tx = bus.sender<std::string>("foreign.out");
    REQUIRE(tx.send("and back"));
    CHECK(other.line_with("MSG") == "MSG foreign.out 1 8");
    CHECK(other.line() == "and back");
    task asking([&] { return bus.request<std::string>("foreign.ask", std::string("2+2"), patience); });
    const std::string asked = other.line_with("MSG foreign.ask 2 ");
    CHECK(other.line() == "2+2");
    std::string reply_to = asked.substr(std::string("MSG foreign.ask 2 ").size());
    reply_to.resize(reply_to.find(' '));
    other.write("PUB " + reply_to + " 1\r\n4\r\n");
    CHECK(asking.get() == "4");
}

TEST_CASE("a call that is kept keeps the connection, and one that is dropped lets it go") {
    static std::ptrdiff_t with_it = 0;
    std::optional<double_call> kept;
    task<int>* asks = nullptr;
    std::unique_ptr<task<int>> asking;
    const auto outside = connect(shared_server());
    {
        const auto bus = connect(shared_server());
        const auto calls = bus.service<int, int>("kept");
        asking =
            std::make_unique<task<int>>([&outside] { return outside.request<int>("kept", 21, patience).value_or(-1); });
        asks = asking.get();
        auto c = soon(calls);
        REQUIRE(c);
        kept.emplace(*std::move(c));
        with_it = threads();
    }
    CHECK(kept->reply(42));
    CHECK(asks->get() == 42);
    asking.reset();
    kept.reset();
    CHECK(eventually([] { return threads() < with_it; }));
}
