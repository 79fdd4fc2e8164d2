// selector: a select whose cases come and go.
#include "catch.hpp"
#include "support/chance.hpp"
#include "support/kinds.hpp"
#include "support/outcomes.hpp"
#include "support/task.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

using namespace test;
using namespace std::chrono_literals;
using sluice::errc;
using sluice::on_deadline;
using sluice::on_recv;
using sluice::on_send;
using sluice::on_stop;
using sluice::on_timeout;
using sluice::otherwise;
using steady = std::chrono::steady_clock;

namespace {

constexpr auto nothing = [] {};

}  // namespace

TEST_CASE("a group runs one ready case at a time and tells its id", "[selector]") {
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    auto a = make_channel<int>(which);
    auto b = make_channel<int>(which);
    sluice::selector group;
    int got = 0;
    const std::size_t first = group.add(on_recv(a.rx, [&](int id) { got = id; }));
    const std::size_t second = group.add(on_recv(b.rx, [&](int id) { got = -id; }));
    CHECK(first != second);
    CHECK(group.try_wait().error() == errc::empty);
    CHECK(group.wait_timeout(1ms).error() == errc::timeout);
    CHECK(group.wait_until(steady::now() + 1ms).error() == errc::timeout);
    CHECK(group.wait_timeout(0ms).error() == errc::timeout);
    CHECK(group.wait_until(std::chrono::system_clock::now()).error() == errc::timeout);

    REQUIRE(a.tx.send(5).has_value());
    CHECK(group.wait().value() == first);
    CHECK(got == 5);
    REQUIRE(b.tx.send(6).has_value());
    CHECK(group.try_wait().value() == second);
    CHECK(got == -6);
    REQUIRE(a.tx.send(7).has_value());
    CHECK(group.wait_timeout(10h).value() == first);
    REQUIRE(a.tx.send(8).has_value());
    CHECK(group.wait_until(steady::now()).value() == first);
    CHECK(got == 8);
    CHECK(ran(group.try_wait()) == none_empty);
}

TEST_CASE("the ids of a group stay valid until they are removed", "[selector]") {
    auto a = sluice::unbounded<int>();
    auto b = sluice::unbounded<int>();
    auto c = sluice::unbounded<int>();
    sluice::selector group;
    const auto ignore = [](int) {};
    const auto id_a = group.add(on_recv(a.rx, ignore));
    const auto id_b = group.add(on_recv(b.rx, ignore));
    const auto id_c = group.add(on_recv(c.rx, ignore));
    group.remove(id_a);
    REQUIRE(a.tx.send(1).has_value());
    CHECK(group.try_wait().error() == errc::empty);
    REQUIRE(b.tx.send(1).has_value());
    CHECK(group.wait().value() == id_b);
    const auto again = group.add(on_recv(a.rx, ignore));
    CHECK(again != id_b);
    CHECK(again != id_c);
    CHECK(group.wait().value() == again);
    REQUIRE(c.tx.send(1).has_value());
    CHECK(group.wait().value() == id_c);
}

TEST_CASE("a group blocks until a case is ready", "[selector]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto a = make_channel<int>(which);
    auto b = make_channel<int>(which);
    sluice::selector group;
    int got = 0;
    (void)group.add(on_recv(a.rx, [&](int id) { got = id; }));
    const auto id = group.add(on_recv(b.rx, [&](int value) { got = value; }));
    task waiting([&] { return ran(group.wait()); });
    REQUIRE(wait_until_asleep(waiting));
    CHECK(b.tx.send(4).has_value());
    CHECK(waiting.get() == static_cast<int>(id));
    CHECK(got == 4);
}

