// recv_batch: a batch that is waited for.
#include "catch.hpp"
#include "support/kinds.hpp"
#include "support/onlooker.hpp"
#include "support/outcomes.hpp"
#include "support/task.hpp"

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <iterator>
#include <list>
#include <memory>
#include <ratio>
#include <stop_token>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

using namespace test;
using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

namespace {

template <class T>
std::vector<int> ids_of(const std::vector<T>& values) {
    std::vector<int> ids;
    for (const auto& value : values) ids.push_back(id_of(value));
    return ids;
}

/// Counts what is written to it, and throws at the nth.
struct failing_sink {
    using difference_type = std::ptrdiff_t;
    std::vector<int>* ids;
    int fails_at;
    failing_sink& operator*() { return *this; }
    failing_sink& operator++() { return *this; }
    failing_sink operator++(int) { return *this; }
    template <class T>
        requires(!std::same_as<std::remove_cvref_t<T>, failing_sink>)
    failing_sink& operator=(T&& message) {
        if (id_of(message) == fails_at) throw injected_error();
        ids->push_back(id_of(message));
        return *this;
    }
};

long switches_of(const thread_probe& probe) {
    const auto seen = probe.look();
    return seen ? seen->switches : -1;
}

constexpr auto for_ever = std::chrono::nanoseconds::max();

}  // namespace

TEMPLATE_LIST_TEST_CASE("recv_batch goes on until it has as many as it may", "[recv_batch]", payloads_and_page) {
    const auto which = EACH_KIND();
    const bool appends = GENERATE(true, false);
    CAPTURE(which, appends);
    const audit books;
    {
        auto [tx, rx] = make_channel<TestType>(which);
        std::vector<int> ids;
        task receiver([&, &rx = rx] {
            if (!appends) return rx.recv_batch(id_sink{&ids}, 7, for_ever);
            std::vector<TestType> got;
            const std::size_t count = rx.recv_batch(std::back_inserter(got), 7, for_ever);
            ids = ids_of(got);
            return count;
        });
        for (int id = 0; id < 7; ++id) {
            REQUIRE(wait_until_asleep(receiver));
            REQUIRE(tx.send(TestType(id)).has_value());
        }
        CHECK(receiver.get() == 7);
        CHECK(ids == numbers(0, 7));
        CHECK(rx.empty());
    }
    CHECK(books.balanced());
}

TEMPLATE_LIST_TEST_CASE("recv_batch returns what has come when it has lingered", "[recv_batch]", payloads) {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<TestType>(which);
    std::vector<TestType> got;
    steady::time_point ended;
    task receiver([&, &rx = rx] {
        const std::size_t count = rx.recv_batch(std::back_inserter(got), 100, 30ms);
        ended = steady::now();
        return count;
    });
    REQUIRE(wait_until_asleep(receiver));  // for as long as it takes: it does not linger before the first
    const auto begun = steady::now();
    REQUIRE(tx.send(TestType(0)).has_value());
    REQUIRE(tx.send_timeout(TestType(1), 1h).has_value());
    const std::size_t count = receiver.get();
    CHECK(count >= 1);
    CHECK(ended - begun >= 30ms);
    CHECK(ids_of(got) == numbers(0, static_cast<int>(count)));
}

TEMPLATE_LIST_TEST_CASE("a linger that is not positive takes what is there", "[recv_batch]", payloads) {
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<TestType>(which);
    for (const auto linger : {0ns, -1ns, std::chrono::nanoseconds::min()}) {
        fill(tx, which);
        std::vector<int> ids;
        CHECK(rx.recv_batch(id_sink{&ids}, 1000, linger) == static_cast<std::size_t>(room(which)));
        CHECK(ids == numbers(0, room(which)));
    }
    std::vector<int> ids;
    task receiver([&, &rx = rx] { return rx.recv_batch(id_sink{&ids}, 10, 0s); });
    REQUIRE(wait_until_asleep(receiver));
    REQUIRE(tx.send(TestType(3)).has_value());
    CHECK(receiver.get() == 1);
    CHECK(ids == std::vector<int>{3});
}

TEMPLATE_LIST_TEST_CASE("a batch that has lingered takes what is there, however much", "[recv_batch]", payloads) {
    auto [tx, rx] = sluice::unbounded<TestType>();
    for (int id = 0; id < 1000; ++id) REQUIRE(tx.send(TestType(id)).has_value());
    std::vector<int> ids;
    CHECK(rx.recv_batch(id_sink{&ids}, 400, 1ns) == 400);
    std::vector<TestType> got;
    CHECK(rx.recv_batch(std::back_inserter(got), 1000, 1ns) == 600);
    for (const int id : ids_of(got)) ids.push_back(id);
    CHECK(ids == numbers(0, 1000));
}

