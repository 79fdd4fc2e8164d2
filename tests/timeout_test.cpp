// Deadlines and stop tokens: when an operation gives up, what it leaves behind, and what wins over what.
#include "catch.hpp"
#include "support/clocks.hpp"
#include "support/kinds.hpp"
#include "support/outcomes.hpp"
#include "support/task.hpp"

#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <limits>
#include <optional>
#include <ratio>
#include <stop_token>
#include <string>
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

// ---- what came before the deadline

namespace {

constexpr stage_clock::time_point deadline{1h};

/// Whether `operation`, whose deadline is on the stage clock, does not report the deadline when `event` happens before
/// it: while the clock is read for the first time, or the second, and so on.
template <class Prepare, class Operation, class Event>
void check_comes_first(const std::string& what, Prepare prepare, Operation operation, Event event) {
    for (int reading = 1; reading <= 3; ++reading) {
        CAPTURE(what, reading);
        prepare();
        // Ended by the other thread, or as far as that gets while this one is where it reads the clock.
        std::optional<task<bool>> other;
        stage_clock::play(reading, [&] {
            other.emplace([&] {
                event();
                return true;
            });
            (void)come_to_rest(*other);
        });
        CHECK(operation());
    }
}

}  // namespace

TEST_CASE("what comes before the deadline wins over it", "[timeout]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    sluice::channel<int> ch;
    sluice::channel<int> quiet = make_channel<int>(which);
    std::stop_source source;
    const auto empty = [&] { ch = make_channel<int>(which); };
    const auto full = [&] {
        ch = make_channel<int>(which);
        fill(ch.tx, which);
    };
    const auto fresh_stop = [&] {
        empty();
        source = std::stop_source();
    };
    const auto send = [&] { (void)ch.tx.send(7); };
    const auto receive = [&] { (void)ch.rx.recv(); };
    const auto close = [&] { ch.tx.close(); };
    const auto stop = [&] { source.request_stop(); };
    const auto ignore = [](int) {};
    const auto nothing = [] {};

    SECTION("for a receive") {
        check_comes_first(
            "a message", empty, [&] { return id_in(ch.rx.recv_until(deadline)) == 7; }, send);
        check_comes_first(
            "the closing", empty, [&] { return error_in(ch.rx.recv_until(deadline)) == errc::closed; }, close);
        check_comes_first(
            "a stop", fresh_stop,
            [&] { return error_in(ch.rx.recv_until(deadline, source.get_token())) == errc::stopped; }, stop);
    }
    SECTION("for a send") {
        CHECK(ch.tx.is_closed());  // before the first of them is made
        if (which != kind::unbounded) {
            check_comes_first(
                "room", full, [&] { return ch.tx.send_until(1, deadline).has_value(); }, receive);
            check_comes_first(
                "the closing", full, [&] { return ch.tx.send_until(1, deadline).error() == errc::closed; }, close);
            check_comes_first(
                "a stop",
                [&] {
                    full();
                    source = std::stop_source();
                },
                [&] { return ch.tx.send_until(1, deadline, source.get_token()).error() == errc::stopped; }, stop);
        }
    }
    SECTION("for a select") {
        check_comes_first(
            "a message", empty,
            [&] {
                return ran(sluice::select(sluice::on_recv(quiet.rx, ignore), sluice::on_deadline(deadline, nothing),
                                          sluice::on_recv(ch.rx, ignore))) == 2;
            },
            send);
        check_comes_first(
            "a message, in a biased select", empty,
            [&] {
                return ran(sluice::select_biased(sluice::on_deadline(deadline, nothing),
                                                 sluice::on_recv(ch.rx, ignore))) == 1;
            },
            send);
        check_comes_first(
            "the closing", empty,
            [&] {
                return ran(sluice::select(sluice::on_deadline(deadline, nothing),
                                          sluice::on_recv(ch.rx, [](const sluice::result<int>&) {}))) == 1;
            },
            close);
        check_comes_first(
            "a stop", fresh_stop,
            [&] {
                return ran(sluice::select(sluice::on_deadline(deadline, nothing), sluice::on_recv(ch.rx, ignore),
                                          sluice::on_stop(source.get_token(), nothing))) == 2;
            },
            stop);
        if (which != kind::unbounded) {
            check_comes_first(
                "room", full,
                [&] {
                    return ran(sluice::select(sluice::on_deadline(deadline, nothing), sluice::on_send(ch.tx, 1))) == 1;
                },
                receive);
        }
    }
    SECTION("for a group") {
        std::optional<sluice::selector> group;
        std::size_t id = 0;
        const auto receiving = [&] {
            empty();
            source = std::stop_source();
            group.emplace();
            (void)group->add(sluice::on_recv(quiet.rx, ignore));
            id = group->add(sluice::on_recv(ch.rx, ignore));
        };
        const auto sending = [&] {
            full();
            group.emplace();
            id = group->add(sluice::on_send(ch.tx, 1));
        };
        check_comes_first(
            "a message", receiving, [&] { return group->wait_until(deadline) == id; }, send);
        check_comes_first(
            "a stop", receiving, [&] { return ran(group->wait_until(deadline, source.get_token())) == errc::stopped; },
            stop);
        check_comes_first(
            "a message, with the deadline as a case",
            [&] {
                receiving();
                (void)group->add(sluice::on_deadline(deadline, nothing));
            },
            [&] { return group->wait() == id; }, send);
        if (which != kind::unbounded) {
            check_comes_first(
                "room", sending, [&] { return group->wait_until(deadline) == id; }, receive);
        }
    }
}

