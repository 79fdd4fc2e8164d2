// Broadcast: every subscriber gets every message, and what becomes of those that fall behind.
#include "catch.hpp"
#include "support/kinds.hpp"
#include "support/task.hpp"

#include <atomic>
#include <functional>
#include <list>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

using namespace test;
using sluice::errc;
using sluice::overflow;

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

TEST_CASE("the last subscriber gets the moved original", "[broadcast]") {
    sluice::broadcaster<no_default> bus;
    std::list<sluice::receiver<no_default>> subscribers;
    for (int count = 1; count <= 3; ++count) {
        subscribers.push_back(bus.subscribe());
        no_default message(7);
        const auto copied = witness::copied();
        CHECK(bus.send(std::move(message)) == static_cast<std::size_t>(count));
        CHECK(witness::copied() - copied == count - 1);
        CHECK(id_of(message) == witness::gone);
        for (const auto& rx : subscribers) {
            CHECK(drain(rx) == std::vector<int>{7});
        }
    }
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

TEST_CASE("while a publisher waits, others may subscribe and leave", "[broadcast]") {
    sluice::broadcaster<int> bus;
    const auto slow = bus.subscribe(1, overflow::block);
    CHECK(bus.send(0) == 1);
    task publisher([&] { return bus.send(1); });
    REQUIRE(wait_until_asleep(publisher));
    auto joins = bus.subscribe();
    joins = {};
    const auto copy = bus;
    CHECK(slow.recv().value() == 0);
    CHECK(publisher.get() >= 1);
    CHECK(slow.recv().value() == 1);
}

TEMPLATE_LIST_TEST_CASE("drop_oldest: who falls behind keeps the newest", "[broadcast]", copyable_payloads) {
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