TEST_CASE("recv_batch takes a linger of any unit, without overflow", "[recv_batch]") {
    using years = std::chrono::duration<long long, std::ratio<31556952>>;
    auto [tx, rx] = sluice::unbounded<int>();
    std::vector<int> ids;
    const auto takes_all = [&, &tx = tx, &rx = rx](auto linger) {
        ids.clear();
        REQUIRE(tx.send(0).has_value());
        REQUIRE(tx.send(1).has_value());
        return rx.recv_batch(std::back_inserter(ids), 2, linger) == 2;
    };
    CHECK(takes_all(years::max()));
    CHECK(takes_all(std::chrono::hours::max()));
    CHECK(takes_all(std::chrono::duration<double>::max()));
    CHECK(takes_all(std::chrono::duration<float, std::pico>(0.25f)));
    CHECK(takes_all(std::chrono::nanoseconds::max() - 1ns));

    std::stop_source stop;
    task receiver([&, &rx = rx] { return rx.recv_batch(std::back_inserter(ids), 9, years::max(), stop.get_token()); });
    REQUIRE(tx.send(0).has_value());
    REQUIRE(wait_until_asleep(receiver));
    stop.request_stop();
    CHECK(receiver.get() == 1);
}

TEMPLATE_LIST_TEST_CASE("recv_batch ends with its channel", "[recv_batch]", payloads) {
    const auto which = EACH_KIND();
    const bool drops = GENERATE(true, false);
    CAPTURE(which, drops);
    const audit books;
    {
        auto [tx, rx] = make_channel<TestType>(which);
        std::vector<TestType> got;
        task receiver([&, &rx = rx] { return rx.recv_batch(std::back_inserter(got), 100, for_ever); });
        for (int id = 0; id < 3; ++id) {
            REQUIRE(wait_until_asleep(receiver));
            REQUIRE(tx.send(TestType(id)).has_value());
        }
        REQUIRE(wait_until_asleep(receiver));
        if (drops) {
            tx = {};
        } else {
            CHECK(tx.close());
        }
        CHECK(receiver.get() == 3);
        CHECK(ids_of(got) == numbers(0, 3));
        CHECK(rx.recv_batch(std::back_inserter(got), 100, 1h) == 0);
    }
    CHECK(books.balanced());
}

TEST_CASE("recv_batch takes all that a closed channel holds, and does not linger then", "[recv_batch]") {
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<int>(which);
    fill(tx, which);
    tx.close();
    std::vector<int> ids;
    CHECK(rx.recv_batch(id_sink{&ids}, 100, for_ever) == static_cast<std::size_t>(room(which)));
    CHECK(ids == numbers(0, room(which)));
    CHECK(rx.recv_batch(id_sink{&ids}, 100, for_ever) == 0);
}

TEMPLATE_LIST_TEST_CASE("a stop ends recv_batch and gives nothing back", "[recv_batch]", payloads) {
    const auto which = EACH_KIND();
    CAPTURE(which);
    const audit books;
    {
        auto [tx, rx] = make_channel<TestType>(which);
        std::stop_source stop;
        std::vector<TestType> got;
        task receiver(
            [&, &rx = rx] { return rx.recv_batch(std::back_inserter(got), 100, for_ever, stop.get_token()); });
        for (int id = 0; id < 3; ++id) {
            REQUIRE(wait_until_asleep(receiver));
            REQUIRE(tx.send(TestType(id)).has_value());
        }
        REQUIRE(wait_until_asleep(receiver));
        stop.request_stop();
        CHECK(receiver.get() == 3);
        CHECK(ids_of(got) == numbers(0, 3));

        task first([&, &rx = rx] {
            std::stop_source other;
            task stopping([&] { return other.request_stop(); });
            return rx.recv_batch(std::back_inserter(got), 100, for_ever, other.get_token());
        });
        CHECK(first.get() == 0);
        if (which != kind::rendezvous) REQUIRE(tx.send(TestType(4)).has_value());
        CHECK(rx.recv_batch(std::back_inserter(got), 100, 1h, requested()) == 0);
        CHECK(rx.recv_batch(std::back_inserter(got), 100, 0s, requested()) == 0);
        CHECK(got.size() == 3);
    }
    CHECK(books.balanced());
}