TEST_CASE("a group reports closed when nothing could ever become ready, whichever call asks", "[selector]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    const auto all_say_closed = [](sluice::selector& group) {
        return ran(group.wait()) == none_closed && ran(group.try_wait()) == none_closed &&
               ran(group.wait_timeout(1h)) == none_closed && ran(group.wait_until(steady::now() + 1h)) == none_closed &&
               ran(group.wait_timeout(0ms)) == none_closed;
    };
    sluice::selector group;
    CHECK(all_say_closed(group));
    auto ch = make_channel<int>(which);
    int got = 0;
    const auto id = group.add(on_recv(ch.rx, [&](int) { ++got; }));
    fill(ch.tx, which);
    ch.tx.close();
    while (group.wait()) {
    }
    CHECK(got == room(which));
    CHECK(all_say_closed(group));
    group.remove(id);
    CHECK(all_say_closed(group));
    const auto on_empty = group.add(on_recv(sluice::receiver<int>(), [](const sluice::result<int>&) {}));
    CHECK(all_say_closed(group));
    group.remove(on_empty);

    auto other = make_channel<int>(which);
    const auto open = group.add(on_recv(other.rx, [](int) {}));
    CHECK(ran(group.try_wait()) == none_empty);
    CHECK(ran(group.wait_timeout(1ms)) == none_timeout);
    group.remove(open);
    CHECK(all_say_closed(group));
}

TEST_CASE("closing wakes a blocked group", "[selector]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto ch = make_channel<int>(which);
    sluice::selector group;
    (void)group.add(on_recv(ch.rx, [](int) {}));
    task waiting([&] { return ran(group.wait()); });
    REQUIRE(wait_until_asleep(waiting));
    ch.tx = {};
    CHECK(waiting.get() == none_closed);

    errc seen{};
    const auto id = group.add(on_recv(ch.rx, [&](const sluice::result<int>& r) { seen = error_in(r); }));
    CHECK(ran(group.wait()) == static_cast<int>(id));
    CHECK(seen == errc::closed);
}

TEST_CASE("a case in a group holds copies of its handles until it is removed", "[selector]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto ch = make_channel<int>(which);
    {
        sluice::selector group;
        const auto receiving = group.add(on_recv(ch.rx, [](int) {}));
        const auto sending = group.add(on_send(ch.tx, 1));
        CHECK(ch.tx.receiver_count() == 2);
        CHECK(ch.tx.sender_count() == 2);
        group.remove(receiving);
        CHECK(ch.tx.receiver_count() == 1);
        group.remove(sending);
        CHECK(ch.tx.sender_count() == 1);
        (void)group.add(on_recv(ch.rx, [](int) {}));
        CHECK(ch.tx.receiver_count() == 2);
    }
    CHECK(ch.tx.receiver_count() == 1);
}

TEMPLATE_LIST_TEST_CASE("a group owns the value of an on_send, which removes itself once sent", "[selector]",
                        payloads) {
    const auto which = EACH_KIND();
    CAPTURE(which);
    const audit books;
    {
        auto ch = make_channel<TestType>(which);
        sluice::selector group;
        int sent = 0;
        std::size_t id = 0;
        {
            TestType value(5);
            id = group.add(on_send(ch.tx, std::move(value), [&] { ++sent; }));
        }
        CHECK(ch.tx.sender_count() == 2);
        if (which == kind::rendezvous) {
            CHECK(group.try_wait().error() == errc::empty);
            CHECK(group.wait_timeout(1ms).error() == errc::timeout);
            task receiver([&] { return id_in(ch.rx.recv()); });
            CHECK(group.wait().value() == id);
            CHECK(receiver.get() == 5);
        } else {
            CHECK(group.wait().value() == id);
            CHECK(id_in(ch.rx.try_recv()) == 5);
        }
        CHECK(sent == 1);
        CHECK(ch.tx.sender_count() == 1);
        CHECK(group.wait().error() == errc::closed);
        (void)group.add(on_send(ch.tx, TestType(6)));
    }
    CHECK(books.balanced());
}