TEST_CASE("a timer that is due before the deadline wins over it", "[timeout][timer]") {
    steady::time_point due;
    sluice::timer timer;
    std::optional<sluice::selector> group;
    std::size_t id = 0;
    const auto ignore = [](steady::time_point) {};
    const auto set = [&] {
        due = steady::now() + 5ms;
        timer = sluice::at(due);
        group.emplace();
        id = group->add(sluice::on_recv(timer, ignore));
    };
    const auto it_is_due = [&] {
        while (steady::now() < due) {
        }
    };
    check_comes_first(
        "recv", set, [&] { return timer.recv_until(deadline) == due; }, it_is_due);
    check_comes_first(
        "select", set,
        [&] { return ran(sluice::select(sluice::on_deadline(deadline, [] {}), sluice::on_recv(timer, ignore))) == 1; },
        it_is_due);
    check_comes_first(
        "group", set, [&] { return group->wait_until(deadline) == id; }, it_is_due);
    check_comes_first(
        "a group with the deadline as a case",
        [&] {
            set();
            (void)group->add(sluice::on_deadline(deadline, [] {}));
        },
        [&] { return group->wait() == id; }, it_is_due);
}

TEST_CASE("a timer wins over a deadline at the same time", "[timeout][timer]") {
    for (int i = 0; i < scaled(2000); ++i) {
        const auto when = steady::now() + std::chrono::nanoseconds(50 + i * 7 % 3000);
        if (!sluice::at(when).recv_until(when)) {
            FAIL("recv_until reports the deadline, turn " << i);
        }
        const auto soon = steady::now() + std::chrono::nanoseconds(50 + i * 7 % 3000);
        const auto fired = sluice::select(sluice::on_deadline(soon, [] {}),
                                          sluice::on_recv(sluice::at(soon), [](steady::time_point) {}));
        if (ran(fired) != 1) {
            FAIL("a select chooses the deadline, turn " << i);
        }
    }
    SUCCEED("the timer was first each time");
}

// ---- units