TEST_CASE("a batch of none, and one from an empty handle", "[recv_batch]") {
    auto [tx, rx] = sluice::unbounded<int>();
    std::vector<int> ids;
    CHECK(rx.recv_batch(id_sink{&ids}, 0, for_ever) == 0);
    CHECK(rx.recv_batch(id_sink{&ids}, 0, 0s) == 0);
    const sluice::receiver<int> empty;
    CHECK(empty.recv_batch(id_sink{&ids}, 9, for_ever) == 0);
    CHECK(empty.recv_batch(id_sink{&ids}, 9, -1s) == 0);
}

TEMPLATE_LIST_TEST_CASE("what cannot be written is gone, and what is behind it stays", "[recv_batch]", payloads) {
    const auto which = GENERATE(kind::three, kind::unbounded);
    const int fails_at = GENERATE(0, 1, 2);
    CAPTURE(which, fails_at);
    auto [tx, rx] = make_channel<TestType>(which);
    for (int id = 0; id < 3; ++id) REQUIRE(tx.send(TestType(id)).has_value());
    std::vector<int> ids;
    CHECK_THROWS_AS(rx.recv_batch(failing_sink{&ids, fails_at}, 10, 1h), injected_error);
    CHECK(ids == numbers(0, fails_at));
    CHECK(drain(rx) == numbers(fails_at + 1, 3));

    // The same for messages that come one by one.
    ids.clear();
    task receiver([&, &rx = rx] { return rx.recv_batch(failing_sink{&ids, fails_at}, 10, 1h); });
    for (int id = 0; id <= fails_at; ++id) {
        REQUIRE(wait_until_asleep(receiver));
        REQUIRE(tx.send(TestType(id)).has_value());
    }
    CHECK_THROWS_AS(receiver.get(), injected_error);
    CHECK(ids == numbers(0, fails_at));
}

TEST_CASE("a message whose move throws stays in the channel, and a batch goes on after that", "[recv_batch]") {
    const audit books;
    {
        auto [tx, rx] = sluice::unbounded<throwing_move>();
        for (int id = 0; id < 4; ++id) REQUIRE(tx.send(throwing_move(id)).has_value());
        std::vector<throwing_move> got;
        got.reserve(10);
        throw_after() = 3;
        CHECK_THROWS_AS(rx.recv_batch(std::back_inserter(got), 4, 1h), injected_error);
        throw_after() = 0;
        tx.close();
        (void)rx.recv_batch(std::back_inserter(got), 4, 1h);
        CHECK(got.size() == 4);
        CHECK(ids_of(got) == numbers(0, 4));
    }
    CHECK(books.balanced());
}

TEST_CASE("a receiver that waits for the rest of a batch is woken once", "[recv_batch]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<std::string>(which);
    std::vector<std::string> got;
    task receiver([&, &rx = rx] { return rx.recv_batch(std::back_inserter(got), 50, for_ever); });
    REQUIRE(wait_until_asleep(receiver));
    REQUIRE(tx.send("first").has_value());
    REQUIRE(wait_until_asleep(receiver));
    const long before = switches_of(receiver);
    for (int i = 0; i < 48; ++i) REQUIRE(tx.send("another").has_value());
    REQUIRE(wait_until_asleep(receiver));
    CHECK(switches_of(receiver) == before);
    CHECK(rx.empty());
    REQUIRE(tx.send("last").has_value());
    CHECK(receiver.get() == 50);
    CHECK(got.front() == "first");
    CHECK(got.back() == "last");
}

TEST_CASE("a batch longer than a chunk, of messages that come in pieces of any size", "[recv_batch]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    constexpr int count = 2000;
    auto [tx, rx] = make_channel<int>(which);
    task sender([&, tx = std::move(tx)]() mutable {
        int sent = 0;
        for (int piece = 1; sent < count; ++piece) {
            std::vector<int> some = numbers(sent, (std::min)(sent + piece, count));
            sent += static_cast<int>(tx.send_many(some));
            if (piece % 7 == 0) std::this_thread::yield();
        }
        tx = {};
        return sent;
    });
    std::vector<int> ids;
    while (rx.recv_batch(std::back_inserter(ids), 150, 1ms) > 0) {
    }
    CHECK(sender.get() == count);
    CHECK(ids == numbers(0, count));
}

