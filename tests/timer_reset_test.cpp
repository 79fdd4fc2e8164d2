// Timers that are reset and cancelled. Clocks are only ever compared one way: a busy machine may be late, never early.
#include "catch.hpp"
#include "support/kinds.hpp"
#include "support/outcomes.hpp"
#include "support/scale.hpp"
#include "support/task.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <limits>
#include <list>
#include <ratio>
#include <stdexcept>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

using namespace test;
using namespace std::chrono_literals;
using sluice::errc;
using steady = std::chrono::steady_clock;
using tick_result = sluice::result<steady::time_point>;

TEST_CASE("reset sets a timer anew, whatever has become of it", "[timer_reset]") {
    const bool by_time = GENERATE(true, false);
    const auto timer = by_time ? sluice::at(steady::now() + 1h) : sluice::after(1h);
    const sluice::timer copy = timer;
    const auto is_due_again = [&] {
        const auto before = steady::now();
        copy.reset(3ms);
        const auto made = steady::now();
        const auto due = timer.recv().value();
        CHECK(due >= before + 3ms);
        CHECK(due <= made + 3ms);
        CHECK(steady::now() >= due);
        CHECK(error_in(timer.recv()) == errc::closed);
        CHECK(error_in(copy.try_recv()) == errc::closed);
    };
    is_due_again();  // it was far away
    is_due_again();  // it was over
    timer.cancel();
    is_due_again();  // it was cancelled
    timer.reset(0ms);
    REQUIRE(timer.recv_timeout(1h).has_value());
    timer.reset(1h);
    CHECK(error_in(timer.try_recv()) == errc::empty);
}

TEST_CASE("reset drops what is due", "[timer_reset]") {
    const auto timer = sluice::after(0ms);
    timer.reset(1h);
    CHECK(error_in(timer.try_recv()) == errc::empty);
    CHECK(error_in(timer.recv_timeout(1ms)) == errc::timeout);
    CHECK(sluice::select(sluice::on_recv(timer, [](steady::time_point) {}), sluice::otherwise([] {})).value() == 1);

    const auto grid = sluice::tick(1ns);
    grid.reset(1h);
    CHECK(error_in(grid.try_recv()) == errc::empty);
    grid.reset(2h);
    CHECK(error_in(grid.try_recv()) == errc::empty);
}

TEST_CASE("cancel ends a timer for all copies, until a reset", "[timer_reset]") {
    const bool repeats = GENERATE(true, false);
    const bool due = GENERATE(true, false);
    const auto delay = due ? 1ns : std::chrono::nanoseconds(1h);
    const auto timer = repeats ? sluice::tick(delay) : sluice::after(delay);
    const sluice::timer copy = timer;
    copy.cancel();
    CHECK(error_in(timer.try_recv()) == errc::closed);
    CHECK(error_in(timer.recv()) == errc::closed);
    CHECK(error_in(timer.recv_timeout(1h)) == errc::closed);
    CHECK(sluice::select(sluice::on_recv(timer, [](steady::time_point) {})).error() == errc::closed);
    errc heard{};
    sluice::select(sluice::on_recv(timer, [&](tick_result r) { heard = error_in(r); }));
    CHECK(heard == errc::closed);
    int rounds = 0;
    for (const auto point : timer) rounds += point > steady::time_point::min();
    CHECK(rounds == 0);
    timer.cancel();
    CHECK(error_in(copy.try_recv()) == errc::closed);
    timer.reset(1ms);
    CHECK(copy.recv().has_value());
    CHECK(copy.recv_timeout(1h).has_value() == repeats);
}