namespace {

template <class Rep, std::intmax_t Denominator>
using fraction = std::chrono::duration<Rep, std::ratio<1, Denominator>>;

constexpr std::chrono::seconds forty_years{40LL * 31556952};

/// `count` seconds in a unit of which `Denominator` make one.
template <class Rep, std::intmax_t Denominator>
fraction<Rep, Denominator> in_units(std::chrono::seconds s) {
    return fraction<Rep, Denominator>(static_cast<Rep>(s.count()) * static_cast<Rep>(Denominator));
}

/// Calls `check` with forty years in many units.
template <class Check>
void each_forty_years(Check check) {
    check(in_units<long long, 90000>(forty_years));
    check(in_units<long long, 3>(forty_years));
    check(in_units<long long, 44100>(forty_years));
    check(in_units<long long, 1'000'000'007>(forty_years));
    check(in_units<unsigned long long, 90000>(forty_years));
    check(in_units<unsigned long long, 1'000'000'000>(forty_years));
    check(in_units<unsigned, 3>(forty_years));
    check(in_units<double, 90000>(forty_years));
    check(in_units<float, 3>(forty_years));
    check(in_units<long double, 7>(forty_years));
    check(std::chrono::duration<long long, std::ratio<1001, 24000>>(forty_years.count() * 24000 / 1001));
    check(std::chrono::duration<int, std::ratio<31556952>>(40));
    check(std::chrono::duration<signed char, std::ratio<31556952>>(40));
    check(std::chrono::duration<unsigned char, std::ratio<31556952>>(40));
    check(std::chrono::duration<short, std::ratio<86400>>(14610));
}

}  // namespace

TEST_CASE("a duration in any unit is rounded up to the clock's, and does not overflow", "[timeout]") {
    using sluice::detail::saturated;
    using std::chrono::nanoseconds;
    const nanoseconds exact = forty_years;
    each_forty_years([&](auto when) {
        const long double off = static_cast<long double>((saturated(when) - exact).count());
        CHECK(std::abs(off) <= 1e-6L * static_cast<long double>(exact.count()) + 86400e9L);
    });
    CHECK(saturated(in_units<long long, 90000>(forty_years)) == exact);
    CHECK(saturated(in_units<unsigned long long, 3>(forty_years)) == exact);
    CHECK(saturated(in_units<long long, 1'000'000'007>(forty_years)) == exact);
    CHECK(saturated(in_units<long long, 90000>(forty_years) + fraction<long long, 90000>(1)) == exact + 11112ns);

    CHECK(saturated(fraction<long long, 3>(1)) == 333'333'334ns);
    CHECK(saturated(fraction<unsigned, 3>(2)) == 666'666'667ns);
    CHECK(saturated(fraction<int, 3>(-1)) == -333'333'333ns);
    CHECK(saturated(fraction<signed char, 90000>(1)) == 11112ns);
    CHECK(saturated(fraction<long long, 1'000'000'007>(1)) == 1ns);
    CHECK(saturated(fraction<long long, 99'999'999'977>(99'999'999'976)) == 1s);
    CHECK(saturated(fraction<long long, 99'999'999'977>(-99'999'999'976)) == -999'999'999ns);
    CHECK(saturated(std::chrono::duration<long long, std::atto>(1)) == 1ns);
    CHECK(saturated(std::chrono::duration<long long, std::atto>(-1)) == 0ns);
    CHECK(saturated(std::chrono::duration<float, std::ratio<1, 3>>(1.5f)) == 500ms);

    constexpr auto most = (nanoseconds::max)();
    CHECK(saturated((std::chrono::duration<unsigned long long, std::nano>::max)()) == most);
    CHECK(saturated((std::chrono::duration<unsigned long long>::max)()) == most);
    CHECK(saturated((std::chrono::duration<long long, std::giga>::max)()) == most);
    CHECK(saturated((std::chrono::duration<long long, std::giga>::min)()) == (nanoseconds::min)());
    CHECK(saturated((std::chrono::duration<double, std::giga>::max)()) == most);
}

TEST_CASE("a timeout of forty years does not pass at once, whatever its unit", "[timeout]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto ch = make_channel<int>(which);
    fill(ch.tx, which);
    auto idle = make_channel<int>(which);
    const auto lasts = [&](auto operation) {
        std::stop_source source;
        task waiting([&operation, token = source.get_token()] { return operation(token); });
        REQUIRE(wait_until_asleep(waiting));
        source.request_stop();
        CHECK(waiting.get() == errc::stopped);
    };
    const auto ignore = [](int) {};
    each_forty_years([&](auto timeout) {
        lasts([&](auto stop) { return error_in(idle.rx.recv_timeout(timeout, stop)); });
        lasts([&](auto stop) {
            sluice::selector group;
            (void)group.add(sluice::on_recv(idle.rx, ignore));
            return error_in(group.wait_timeout(timeout, stop));
        });
        if (which != kind::unbounded) {
            lasts([&](auto stop) { return error_in(ch.tx.send_timeout(1, timeout, stop)); });
        }
        CHECK(ran(sluice::select(sluice::on_recv(idle.rx, ignore), sluice::on_timeout(timeout, [] {}),
                                 sluice::on_timeout(1ms, [] {}))) == 2);
        CHECK(error_in(sluice::after(timeout).try_recv()) == errc::empty);
        CHECK(error_in(sluice::tick(timeout).recv_timeout(1ms)) == errc::timeout);
    });
}

TEST_CASE("a time point in any unit is met in time", "[timeout]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<int>(which);
    using in_ninety_thousandths = std::chrono::time_point<steady, fraction<long long, 90000>>;
    using in_thirds = std::chrono::time_point<steady, fraction<double, 3>>;
    const auto start = steady::now();
    const auto soon = std::chrono::ceil<in_ninety_thousandths::duration>(start) + in_ninety_thousandths::duration(90);
    CHECK(error_in(rx.recv_until(soon)) == errc::timeout);
    CHECK(steady::now() >= start + 1ms);
    CHECK(error_in(rx.recv_until(in_thirds(start))) == errc::timeout);
    std::stop_source source;
    task waiting([&rx = rx, token = source.get_token(), distant = soon + in_units<long long, 90000>(forty_years)] {
        return error_in(rx.recv_until(distant, token));
    });
    REQUIRE(wait_until_asleep(waiting));
    source.request_stop();
    CHECK(waiting.get() == errc::stopped);
}

// ---- stop tokens

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
    CHECK(recv_each(0) == errc::closed);
    CHECK(recv_each(1) == errc::closed);
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
