// after, at, tick and never. Clocks are only ever compared one way: a busy machine may be late, never early.
#include "catch.hpp"
#include "support/kinds.hpp"
#include "support/outcomes.hpp"
#include "support/task.hpp"

#include <chrono>
#include <filesystem>
#include <iterator>
#include <memory>
#include <ratio>
#include <ranges>
#include <stdexcept>
#include <stop_token>
#include <utility>
#include <vector>

using namespace test;
using namespace std::chrono_literals;
using sluice::errc;
using steady = std::chrono::steady_clock;

namespace {

template <class T>
errc error_of(const sluice::result<T>& outcome) {
    return outcome ? errc{} : outcome.error();
}

#if defined(__linux__)
long threads_of_this_process() {
    return std::distance(std::filesystem::directory_iterator("/proc/self/task"), std::filesystem::directory_iterator());
}
#endif

}  // namespace

TEST_CASE("after delivers the time point at which it was due, once, and is closed then", "[timer]") {
    const auto before = steady::now();
    const sluice::timer timer = sluice::after(5ms);
    const auto made = steady::now();
    CHECK(static_cast<bool>(timer));
    CHECK(error_of(timer.try_recv()) == errc::empty);
    const auto due = timer.recv();
    REQUIRE(due.has_value());
    CHECK(steady::now() >= *due);
    CHECK(*due >= before + 5ms);
    CHECK(*due <= made + 5ms);
    CHECK(error_of(timer.recv()) == errc::closed);
    CHECK(error_of(timer.try_recv()) == errc::closed);
    CHECK(error_of(timer.recv_timeout(1h)) == errc::closed);
    CHECK(error_of(timer.recv_until(steady::now() + 1h)) == errc::closed);
}

TEST_CASE("at delivers its time point", "[timer]") {
    const auto due = steady::now() + 3ms;
    const auto timer = sluice::at(due);
    CHECK(timer.recv().value() == due);
    CHECK(steady::now() >= due);
    CHECK(error_of(timer.recv()) == errc::closed);

    const auto past = steady::now() - 1h;
    const auto late = sluice::at(past);
    CHECK(late.try_recv().value() == past);
    CHECK(error_of(late.try_recv()) == errc::closed);
}

TEST_CASE("a delay that is over has come", "[timer]") {
    CHECK(sluice::after(0ms).try_recv().has_value());
    CHECK(sluice::after(-1h).try_recv().has_value());
    CHECK(sluice::after(-1h).recv_timeout(0ms).has_value());
    CHECK(sluice::after(std::chrono::hours::min()).try_recv().has_value());
    CHECK(sluice::at(steady::time_point::min()).try_recv().value() == steady::time_point::min());
}

TEST_CASE("a delay that overflows never comes", "[timer]") {
    using years = std::chrono::duration<long long, std::ratio<31556952>>;
    for (const auto& timer : {sluice::after(std::chrono::hours::max()), sluice::after(std::chrono::nanoseconds::max()),
                              sluice::after(years::max()), sluice::after(std::chrono::duration<double>::max()),
                              sluice::at(steady::time_point::max())}) {
        CHECK(error_of(timer.try_recv()) == errc::empty);
        CHECK(error_of(timer.recv_timeout(1ms)) == errc::timeout);
        CHECK(error_of(timer.recv_until(steady::now())) == errc::timeout);
        CHECK(sluice::select(sluice::on_recv(timer, [](steady::time_point) {}), sluice::otherwise([] {})).value() == 1);
    }
}

TEST_CASE("a wait for a timer may end before it", "[timer]") {
    const auto timer = sluice::after(1h);
    const auto start = steady::now();
    CHECK(error_of(timer.recv_timeout(2ms)) == errc::timeout);
    CHECK(steady::now() - start >= 2ms);
    CHECK(error_of(timer.recv_timeout(-1ms)) == errc::timeout);
    CHECK(error_of(timer.recv_until(start)) == errc::timeout);
    CHECK(error_of(timer.try_recv()) == errc::empty);
}

TEST_CASE("tick delivers the points of a fixed grid", "[timer]") {
    const auto period = 2ms;
    const auto before = steady::now();
    const auto timer = sluice::tick(period);
    const auto made = steady::now();
    const auto first = timer.recv().value();
    CHECK(first >= before + period);
    CHECK(first <= made + period);
    auto last = first;
    for (int i = 0; i < 5; ++i) {
        const auto next = timer.recv().value();
        CHECK(steady::now() >= next);
        CHECK(next > last);
        CHECK((next - first) % period == steady::duration::zero());
        last = next;
    }
}

