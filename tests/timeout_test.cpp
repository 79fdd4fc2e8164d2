// Deadlines and stop tokens: when an operation gives up, what it leaves behind, and what wins over what.
#include "catch.hpp"
#include "support/clocks.hpp"
#include "support/kinds.hpp"
#include "support/outcomes.hpp"
#include "support/task.hpp"

#include <chrono>
#include <ctime>
#include <limits>
#include <ratio>
#include <stop_token>
#include <utility>
#include <vector>

using namespace test;
using namespace std::chrono_literals;
using sluice::errc;
using steady = std::chrono::steady_clock;

namespace {

using years = std::chrono::duration<long long, std::ratio<31556952>>;
using seconds_in_double = std::chrono::duration<double>;

/// Calls `check` with a deadline of each form that is over before it began.
template <class Check>
void each_past_deadline(Check check) {
    check(0ms);
    check(-1ms);
    check(std::chrono::nanoseconds::min());
    check(std::chrono::hours::min());
    check(years::min());
    check(seconds_in_double(-1.5));
    check(seconds_in_double(-std::numeric_limits<double>::infinity()));
}

template <class Check>
void each_past_time_point(Check check) {
    check(steady::now());
    check(steady::now() - 1h);
    check(steady::time_point::min());
    check(std::chrono::system_clock::now());
    check(std::chrono::system_clock::time_point::min());
    check(std::chrono::time_point_cast<std::chrono::hours>(steady::now() - 2h));
    check(manual_clock::time_point(-1ms));
}

/// Calls `check` with a deadline of each form that never comes.
template <class Check>
void each_endless_duration(Check check) {
    check(std::chrono::nanoseconds::max());
    check(std::chrono::milliseconds::max());
    check(std::chrono::hours::max());
    check(years::max());
    check(seconds_in_double::max());
    check(seconds_in_double(std::numeric_limits<double>::infinity()));
    check(steady::duration::max() - 1ns);
}

template <class Check>
void each_endless_time_point(Check check) {
    check(steady::time_point::max());
    check(std::chrono::time_point<steady, std::chrono::hours>::max());
    check(std::chrono::time_point<steady, seconds_in_double>::max());
    check(std::chrono::system_clock::time_point::max());
    check(std::chrono::time_point<std::chrono::system_clock, std::chrono::hours>::max());
    check(manual_clock::time_point::max());
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("a deadline that is over tries once", "[timeout]", payloads) {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<TestType>(which);
    const auto recv_times_out = [&, &rx = rx](auto... when) {
        CHECK(error_in(rx.recv_timeout(when...)) == errc::timeout);
    };
    each_past_deadline(recv_times_out);
    each_past_time_point([&, &rx = rx](auto when) { CHECK(error_in(rx.recv_until(when)) == errc::timeout); });

    if (which != kind::rendezvous) {
        int id = 0;
        each_past_deadline([&, &tx = tx, &rx = rx](auto when) {
            CHECK(tx.send_timeout(TestType(id), when).has_value());
            CHECK(id_in(rx.recv_timeout(when)) == id++);
        });
        each_past_time_point([&, &tx = tx, &rx = rx](auto when) {
            CHECK(tx.send_until(TestType(id), when).has_value());
            CHECK(id_in(rx.recv_until(when)) == id++);
        });
    }

    fill(tx, which);
    if (which != kind::unbounded) {
        TestType message(9);
        each_past_deadline(
            [&, &tx = tx](auto when) { CHECK(tx.send_timeout(std::move(message), when).error() == errc::timeout); });
        each_past_time_point(
            [&, &tx = tx](auto when) { CHECK(tx.send_until(std::move(message), when).error() == errc::timeout); });
        CHECK(id_of(message) == 9);
    }
    CHECK(drain(rx) == numbers(0, room(which)));
}

TEMPLATE_LIST_TEST_CASE("a wait lasts at least until its deadline", "[timeout]", payloads) {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<TestType>(which);
    auto start = steady::now();
    CHECK(error_in(rx.recv_timeout(3ms)) == errc::timeout);
    CHECK(steady::now() - start >= 3ms);
    const auto soon = steady::now() + 3ms;
    CHECK(error_in(rx.recv_until(soon)) == errc::timeout);
    CHECK(steady::now() >= soon);
    const auto by_the_wall = std::chrono::system_clock::now() + 3ms;
    CHECK(error_in(rx.recv_until(by_the_wall)) == errc::timeout);
    CHECK(std::chrono::system_clock::now() >= by_the_wall);

    if (which != kind::unbounded) {
        fill(tx, which);
        TestType message(9);
        start = steady::now();
        CHECK(tx.send_timeout(std::move(message), seconds_in_double(0.003)).error() == errc::timeout);
        CHECK(steady::now() - start >= 3ms);
        CHECK(tx.send_until(std::move(message), steady::now() + 1ms).error() == errc::timeout);
        CHECK(id_of(message) == 9);
        CHECK(drain(rx) == numbers(0, room(which)));
    }
}

TEMPLATE_LIST_TEST_CASE("who gave up is forgotten", "[timeout]", payloads) {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<TestType>(which);
    CHECK(error_in(rx.recv_timeout(1ms)) == errc::timeout);
    if (which == kind::rendezvous) {
        CHECK(tx.try_send(TestType(8)).error() == errc::full);
        CHECK(tx.send_timeout(TestType(8), 1ms).error() == errc::timeout);
        CHECK(error_in(rx.try_recv()) == errc::empty);
        return;
    }
    fill(tx, which);
    if (which != kind::unbounded) {
        CHECK(tx.send_timeout(TestType(8), 1ms).error() == errc::timeout);
    }
    CHECK(drain(rx) == numbers(0, room(which)));
}

TEST_CASE("a deadline that never comes waits for ever", "[timeout]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<int>(which);
    const auto receives = [&, &tx = tx](auto receive) {
        task receiver(receive);
        REQUIRE(wait_until_asleep(receiver));
        CHECK(tx.send(1).has_value());
        CHECK(receiver.get() == 1);
    };
    each_endless_duration([&, &rx = rx](auto when) { receives([&rx, when] { return id_in(rx.recv_timeout(when)); }); });
    each_endless_time_point([&, &tx = tx, &rx = rx](auto when) {
        // Only clocks that run by themselves can be slept on: who waits by another one looks at it now and then.
        if constexpr (std::is_same_v<typename decltype(when)::clock, steady>) {
            receives([&rx, when] { return id_in(rx.recv_until(when)); });
        } else {
            task receiver([&rx, when] { return id_in(rx.recv_until(when)); });
            CHECK(tx.send(1).has_value());
            CHECK(receiver.get() == 1);
        }
    });

    if (which != kind::unbounded) {
        fill(tx, which);
        each_endless_duration([&, &tx = tx, &rx = rx](auto when) {
            task sender([&tx, when] { return tx.send_timeout(2, when).has_value(); });
            REQUIRE(wait_until_asleep(sender));
            CHECK(rx.recv().has_value());
            CHECK(sender.get());
        });
    }
}

TEST_CASE("a wait follows the changes of a clock that is not steady", "[timeout]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<int>(which);
    manual_clock::set(manual_clock::time_point(0ms));
    const auto looked_at = [](long times) {
        const long before = manual_clock::reads();
        return eventually([=] { return manual_clock::reads() >= before + times; });
    };

    SECTION("put forward past the deadline it ends the wait, and not before") {
        task receiver([&rx = rx] { return error_in(rx.recv_until(manual_clock::time_point(1h))); });
        CHECK(looked_at(1));
        manual_clock::set(manual_clock::time_point(59min));
        CHECK(looked_at(3));
        CHECK_FALSE(receiver.finished());
        manual_clock::set(manual_clock::time_point(-5min));
        CHECK(looked_at(3));
        CHECK_FALSE(receiver.finished());
        manual_clock::set(manual_clock::time_point(1h));
        CHECK(receiver.get() == errc::timeout);
    }
    SECTION("a message comes through while it stands still") {
        task receiver([&rx = rx] { return id_in(rx.recv_until(manual_clock::time_point(1h))); });
        CHECK(looked_at(2));
        CHECK(tx.send(3).has_value());
        CHECK(receiver.get() == 3);
    }
    SECTION("for a sender and a select too") {
        if (which != kind::unbounded) {
            fill(tx, which);
            task sender([&tx = tx] { return error_in(tx.send_until(1, manual_clock::time_point(1h))); });
            CHECK(looked_at(2));
            manual_clock::set(manual_clock::time_point(2h));
            CHECK(sender.get() == errc::timeout);
        }
        (void)drain(rx);
        task selecting([&rx = rx] {
            return sluice::select(sluice::on_recv(rx, [](int) {}),
                                  sluice::on_deadline(manual_clock::time_point(3h), [] {}))
                .value();
        });
        CHECK(looked_at(2));
        manual_clock::set(manual_clock::time_point(3h));
        CHECK(selecting.get() == 1);
    }
}

TEMPLATE_LIST_TEST_CASE("a stop request ends a wait", "[timeout][stop]", payloads) {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<TestType>(which);
    const auto stops = [](auto operation) {
        std::stop_source source;
        task waiting([&operation, token = source.get_token()] { return operation(token); });
        REQUIRE(wait_until_asleep(waiting));
        source.request_stop();
        CHECK(waiting.get() == errc::stopped);
    };
    stops([&rx = rx](auto token) { return error_in(rx.recv(token)); });
    stops([&rx = rx](auto token) { return error_in(rx.recv_timeout(10h, token)); });
    stops([&rx = rx](auto token) { return error_in(rx.recv_until(steady::now() + 10h, token)); });
    CHECK(error_in(rx.try_recv()) == errc::empty);
    if (which == kind::unbounded) {
        return;
    }
    fill(tx, which);
    TestType message(9);
    stops([&, &tx = tx](auto token) { return error_in(tx.send(std::move(message), token)); });
    stops([&, &tx = tx](auto token) { return error_in(tx.send_timeout(std::move(message), 10h, token)); });
    stops(
        [&, &tx = tx](auto token) { return error_in(tx.send_until(std::move(message), steady::now() + 10h, token)); });
    CHECK(id_of(message) == 9);
    CHECK(drain(rx) == numbers(0, room(which)));
}

TEST_CASE("a stop token that is never triggered changes nothing", "[timeout][stop]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<int>(which);
    const std::stop_source source;
    for (const auto& token : {std::stop_token(), source.get_token()}) {
        task receiver([&rx = rx, &token] { return id_in(rx.recv(token)); });
        REQUIRE(wait_until_asleep(receiver));
        CHECK(tx.send(4, token).has_value());
        CHECK(receiver.get() == 4);
        CHECK(error_in(rx.recv_timeout(1ms, token)) == errc::timeout);
    }
}

TEST_CASE("a stop request reaches everyone who waits for it, in whatever channel", "[timeout][stop]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto first = make_channel<int>(which);
    auto second = sluice::rendezvous<int>();
    std::stop_source source;
    task one([&] { return error_in(first.rx.recv(source.get_token())); });
    task two([&] { return error_in(first.rx.recv(source.get_token())); });
    task three([&] { return error_in(second.tx.send(1, source.get_token())); });
    REQUIRE(wait_until_asleep(one));
    REQUIRE(wait_until_asleep(two));
    REQUIRE(wait_until_asleep(three));
    source.request_stop();
    CHECK(one.get() == errc::stopped);
    CHECK(two.get() == errc::stopped);
    CHECK(three.get() == errc::stopped);
}

TEMPLATE_LIST_TEST_CASE("a message wins over closed, room and closed over a deadline that is over", "[timeout]",
                        payloads) {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<TestType>(which);
    const auto recv_each = [&rx = rx](int turn) {
        return id_in(turn % 2 == 0 ? rx.recv_timeout(0ms) : rx.recv_until(steady::now() - 1s));
    };
    if (which == kind::rendezvous) {
        task sender([&tx = tx] { return error_in(tx.send(TestType(5))); });
        REQUIRE(wait_until_asleep(sender));
        CHECK(recv_each(0) == 5);
        CHECK(sender.get() == errc{});
        task receiver([&rx = rx] { return id_in(rx.recv()); });
        REQUIRE(wait_until_asleep(receiver));
        CHECK(tx.send_timeout(TestType(6), -1ms).has_value());
        CHECK(receiver.get() == 6);
    }
    fill(tx, which);
    tx.close();
    TestType message(9);
    CHECK(tx.send_timeout(std::move(message), 0ms).error() == errc::closed);
    CHECK(tx.send_until(std::move(message), steady::now() - 1s).error() == errc::closed);
    CHECK(id_of(message) == 9);
    for (int id = 0; id < room(which); ++id) {
        CHECK(recv_each(id) == id);
    }
    CHECK(recv_each(0) == code(errc::closed));
    CHECK(recv_each(1) == code(errc::closed));
}

TEST_CASE("a wait that is served before its deadline succeeds", "[timeout]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<int>(which);
    task receiver([&rx = rx] { return id_in(rx.recv_timeout(10h)); });
    REQUIRE(wait_until_asleep(receiver));
    CHECK(tx.send_timeout(7, 10h).has_value());
    CHECK(receiver.get() == 7);
    task closing([&rx = rx] { return error_in(rx.recv_until(std::chrono::system_clock::now() + 10h)); });
    tx.close();
    CHECK(closing.get() == errc::closed);
}

#ifdef CLOCK_THREAD_CPUTIME_ID
namespace {

std::chrono::nanoseconds used_by_this_thread() {
    timespec t{};
    REQUIRE(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) == 0);
    return std::chrono::seconds(t.tv_sec) + std::chrono::nanoseconds(t.tv_nsec);
}

}  // namespace

TEST_CASE("a thread that is blocked uses no processor time", "[timeout]") {
    constexpr auto wait = 300ms;
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<int>(which);
    std::vector<sluice::channel<int>> quiet;
    for (int n = 0; n < 16; ++n) quiet.push_back(make_channel<int>(which));
    sluice::selector several;
    for (const auto& channel : quiet) several.add(sluice::on_recv(channel.rx, [](int) {}));

    const auto before = used_by_this_thread();
    CHECK(error_in(rx.recv_timeout(wait)) == errc::timeout);
    CHECK(several.wait_timeout(wait).error() == errc::timeout);
    if (tx.capacity()) {
        while (tx.try_send(1)) {
        }
        CHECK(tx.send_timeout(1, wait).error() == errc::timeout);
    }
    CHECK(used_by_this_thread() - before < wait / 10);
}
#endif
