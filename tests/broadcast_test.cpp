// Broadcast: every subscriber gets every message, and what becomes of those that fall behind.
#include "catch.hpp"
#include "support/kinds.hpp"
#include "support/outcomes.hpp"
#include "support/task.hpp"

#include <time.h>
#if defined(__unix__)
#include <sys/wait.h>
#include <unistd.h>
#endif

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <functional>
#include <list>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

using namespace test;
using sluice::errc;
using sluice::overflow;

namespace {

/// Those that a rule may drop.
using steady_payloads = std::tuple<int, over_aligned, no_default, page>;

/// How a message is given to a broadcaster.
enum class given_as { lvalue, rvalue };

/// Sends a message with the number 7, and says how many got it and how many copies that took. An rvalue is moved from
/// exactly if `taken` says so, an lvalue never.
struct outcome {
    std::size_t reached;
    long copies;
    bool taken;
    friend bool operator==(const outcome&, const outcome&) = default;
    friend std::ostream& operator<<(std::ostream& out, const outcome& o) {
        return out << "{reached " << o.reached << ", copies " << o.copies << (o.taken ? ", taken}" : "}");
    }
};

outcome send_seven(const sluice::broadcaster<no_default>& bus, given_as how, const std::stop_token& stop = {}) {
    no_default message(7);
    const long before = witness::copied();
    const std::size_t reached =
        how == given_as::lvalue ? bus.send(std::as_const(message), stop) : bus.send(std::move(message), stop);
    return {reached, witness::copied() - before, id_of(message) == witness::gone};
}

/// The processor time that this thread takes for `body`.
template <class Body>
double processor_seconds(Body body) {
    const auto now = [] {
        timespec t{};
        ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
    };
    const double begin = now();
    body();
    return now() - begin;
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("every subscriber gets every message, in order", "[broadcast]", copyable_payloads) {
    const audit books;
    {
        sluice::broadcaster<TestType> bus;
        CHECK(bus.send(TestType(99)) == 0);
        const sluice::receiver<TestType> one = bus.subscribe();
        CHECK(bus.send(TestType(0)) == 1);
        const auto two = bus.subscribe();
        const auto three = bus.subscribe(16, overflow::block);
        CHECK(one != two);
        for (int id = 1; id < 10; ++id) {
            const TestType message(id);
            CHECK(bus.send(message) == 3);
            CHECK(id_of(message) == id);
        }
        CHECK(drain(one) == numbers(0, 10));
        CHECK(drain(two) == numbers(1, 10));
        CHECK(drain(three) == numbers(1, 10));
        CHECK(error_in(one.try_recv()) == errc::empty);
        CHECK_FALSE(one.capacity().has_value());
        CHECK(three.capacity() == std::optional<std::size_t>(16));
    }
    CHECK(books.balanced());
}

TEST_CASE("each subscriber gets a copy, the last one the moved original", "[broadcast]") {
    sluice::broadcaster<no_default> bus;
    CHECK(send_seven(bus, given_as::lvalue) == outcome{0, 0, false});
    CHECK(send_seven(bus, given_as::rvalue) == outcome{0, 0, false});
    std::list<sluice::receiver<no_default>> subscribers;
    for (int count = 1; count <= 3; ++count) {
        subscribers.push_back(bus.subscribe());
        const auto reached = static_cast<std::size_t>(count);
        CHECK(send_seven(bus, given_as::lvalue) == outcome{reached, count, false});
        CHECK(send_seven(bus, given_as::rvalue) == outcome{reached, count - 1, true});
        for (const auto& rx : subscribers) {
            CHECK(drain(rx) == std::vector<int>{7, 7});
        }
    }
}

TEST_CASE("no copy is made for who has left, and the last who is there gets the original", "[broadcast]") {
    const auto how = GENERATE(given_as::lvalue, given_as::rvalue);
    const int spared = how == given_as::rvalue ? 1 : 0;
    sluice::broadcaster<no_default> bus;
    std::vector<sluice::receiver<no_default>> subscribers;
    for (int i = 0; i < 5; ++i) {
        subscribers.push_back(bus.subscribe());
    }
    SECTION("the last have dropped their receivers") {
        subscribers[3] = subscribers[4] = {};
        CHECK(send_seven(bus, how) == outcome{3, 3 - spared, how == given_as::rvalue});
    }
    SECTION("the last has closed its channel") {
        CHECK(subscribers[4].close());
        CHECK(send_seven(bus, how) == outcome{4, 4 - spared, how == given_as::rvalue});
    }
    SECTION("all but one in the middle have left") {
        subscribers[0] = subscribers[1] = subscribers[3] = subscribers[4] = {};
        CHECK(send_seven(bus, how) == outcome{1, 1 - spared, how == given_as::rvalue});
        CHECK(drain(subscribers[2]) == std::vector<int>{7});
    }
    SECTION("all have left") {
        subscribers.clear();
        CHECK(send_seven(bus, how) == outcome{0, 0, false});
    }
    SECTION("somebody has joined since") {
        subscribers.clear();
        subscribers.push_back(bus.subscribe());
        CHECK(send_seven(bus, how) == outcome{1, 1 - spared, how == given_as::rvalue});
    }
}

TEST_CASE("no copy is made for who has no room and for whom none is made", "[broadcast]") {
    const auto how = GENERATE(given_as::lvalue, given_as::rvalue);
    const auto policy = GENERATE(overflow::drop_newest, overflow::disconnect);
    const auto capacity = GENERATE(0u, 1u, 3u);
    sluice::broadcaster<no_default> bus;
    const auto slow = bus.subscribe(capacity, policy);
    for (unsigned i = 0; i < capacity; ++i) {
        CHECK(send_seven(bus, how) == outcome{1, how == given_as::lvalue ? 1 : 0, how == given_as::rvalue});
    }
    CHECK_FALSE(slow.is_closed());
    SECTION("alone") {
        CHECK(send_seven(bus, how) == outcome{0, 0, false});
        CHECK(slow.is_closed() == (policy == overflow::disconnect));
    }
    SECTION("before one who has room") {
        const auto quick = bus.subscribe();
        CHECK(send_seven(bus, how) == outcome{1, how == given_as::lvalue ? 1 : 0, how == given_as::rvalue});
        CHECK(drain(quick) == std::vector<int>{7});
    }
    CHECK(drain(slow) == std::vector<int>(capacity, 7));
}

TEST_CASE("a rendezvous on which nobody waits takes no message where the oldest is dropped, and no copy",
          "[broadcast]") {
    sluice::broadcaster<no_default> bus;
    const auto rx = bus.subscribe(0, overflow::drop_oldest);
    CHECK(send_seven(bus, given_as::lvalue) == outcome{0, 0, false});
    CHECK(send_seven(bus, given_as::rvalue) == outcome{0, 0, false});
    task receiver([&] { return id_in(rx.recv()); });
    REQUIRE(wait_until_asleep(receiver));
    CHECK(send_seven(bus, given_as::lvalue) == outcome{1, 1, false});
    CHECK(receiver.get() == 7);
}

TEST_CASE("a subscriber leaves by dropping its receiver", "[broadcast]") {
    sluice::broadcaster<int> bus;
    const auto stays = bus.subscribe();
    auto leaves = bus.subscribe();
    auto copy = leaves;
    CHECK(bus.send(1) == 2);
    leaves = {};
    CHECK(bus.send(2) == 2);
    copy = {};
    CHECK(bus.send(3) == 1);
    CHECK(drain(stays) == numbers(1, 4));
}

TEST_CASE("a subscriber that closes its channel is no longer reached", "[broadcast]") {
    sluice::broadcaster<int> bus;
    const auto stays = bus.subscribe();
    const auto closes = bus.subscribe();
    CHECK(bus.send(1) == 2);
    CHECK(closes.close());
    CHECK(bus.send(2) == 1);
    CHECK(drain(closes) == std::vector<int>{1});
    CHECK(error_in(closes.recv()) == errc::closed);
    CHECK(drain(stays) == numbers(1, 3));
}

TEST_CASE("dropping the last broadcaster closes every subscriber, after what it was sent", "[broadcast]") {
    std::optional<sluice::broadcaster<int>> bus(std::in_place);
    std::optional<sluice::broadcaster<int>> copy = bus;
    const auto one = bus->subscribe();
    const auto two = copy->subscribe();
    CHECK(bus->send(1) == 2);
    bus.reset();
    CHECK_FALSE(one.is_closed());
    CHECK(copy->send(2) == 2);
    task blocked([&] {
        std::vector<int> ids;
        while (auto message = one.recv()) {
            ids.push_back(*message);
        }
        return ids;
    });
    REQUIRE(wait_until_asleep(blocked));
    copy.reset();
    CHECK(blocked.get() == numbers(1, 3));
    CHECK(two.is_closed());
    CHECK(drain(two) == numbers(1, 3));
    CHECK(error_in(two.recv()) == errc::closed);
}

TEST_CASE("block: the publisher waits for its slowest subscriber", "[broadcast]") {
    sluice::broadcaster<int> bus;
    auto slow = bus.subscribe(2, overflow::block);
    const auto quick = bus.subscribe();
    CHECK(bus.send(0) == 2);
    CHECK(bus.send(1) == 2);
    task publisher([&] { return bus.send(2); });
    REQUIRE(wait_until_asleep(publisher));
    SECTION("until it makes room") {
        CHECK(slow.recv().value() == 0);
        CHECK(publisher.get() == 2);
        CHECK(drain(slow) == numbers(1, 3));
    }
    SECTION("or leaves") {
        slow = {};
        CHECK(publisher.get() == 1);
    }
    SECTION("or closes") {
        CHECK(slow.close());
        CHECK(publisher.get() == 1);
        CHECK(drain(slow) == numbers(0, 2));
    }
    CHECK(drain(quick) == numbers(0, 3));
}

TEST_CASE("while a publisher waits, others subscribe, leave and send, and its message is not for the new ones",
          "[broadcast]") {
    sluice::broadcaster<int> bus;
    const auto slow = bus.subscribe(1, overflow::block);
    auto leaves = bus.subscribe();
    const auto last = bus.subscribe();
    CHECK(bus.send(0) == 3);
    task publisher([&] { return bus.send(1); });
    REQUIRE(wait_until_asleep(publisher));
    leaves = {};
    std::vector<sluice::receiver<int>> joined;
    for (int i = 0; i < 100; ++i) {
        (void)bus.subscribe();
        joined.push_back(bus.subscribe());
    }
    CHECK(bus.subscriber_count() == 102);
    task other([&] { return bus.send(2); });
    REQUIRE(wait_until_asleep(other));
    CHECK(slow.recv() == 0);
    CHECK(publisher.get() == 2);
    CHECK(slow.recv() == 1);
    CHECK(other.get() == 102);
    CHECK(drain(slow) == std::vector<int>{2});
    CHECK(drain(last) == std::vector<int>{0, 1, 2});
    CHECK(std::all_of(joined.begin(), joined.end(), [](const auto& rx) { return drain(rx) == std::vector<int>{2}; }));
}

TEST_CASE("a message that is copied may use the broadcaster, and a subscriber that it adds does not get it",
          "[broadcast]") {
    struct curious {
        explicit curious(std::function<void()> what) : on_copy(std::move(what)) {}
        curious(const curious& other) : on_copy(other.on_copy) {
            if (on_copy) {
                on_copy();
            }
        }
        curious(curious&&) = default;
        std::function<void()> on_copy;
    };
    sluice::broadcaster<curious> bus;
    auto first = bus.subscribe();
    const auto second = bus.subscribe();
    std::vector<sluice::receiver<curious>> joined;
    const curious message([&] {
        joined.push_back(bus.subscribe());
        CHECK(bus.subscriber_count() == 2 + joined.size());
        CHECK(bus.send(curious(nullptr)) == 2 + joined.size());
    });
    CHECK(bus.send(message) == 2);
    REQUIRE(joined.size() == 2);
    CHECK(joined[0].size() == 2);
    CHECK(joined[1].size() == 1);
    CHECK(first.size() == 3);
    CHECK(second.size() == 3);
}

TEST_CASE("the cost of a subscription does not grow with the number of subscribers", "[broadcast]") {
    constexpr int count = 16'000;
    double alone = 0;
    double together = 0;
    while (alone < 0.05) {  // which is several ticks of any system's clock
        alone += processor_seconds([] {
            std::vector<sluice::channel<int>> channels;
            for (int i = 0; i < count; ++i) {
                channels.push_back(sluice::unbounded<int>());
            }
        });
        together += processor_seconds([] {
            sluice::broadcaster<int> bus;
            std::vector<sluice::receiver<int>> subscribers;
            for (int i = 0; i < count; ++i) {
                subscribers.push_back(bus.subscribe());
            }
        });
    }
    CAPTURE(alone);
    CHECK(together < 15 * alone);
}

TEST_CASE("subscribers that come and go without a send do not accumulate", "[broadcast]") {
    // The broadcaster holds a sender of the channel of everyone whom it has not forgotten.
    const auto known = [](const std::vector<sluice::receiver<int>>& those) {
        return std::count_if(those.begin(), those.end(), [](const auto& rx) { return rx.sender_count() > 0; });
    };
    const auto staying = GENERATE(0, 1, 5, 100);
    sluice::broadcaster<int> bus;
    std::vector<sluice::receiver<int>> stay;
    for (int i = 0; i < staying; ++i) {
        stay.push_back(bus.subscribe());
    }
    std::vector<sluice::receiver<int>> gone;
    bool bounded = true;
    for (int i = 0; i < 1000; ++i) {
        gone.push_back(bus.subscribe());
        gone.back().close();
        bounded = bounded && known(gone) <= staying + 2;
    }
    CHECK(bounded);
    CHECK(bus.subscriber_count() == stay.size());
    CHECK(bus.send(1) == stay.size());
    CHECK(known(gone) == 0);
    CHECK(known(stay) == staying);
}

TEST_CASE("a stop that was requested before comes before everything", "[broadcast]") {
    const auto how = GENERATE(given_as::lvalue, given_as::rvalue);
    sluice::broadcaster<no_default> bus;
    const auto all = bus.subscribe();
    const auto strict = bus.subscribe(0, overflow::disconnect);
    std::stop_source source;
    source.request_stop();
    CHECK(send_seven(bus, how, source.get_token()) == outcome{0, 0, false});
    CHECK(all.empty());
    CHECK_FALSE(strict.is_closed());
    CHECK(send_seven(bus, how, std::stop_source().get_token()).reached == 1);
    CHECK(strict.is_closed());
}

TEST_CASE("a stop ends the wait for one subscriber; those behind it get the message if that needs no wait",
          "[broadcast]") {
    const auto how = GENERATE(given_as::lvalue, given_as::rvalue);
    const audit books;
    {
        sluice::broadcaster<no_default> bus;
        const auto ahead = bus.subscribe();
        const auto slow = bus.subscribe(1, overflow::block);
        const auto behind = bus.subscribe();
        const auto slow_too = bus.subscribe(1, overflow::block);
        const auto never_there = bus.subscribe(0, overflow::drop_newest);
        const auto last = bus.subscribe(1, overflow::drop_oldest);
        CHECK(bus.send(no_default(0)) == 5);
        std::stop_source source;
        task publisher([&] { return send_seven(bus, how, source.get_token()); });
        REQUIRE(wait_until_asleep(publisher));
        CHECK(drain(ahead) == std::vector<int>{0, 7});
        CHECK(drain(behind) == std::vector<int>{0});
        // The copy that was made for who was waited for goes to the next.
        SECTION("one is still full") {
            source.request_stop();
            if (how == given_as::lvalue) {
                CHECK(publisher.get() == outcome{3, 3, false});
            } else {
                CHECK(publisher.get() == outcome{3, 2, true});
            }
            CHECK(drain(slow_too) == std::vector<int>{0});
        }
        SECTION("one has made room meanwhile") {
            CHECK(id_in(slow_too.recv()) == 0);
            source.request_stop();
            if (how == given_as::lvalue) {
                CHECK(publisher.get() == outcome{4, 4, false});
            } else {
                CHECK(publisher.get() == outcome{4, 3, true});
            }
            CHECK(drain(slow_too) == std::vector<int>{7});
        }
        CHECK(drain(slow) == std::vector<int>{0});
        CHECK(drain(behind) == std::vector<int>{7});
        CHECK(drain(last) == std::vector<int>{7});
        CHECK(bus.subscriber_count() == 6);
    }
    CHECK(books.balanced());
}

TEST_CASE("a message whose wait was ended by a stop stays with its sender", "[broadcast]") {
    sluice::broadcaster<no_default> bus;
    const auto capacity = GENERATE(0u, 1u);
    const auto slow = bus.subscribe(capacity, overflow::block);
    for (unsigned i = 0; i < capacity; ++i) {
        CHECK(bus.send(no_default(0)) == 1);
    }
    std::stop_source source;
    task publisher([&] { return send_seven(bus, given_as::rvalue, source.get_token()); });
    REQUIRE(wait_until_asleep(publisher));
    source.request_stop();
    CHECK(publisher.get() == outcome{0, 0, false});
    CHECK(slow.size() == capacity);
}

TEST_CASE("a jthread that publishes ends on its destructor, be it blocked or as quick as it can", "[broadcast]") {
    sluice::broadcaster<int> bus;
    const auto all = bus.subscribe();
    std::size_t last = 9;
    SECTION("blocked") {
        const auto slow = bus.subscribe(1, overflow::block);
        {
            const std::jthread publisher([&](const std::stop_token& stop) {
                do {
                    last = bus.send(1, stop);
                } while (last == 2);
            });
            REQUIRE(eventually([&] { return all.size() == 2; }));
        }
        CHECK(last == 1);
        CHECK(slow.size() == 1);
    }
    SECTION("busy") {
        const auto newest = bus.subscribe(1, overflow::drop_oldest);
        {
            const std::jthread publisher([&](const std::stop_token& stop) {
                do {
                    last = bus.send(1, stop);
                } while (last == 2);
            });
            REQUIRE(eventually([&] { return all.size() >= 100; }));
        }
        CHECK(last == 0);
        CHECK(newest.size() == 1);
    }
}

TEST_CASE("a copy or a move that throws reaches those before, and the next message all", "[broadcast][exception]") {
    const auto how = GENERATE(given_as::lvalue, given_as::rvalue);
    const audit books;
    {
        sluice::broadcaster<throwing_move> bus;
        const std::vector<sluice::receiver<throwing_move>> subscribers{
            bus.subscribe(), bus.subscribe(2, overflow::block), bus.subscribe()};
        auto has_left = bus.subscribe();
        int steps = 0;
        for (bool throws = true; throws; ++steps) {
            if (steps == 2) {
                has_left = {};
            }
            throwing_move message(1);
            throws = false;
            throw_after() = steps + 1;
            try {
                (void)(how == given_as::lvalue ? bus.send(std::as_const(message)) : bus.send(std::move(message)));
            } catch (const injected_error&) {
                throws = true;
                CHECK(id_of(message) == 1);
            }
            throw_after() = 0;
            CHECK(bus.send(throwing_move(2)) == (steps < 2 ? 4 : 3));
            std::size_t reached = 0;
            bool before = true;
            for (const auto& rx : subscribers) {
                const std::vector<int> got = drain(rx);
                const bool got_it = got == std::vector<int>{1, 2};
                CHECK((got_it || got == std::vector<int>{2}));
                CHECK((before || !got_it));
                before = got_it;
                reached += got_it;
            }
            // A copy and a move for each, where it cannot be a move alone.
            CHECK(reached == (throws ? static_cast<std::size_t>(steps) / 2 : subscribers.size()));
            drain(has_left);
        }
        CHECK(steps - 1 == (how == given_as::lvalue ? 6 : 5));
    }
    CHECK(books.balanced());
}

TEST_CASE("only messages whose move does not throw may be dropped", "[broadcast][exception]") {
    sluice::broadcaster<throwing_move> bus;
    CHECK_THROWS_AS((void)bus.subscribe(3, overflow::drop_oldest), std::invalid_argument);
    CHECK_THROWS_AS((void)bus.subscribe(3, overflow::drop_newest), std::invalid_argument);
    CHECK(bus.subscriber_count() == 0);
    const auto blocks = bus.subscribe(3, overflow::block);
    const auto disconnects = bus.subscribe(3, overflow::disconnect);
    CHECK(bus.subscriber_count() == 2);
    CHECK(bus.send(throwing_move(1)) == 2);
    CHECK(drain(blocks) == std::vector<int>{1});
    CHECK(drain(disconnects) == std::vector<int>{1});
}

TEMPLATE_LIST_TEST_CASE("drop_oldest: who falls behind keeps the newest", "[broadcast]", steady_payloads) {
    const audit books;
    {
        sluice::broadcaster<TestType> bus;
        const auto tail = bus.subscribe(3, overflow::drop_oldest);
        const auto all = bus.subscribe();
        for (int id = 0; id < 10; ++id) {
            CHECK(bus.send(TestType(id)) == 2);
            CHECK(tail.size() <= 3);
        }
        CHECK(drain(tail) == numbers(7, 10));
        CHECK(drain(all) == numbers(0, 10));
        CHECK(bus.send(TestType(10)) == 2);
        CHECK(drain(tail) == numbers(10, 11));
    }
    CHECK(books.balanced());
}

TEST_CASE("drop_oldest: a channel that is full stays full while one message replaces another", "[broadcast]") {
    // Looks at the channel, without a lock, whenever one is moved.
    struct watcher {
        const std::function<void()>* look;
        explicit watcher(const std::function<void()>& f) : look(&f) {}
        watcher(const watcher&) = default;
        watcher(watcher&& other) noexcept : look(other.look) { (*look)(); }
    };
    const std::size_t capacity = GENERATE(1u, 2u, 3u, 8u);
    CAPTURE(capacity);
    sluice::broadcaster<watcher> bus;
    const auto tail = bus.subscribe(capacity, overflow::drop_oldest);
    std::vector<std::size_t> sizes;
    int not_full = 0;
    bool looking = false;
    const std::function<void()> look = [&] {
        if (looking) {
            sizes.push_back(tail.size());
            not_full += !tail.full();
        }
    };
    for (std::size_t i = 0; i < capacity; ++i) {
        (void)bus.send(watcher(look));
    }
    looking = true;
    for (int i = 0; i < 20; ++i) {
        CHECK(bus.send(watcher(look)) == 1);
    }
    looking = false;
    CHECK(sizes.size() >= 40);
    CHECK(std::count(sizes.begin(), sizes.end(), capacity) == static_cast<std::ptrdiff_t>(sizes.size()));
    CHECK(not_full == 0);
}

TEST_CASE("drop_newest: who falls behind keeps the oldest", "[broadcast]") {
    sluice::broadcaster<int> bus;
    const auto head = bus.subscribe(3, overflow::drop_newest);
    const auto all = bus.subscribe();
    for (int id = 0; id < 10; ++id) {
        CHECK(bus.send(id) == (id < 3 ? 2 : 1));
    }
    CHECK(drain(head) == numbers(0, 3));
    CHECK(drain(all) == numbers(0, 10));
    CHECK(bus.send(10) == 2);
    CHECK(drain(head) == numbers(10, 11));
}

TEST_CASE("disconnect: who falls behind is closed", "[broadcast]") {
    sluice::broadcaster<int> bus;
    const auto strict = bus.subscribe(3, overflow::disconnect);
    const auto all = bus.subscribe();
    for (int id = 0; id < 3; ++id) {
        CHECK(bus.send(id) == 2);
    }
    CHECK_FALSE(strict.is_closed());
    CHECK(bus.send(3) == 1);
    CHECK(strict.is_closed());
    CHECK(drain(strict) == numbers(0, 3));
    CHECK(error_in(strict.recv()) == errc::closed);
    CHECK(bus.send(4) == 1);
    CHECK(drain(all) == numbers(0, 5));
}

TEST_CASE("each policy sends straight to a subscriber that waits", "[broadcast]") {
    const auto policy = GENERATE(overflow::block, overflow::drop_oldest, overflow::drop_newest, overflow::disconnect);
    sluice::broadcaster<int> bus;
    const auto rx = bus.subscribe(1, policy);
    task receiver([&] { return id_in(rx.recv()); });
    REQUIRE(wait_until_asleep(receiver));
    CHECK(bus.send(5) == 1);
    CHECK(receiver.get() == 5);
    CHECK_FALSE(rx.is_closed());
}

TEST_CASE("a subscription stands in a select", "[broadcast][select]") {
    sluice::broadcaster<int> bus;
    const auto one = bus.subscribe();
    const auto two = bus.subscribe(1, overflow::drop_oldest);
    int got = 0;
    task selecting([&] { return sluice::select(sluice::on_recv(one, [&](int id) { got = id; })).value(); });
    REQUIRE(wait_until_asleep(selecting));
    CHECK(bus.send(3) == 2);
    CHECK(selecting.get() == 0);
    CHECK(got == 3);
    CHECK(sluice::select(sluice::on_recv(two, [&](int id) { got += id; }), sluice::otherwise([] {})).value() == 0);
    CHECK(got == 6);
}

TEST_CASE("a broadcaster is a value", "[broadcast]") {
    sluice::broadcaster<int> bus;
    const auto copy = bus;
    const auto rx = copy.subscribe();
    CHECK(bus.send(1) == 1);
    auto moved = std::move(bus);
    CHECK(moved.send(2) == 1);
    CHECK(copy.send(3) == 1);
    CHECK(drain(rx) == numbers(1, 4));
}

TEST_CASE("discarded messages of a subscriber that fell behind may use the bus as they go", "[broadcast]") {
    struct echo {
        sluice::receiver<echo> own;
        std::function<void(const sluice::receiver<echo>&)> last_words;
        explicit echo(std::function<void(const sluice::receiver<echo>&)> what) : last_words(std::move(what)) {}
        echo(const echo&) = default;
        echo(echo&& other) noexcept : own(std::move(other.own)), last_words(std::exchange(other.last_words, nullptr)) {}
        echo& operator=(const echo&) = delete;
        ~echo() {
            if (last_words) {
                last_words(own);
            }
        }
    };
    const auto policy = GENERATE(overflow::drop_oldest, overflow::drop_newest, overflow::disconnect);
    sluice::broadcaster<echo> bus;
    int spoken = 0;
    {
        const auto rx = bus.subscribe(1, policy);
        for (int i = 0; i < 3; ++i) {
            echo message([&](const sluice::receiver<echo>&) {
                ++spoken;
                (void)rx.size();
                (void)rx.is_closed();
                (void)rx.try_recv();
                (void)bus.subscribe();
                CHECK(bus.send(echo(nullptr)) <= 1);
            });
            (void)bus.send(std::move(message));
        }
    }
    CHECK(spoken >= 2);
}

TEST_CASE("subscribers come and go while others send: each gets an unbroken stretch of every publisher's messages",
          "[broadcast]") {
    struct tag {
        int publisher;
        int sequence;
    };
    constexpr int publishers = 2;
    constexpr int each = scaled(3000);
    const sluice::broadcaster<tag> bus;
    const auto stays = bus.subscribe();
    std::atomic<bool> over{false};
    std::list<task<bool>> visitors;
    for (const auto capacity : {std::optional<std::size_t>(), std::optional<std::size_t>(1)}) {
        visitors.emplace_back([&over, &bus, capacity] {
            bool whole = true;
            while (!over) {
                const auto rx = capacity ? bus.subscribe(*capacity, overflow::block) : bus.subscribe();
                std::vector<int> last(publishers, -1);
                for (int received = 0; received < 5 && !over;) {
                    const auto message = rx.try_recv();
                    if (!message) {
                        std::this_thread::yield();
                        continue;
                    }
                    int& before = last.at(static_cast<std::size_t>(message->publisher));
                    whole = whole && (before == -1 || message->sequence == before + 1);
                    before = message->sequence;
                    ++received;
                }
            }
            return whole;
        });
    }
    std::list<task<int>> senders;
    for (int p = 0; p < publishers; ++p) {
        senders.emplace_back([&bus, p] {
            int reached = 0;
            for (int i = 0; i < each; ++i) {
                reached += bus.send(tag{p, i}) >= 1;
            }
            return reached;
        });
    }
    for (auto& sender : senders) {
        CHECK(sender.get() == each);
    }
    over = true;
    for (auto& visitor : visitors) {
        CHECK(visitor.get());
    }
    std::vector<int> next(publishers, 0);
    bool complete = true;
    while (const auto message = stays.try_recv()) {
        complete = complete && message->sequence == next.at(static_cast<std::size_t>(message->publisher))++;
    }
    CHECK(complete);
    CHECK(next == std::vector<int>(publishers, each));
    CHECK(bus.subscriber_count() == 1);
}

#if defined(__unix__)
TEST_CASE("in a forked child a broadcaster is dropped though another thread was using it", "[broadcast]") {
    std::optional<sluice::broadcaster<int>> bus(std::in_place);
    auto rx = bus->subscribe(1, overflow::drop_newest);
    CHECK(bus->send(0) == 1);
    std::atomic<bool> over{false};
    std::atomic<bool> under_way{false};
    // What this does uses only the broadcaster itself, since the channel is full.
    task other([&] {
        std::size_t delivered = 0;
        while (!over) {
            delivered += bus->send(1) + bus->subscriber_count() - 1;
            under_way = true;
        }
        return delivered;
    });
    REQUIRE(eventually([&] { return under_way.load(); }));
    int ended = 0;
    for (; ended < scaled(100); ++ended) {
        const pid_t child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            ::alarm(static_cast<unsigned>(patience.count()));
            bus.reset();
            rx = {};
            ::_exit(0);
        }
        int status = -1;
        if (::waitpid(child, &status, 0) != child || status != 0) {
            break;
        }
    }
    CHECK(ended == scaled(100));
    over = true;
    CHECK(other.get() == 0);
    CHECK(drain(rx) == std::vector<int>{0});
}
#endif

TEST_CASE("several publishers reach several subscribers", "[broadcast]") {
    struct tag {
        int publisher;
        int sequence;
    };
    constexpr int publishers = 3;
    constexpr int each = scaled(3000);
    std::optional<sluice::broadcaster<tag>> bus(std::in_place);
    const auto listen = [&](sluice::receiver<tag> rx) {
        return [rx = std::move(rx)] {
            std::vector<tag> got;
            for (auto&& message : rx) {
                got.push_back(message);
            }
            return got;
        };
    };
    std::list<task<std::vector<tag>>> listeners;
    listeners.emplace_back(listen(bus->subscribe()));
    listeners.emplace_back(listen(bus->subscribe(4, overflow::block)));
    listeners.emplace_back(listen(bus->subscribe(1, overflow::block)));
    listeners.emplace_back(listen(bus->subscribe(4, overflow::drop_oldest)));
    listeners.emplace_back(listen(bus->subscribe(4, overflow::drop_newest)));
    std::list<task<int>> senders;
    for (int p = 0; p < publishers; ++p) {
        senders.emplace_back([own = *bus, p] {
            int reached = 0;
            for (int i = 0; i < each; ++i) {
                reached += own.send(tag{p, i}) >= 4;
            }
            return reached;
        });
    }
    for (auto& sender : senders) {
        CHECK(sender.get() == each);
    }
    senders.clear();
    bus.reset();
    int position = 0;
    for (auto& listener : listeners) {
        const auto got = listener.get();
        std::vector<int> last(publishers, -1);
        bool ordered = true;
        for (const auto& message : got) {
            auto& before = last.at(static_cast<std::size_t>(message.publisher));
            ordered = ordered && message.sequence > before;
            before = message.sequence;
        }
        CAPTURE(position);
        CHECK(ordered);
        if (position++ < 3) {
            CHECK(got.size() == static_cast<std::size_t>(publishers * each));
        }
    }
}

// ---- Closing

TEST_CASE("close() closes every subscriber after what it was sent, and later ones at once", "[broadcast]") {
    const sluice::broadcaster<int> bus;
    const auto copy = bus;
    const auto one = bus.subscribe();
    const auto two = bus.subscribe(1, overflow::drop_oldest);
    task blocked([&] { return id_in(bus.subscribe().recv()); });
    REQUIRE(wait_until_asleep(blocked));
    task blocked_too([rx = bus.subscribe(0, overflow::block)] { return id_in(rx.recv()); });
    REQUIRE(wait_until_asleep(blocked_too));
    CHECK(bus.send(1) == 4);
    CHECK(blocked.get() == 1);
    CHECK(blocked_too.get() == 1);
    CHECK(copy.close());
    CHECK_FALSE(bus.close());
    CHECK(one.is_closed());
    CHECK(two.is_closed());
    CHECK(one.close_cause() == nullptr);
    CHECK(bus.subscriber_count() == 0);
    CHECK(bus.send(2) == 0);
    CHECK(drain(one) == std::vector<int>{1});
    CHECK(drain(two) == std::vector<int>{1});
    CHECK(error_in(one.recv()) == errc::closed);
    for (const auto& late : {bus.subscribe(), bus.subscribe(2, overflow::block), copy.subscribe()}) {
        CHECK(late.is_closed());
        CHECK(error_in(late.recv()) == errc::closed);
    }
    sluice::broadcaster<int> gone = bus;
    const auto moved = std::move(gone);
    CHECK_FALSE(gone.close());  // NOLINT(bugprone-use-after-move)
}

TEST_CASE("close() frees a publisher that waits, which goes on without that subscriber", "[broadcast]") {
    sluice::broadcaster<no_default> bus;
    const auto slow = bus.subscribe(1, overflow::block);
    CHECK(bus.send(no_default(0)) == 1);
    task publisher([&] { return send_seven(bus, given_as::rvalue); });
    REQUIRE(wait_until_asleep(publisher));
    CHECK(bus.close());
    CHECK(publisher.get() == outcome{0, 0, false});
    CHECK(drain(slow) == std::vector<int>{0});
}

// ---- What is missed

TEMPLATE_LIST_TEST_CASE("dropped() of a subscriber's receiver tells how much it missed", "[broadcast]",
                        steady_payloads) {
    const audit books;
    {
        sluice::broadcaster<TestType> bus;
        const auto oldest = bus.subscribe(2, overflow::drop_oldest);
        const auto newest = bus.subscribe(2, overflow::drop_newest);
        const auto nobody = bus.subscribe(0, overflow::drop_newest);
        const auto nobody_too = bus.subscribe(0, overflow::drop_oldest);
        const auto all = bus.subscribe();
        for (int id = 0; id < 5; ++id) {
            CHECK(bus.send(TestType(id)) == (id < 2 ? 3u : 2u));
        }
        CHECK(oldest.dropped() == 3);
        CHECK(newest.dropped() == 3);
        CHECK(nobody.dropped() == 5);
        CHECK(nobody_too.dropped() == 5);
        CHECK(all.dropped() == 0);
        CHECK(drain(oldest) == numbers(3, 5));
        CHECK(drain(newest) == numbers(0, 2));
        CHECK(bus.send(TestType(9)) == 3);
        CHECK(newest.dropped() == 3);
    }
    CHECK(books.balanced());
}

TEST_CASE("a stop that ends the wait for a subscriber makes it miss one; to be disconnected is no miss",
          "[broadcast]") {
    sluice::broadcaster<int> bus;
    const auto slow = bus.subscribe(1, overflow::block);
    const auto slow_too = bus.subscribe(1, overflow::block);
    const auto strict = bus.subscribe(1, overflow::disconnect);
    CHECK(bus.send(0) == 3);
    std::stop_source source;
    task publisher([&] { return bus.send(1, source.get_token()); });
    REQUIRE(wait_until_asleep(publisher));
    source.request_stop();
    CHECK(publisher.get() == 0);
    CHECK(slow.dropped() == 1);
    CHECK(slow_too.dropped() == 1);
    CHECK(strict.is_closed());
    CHECK(strict.dropped() == 0);
}

// ---- Replay

TEMPLATE_LIST_TEST_CASE("who subscribes later gets the last messages first", "[broadcast]", copyable_payloads) {
    const auto remembered = GENERATE(0u, 1u, 3u, 100u);
    const int sent = GENERATE(0, 1, 5);
    CAPTURE(remembered, sent);
    const int first = std::max(0, sent - static_cast<int>(remembered));
    const audit books;
    {
        sluice::broadcaster<TestType> bus(sluice::replay(remembered));
        const auto early = bus.subscribe();
        for (int id = 0; id < sent; ++id) {
            const TestType message(id);
            CHECK(bus.send(message) == 1);
        }
        const auto late = bus.subscribe();
        const auto few = bus.subscribe(2, overflow::block);
        const auto none = bus.subscribe(0, overflow::block);
        const auto strict = bus.subscribe(1, overflow::disconnect);
        CHECK(drain(early) == numbers(0, sent));
        CHECK(drain(late) == numbers(first, sent));
        CHECK(drain(few) == numbers(std::max(first, sent - 2), sent));
        CHECK(error_in(none.try_recv()) == errc::empty);
        CHECK_FALSE(strict.is_closed());
        CHECK(strict.dropped() == 0);
        CHECK(drain(strict) == numbers(std::max(first, sent - 1), sent));
    }
    CHECK(books.balanced());
}

TEST_CASE("what is sent live comes behind what is replayed, and only that is dropped", "[broadcast]") {
    sluice::broadcaster<no_default> bus(sluice::replay(3));
    for (int id = 0; id < 5; ++id) {
        CHECK(bus.send(no_default(id)) == 0);
    }
    const auto all = bus.subscribe();
    const auto oldest = bus.subscribe(2, overflow::drop_oldest);
    const auto newest = bus.subscribe(2, overflow::drop_newest);
    const auto strict = bus.subscribe(3, overflow::disconnect);
    CHECK(bus.send(no_default(5)) == 2);
    CHECK(drain(all) == numbers(2, 6));
    CHECK(drain(oldest) == numbers(4, 6));
    CHECK(oldest.dropped() == 1);
    CHECK(drain(newest) == numbers(3, 5));
    CHECK(newest.dropped() == 1);
    CHECK(strict.is_closed());
    CHECK(drain(strict) == numbers(2, 5));
}

TEST_CASE("a broadcaster that was closed still replays, and remembers nothing more", "[broadcast]") {
    sluice::broadcaster<int> bus(sluice::replay(2));
    CHECK(bus.send(1) == 0);
    CHECK(bus.send(2) == 0);
    CHECK(bus.close());
    CHECK(bus.send(3) == 0);
    for (int i = 0; i < 2; ++i) {
        const auto late = bus.subscribe();
        CHECK(late.is_closed());
        CHECK(drain(late) == std::vector<int>{1, 2});
        CHECK(error_in(late.recv()) == errc::closed);
    }
}

TEST_CASE("a replayed message is one copy per subscriber, and one to remember it", "[broadcast]") {
    sluice::broadcaster<no_default> bus(sluice::replay(1));
    CHECK(send_seven(bus, given_as::rvalue) == outcome{0, 1, false});
    const long before = witness::copied();
    const auto rx = bus.subscribe();
    CHECK(witness::copied() == before + 1);
    CHECK(send_seven(bus, given_as::rvalue) == outcome{1, 1, true});
    CHECK(send_seven(bus, given_as::lvalue) == outcome{1, 2, false});
}

TEST_CASE("what is remembered goes when it is forgotten, or with the broadcaster", "[broadcast]") {
    const audit books;
    std::optional<sluice::broadcaster<no_default>> bus(std::in_place, sluice::replay(2));
    for (int id = 0; id < 5; ++id) {
        (void)bus->send(no_default(id));
    }
    CHECK(books.alive() == 2);
    {
        const auto rx = bus->subscribe();
        CHECK(books.alive() == 4);
        CHECK(drain(rx) == numbers(3, 5));
        CHECK(books.alive() == 2);
    }
    bus.reset();
    CHECK(books.balanced());
}

TEST_CASE("a copy that throws as it is replayed leaves no subscriber", "[broadcast]") {
    sluice::broadcaster<throwing_move> bus(sluice::replay(2));
    CHECK(bus.send(throwing_move(0)) == 0);
    CHECK(bus.send(throwing_move(1)) == 0);
    const int step = GENERATE(1, 2, 3, 4);
    throw_after() = step;
    CHECK_THROWS_AS(bus.subscribe(), injected_error);
    throw_after() = 0;
    CHECK(bus.subscriber_count() == 0);
    const auto rx = bus.subscribe();
    CHECK(bus.send(throwing_move(2)) == 1);
    CHECK(drain(rx) == numbers(0, 3));
}

TEST_CASE("who subscribes while others send misses nothing and gets nothing twice", "[broadcast]") {
    const auto remembered = GENERATE(1u, 4u, 64u);
    const bool closes = GENERATE(false, true);
    CAPTURE(remembered, closes);
    const audit books;
    const int each = scaled(3000);
    for (int round = 0; round < 3; ++round) {
        std::optional<sluice::broadcaster<no_default>> bus(std::in_place, sluice::replay(remembered));
        std::atomic<bool> in_order{true};
        std::vector<std::thread> threads;
        for (int p = 0; p < 2; ++p) {
            threads.emplace_back([&, p, mine = *bus] {
                for (int i = 0; i < each; ++i) {
                    (void)mine.send(no_default(p * each + i));
                }
            });
        }
        for (int s = 0; s < 2; ++s) {
            threads.emplace_back([&, mine = *bus] {
                for (int i = 0; i < 20; ++i) {
                    const auto rx = mine.subscribe();
                    int next[2] = {-1, -1};
                    const int count = scaled(500);
                    for (int n = 0; n < count; ++n) {
                        const auto m = rx.try_recv();
                        if (!m) {
                            std::this_thread::yield();
                            continue;
                        }
                        const int p = m->id() / each, k = m->id() % each;
                        if (next[p] >= 0 && k != next[p]) in_order = false;
                        next[p] = k + 1;
                    }
                }
            });
        }
        if (closes) {
            CHECK(bus->close());
        }
        for (auto& t : threads) {
            t.join();
        }
        CHECK(in_order);
        const auto late = bus->subscribe();
        CHECK(late.is_closed() == closes);
    }
    CHECK(books.balanced());
}