TEST_CASE("reset begins a new grid", "[timer_reset]") {
    const auto timer = sluice::tick(1h);
    const auto before = steady::now();
    timer.reset(2ms);
    const auto made = steady::now();
    const auto first = timer.recv().value();
    CHECK(first >= before + 2ms);
    CHECK(first <= made + 2ms);
    for (int i = 0; i < 3; ++i) CHECK((timer.recv().value() - first) % 2ms == 0ns);

    for (const auto period : {0ns, -1ns, std::chrono::nanoseconds::min()}) {
        CHECK_THROWS_AS(timer.reset(period), std::invalid_argument);
    }
    CHECK_THROWS_AS(timer.reset(std::chrono::duration<double>(std::numeric_limits<double>::quiet_NaN())),
                    std::invalid_argument);
    CHECK((timer.recv().value() - first) % 2ms == 0ns);  // a reset that throws changes nothing
    timer.cancel();
    CHECK_THROWS_AS(timer.reset(0ms), std::invalid_argument);
    CHECK(error_in(timer.try_recv()) == errc::closed);
}

TEST_CASE("reset takes a delay of any length", "[timer_reset]") {
    using years = std::chrono::duration<long long, std::ratio<31556952>>;
    const auto timer = sluice::after(1ms);
    timer.reset(-1h);
    CHECK(timer.try_recv().has_value());
    timer.reset(std::chrono::hours::min());
    CHECK(timer.try_recv().has_value());
    timer.reset(years::max());
    CHECK(error_in(timer.recv_timeout(1ms)) == errc::timeout);
    timer.reset(std::chrono::duration<double>::max());
    CHECK(error_in(timer.try_recv()) == errc::empty);
    timer.reset(std::chrono::nanoseconds::max());
    CHECK(error_in(timer.try_recv()) == errc::empty);
    timer.reset(0s);
    CHECK(timer.try_recv().has_value());
    const auto grid = sluice::tick(1ms);
    grid.reset(years::max());
    CHECK(error_in(grid.recv_timeout(2ms)) == errc::timeout);
}

TEST_CASE("an empty handle is neither reset nor cancelled", "[timer_reset]") {
    const sluice::timer empty;
    empty.reset(1ms);
    empty.reset(-1ms);
    empty.cancel();
    CHECK_FALSE(empty);
    CHECK(error_in(empty.try_recv()) == errc::closed);
}

TEST_CASE("who waits follows a reset", "[timer_reset]") {
    const bool repeats = GENERATE(true, false);
    const auto before = GENERATE(std::chrono::hours(2), std::chrono::hours::max());
    const auto timer = repeats ? sluice::tick(before) : sluice::after(before);
    const auto anew = repeats ? std::chrono::nanoseconds(1ms) : 0ns;
    const auto soon = [&] { timer.reset(anew); };

    task receiver([&] { return timer.recv().has_value(); });
    REQUIRE(wait_until_asleep(receiver));
    soon();
    CHECK(receiver.get());

    timer.reset(before);
    auto [tx, rx] = sluice::unbounded<int>();
    task selecting([&, &rx = rx] {
        return ran(sluice::select(sluice::on_recv(rx, [](int) {}), sluice::on_recv(timer, [](steady::time_point) {})));
    });
    REQUIRE(wait_until_asleep(selecting));
    soon();
    CHECK(selecting.get() == 1);

    timer.reset(before);
    task waiting([&, &rx = rx] {
        sluice::selector group;
        group.add(sluice::on_recv(rx, [](int) {}));
        const std::size_t id = group.add(sluice::on_recv(timer, [](steady::time_point) {}));
        return group.wait().value() == id;
    });
    REQUIRE(wait_until_asleep(waiting));
    soon();
    CHECK(waiting.get());

    timer.reset(before);
    task timed([&] { return timer.recv_timeout(1h).has_value(); });
    REQUIRE(wait_until_asleep(timed));
    soon();
    CHECK(timed.get());
}

TEST_CASE("nobody wakes at a time that was reset to a later one", "[timer_reset]") {
    const auto timer = sluice::after(1h);
    steady::time_point got;
    task receiver([&] {
        got = timer.recv().value();
        return steady::now() >= got;
    });
    REQUIRE(wait_until_asleep(receiver));
    timer.reset(20ms);
    const auto before = steady::now();
    timer.reset(40ms);
    CHECK(receiver.get());
    CHECK(got >= before + 40ms);
}