TEST_CASE("several batches, other receives and selects share a channel, and nothing is lost", "[recv_batch]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    constexpr int count = scaled(20'000);
    const audit books;
    {
        auto [tx, rx] = make_channel<move_only>(which);
        std::list<task<std::vector<int>>> receivers;
        std::stop_source stop;
        for (int i = 0; i < 2; ++i) {
            receivers.emplace_back([&, rx = rx] {
                std::vector<move_only> got;
                for (std::size_t limit = 1; rx.recv_batch(std::back_inserter(got), limit, 50us) > 0;)
                    limit = limit % 100 + 1;
                return ids_of(got);
            });
        }
        receivers.emplace_back([rx = rx] {
            std::vector<int> ids;
            while (auto message = rx.recv()) ids.push_back(message->id());
            return ids;
        });
        receivers.emplace_back([rx = rx] {
            std::vector<int> ids;
            while (sluice::select(sluice::on_recv(rx, [&](move_only m) { ids.push_back(m.id()); }))) {
            }
            return ids;
        });
        task selecting([tx = tx] {
            for (int id = 0; id < count; ++id) sluice::select(sluice::on_send(tx, move_only(id)));
            return true;
        });
        for (int id = count; id < 2 * count; ++id) REQUIRE(tx.send(move_only(id)).has_value());
        CHECK(selecting.get());
        tx.close();
        std::vector<int> all;
        for (auto& receiver : receivers) {
            const std::vector<int> ids = receiver.get();
            all.insert(all.end(), ids.begin(), ids.end());
        }
        std::sort(all.begin(), all.end());
        CHECK(all == numbers(0, 2 * count));
    }
    CHECK(books.balanced());
}

TEST_CASE("stops and deadlines at any moment lose nothing", "[recv_batch]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    constexpr int count = scaled(20'000);
    auto [tx, rx] = make_channel<move_only>(which);
    task sender([tx = std::move(tx)] {
        int sent = 0;
        for (int id = 0; id < count; ++id) sent += tx.send(move_only(id)).has_value();
        return sent;
    });
    std::vector<move_only> got;
    got.reserve(count);
    for (int round = 0; !rx.is_closed() || !rx.empty(); ++round) {
        std::stop_source stop;
        task stopping([&] {
            for (int i = round % 50; i > 0; --i) std::this_thread::yield();
            return stop.request_stop();
        });
        const auto linger = std::chrono::microseconds(round % 5 == 0 ? 1'000'000 : round % 40);
        (void)rx.recv_batch(std::back_inserter(got), 1 + static_cast<std::size_t>(round) % 90, linger,
                            stop.get_token());
        (void)rx.recv_batch(std::back_inserter(got), 30, 20us);
    }
    CHECK(sender.get() == count);
    CHECK(ids_of(got) == numbers(0, count));
}

TEST_CASE("a batch of a busy channel ends when it has lingered", "[recv_batch]") {
    auto [tx, rx] = sluice::bounded<int>(1000);
    std::stop_source stop;
    task sender([&, &tx = tx] {
        while (tx.send(1, stop.get_token())) {
        }
        return true;
    });
    struct ignoring {
        using difference_type = std::ptrdiff_t;
        ignoring& operator*() noexcept { return *this; }
        ignoring& operator++() noexcept { return *this; }
        ignoring operator++(int) noexcept { return *this; }
        ignoring& operator=(int) noexcept { return *this; }
    };
    CHECK(rx.recv_batch(ignoring{}, static_cast<std::size_t>(-1), 5ms) >= 1);
    task stopped(
        [&, &rx = rx] { return rx.recv_batch(ignoring{}, static_cast<std::size_t>(-1), 1h, stop.get_token()); });
    std::vector<int> some;
    REQUIRE(rx.recv_batch(std::back_inserter(some), 1000, 1ms) >= 1);
    stop.request_stop();
    CHECK(sender.get());
    (void)stopped.get();
}

TEST_CASE("the iterator of a batch runs with no lock held", "[recv_batch]") {
    struct watched {
        using value_type = int;
        onlooker* watch;
        sluice::sender<int> looked;
        std::vector<int> kept;
        void push_back(int message) {
            watch->look();
            kept.push_back(message);
            (void)looked.send(message);
        }
    };
    const auto ch = sluice::unbounded<int>();
    auto [looked, looks] = sluice::unbounded<int>();
    onlooker watch(wait_briefly(ch.rx));
    watched out{&watch, std::move(looked), {}};
    task receiver([&] { return ch.rx.recv_batch(std::back_inserter(out), 3, for_ever); });
    for (int id = 0; id < 3; ++id) {
        REQUIRE(wait_until_asleep(receiver));
        REQUIRE(ch.tx.send(id).has_value());
        CHECK(looks.recv() == id);  // before the next one, which the onlooker would take
    }
    CHECK(receiver.get() == 3);
    CHECK(watch.looks() == 3);
    CHECK_FALSE(watch.kept_out());
    CHECK(out.kept == numbers(0, 3));
}