TEST_CASE("who comes late gets the oldest tick that was missed, and then the next on the grid", "[timer]") {
    const auto period = 3ms;
    const auto timer = sluice::tick(period);
    const auto first = timer.recv().value();
    const auto late = steady::now();  // by how much does not matter
    REQUIRE(sluice::at(late + 5 * period).recv().has_value());
    const auto missed = timer.try_recv().value();
    CHECK(missed > first);
    CHECK(missed <= late + period);
    CHECK((missed - first) % period == steady::duration::zero());
    const auto taken = steady::now();
    const auto next = timer.recv().value();
    CHECK(next > late + 5 * period);
    CHECK(next <= taken + period);
    CHECK((next - first) % period == steady::duration::zero());
}

TEST_CASE("a period must be positive", "[timer]") {
    CHECK_THROWS_AS(sluice::tick(0ms), std::invalid_argument);
    CHECK_THROWS_AS(sluice::tick(-1ms), std::invalid_argument);
    CHECK_THROWS_AS(sluice::tick(std::chrono::hours::min()), std::invalid_argument);
    CHECK(error_of(sluice::tick(std::chrono::hours::max()).try_recv()) == errc::empty);
}

TEST_CASE("a period too short for the clock is still positive", "[timer]") {
    using attoseconds = std::chrono::duration<long long, std::atto>;
    const auto timer = sluice::tick(attoseconds(1));
    const auto first = timer.recv().value();
    CHECK(timer.recv().value() > first);
}

TEST_CASE("each message of a timer goes to one of its copies", "[timer]") {
    const sluice::timer one = sluice::after(2ms);
    const sluice::timer two = one;
    CHECK(one == two);
    CHECK(one != sluice::after(2ms));
    task other([&] { return two.recv().has_value(); });
    const bool mine = one.recv().has_value();
    CHECK(mine != other.get());

    const sluice::timer ticking = sluice::tick(1ms);
    const sluice::timer copy = ticking;
    const auto first = ticking.recv().value();
    CHECK(copy.recv().value() > first);
}

TEST_CASE("a timer that is empty or moved from is closed", "[timer]") {
    const sluice::timer empty;
    CHECK_FALSE(static_cast<bool>(empty));
    CHECK(error_of(empty.recv()) == errc::closed);
    CHECK(error_of(empty.try_recv()) == errc::closed);
    CHECK(error_of(empty.recv_timeout(1h)) == errc::closed);
    auto from = sluice::after(1h);
    const auto to = std::move(from);
    CHECK_FALSE(static_cast<bool>(from));
    CHECK(static_cast<bool>(to));
    CHECK(sluice::select(sluice::on_recv(empty, [](steady::time_point) {})).error() == errc::closed);
}

TEST_CASE("timers are iterated", "[timer]") {
    int seen = 0;
    for ([[maybe_unused]] auto&& due : sluice::after(1ms)) {
        ++seen;
    }
    CHECK(seen == 1);

    const auto ticking = sluice::tick(1ms);
    auto last = steady::time_point::min();
    for (const auto due : ticking) {
        CHECK(due > last);
        last = due;
        if (++seen == 4) {
            break;
        }
    }
    CHECK(seen == 4);
    static_assert(std::ranges::input_range<const sluice::timer>);
}

