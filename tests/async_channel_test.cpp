// What coroutines await of one channel: outcomes, order, stops and deadlines, beside threads, in every kind of channel.
#include "catch.hpp"
#include "support/kinds.hpp"
#include "support/payload.hpp"
#include "support/task.hpp"

#include <sluice/async.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

/// Those for which a coroutine's frame is aligned.
using awaitable_payloads = std::tuple<int, test::move_only, test::throwing_move>;

using namespace std::chrono_literals;
using sluice::errc;
using sluice::sync_wait;
using test::audit;
using test::id_of;
using test::kind;

template <class T>
sluice::task<> send_all(sluice::sender<T> tx, int count) {
    for (int id = 0; id < count; ++id) {
        const auto sent = co_await tx.async_send(T(id));
        sent.value();  // no CHECK, which is for one thread
    }
}

template <class T>
sluice::task<> receive_all(sluice::receiver<T> rx, std::vector<int>& ids) {
    while (auto message = co_await rx.async_recv()) {
        ids.push_back(id_of(*message));
    }
}

/// What a coroutine has come to, and where.
struct note {
    bool begun = false;
    std::optional<errc> outcome;
    bool done = false;
    std::thread::id where;
};

sluice::task<> await_recv(sluice::receiver<int> rx, note& to, std::stop_token stop = {}) {
    to.begun = true;
    const auto got = co_await rx.async_recv(stop);
    to.where = std::this_thread::get_id();
    if (!got) {
        to.outcome = got.error();
    }
    to.done = true;
}

sluice::task<> plain_recv(sluice::receiver<test::move_only> rx, std::vector<int>& ids) {
    auto got = co_await rx.async_recv();
    if (got) {
        ids.push_back(got->id());
    }
}