TEST_CASE("handlers may add and remove cases of their own group", "[selector]") {
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    auto a = make_channel<int>(which);
    auto b = make_channel<int>(which);
    auto reply = sluice::unbounded<int>();
    sluice::selector group;
    std::vector<int> got;

    SECTION("a case that removes itself") {
        std::size_t own = 0;
        auto kept = std::make_shared<int>(3);
        const std::weak_ptr<int> watch = kept;
        own = group.add(on_recv(a.rx, [&group, &own, &got, kept = std::move(kept)](int id) {
            group.remove(own);
            got.push_back(id + *kept);
        }));
        REQUIRE(a.tx.send(1).has_value());
        CHECK(group.wait().value() == own);
        CHECK(got == std::vector<int>{4});
        CHECK(group.wait().error() == errc::closed);
        CHECK(watch.expired());
        CHECK(a.tx.receiver_count() == 1);
    }
    SECTION("a case that removes another, which was ready too") {
        std::size_t first = 0;
        std::size_t second = 0;
        first = group.add(on_recv(a.rx, [&](int id) {
            group.remove(second);
            got.push_back(id);
        }));
        second = group.add(on_recv(b.rx, [&](int id) {
            group.remove(first);
            got.push_back(id);
        }));
        REQUIRE(a.tx.send(1).has_value());
        REQUIRE(b.tx.send(2).has_value());
        const auto ran_id = group.wait().value();
        CHECK(group.try_wait().error() == errc::empty);
        CHECK(got.size() == 1);
        CHECK(a.rx.size() + b.rx.size() == 1);
        CHECK((ran_id == first ? b : a).rx.size() == 1);
    }
    SECTION("a case that adds others, many of them") {
        std::vector<std::size_t> added;
        const auto id = group.add(on_recv(a.rx, [&](int n) {
            for (int i = 0; i < n; ++i) {
                added.push_back(group.add(on_recv(b.rx, [&](int m) { got.push_back(m); })));
            }
            added.push_back(group.add(on_send(reply.tx, n)));
        }));
        REQUIRE(a.tx.send(40).has_value());
        CHECK(group.wait().value() == id);
        CHECK(added.size() == 41);
        CHECK(group.wait().value() == added.back());
        CHECK(reply.rx.recv().value() == 40);
        REQUIRE(b.tx.send(2).has_value());
        const auto chosen = group.wait().value();
        CHECK(std::find(added.begin(), added.end(), chosen) != added.end());
        CHECK(got == std::vector<int>{2});
    }
    SECTION("a send that replaces itself") {
        int next = 0;
        std::function<void()> again = [&] {
            if (++next < 5) {
                (void)group.add(on_send(reply.tx, next, again));
            }
        };
        (void)group.add(on_send(reply.tx, next, again));
        while (group.wait()) {
        }
        CHECK(drain(reply.rx) == numbers(0, 5));
    }
    SECTION("a handler that waits for its own group") {
        const auto outer = group.add(on_recv(a.rx, [&](int id) {
            got.push_back(id);
            if (id == 1) {
                REQUIRE(a.tx.send(2).has_value());
                CHECK(group.wait().has_value());
            }
        }));
        REQUIRE(a.tx.send(1).has_value());
        CHECK(group.wait().value() == outer);
        CHECK(got == std::vector<int>{1, 2});
    }
}

TEST_CASE("a group chooses at random", "[selector]") {
    const int trials = scaled(4000);
    auto [tx, rx] = sluice::unbounded<int>();
    sluice::selector group;
    std::array<long, 3> hits{};
    for (auto& hit : hits) {
        (void)group.add(on_recv(rx, [&hit](int) { ++hit; }));
    }
    for (int i = 0; i < trials; ++i) {
        REQUIRE(tx.send(i).has_value());
        REQUIRE(group.wait().has_value());
    }
    for (const long count : hits) {
        CAPTURE(count);
        CHECK(plausible(count, trials, 1.0 / 3));
    }
}

TEST_CASE("a group takes cases for time and stop", "[selector]") {
    auto [tx, rx] = sluice::unbounded<int>();
    sluice::selector group;
    (void)group.add(on_recv(rx, [](int) {}));
    const auto late = group.add(on_timeout(1ms, nothing));
    CHECK(group.wait().value() == late);
    group.remove(late);
    const auto due = group.add(on_deadline(steady::now() + 1ms, nothing));
    CHECK(group.wait().value() == due);
    group.remove(due);
    const auto stop = group.add(on_stop(requested(), nothing));
    CHECK(group.wait().value() == stop);
    group.remove(stop);
    CHECK(group.try_wait().error() == errc::empty);
}