TEST_CASE("timers stand in a select", "[timer][select]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<int>(which);
    const auto ignore = [](int) {};

    const auto once = sluice::after(2ms);
    steady::time_point due;
    CHECK(sluice::select(sluice::on_recv(rx, ignore), sluice::on_recv(once, [&](steady::time_point at) { due = at; }))
              .value() == 1);
    CHECK(steady::now() >= due);
    CHECK(sluice::select(sluice::on_recv(rx, ignore), sluice::on_recv(once, [](steady::time_point) {}),
                         sluice::otherwise([] {}))
              .value() == 2);
    CHECK(sluice::select(sluice::on_recv(once, [](steady::time_point) {})).error() == errc::closed);
    errc seen{};
    CHECK(sluice::select(sluice::on_recv(once, [&](const sluice::result<steady::time_point>& r) {
              seen = r.error();
          })).value() == 0);
    CHECK(seen == errc::closed);

    const auto ticking = sluice::tick(1ms);
    int ticks = 0;
    while (ticks < 3) {
        REQUIRE(sluice::select(sluice::on_recv(rx, ignore), sluice::on_recv(ticking, [&](auto) { ++ticks; })).value() ==
                1);
    }

    const auto distant = sluice::after(1h);
    task selecting([&, &rx = rx] {
        return sluice::select(sluice::on_recv(distant, [](steady::time_point) {}), sluice::on_recv(rx, ignore)).value();
    });
    REQUIRE(wait_until_asleep(selecting));
    CHECK(tx.send(1).has_value());
    CHECK(selecting.get() == 1);

    sluice::selector group;
    const auto id = group.add(sluice::on_recv(sluice::after(1ms), [](steady::time_point) {}));
    (void)group.add(sluice::on_recv(rx, ignore));
    CHECK(group.wait().value() == id);
    CHECK(group.try_wait().error() == errc::empty);
}

TEST_CASE("the first of several timers fires first", "[timer][select]") {
    const auto start = steady::now();
    const auto second = sluice::at(start + 6ms);
    const auto first = sluice::at(start + 3ms);
    std::vector<int> order;
    while (sluice::select_biased(sluice::on_recv(first, [&](auto) { order.push_back(1); }),
                                 sluice::on_recv(second, [&](auto) { order.push_back(2); }))) {
    }
    CHECK(order == std::vector<int>{1, 2});
}

TEST_CASE("several threads wait for one timer", "[timer]") {
    const auto timer = sluice::after(5ms);
    std::vector<std::unique_ptr<task<bool>>> waiting;
    for (int i = 0; i < 3; ++i) {
        waiting.push_back(std::make_unique<task<bool>>([&] { return timer.recv().has_value(); }));
    }
    int served = 0;
    for (auto& each : waiting) {
        served += each->get();
    }
    CHECK(served == 1);
}

TEST_CASE("never stays open and empty until it is closed", "[timer]") {
    const auto rx = sluice::never<int>();
    CHECK(static_cast<bool>(rx));
    CHECK_FALSE(rx.is_closed());
    CHECK(error_in(rx.try_recv()) == errc::empty);
    CHECK(error_in(rx.recv_timeout(1ms)) == errc::timeout);
    CHECK(rx != sluice::never<int>());
    CHECK(sluice::select(sluice::on_recv(rx, [](int) {}), sluice::otherwise([] {})).value() == 1);

    std::stop_source source;
    task stopping([&] { return error_in(rx.recv(source.get_token())); });
    REQUIRE(wait_until_asleep(stopping));
    source.request_stop();
    CHECK(stopping.get() == errc::stopped);

    task waiting([&] { return error_in(rx.recv()); });
    REQUIRE(wait_until_asleep(waiting));
    CHECK(rx.close());
    CHECK(waiting.get() == errc::closed);
    CHECK(rx.is_closed());
}

TEST_CASE("never closes when its last receiver is dropped, for who waits by a weak handle", "[timer]") {
    auto rx = sluice::never<int>();
    const auto weak = rx.downgrade();
    sluice::selector group;
    const auto id = group.add(sluice::on_closed(rx));
    auto copy = rx;
    rx = {};
    CHECK(sluice::select(sluice::on_closed(weak), sluice::otherwise()).value() == 1);

    task selecting([&] { return sluice::select(sluice::on_closed(weak)).value(); });
    REQUIRE(wait_until_asleep(selecting));
    copy = {};
    CHECK(selecting.get() == 0);
    CHECK(group.try_wait().value() == id);
}

#if defined(__linux__)
TEST_CASE("the library starts no thread of its own", "[timer]") {
    const auto before = threads_of_this_process();
    const auto once = sluice::after(2ms);
    const auto ticking = sluice::tick(1ms);
    auto [tx, rx] = sluice::bounded<int>(1);
    std::stop_source source;
    CHECK(error_in(rx.recv_timeout(2ms, source.get_token())) == errc::timeout);
    CHECK(once.recv().has_value());
    CHECK(ticking.recv().has_value());
    CHECK(sluice::select(sluice::on_recv(rx, [](int) {}), sluice::on_timeout(1ms, [] {})).value() == 1);
    CHECK(threads_of_this_process() == before);
}
#endif