TEST_CASE("who waits hears of a cancel", "[timer_reset]") {
    const auto timer = sluice::after(1h);
    std::list<task<errc>> receivers;
    for (int i = 0; i < 3; ++i) {
        receivers.emplace_back([&] { return error_in(timer.recv()); });
        REQUIRE(wait_until_asleep(receivers.back()));
    }
    receivers.emplace_back([&] { return error_in(sluice::select(sluice::on_recv(timer, [](steady::time_point) {}))); });
    receivers.emplace_back([&] {
        errc heard{};
        sluice::select(sluice::on_recv(timer, [&](tick_result r) { heard = error_in(r); }),
                       sluice::on_timeout(1h, [] {}));
        return heard;
    });
    receivers.emplace_back([&] {
        sluice::selector group;
        group.add(sluice::on_recv(timer, [](steady::time_point) {}));
        const errc got = error_in(group.wait());
        return group.empty() ? got : errc{};
    });
    for (auto& receiver : receivers) REQUIRE(wait_until_asleep(receiver));
    timer.cancel();
    for (auto& receiver : receivers) CHECK(receiver.get() == errc::closed);
}

TEST_CASE("a select goes on without a timer that was cancelled, and with it again after a reset", "[timer_reset]") {
    const bool grouped = GENERATE(true, false);
    const bool over = GENERATE(true, false);
    const auto timer = sluice::after(over ? 0h : 1h);
    if (over) REQUIRE(timer.recv().has_value());
    auto [tx, rx] = sluice::unbounded<int>();
    std::atomic<int> ticks{0};
    task waiting([&, &rx = rx] {
        const auto count = [&](steady::time_point) { ++ticks; };
        if (!grouped) return ran(sluice::select(sluice::on_recv(rx, [](int) {}), sluice::on_recv(timer, count)));
        sluice::selector group;
        group.add(sluice::on_recv(rx, [](int) {}));
        group.add(sluice::on_recv(timer, count));
        return ran(group.wait());
    });
    REQUIRE(wait_until_asleep(waiting));
    if (!over && !grouped) {
        timer.cancel();
        REQUIRE(wait_until_asleep(waiting));
    }
    timer.reset(1ms);
    CHECK(waiting.get() == 1);
    CHECK(ticks == 1);
}

TEST_CASE("a timer's case stays in its group, so that its handler may reset it", "[timer_reset]") {
    const auto timer = sluice::after(1ms);
    sluice::selector group;
    int ticks = 0;
    const std::size_t id = group.add(sluice::on_recv(timer, [&](steady::time_point) {
        if (++ticks < 3) timer.reset(1ms);
    }));
    for (int i = 0; i < 3; ++i) CHECK(ran(group.wait()) == id);
    CHECK(ticks == 3);
    CHECK(group.size() == 1);
    CHECK(ran(group.wait()) == errc::closed);
    CHECK(ran(group.try_wait()) == errc::closed);
    CHECK(ran(group.wait_timeout(1h)) == errc::closed);
    CHECK(group.size() == 1);
    timer.reset(1ms);
    CHECK(ran(group.wait()) == id);

    timer.cancel();
    CHECK(ran(group.wait()) == errc::closed);
    CHECK(group.empty());
    timer.reset(0ms);
    CHECK(ran(group.try_wait()) == errc::closed);
    CHECK(timer.try_recv().has_value());
}