sluice::task<> plain_send(sluice::sender<test::move_only> tx, int id, bool& done) {
    const auto sent = co_await tx.async_send(test::move_only(id));
    CHECK(sent.has_value());
    done = true;
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("coroutines of one loop pass all messages in order", "[async]", awaitable_payloads) {
    const audit books;
    {
        const kind which = GENERATE(kind::rendezvous, kind::one, kind::three, kind::unbounded);
        auto [tx, rx] = test::make_channel<TestType>(which);
        std::vector<int> ids;
        sluice::run_loop loop;
        const bool receiver_first = GENERATE(true, false);
        if (receiver_first) {
            loop.spawn(receive_all(std::move(rx), ids));
            loop.spawn(send_all(std::move(tx), 1000));
        } else {
            loop.spawn(send_all(std::move(tx), 1000));
            loop.spawn(receive_all(std::move(rx), ids));
        }
        loop.run();
        CHECK(ids == test::numbers(0, 1000));
    }
    CHECK(books.balanced());
}

TEMPLATE_LIST_TEST_CASE("coroutines and threads share a channel", "[async]", awaitable_payloads) {
    const audit books;
    {
        const kind which = GENERATE(kind::rendezvous, kind::one, kind::three, kind::unbounded);
        constexpr int count = 5000;
        {
            auto [tx, rx] = test::make_channel<TestType>(which);
            std::vector<int> ids;
            test::task sender([&tx = tx] {
                for (int id = 0; id < count; ++id) {
                    if (!tx.send(TestType(id))) {
                        return false;
                    }
                }
                tx = {};
                return true;
            });
            sync_wait(receive_all(std::move(rx), ids));
            CHECK(sender.get());
            CHECK(ids == test::numbers(0, count));
        }
        {
            auto [tx, rx] = test::make_channel<TestType>(which);
            test::task receiver([&rx = rx] {
                std::vector<int> ids;
                for (auto&& message : rx) {
                    ids.push_back(id_of(message));
                }
                return ids;
            });
            sync_wait(send_all(std::move(tx), count));
            CHECK(receiver.get() == test::numbers(0, count));
        }
        {
            auto [tx, rx] = test::make_channel<TestType>(which);
            std::vector<int> ids;
            test::task sender([&tx = tx] {
                sync_wait(send_all(std::move(tx), count));
                return true;
            });
            sync_wait(receive_all(std::move(rx), ids));
            CHECK(sender.get());
            CHECK(ids == test::numbers(0, count));
        }
    }
    CHECK(books.balanced());
}

TEST_CASE("threads and coroutines are served in the order in which they came", "[async]") {
    auto [tx, rx] = sluice::unbounded<int>();
    const auto recv = [&rx = rx] { return *rx.recv(); };
    sluice::run_loop loop;
    std::vector<int> ids;
    const auto receive = [](sluice::receiver<int> from, std::vector<int>& to) -> sluice::task<> {
        const auto got = co_await from.async_recv();
        to.push_back(*got);
    };
    test::task first(recv);
    REQUIRE(test::wait_until_asleep(first));
    loop.spawn(receive(rx, ids));
    (void)loop.poll();
    test::task third(recv);
    REQUIRE(test::wait_until_asleep(third));
    loop.spawn(receive(rx, ids));
    (void)loop.poll();
    for (int id = 1; id <= 4; ++id) {
        REQUIRE(tx.try_send(id));
    }
    loop.run();
    CHECK(first.get() == 1);
    CHECK(third.get() == 3);
    CHECK(ids == std::vector{2, 4});
}

TEST_CASE("a coroutine goes on in its loop, and not inside the call that completes it", "[async]") {
    auto [tx, rx] = test::make_channel<int>(GENERATE(kind::rendezvous, kind::three));
    note got;
    sluice::run_loop loop;
    loop.spawn(await_recv(rx, got));
    CHECK(loop.poll() > 0);
    REQUIRE(got.begun);
    SECTION("by a thread") {
        test::task sender([&tx = tx] { return tx.send(1).has_value(); });
        CHECK(sender.get());
        CHECK_FALSE(got.done);
        loop.run();
    }
    SECTION("by its own thread") {
        REQUIRE(tx.try_send(1));
        CHECK_FALSE(got.done);
        loop.run();
    }
    CHECK(got.done);
    CHECK_FALSE(got.outcome);
    CHECK(got.where == std::this_thread::get_id());
}

TEST_CASE("a stop ends what a coroutine awaits", "[async]") {
    auto [tx, rx] = test::make_channel<int>(GENERATE(kind::rendezvous, kind::three));
    std::stop_source stop;
    note got;
    sluice::run_loop loop;
    SECTION("requested before, also where there is a message") {
        (void)tx.try_send(1);
        stop.request_stop();
        loop.spawn(await_recv(rx, got, stop.get_token()));
        loop.run();
        CHECK(got.done);
    }
    SECTION("requested while it waits; the request resumes nothing") {
        loop.spawn(await_recv(rx, got, stop.get_token()));
        (void)loop.poll();
        stop.request_stop();
        CHECK_FALSE(got.done);
        loop.run();
    }
    SECTION("requested by another thread") {
        test::task other([&, &rx = rx] {
            sync_wait(await_recv(rx, got, stop.get_token()));
            return 0;
        });
        REQUIRE(test::wait_until_asleep(other));
        stop.request_stop();
        CHECK(other.get() == 0);
    }
    CHECK(got.outcome == errc::stopped);
    CHECK(rx.size() <= 1);
    CHECK(tx.sender_count() == 1);
    // Nobody stands in line any more.
    CHECK(tx.try_send(1).has_value() == (rx.capacity() != 0));
}

TEST_CASE("a message that was handed over before the stop is received", "[async]") {
    auto [tx, rx] = sluice::bounded<int>(3);
    std::stop_source stop;
    note got;
    sluice::run_loop loop;
    loop.spawn(await_recv(rx, got, stop.get_token()));
    (void)loop.poll();
    REQUIRE(tx.try_send(1));
    stop.request_stop();
    loop.run();
    CHECK(got.done);
    CHECK_FALSE(got.outcome);
}

TEST_CASE("a send that fails leaves its argument", "[async]") {
    const audit books;
    {
        const kind which = GENERATE(kind::rendezvous, kind::one);
        auto [tx, rx] = test::make_channel<test::move_only>(which);
        test::fill(tx, which);
        const auto send = [](sluice::sender<test::move_only> to, test::move_only& m, std::stop_token stop, bool limited,
                             std::optional<errc>& outcome) -> sluice::task<> {
            const auto sent = limited ? co_await to.async_send_timeout(std::move(m), 1ms, stop)
                                      : co_await to.async_send(std::move(m), stop);
            if (!sent) {
                outcome = sent.error();
            }
        };
        test::move_only message(7);
        std::optional<errc> outcome;
        std::stop_source stop;
        sluice::run_loop loop;
        SECTION("the deadline") {
            loop.spawn(send(tx, message, {}, true, outcome));
            loop.run();
            CHECK(outcome == errc::timeout);
        }
        SECTION("a stop") {
            loop.spawn(send(tx, message, stop.get_token(), false, outcome));
            (void)loop.poll();
            stop.request_stop();
            loop.run();
            CHECK(outcome == errc::stopped);
        }
        SECTION("closing") {
            loop.spawn(send(tx, message, {}, false, outcome));
            (void)loop.poll();
            rx.close();
            loop.run();
            CHECK(outcome == errc::closed);
        }
        CHECK(message.id() == 7);
        CHECK(test::drain(rx) == test::numbers(0, test::room(which)));
    }
    CHECK(books.balanced());
}

TEST_CASE("deadlines of receives", "[async]") {
    auto [tx, rx] = test::make_channel<int>(GENERATE(kind::rendezvous, kind::three));
    const auto from = std::chrono::steady_clock::now();
    const auto all = [](sluice::receiver<int> in) -> sluice::task<> {
        CHECK((co_await in.async_recv_timeout(0s)).error() == errc::timeout);
        CHECK((co_await in.async_recv_timeout(-1s)).error() == errc::timeout);
        CHECK((co_await in.async_recv_timeout(2ms)).error() == errc::timeout);
        const auto steady = std::chrono::steady_clock::now() + 2ms;
        CHECK((co_await in.async_recv_until(steady)).error() == errc::timeout);
        const auto system = std::chrono::system_clock::now() + 2ms;
        CHECK((co_await in.async_recv_until(system)).error() == errc::timeout);
        const auto past = std::chrono::system_clock::now() - 1h;
        CHECK((co_await in.async_recv_until(past)).error() == errc::timeout);
    };
    sync_wait(all(rx));
    CHECK(std::chrono::steady_clock::now() - from >= 6ms);
    test::task sender([&tx = tx] { return tx.send(5).has_value(); });
    const auto one = [](sluice::receiver<int> in) -> sluice::task<int> {
        const auto got = co_await in.async_recv_timeout(1h);
        co_return got.value_or(0);
    };
    CHECK(sync_wait(one(rx)) == 5);
    CHECK(sender.get());
}

TEST_CASE("closing resumes those who wait", "[async]") {
    auto [tx, rx] = test::make_channel<int>(GENERATE(kind::rendezvous, kind::three));
    note got;
    sluice::run_loop loop;
    loop.spawn(await_recv(rx, got));
    (void)loop.poll();
    const bool by_dropping = GENERATE(true, false);
    if (by_dropping) {
        tx = {};
    } else {
        rx.close();
    }
    loop.run();
    CHECK(got.outcome == errc::closed);
    const auto on_empty = [](note& to) -> sluice::task<> {
        const sluice::receiver<int> none;
        const auto r = co_await none.async_recv();
        to.outcome = r.error();
        const sluice::sender<int> no_end;
        const auto s = co_await no_end.async_send(1);
        CHECK(s.error() == errc::closed);
    };
    note empty;
    sync_wait(on_empty(empty));
    CHECK(empty.outcome == errc::closed);
}

TEST_CASE("a coroutine that is destroyed as it lets others run, before its operation begins, has done nothing",
          "[async]") {
    auto [tx, rx] = sluice::unbounded<int>();
    int received = 0;
    const auto receive = [](sluice::receiver<int> from, int& count) -> sluice::task<> {
        while (co_await from.async_recv()) ++count;
    };
    const auto watch = [](int& turns) -> sluice::task<> {
        ++turns;
        co_return;
    };
    int turns = 0;
    {
        sluice::run_loop loop;
        for (int id = 0; id < 200; ++id) {
            REQUIRE(tx.try_send(id));
        }
        loop.spawn(receive(rx, received));
        CHECK(loop.poll() == 1);
        // Both are ready to begin.
        loop.spawn(watch(turns));
    }
    CHECK(received == 128);
    CHECK(turns == 0);
    CHECK(rx.size() == 72);
    CHECK(rx.dropped() == 0);
    CHECK(rx.receiver_count() == 1);
}

TEST_CASE("before the 129th operation in a row that did not suspend, others run", "[async]") {
    auto [tx, rx] = sluice::unbounded<int>();
    for (int id = 0; id < 1000; ++id) {
        REQUIRE(tx.try_send(id));
    }
    int received = 0;
    std::vector<int> seen;
    const auto receive = [](sluice::receiver<int> from, int& count) -> sluice::task<> {
        for (; count < 1000; ++count) {
            const auto got = co_await from.async_recv();
            CHECK(*got == count);
        }
    };
    const auto watch = [](const int& count, std::vector<int>& to) -> sluice::task<> {
        for (int i = 0; i < 4; ++i) {
            to.push_back(count);
            co_await sluice::yield();
        }
    };
    sluice::run_loop loop;
    loop.spawn(receive(rx, received));
    loop.spawn(watch(received, seen));
    loop.run();
    CHECK(seen == std::vector{128, 257, 386, 515});  // the one that has let them run has suspended
    CHECK(received == 1000);

    // It has taken nothing when it lets the others run, and a stop that comes then counts as requested before.
    std::stop_source stop;
    for (int id = 0; id < 1000; ++id) {
        REQUIRE(tx.try_send(id));
    }
    std::optional<errc> outcome;
    int before = 0;
    const auto until_stopped = [](sluice::receiver<int> from, std::stop_token s, int& count,
                                  std::optional<errc>& end) -> sluice::task<> {
        for (;; ++count) {
            const auto got = co_await from.async_recv(s);
            if (!got) {
                end = got.error();
                co_return;
            }
        }
    };
    const auto request = [](std::stop_source& s) -> sluice::task<> {
        s.request_stop();
        co_return;
    };
    loop.spawn(until_stopped(rx, stop.get_token(), before, outcome));
    loop.spawn(request(stop));
    loop.run();
    CHECK(outcome == errc::stopped);
    CHECK(before == 128);
    CHECK(rx.size() == 1000 - 128);
}

TEST_CASE("operations on empty handles let others run too", "[async]") {
    const auto use_nothing = [](int& count) -> sluice::task<> {
        const sluice::receiver<int> none;
        const sluice::sender<std::string> nowhere;
        const std::string text = "text";
        while (count < 1000) {
            const auto got = co_await none.async_recv();
            CHECK(got.error() == errc::closed);
            ++count;
            const auto sent = co_await nowhere.async_send(text);
            CHECK(sent.error() == errc::closed);
            ++count;
        }
    };
    const auto watch = [](const int& count, std::vector<int>& to) -> sluice::task<> {
        for (int i = 0; i < 3; ++i) {
            to.push_back(count);
            co_await sluice::yield();
        }
    };
    int count = 0;
    std::vector<int> seen;
    sluice::run_loop loop;
    loop.spawn(use_nothing(count));
    loop.spawn(watch(count, seen));
    loop.run();
    CHECK(seen == std::vector{128, 257, 386});
}

TEST_CASE("a coroutine that is destroyed withdraws its operation", "[async]") {
    const audit books;
    {
        const kind which = GENERATE(kind::rendezvous, kind::one);
        auto [tx, rx] = test::make_channel<test::move_only>(which);
        std::vector<int> ids;
        bool sent = false;
        SECTION("a receive") {
            {
                sluice::run_loop loop;
                loop.spawn(plain_recv(rx, ids));
                (void)loop.poll();
            }
            // Nobody waits.
            CHECK(tx.try_send(test::move_only(1)).has_value() == (which == kind::one));
            CHECK(ids.empty());
            CHECK(rx.dropped() == 0);
        }
        SECTION("a send") {
            test::fill(tx, which);
            {
                sluice::run_loop loop;
                loop.spawn(plain_send(tx, 9, sent));
                (void)loop.poll();
            }
            CHECK(test::drain(rx) == test::numbers(0, test::room(which)));
            CHECK_FALSE(sent);
        }
        SECTION("a message that was handed to it is destroyed with it, and counted") {
            {
                sluice::run_loop loop;
                loop.spawn(plain_recv(rx, ids));
                (void)loop.poll();
                REQUIRE(tx.try_send(test::move_only(1)));
                CHECK(books.alive() > 0);
            }
            CHECK(books.alive() == 0);
            CHECK(rx.dropped() == 1);
            CHECK(ids.empty());
        }
        SECTION("one that was taken from it is sent") {
            test::fill(tx, which);
            {
                sluice::run_loop loop;
                loop.spawn(plain_send(tx, 9, sent));
                (void)loop.poll();
                std::vector<int> all = test::drain(rx);
                CHECK(all.back() == 9);
            }
            CHECK_FALSE(sent);
        }
        CHECK(rx.sender_count() == 1);
        CHECK(rx.receiver_count() == 1);
    }
    CHECK(books.balanced());
}

TEST_CASE("so does one that waits with a stop token and a deadline", "[async]") {
    auto [tx, rx] = sluice::rendezvous<int>();
    std::stop_source stop;
    const auto wait = [](sluice::receiver<int> from, std::stop_token s) -> sluice::task<> {
        (void)co_await from.async_recv_timeout(1h, s);
    };
    const bool is_completed = GENERATE(true, false);
    const bool is_stopped = GENERATE(true, false);
    {
        sluice::run_loop loop;
        loop.spawn(wait(rx, stop.get_token()));
        (void)loop.poll();
        if (is_completed) {
            REQUIRE(tx.try_send(1));
        }
        if (is_stopped) {
            stop.request_stop();
        }
    }
    CHECK(tx.try_send(1).error() == errc::full);
    CHECK(rx.dropped() == (is_completed ? 1 : 0));
}

TEST_CASE("a move that throws leaves the co_await", "[async]") {
    const audit books;
    {
        auto [tx, rx] = sluice::rendezvous<test::throwing_move>();
        const auto send = [](sluice::sender<test::throwing_move> to, test::throwing_move& m) -> sluice::task<> {
            (void)co_await to.async_send(std::move(m));
        };
        test::throwing_move message(3);
        sluice::run_loop loop;
        loop.spawn(send(tx, message));
        (void)loop.poll();
        test::throw_after() = 1;
        CHECK(rx.try_recv().error() == errc::empty);
        test::throw_after() = 0;
        CHECK_THROWS_AS(loop.run(), test::injected_error);
        CHECK(message.id() == 3);
    }
    CHECK(books.balanced());
}

TEST_CASE("many messages", "[async]") {
    const kind which = GENERATE(kind::rendezvous, kind::one, kind::three, kind::unbounded);
    auto [tx, rx] = test::make_channel<test::move_only>(which);
    std::vector<int> ids;
    std::size_t sent = 0;
    const auto send = [](sluice::sender<test::move_only> to, std::size_t& count) -> sluice::task<> {
        std::vector<test::move_only> all;
        for (int id = 0; id < 500; ++id) {
            all.emplace_back(id);
        }
        count = co_await to.async_send_many(std::move(all));
    };
    sluice::run_loop loop;
    SECTION("recv_many") {
        const auto receive = [](sluice::receiver<test::move_only> from, std::vector<int>& to) -> sluice::task<> {
            const test::id_sink sink{&to};
            for (;;) {
                const std::size_t before = to.size();
                const std::size_t got = co_await from.async_recv_many(sink, 7);
                CHECK(got == to.size() - before);
                CHECK(got <= 7);
                if (got == 0) {
                    break;
                }
            }
        };
        loop.spawn(receive(std::move(rx), ids));
        loop.spawn(send(std::move(tx), sent));
        loop.run();
    }
    SECTION("recv_batch") {
        const auto receive = [](sluice::receiver<test::move_only> from, std::vector<int>& to) -> sluice::task<> {
            const test::id_sink sink{&to};
            for (std::size_t wanted : {std::size_t(200), std::size_t(200), std::size_t(100)}) {
                const std::size_t got = co_await from.async_recv_batch(sink, wanted, 1h);
                CHECK(got == wanted);
            }
            const std::size_t none = co_await from.async_recv_batch(sink, 1, 1h);
            CHECK(none == 0);
        };
        loop.spawn(receive(std::move(rx), ids));
        loop.spawn(send(std::move(tx), sent));
        loop.run();
    }
    CHECK(sent == 500);
    CHECK(ids == test::numbers(0, 500));
}

namespace {

/// Requests a stop when the tenth message is written to it.
class stops_at_tenth {
public:
    using difference_type = std::ptrdiff_t;
    explicit stops_at_tenth(std::stop_source& s) : stop_(&s) {}
    stops_at_tenth& operator*() noexcept { return *this; }
    stops_at_tenth& operator++() noexcept { return *this; }
    stops_at_tenth operator++(int) noexcept { return *this; }
    stops_at_tenth& operator=(int id) noexcept {
        if (id == 9) {
            stop_->request_stop();
        }
        return *this;
    }

private:
    std::stop_source* stop_;
};

}  // namespace

namespace {

/// An output iterator that can't be copied.
class appends {
public:
    using difference_type = std::ptrdiff_t;
    explicit appends(std::vector<int>& to) : to_(&to) {}
    appends(appends&&) = default;
    appends& operator=(appends&&) = default;
    appends& operator*() { return *this; }
    appends& operator++() { return *this; }
    appends& operator++(int) { return *this; }
    appends& operator=(int id) {
        to_->push_back(id);
        return *this;
    }

private:
    std::vector<int>* to_;
};

}  // namespace

TEST_CASE("many messages are received by an output iterator that only moves", "[async]") {
    auto [tx, rx] = sluice::unbounded<int>();
    for (int id = 0; id < 8; ++id) {
        REQUIRE(tx.try_send(id));
    }
    std::vector<int> ids;
    CHECK(rx.recv_many(appends(ids), 2) == 2);
    const auto receive = [](sluice::receiver<int> from, std::vector<int>& to) -> sluice::task<> {
        const std::size_t several = co_await from.async_recv_many(appends(to), 2);
        CHECK(several == 2);
        const std::size_t batch = co_await from.async_recv_batch(appends(to), 2, 1h);
        CHECK(batch == 2);
        appends named(to);
        const std::size_t rest = co_await from.async_recv_many(std::move(named), 9);
        CHECK(rest == 2);
    };
    sync_wait(receive(rx, ids));
    CHECK(ids == test::numbers(0, 8));
}

TEST_CASE("a stop ends the receiving of many messages within 64 of them", "[async]") {
    auto [tx, rx] = sluice::unbounded<int>();
    for (int id = 0; id < 1000; ++id) {
        REQUIRE(tx.try_send(id));
    }
    std::stop_source stop;
    const auto receive = [](sluice::receiver<int> from, std::stop_source& s) -> sluice::task<std::size_t> {
        const std::size_t got = co_await from.async_recv_many(stops_at_tenth(s), 1000, s.get_token());
        co_return got;
    };
    const std::size_t got = sync_wait(receive(rx, stop));
    CHECK(got >= 10);
    CHECK(got <= 74);
    CHECK(rx.size() == 1000 - got);
}

TEST_CASE("a batch ends when it has lingered, or at a stop", "[async]") {
    auto [tx, rx] = sluice::unbounded<int>();
    REQUIRE(tx.try_send(0));
    REQUIRE(tx.try_send(1));
    std::vector<int> ids;
    std::stop_source stop;
    const auto receive = [](sluice::receiver<int> from, std::vector<int>& to, std::chrono::nanoseconds linger,
                            std::stop_token s) -> sluice::task<std::size_t> {
        const std::size_t got = co_await from.async_recv_batch(std::back_inserter(to), 1000, linger, s);
        co_return got;
    };
    CHECK(sync_wait(receive(rx, ids, 1ms, {})) == 2);
    REQUIRE(tx.try_send(2));
    test::task other([&, &rx = rx] { return sync_wait(receive(rx, ids, 1h, stop.get_token())); });
    REQUIRE(test::wait_until_asleep(other));
    stop.request_stop();
    CHECK(other.get() == 1);
    for (int id = 3; id < 500; ++id) REQUIRE(tx.try_send(id));
    CHECK(sync_wait(receive(rx, ids, 1ns, {})) == 497);
    CHECK(ids == test::numbers(0, 500));
}

TEST_CASE("a broadcaster waits for a slow subscriber without blocking the loop", "[async]") {
    const sluice::broadcaster<int> bus;
    const auto slow = bus.subscribe(1, sluice::overflow::block), quick = bus.subscribe();
    const auto publish = [](sluice::broadcaster<int> to, std::vector<std::size_t>& reached) -> sluice::task<> {
        for (int id = 0; id < 10; ++id) {
            const std::size_t n = co_await to.async_send(id);
            reached.push_back(n);
        }
        to.close();
    };
    std::vector<std::size_t> reached;
    std::vector<int> first, second;
    sluice::run_loop loop;
    loop.spawn(publish(bus, reached));
    loop.spawn(receive_all(slow, first));
    loop.spawn(receive_all(quick, second));
    loop.run();
    CHECK(reached == std::vector<std::size_t>(10, 2));
    CHECK(first == test::numbers(0, 10));
    CHECK(second == test::numbers(0, 10));
}

TEST_CASE("a stop ends a broadcaster's wait for one subscriber, and those behind get the message", "[async]") {
    const sluice::broadcaster<int> bus;
    const auto before = bus.subscribe(), full = bus.subscribe(1, sluice::overflow::block);
    REQUIRE(bus.send(0) == 2);
    const auto behind = bus.subscribe(), room = bus.subscribe(1, sluice::overflow::block);
    std::stop_source stop;
    std::optional<std::size_t> reached;
    const auto publish = [](sluice::broadcaster<int> to, std::stop_token s,
                            std::optional<std::size_t>& count) -> sluice::task<> {
        count = co_await to.async_send(1, s);
    };
    sluice::run_loop loop;
    loop.spawn(publish(bus, stop.get_token(), reached));
    CHECK(loop.poll() == 1);
    CHECK_FALSE(reached);
    stop.request_stop();
    loop.run();
    CHECK(reached == 3u);
    CHECK(test::drain(before) == std::vector{0, 1});
    CHECK(test::drain(full) == std::vector{0});
    CHECK(full.dropped() == 1);
    CHECK(test::drain(behind) == std::vector{1});
    CHECK(test::drain(room) == std::vector{1});
}

TEST_CASE("a loop of several threads runs coroutines that meet", "[async]") {
    const kind which = GENERATE(kind::rendezvous, kind::one, kind::unbounded);
    auto [tx, rx] = test::make_channel<int>(which);
    constexpr int pairs = 8, each = 500;
    std::vector<std::vector<int>> ids(pairs);
    sluice::run_loop loop;
    for (int i = 0; i < pairs; ++i) {
        loop.spawn(receive_all(rx, ids[static_cast<std::size_t>(i)]));
        loop.spawn(send_all(tx, each));
    }
    tx = {};
    rx = {};
    test::task helper([&] {
        loop.run();
        return 0;
    });
    loop.run();
    CHECK(helper.get() == 0);
    std::size_t all = 0;
    for (const auto& some : ids) {
        all += some.size();
    }
    CHECK(all == static_cast<std::size_t>(pairs * each));
}
