// selector: a select whose cases come and go.
#include "catch.hpp"
#include "support/clocks.hpp"
#include "support/kinds.hpp"
#include "support/names.hpp"
#include "support/outcomes.hpp"
#include "support/task.hpp"

#include <cstdint>
#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <random>
#include <type_traits>
#include <utility>
#include <vector>

using namespace test;
using namespace std::chrono_literals;

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
    CHECK(ran(group.try_wait()) == errc::empty);
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
    CHECK(waiting.get() == id);
    CHECK(got == 4);
}

TEST_CASE("a group reports closed when nothing could ever become ready, whichever call asks", "[selector]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    const auto all_say_closed = [](sluice::selector& group) {
        return ran(group.wait()) == errc::closed && ran(group.try_wait()) == errc::closed &&
               ran(group.wait_timeout(1h)) == errc::closed &&
               ran(group.wait_until(steady::now() + 1h)) == errc::closed &&
               ran(group.wait_timeout(0ms)) == errc::closed;
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
    CHECK(ran(group.try_wait()) == errc::empty);
    CHECK(ran(group.wait_timeout(1ms)) == errc::timeout);
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
    CHECK(waiting.get() == errc::closed);

    errc seen{};
    const auto id = group.add(on_recv(ch.rx, [&](const sluice::result<int>& r) { seen = error_in(r); }));
    CHECK(ran(group.wait()) == id);
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

// ---- cases that go by themselves

TEST_CASE("the cases of a thousand closed channels remove themselves and hold nothing", "[selector]") {
    const auto which = EACH_KIND();
    const bool sending = GENERATE(false, true);
    CAPTURE(which, sending);
    sluice::selector group;
    std::vector<sluice::channel<int>> channels;
    for (int i = 0; i < 1000; ++i) {
        auto& ch = channels.emplace_back(make_channel<int>(which));
        if (sending) {
            fill(ch.tx, which);
            group.add(on_send(ch.tx, 1));
        } else {
            group.add(on_recv(ch.rx, [](int) {}));
        }
    }
    if (sending && which == kind::unbounded) {
        SUCCEED("what is sent at once leaves no case behind");
        return;
    }
    CHECK(group.size() == 1000);
    for (const auto& ch : channels) {
        ch.tx.close();
    }
    CHECK(ran(group.wait()) == errc::closed);
    CHECK(group.size() == 0);
    CHECK(group.empty());
    CHECK(std::all_of(channels.begin(), channels.end(),
                      [](const auto& ch) { return ch.rx.sender_count() == 1 && ch.rx.receiver_count() == 1; }));
}

TEST_CASE("a case whose channel closes removes itself from whatever wait sees it", "[selector]") {
    const auto which = EACH_KIND();
    const int how = GENERATE(0, 1, 2, 3, 4);
    CAPTURE(which, how);
    auto open = make_channel<int>(which);
    auto closing = make_channel<int>(which);
    sluice::selector group;
    const auto stays = group.add(on_recv(open.rx, [](int) {}));
    const auto goes = group.add(on_recv(closing.rx, [](int) {}));
    if (how == 0) {
        task waiting([&] { return ran(group.wait()); });
        REQUIRE(wait_until_asleep(waiting));
        closing.tx = {};
        REQUIRE(wait_until_asleep(waiting));
        CHECK(open.tx.send(1).has_value());
        CHECK(waiting.get() == stays);
    } else {
        closing.tx.close();
        switch (how) {
            case 1: CHECK(ran(group.try_wait()) == errc::empty); break;
            case 2: CHECK(ran(group.wait_timeout(1ms)) == errc::timeout); break;
            case 3: CHECK(ran(group.wait_until(std::chrono::system_clock::now() + 1ms)) == errc::timeout); break;
            default: {
                const auto idle = group.add(otherwise(nothing));
                CHECK(group.wait().value() == idle);
                CHECK(group.remove(idle));
            }
        }
    }
    CHECK(group.size() == 1);
    CHECK(closing.rx.receiver_count() == 1);
    CHECK_FALSE(group.remove(goes));
    CHECK(group.remove(stays));
}

TEST_CASE("a closed channel keeps its case until it is drained", "[selector]") {
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    auto ch = make_channel<int>(which);
    sluice::selector group;
    std::vector<int> got;
    const auto id = group.add(on_recv(ch.rx, [&](int message) { got.push_back(message); }));
    fill(ch.tx, which);
    ch.tx.close();
    for (int i = 0; i < room(which); ++i) {
        CHECK(group.size() == 1);
        CHECK(group.wait().value() == id);
    }
    CHECK(ran(group.wait()) == errc::closed);
    CHECK(group.size() == 0);
    CHECK(got == numbers(0, room(which)));
}

TEST_CASE("a handler that takes results hears of the closing once, after its case has gone", "[selector]") {
    const auto which = EACH_KIND();
    const bool sending = GENERATE(false, true);
    const bool waiting = GENERATE(false, true);
    CAPTURE(which, sending, waiting);
    auto ch = make_channel<int>(which);
    auto other = make_channel<int>(which);
    if (sending) {
        if (which == kind::unbounded) {
            ch.tx.close();
        } else {
            fill(ch.tx, which);
        }
    }
    sluice::selector group;
    (void)group.add(on_recv(other.rx, [](int) {}));
    std::vector<errc> heard;
    std::size_t left = 99;
    const auto hear = [&](const auto& outcome) {
        heard.push_back(error_in(outcome));
        left = group.size();
    };
    const auto id = sending ? group.add(on_send(ch.tx, 1, [&](sluice::result<void> r) { hear(r); }))
                            : group.add(on_recv(ch.rx, [&](const sluice::result<int>& r) { hear(r); }));
    if (waiting && !ch.tx.is_closed()) {
        task blocked([&] { return ran(group.wait()); });
        REQUIRE(wait_until_asleep(blocked));
        ch.tx.close();
        CHECK(blocked.get() == id);
    } else {
        ch.tx.close();
        CHECK(group.wait().value() == id);
    }
    CHECK(heard == std::vector<errc>{errc::closed});
    CHECK(left == 1);
    CHECK((sending ? ch.rx.sender_count() : ch.rx.receiver_count()) == 1);
    CHECK(ran(group.try_wait()) == errc::empty);
    CHECK(heard.size() == 1);
    CHECK_FALSE(group.remove(id));
}

TEST_CASE("each of several handlers hears of its closing, also where they close at once", "[selector]") {
    const auto which = EACH_KIND();
    const bool biased = GENERATE(false, true);
    const int cue = GENERATE(1, 2, 3, 4);  // before the group looks, between its looks, or as it stands in line
    CAPTURE(which, biased, cue);
    std::array<sluice::channel<int>, 2> incoming{make_channel<int>(which), make_channel<int>(which)};
    auto outgoing = sluice::rendezvous<int>();
    stage_clock::play(cue, [&] {
        for (auto& ch : incoming) {
            ch.tx.close();
        }
        outgoing.rx.close();
    });
    sluice::selector group = biased ? sluice::selector(sluice::biased) : sluice::selector();
    std::array<int, 3> heard{};
    for (std::size_t i = 0; i < 2; ++i) {
        (void)group.add(
            on_recv(incoming[i].rx, [&heard, i](const sluice::result<int>& r) { heard[i] += r == errc::closed; }));
    }
    (void)group.add(on_send(outgoing.tx, 1, [&](sluice::result<void> r) { heard[2] += r == errc::closed; }));
    (void)group.add(on_deadline(stage_clock::later + 1h, nothing));
    for (std::size_t left = 4; left > 1; --left) {
        CHECK(group.size() == left);
        CHECK(group.wait_timeout(10s).has_value());
    }
    CHECK(heard == std::array{1, 1, 1});
    CHECK(group.size() == 1);
}

TEST_CASE("a case that has gone may be followed by another one of its handler's making", "[selector]") {
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    sluice::selector group;
    std::vector<std::size_t> ids;
    SECTION("after a send") {
        auto ch = make_channel<int>(which);
        std::vector<std::size_t> sizes;
        int next = 0;
        std::function<void()> send_on = [&] {
            sizes.push_back(group.size());
            if (++next < room(which)) {
                ids.push_back(group.add(on_send(ch.tx, next, send_on)));
            }
        };
        ids.push_back(group.add(on_send(ch.tx, next, send_on)));
        while (group.wait()) {
        }
        CHECK(sizes == std::vector<std::size_t>(static_cast<std::size_t>(room(which)), 0));
        CHECK(drain(ch.rx) == numbers(0, room(which)));
    }
    SECTION("after the end of what it received from") {
        std::vector<sluice::channel<int>> queue;
        for (int i = 0; i < 4; ++i) {
            queue.push_back(make_channel<int>(which));
            fill(queue.back().tx, which);
            queue.back().tx.close();
        }
        int got = 0;
        std::size_t place = 0;
        std::function<void(sluice::result<int>)> receive_on = [&](const sluice::result<int>& message) {
            if (message) {
                ++got;
            } else if (++place < queue.size()) {
                ids.push_back(group.add(on_recv(queue[place].rx, receive_on)));
            }
        };
        ids.push_back(group.add(on_recv(queue[0].rx, receive_on)));
        while (group.wait()) {
        }
        CHECK(got == 4 * room(which));
        CHECK(ids.size() == 4);
    }
    CHECK(group.empty());
    std::sort(ids.begin(), ids.end());
    CHECK(std::adjacent_find(ids.begin(), ids.end()) == ids.end());
}

TEST_CASE("a handler outlives its case, and what it throws finds the case gone", "[selector][exception]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto ch = make_channel<int>(which);
    ch.tx.close();
    sluice::selector group;
    auto kept = std::make_shared<int>(7);
    const std::weak_ptr<int> watch = kept;
    int seen = 0;
    const auto id = group.add(on_recv(ch.rx, [&, kept = std::move(kept)](const sluice::result<int>&) {
        CHECK(group.empty());
        (void)group.add(on_recv(ch.rx, [](int) {}));
        seen = *kept;
        throw injected_error();
    }));
    CHECK_THROWS_AS(group.wait(), injected_error);
    CHECK(seen == 7);
    CHECK(watch.expired());
    CHECK_FALSE(group.remove(id));
    CHECK(ran(group.wait()) == errc::closed);
    CHECK(group.empty());
}

TEST_CASE("a timer's case stays in its group when the timer is over", "[selector][timer]") {
    const bool takes_result = GENERATE(false, true);
    CAPTURE(takes_result);
    sluice::selector group;
    const sluice::timer once = sluice::after(1ms);
    int due = 0;
    const auto id =
        takes_result
            ? group.add(on_recv(once, [&](const sluice::result<steady::time_point>& r) { due += r.has_value(); }))
            : group.add(on_recv(once, [&](steady::time_point) { ++due; }));
    CHECK(group.wait().value() == id);
    CHECK(due == 1);
    CHECK(group.size() == 1);
    CHECK(ran(group.try_wait()) == errc::closed);
    CHECK(ran(group.wait()) == errc::closed);
    CHECK(group.size() == 1);

    auto [tx, rx] = sluice::unbounded<int>();
    const auto other = group.add(on_recv(rx, [](int) {}));
    CHECK(ran(group.try_wait()) == errc::empty);
    CHECK(tx.send(1).has_value());
    CHECK(group.wait().value() == other);
    CHECK(due == 1);
    CHECK(group.remove(id));
    CHECK_FALSE(group.remove(id));
    CHECK(group.size() == 1);
}

TEST_CASE("remove tells whether there was such a case", "[selector]") {
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    auto ch = make_channel<int>(which);
    sluice::selector group;
    const auto sends = group.add(on_send(ch.tx, 1));
    CHECK_FALSE(group.remove(sends + 1));
    CHECK(group.wait().value() == sends);
    CHECK_FALSE(group.remove(sends));
    const auto receives = group.add(on_recv(ch.rx, [](int) {}));
    CHECK(receives != sends);
    CHECK(group.remove(receives));
    CHECK_FALSE(group.remove(receives));
    CHECK(ch.rx.size() == 1);
}

TEST_CASE("cases that were told of something go in any order, and the others still find it", "[selector]") {
    using ids = std::vector<std::size_t>;
    const ids leaving =
        GENERATE(ids{0, 1}, ids{4, 3}, ids{2}, ids{1, 3, 2}, ids{0, 4, 2}, ids{0, 1, 2, 3, 4}, ids{4, 3, 2, 1, 0});
    CAPTURE(leaving);
    std::vector<sluice::channel<int>> channels;
    for (int i = 0; i < 5; ++i) channels.push_back(sluice::unbounded<int>());
    std::vector<int> got;
    sluice::selector group;
    for (const auto& c : channels) group.add(on_recv(c.rx, [&](int id) { got.push_back(id); }));
    REQUIRE(ran(group.try_wait()) == errc::empty);
    for (int i = 0; i < 4; ++i) REQUIRE(channels[static_cast<std::size_t>(i)].tx.try_send(i));
    std::vector<int> kept{0, 1, 2, 3, 4};
    for (const std::size_t id : leaving) {
        CHECK(group.remove(id));
        std::erase(kept, static_cast<int>(id));
    }
    REQUIRE(channels[4].tx.try_send(4));
    for (std::size_t i = 0; i < kept.size(); ++i) CHECK(group.try_wait().has_value());
    CHECK(ran(group.try_wait()) == (kept.empty() ? errc::closed : errc::empty));
    CHECK(got == kept);
}

TEST_CASE("the time that it takes to drop a case does not grow with how many others were told", "[selector]") {
    constexpr std::size_t count = 20'000;
    const auto time_to_end = [](bool backwards) {
        std::vector<sluice::channel<int>> channels;
        auto group = std::make_unique<sluice::selector>();
        for (std::size_t i = 0; i < count; ++i) {
            channels.push_back(sluice::unbounded<int>());
            group->add(on_recv(channels.back().rx, [](int) {}));
        }
        (void)group->try_wait();
        for (std::size_t i = 0; i < count; ++i) (void)channels[backwards ? count - 1 - i : i].tx.try_send(1);
        const auto begun = steady::now();
        group.reset();
        return steady::now() - begun;
    };
    CHECK(time_to_end(true) < 20 * time_to_end(false) + 100ms);
}

TEST_CASE("a case on an empty handle is switched off in a group too", "[selector]") {
    int calls = 0;
    sluice::selector group;
    (void)group.add(on_recv(sluice::receiver<int>(), [&](const sluice::result<int>&) { ++calls; }));
    (void)group.add(on_send(sluice::sender<int>(), 1, [&](sluice::result<void>) { ++calls; }));
    (void)group.add(on_recv(sluice::timer(), [&](const sluice::result<steady::time_point>&) { ++calls; }));
    CHECK(ran(group.try_wait()) == errc::closed);
    CHECK(ran(group.wait()) == errc::closed);
    auto [tx, rx] = sluice::unbounded<int>();
    const auto id = group.add(on_recv(rx, [](int) {}));
    CHECK(ran(group.try_wait()) == errc::empty);
    CHECK(tx.send(1).has_value());
    CHECK(group.wait().value() == id);
    CHECK(calls == 0);
}

// ---- the message of a wait

TEST_CASE("when a wait returns, the message that it received is gone", "[selector][lifetime]") {
    using message = std::shared_ptr<int>;
    const auto which = EACH_KIND();
    CAPTURE(which);
    const auto is_gone = [&](auto handler) {
        auto ch = make_channel<message>(which);
        auto sent = std::make_shared<int>(1);
        const std::weak_ptr<int> watch = sent;
        sluice::selector group;
        (void)group.add(on_recv(ch.rx, handler));
        task sender([&] { return ch.tx.send(std::move(sent)).has_value(); });
        try {
            (void)group.wait();
        } catch (const injected_error&) {
        }
        return watch.expired() && sender.get() && group.size() == 1;
    };
    CHECK(is_gone([](message) {}));
    CHECK(is_gone([](const message&) {}));
    CHECK(is_gone([](message&&) {}));
    CHECK(is_gone([](const auto&) {}));
    CHECK(is_gone([](auto&&) {}));
    CHECK(is_gone([](sluice::result<message>) {}));
    CHECK(is_gone([](const sluice::result<message>&) {}));
    CHECK(is_gone([](sluice::result<message>&&) {}));
    CHECK(is_gone([](const message&) { throw injected_error(); }));
    CHECK(is_gone([](const sluice::result<message>&) { throw injected_error(); }));
}

TEST_CASE("a reply channel in a message that a group looked at closes", "[selector][lifetime]") {
    struct request {
        sluice::sender<int> reply;
    };
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    auto requests = make_channel<request>(which);
    auto answers = make_channel<int>(which);
    sluice::selector group;
    (void)group.add(on_recv(requests.rx, [](const request& asked) { (void)asked.reply.send(4); }));
    CHECK(requests.tx.send(request{std::move(answers.tx)}).has_value());
    CHECK(group.wait().has_value());
    CHECK(answers.rx.recv().value() == 4);
    CHECK(answers.rx.is_closed());
    CHECK(error_in(answers.rx.try_recv()) == errc::closed);
}

TEST_CASE("what a group has sent, it keeps nothing of", "[selector][lifetime]") {
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    auto ch = make_channel<std::shared_ptr<int>>(which);
    auto kept = std::make_shared<int>(1);
    sluice::selector group;
    (void)group.add(on_send(ch.tx, kept, [&] { CHECK(kept.use_count() == 2); }));
    CHECK(kept.use_count() == 2);
    CHECK(group.wait().has_value());
    CHECK(kept.use_count() == 2);
    CHECK(ch.rx.recv().has_value());
    CHECK(kept.use_count() == 1);
}

// ---- the choice

TEST_CASE("no ready case of a group waits for more others than there are cases", "[selector]") {
    constexpr std::size_t cases = 7;
    std::minstd_rand random(GENERATE(1u, 2u, 3u));
    std::array<sluice::channel<int>, cases> channels;
    sluice::selector group;
    std::array<std::size_t, cases> ids{};
    for (std::size_t i = 0; i < cases; ++i) {
        channels[i] = sluice::unbounded<int>();
        ids[i] = group.add(on_recv(channels[i].rx, [](int) {}));
    }
    std::array<std::size_t, cases> passed_over{};
    std::size_t longest = 0;
    for (int step = 0; step < scaled(20000); ++step) {
        for (auto& ch : channels) {
            if (random() % 4 == 0) {
                REQUIRE(ch.tx.send(step).has_value());
            }
        }
        if (random() % 50 == 0) {
            // Another case for a channel, in the place of the one before.
            const std::size_t i = random() % cases;
            REQUIRE(group.remove(ids[i]));
            ids[i] = group.add(on_recv(channels[i].rx, [](int) {}));
            passed_over[i] = 0;
        }
        std::array<bool, cases> ready{};
        for (std::size_t i = 0; i < cases; ++i) {
            ready[i] = !channels[i].rx.empty();
        }
        const auto fired = random() % 2 == 0 ? group.try_wait() : group.wait_timeout(0ms);
        for (std::size_t i = 0; i < cases; ++i) {
            passed_over[i] = ready[i] && (!fired || *fired != ids[i]) ? passed_over[i] + 1 : 0;
            longest = (std::max)(longest, passed_over[i]);
        }
    }
    CHECK(longest <= cases);
    CHECK(longest > 0);
}

TEST_CASE("a case that is ready comes up however many successors the others have", "[selector]") {
    const int place = GENERATE(0, 1, 3);
    CAPTURE(place);
    auto [tx, rx] = sluice::unbounded<int>();
    auto sink = sluice::unbounded<int>();
    sluice::selector group;
    int received = 0;
    std::function<void()> again = [&] { (void)group.add(on_send(sink.tx, 1, again)); };
    for (int i = 0; i < 3; ++i) {
        if (i == place) {
            (void)group.add(on_recv(rx, [&](int) { ++received; }));
        }
        again();
    }
    if (place == 3) {
        (void)group.add(on_recv(rx, [&](int) { ++received; }));
    }
    std::size_t longest = 0;
    for (int round = 1; round <= 50; ++round) {
        for (int i = 0; i < round; ++i) {
            REQUIRE(group.wait().has_value());
        }
        REQUIRE(tx.send(1).has_value());
        std::size_t others = 0;
        while (received < round && others < 100) {
            REQUIRE(group.wait().has_value());
            others += received < round ? 1 : 0;
        }
        REQUIRE(others < 100);
        longest = (std::max)(longest, others);
    }
    CHECK(longest <= 4);
}

TEST_CASE("cases on one channel take turns", "[selector]") {
    auto [tx, rx] = sluice::unbounded<int>();
    sluice::selector group;
    std::array<int, 3> hits{};
    for (auto& hit : hits) {
        (void)group.add(on_recv(rx, [&hit](int) { ++hit; }));
    }
    for (int i = 0; i < 300; ++i) {
        REQUIRE(tx.send(i).has_value());
    }
    for (int i = 0; i < 300; ++i) {
        REQUIRE(group.wait().has_value());
    }
    for (const int count : hits) {
        CHECK(count >= 300 / 4);
    }
}

TEST_CASE("a biased group prefers cases in the order in which they were added", "[selector]") {
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    auto a = make_channel<int>(which);
    auto b = make_channel<int>(which);
    auto c = make_channel<int>(which);
    const auto fill_all = [&] {
        for (const auto* ch : {&a, &b, &c}) {
            (void)drain(ch->rx);
            fill(ch->tx, which);
        }
    };
    const auto ignore = [](int) {};
    sluice::selector group(sluice::biased);
    const auto first = group.add(on_recv(a.rx, ignore));
    const auto second = group.add(on_recv(b.rx, ignore));
    const auto third = group.add(on_recv(c.rx, ignore));
    const auto order = [&] {
        std::vector<std::size_t> ids;
        while (const auto fired = group.try_wait()) {
            if (ids.empty() || ids.back() != *fired) {
                ids.push_back(*fired);
            }
        }
        return ids;
    };
    fill_all();
    CHECK(order() == std::vector{first, second, third});
    CHECK(group.remove(first));
    const auto last = group.add(on_recv(a.rx, ignore));
    fill_all();
    CHECK(order() == std::vector{second, third, last});
    // What becomes ready while another case has messages left comes first all the same.
    fill_all();
    (void)drain(b.rx);
    CHECK(group.wait().value() == third);
    CHECK(b.tx.send(1).has_value());
    CHECK(group.wait().value() == second);
}

TEST_CASE("a biased group keeps its order, in whatever order its cases become ready", "[selector]") {
    constexpr std::size_t count = 40;
    std::mt19937 random(1);
    std::vector<sluice::channel<int>> channels;
    std::vector<std::size_t> waiting(count, 0);  // messages of each
    sluice::selector group(sluice::biased);
    for (std::size_t i = 0; i < count; ++i) {
        channels.push_back(sluice::unbounded<int>());
        REQUIRE(group.add(on_recv(channels.back().rx, [](int) {})) == i);
    }
    REQUIRE(ran(group.try_wait()) == errc::empty);
    for (int round = 0; round < 200; ++round) {
        for (auto sends = random() % count; sends > 0; --sends) {
            const std::size_t to = random() % count;
            REQUIRE(channels[to].tx.try_send(round));
            ++waiting[to];
        }
        for (auto waits = random() % count; waits > 0; --waits) {
            const auto first = std::find_if(waiting.begin(), waiting.end(), [](std::size_t n) { return n > 0; });
            const auto chosen = group.try_wait();
            REQUIRE(chosen.has_value() == (first != waiting.end()));
            if (!chosen) break;
            REQUIRE(*chosen == static_cast<std::size_t>(first - waiting.begin()));
            --*first;
        }
    }
}

TEST_CASE("what a biased wait costs does not depend on the order in which its cases became ready", "[selector]") {
    constexpr std::size_t count = 40'000;
    const auto time_to_wait = [](bool backwards) {
        std::vector<sluice::channel<int>> channels;
        sluice::selector group(sluice::biased);
        for (std::size_t i = 0; i < count; ++i) {
            channels.push_back(sluice::unbounded<int>());
            group.add(on_recv(channels.back().rx, [](int) {}));
        }
        CHECK(ran(group.try_wait()) == errc::empty);
        for (std::size_t i = 0; i < count; ++i) (void)channels[backwards ? count - 1 - i : i].tx.try_send(1);
        const auto begun = steady::now();
        CHECK(group.try_wait().value() == 0);
        return steady::now() - begun;
    };
    CHECK(time_to_wait(true) < 20 * time_to_wait(false) + 100ms);
}

TEST_CASE("a biased group holds on_stop to the order too, a fair one takes it first", "[selector][stop]") {
    auto [tx, rx] = sluice::unbounded<int>();
    const auto ignore = [](int) {};
    const bool stop_last = GENERATE(false, true);
    CAPTURE(stop_last);
    for (int i = 0; i < 50; ++i) {
        REQUIRE(tx.send(i).has_value());
        sluice::selector fair;
        sluice::selector biased(sluice::biased);
        std::size_t of_stop = 0;
        std::size_t of_stop_biased = 0;
        for (int turn = 0; turn < 2; ++turn) {
            if ((turn == 1) == stop_last) {
                of_stop = fair.add(on_stop(requested(), nothing));
                of_stop_biased = biased.add(on_stop(requested(), nothing));
            } else {
                (void)fair.add(on_recv(rx, ignore));
                (void)biased.add(on_recv(rx, ignore));
            }
        }
        const auto size = rx.size();
        CHECK(fair.wait().value() == of_stop);
        CHECK(fair.try_wait().value() == of_stop);
        CHECK(rx.size() == size);
        CHECK((biased.wait().value() == of_stop_biased) == !stop_last);
        CHECK(rx.size() == size - (stop_last ? 1 : 0));
    }
}

// ---- moving

TEST_CASE("a group is moved with its cases, and not copied", "[selector]") {
    static_assert(!std::is_copy_constructible_v<sluice::selector>);
    static_assert(!std::is_copy_assignable_v<sluice::selector>);
    static_assert(std::is_move_constructible_v<sluice::selector>);
    static_assert(std::is_move_assignable_v<sluice::selector>);
    const auto which = EACH_KIND();
    const bool biased = GENERATE(false, true);
    CAPTURE(which, biased);
    auto a = make_channel<int>(which);
    auto b = make_channel<int>(which);
    auto dropped = make_channel<int>(which);
    int got = 0;
    std::size_t id_a = 0;
    std::size_t id_b = 0;
    const auto make = [&] {
        auto group = biased ? sluice::selector(sluice::biased) : sluice::selector();
        id_a = group.add(on_recv(a.rx, [&](int id) { got = id; }));
        CHECK(ran(group.try_wait()) == errc::empty);
        CHECK(ran(group.wait_timeout(1ms)) == errc::timeout);
        id_b = group.add(on_recv(b.rx, [&](int id) { got = -id; }));
        return group;
    };
    sluice::selector first = make();
    sluice::selector group = std::move(first);
    CHECK(group.size() == 2);
    const auto serves = [&](sluice::selector& which_group) {
        task sender([&] { return b.tx.send(5).has_value(); });
        CHECK(which_group.wait().value() == id_b);
        CHECK(got == -5);
        CHECK(sender.get());
        task waiting([&] { return ran(which_group.wait()); });
        REQUIRE(wait_until_asleep(waiting));
        CHECK(a.tx.send(6).has_value());
        CHECK(waiting.get() == id_a);
        CHECK(got == 6);
    };
    serves(group);
    CHECK(a.tx.receiver_count() == 2);

    sluice::selector other;
    (void)other.add(on_recv(dropped.rx, [](int) {}));
    CHECK(ran(other.try_wait()) == errc::empty);
    other = std::move(group);
    CHECK(dropped.tx.receiver_count() == 1);
    CHECK(a.tx.receiver_count() == 2);
    serves(other);
    const auto id_c = other.add(on_recv(dropped.rx, [](int) {}));
    CHECK(id_c != id_a);
    CHECK(id_c != id_b);
    CHECK(other.remove(id_a));
    CHECK(a.tx.receiver_count() == 1);

    // The one that was moved from is as good as new.
    group = sluice::selector();
    CHECK(group.empty());
    CHECK(ran(group.wait()) == errc::closed);
    (void)group.add(on_recv(a.rx, [](int) {}));
    task sender([&] { return a.tx.send(7).has_value(); });
    CHECK(group.wait().has_value());
    CHECK(sender.get());
}

namespace {

// A case that is never ready, never sure of it, and closes a channel as its select leaves the lines.
class closes_on_leaving final : public sluice::detail::select_case {
public:
    explicit closes_on_leaving(const sluice::sender<int>* tx) : tx_(tx) {}
    void run() override {}
    sluice::detail::op_status try_now(const sluice::detail::precondition*) override {
        return sluice::detail::op_status::blocked;
    }
    bool is_unchanged() const override { return false; }
    sluice::detail::waiter* in_line() noexcept override { return &waiter_; }
    sluice::detail::op_status try_register() override { return sluice::detail::op_status::blocked; }
    void unregister() override {
        if (tx_) std::exchange(tx_, nullptr)->close();
    }

private:
    sluice::detail::waiter waiter_;
    const sluice::sender<int>* tx_;
};

}  // namespace

TEST_CASE("A kept case that takes the last message after its channel has closed is not done") {
    const auto [tx, rx] = sluice::unbounded<int>();
    int messages = 0, closed = 0;
    auto receive = sluice::on_recv(rx, [&](const sluice::result<int>& got) { ++(got ? messages : closed); });
    const int message = 1;  // the case refers to it
    auto send = sluice::on_send(tx, message);
    decltype(receive)::registration receiving(receive);
    decltype(send)::registration sending(send);
    closes_on_leaving closes(&tx);
    std::uint32_t order[3];

    // The receive waits, the select sends to its channel, and that closes before the receive has left the line.
    sluice::detail::select_case* const first[]{&closes, &receiving, &sending};
    const auto chosen_of = [&](std::size_t size) {
        sluice::detail::select_engine engine(first, order, size, sluice::detail::preference::listed);
        engine.choose(sluice::detail::no_deadline, sluice::errc::timeout);
        return engine.chosen();
    };
    CHECK(chosen_of(3) == 2u);
    CHECK(chosen_of(2) == 1u);
    CHECK(!receiving.is_done(true));
    receiving.run();
    CHECK(messages == 1);
    CHECK(closed == 0);
}