TEST_CASE("a handler of a result in a group hears of a cancel, once, and of no end", "[timer_reset]") {
    const bool biased = GENERATE(true, false);
    const auto timer = sluice::after(0ms);
    auto group = biased ? sluice::selector(sluice::biased) : sluice::selector();
    std::vector<errc> heard;
    const std::size_t id = group.add(sluice::on_recv(timer, [&](tick_result r) { heard.push_back(error_in(r)); }));
    group.add(sluice::on_recv(sluice::never<int>(), [](int) {}));
    CHECK(ran(group.wait()) == id);
    CHECK(ran(group.try_wait()) == errc::empty);
    CHECK(ran(group.wait_timeout(1ms)) == errc::timeout);
    timer.cancel();
    CHECK(ran(group.wait()) == id);
    CHECK(group.size() == 1);
    CHECK(ran(group.try_wait()) == errc::empty);
    CHECK(heard == std::vector<errc>{errc{}, errc::closed});
}

TEST_CASE("a group that sleeps hears of a cancel and drops the case", "[timer_reset]") {
    const auto timer = sluice::after(1h);
    auto [tx, rx] = sluice::unbounded<int>();
    std::atomic<std::size_t> left{9};
    task waiting([&, &rx = rx] {
        sluice::selector group;
        group.add(sluice::on_recv(rx, [](int) {}));
        group.add(sluice::on_recv(timer, [](steady::time_point) {}));
        const id_or_error fired = ran(group.wait());
        left = group.size();
        return fired;
    });
    REQUIRE(wait_until_asleep(waiting));
    timer.cancel();
    REQUIRE(wait_until_asleep(waiting));
    REQUIRE(tx.send(1).has_value());
    CHECK(waiting.get() == 0);
    CHECK(left == 1);
}

TEST_CASE("a biased select prefers a timer that was reset to be due", "[timer_reset]") {
    const auto timer = sluice::after(1h);
    auto [tx, rx] = sluice::unbounded<int>();
    for (int i = 0; i < scaled(200); ++i) {
        timer.reset(1h);
        task selecting([&, &rx = rx] {
            return ran(sluice::select_biased(sluice::on_recv(timer, [](steady::time_point) {}),
                                             sluice::on_recv(rx, [](int) {})));
        });
        if (i % 2 == 0) REQUIRE(wait_until_asleep(selecting));
        timer.reset(0s);
        REQUIRE(tx.send(1).has_value());
        CHECK(selecting.get() == 0);
        CHECK(rx.try_recv().has_value());
    }
}

TEST_CASE("resets and cancels by many, while others wait", "[timer_reset]") {
    const bool repeats = GENERATE(true, false);
    const sluice::timer timer = repeats ? sluice::tick(1h) : sluice::after(1h);
    std::stop_source stop;
    std::atomic<long> ticks{0};
    std::list<task<bool>> receivers;
    for (int i = 0; i < 2; ++i) {
        receivers.emplace_back([&] {
            while (!stop.stop_requested()) {
                if (const auto due = timer.recv(stop.get_token())) {
                    ++ticks;
                    if (*due > steady::now()) return false;
                }
            }
            return true;
        });
    }
    receivers.emplace_back([&] {
        sluice::selector group;
        bool right = true;
        const auto count = [&](tick_result r) {
            if (r) ++ticks;
            right = right && (!r || *r <= steady::now());
        };
        while (!stop.stop_requested()) {
            if (group.empty()) group.add(sluice::on_recv(timer, count));
            (void)group.wait_timeout(1h, stop.get_token());
        }
        return right;
    });
    task cancelling([&] {
        while (!stop.stop_requested()) {
            timer.cancel();
            timer.reset(50us);
            std::this_thread::yield();
        }
        return true;
    });
    for (int i = 0; i < scaled(3000); ++i) {
        timer.reset(std::chrono::microseconds(1 + i % 30));
        if (i % 5 == 0) timer.cancel();
        if (i % 7 == 0) std::this_thread::yield();
    }
    CHECK(eventually([&] { return ticks > 0; }));
    stop.request_stop();
    for (auto& receiver : receivers) CHECK(receiver.get());
    CHECK(cancelling.get());
}
