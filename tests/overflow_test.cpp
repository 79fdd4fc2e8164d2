// Channels that discard where there is no room, and sends that are forced in.
#include "catch.hpp"
#include "support/kinds.hpp"
#include "support/outcomes.hpp"
#include "support/task.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <list>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

using namespace test;
using namespace std::chrono_literals;
using sluice::errc;
using sluice::overflow;

namespace {

/// Messages whose move does not throw.
using steady_payloads = std::tuple<int, move_only, over_aligned, no_default>;
using steady_copyable_payloads = std::tuple<int, over_aligned, no_default>;

/// A message that does something when it is destroyed with content.
struct farewell {
    explicit farewell(std::function<void()> what) : last_words(std::move(what)) {}
    farewell(farewell&& other) noexcept : last_words(std::exchange(other.last_words, nullptr)) {}
    farewell& operator=(farewell&&) = delete;
    ~farewell() {
        if (last_words) last_words();
    }
    std::function<void()> last_words;
};

/// What is in a channel of this capacity under this rule after the messages from `first` to `last - 1`.
std::vector<int> left_of(std::size_t capacity, overflow rule, int first, int last) {
    const int n = static_cast<int>(capacity);
    if (last - first <= n) return numbers(first, last);
    return rule == overflow::drop_oldest ? numbers(last - n, last) : numbers(first, first + n);
}

template <class T>
bool is_gone(const T& message) {
    return std::is_same_v<T, int> || id_of(message) == witness::gone;
}

/// The ways to send one message, each of which succeeds; given as an rvalue, which is consumed.
enum class way {
    try_send,
    send,
    send_stop,
    send_timeout,
    send_until,
    send_many,
    try_send_many,
    select,
    biased,
    blocked_select,
    group
};

template <class T>
bool sent_by(way how, const sluice::sender<T>& tx, T& message) {
    switch (how) {
        case way::try_send: return tx.try_send(std::move(message)).has_value();
        case way::send: return tx.send(std::move(message)).has_value();
        case way::send_stop: return tx.send(std::move(message), std::stop_source().get_token()).has_value();
        case way::send_timeout: return tx.send_timeout(std::move(message), -1s).has_value();
        case way::send_until:
            return tx
                .send_until(std::move(message), std::chrono::steady_clock::now() + 1h, std::stop_source().get_token())
                .has_value();
        case way::send_many: {
            std::list<T> one;
            one.push_back(std::move(message));
            return tx.send_many(std::move(one)) == 1;
        }
        case way::try_send_many: {
            std::list<T> one;
            one.push_back(std::move(message));
            return tx.try_send_many(std::move(one)) == 1;
        }
        case way::select:
            return ran(sluice::select(sluice::on_send(tx, std::move(message)), sluice::otherwise([] {}))) == 0;
        case way::biased: {
            const auto nothing = sluice::never<int>();
            return ran(sluice::select_biased(sluice::on_recv(nothing, [](int) {}),
                                             sluice::on_send(tx, std::move(message)))) == 1;
        }
        case way::blocked_select: {
            const auto nothing = sluice::never<int>();
            return ran(sluice::select(sluice::on_recv(nothing, [](int) {}),
                                      sluice::on_send(tx, std::move(message), [] {}))) == 1;
        }
        case way::group: {
            sluice::selector g;
            const std::size_t id = g.add(sluice::on_send(tx, std::move(message)));
            return ran(g.wait()) == id;
        }
    }
    return false;
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("every way of sending succeeds on a channel that discards", "[overflow]", steady_payloads) {
    const auto rule = GENERATE(overflow::drop_oldest, overflow::drop_newest);
    const std::size_t capacity = GENERATE(1u, 3u, 70u);
    const auto how =
        GENERATE(way::try_send, way::send, way::send_stop, way::send_timeout, way::send_until, way::send_many,
                 way::try_send_many, way::select, way::biased, way::blocked_select, way::group);
    CAPTURE(static_cast<int>(rule), capacity, static_cast<int>(how));
    const audit books;
    {
        auto [tx, rx] = sluice::bounded<TestType>(capacity, rule);
        const int count = static_cast<int>(capacity) * 2 + 3;
        for (int id = 0; id < count; ++id) {
            TestType message(id);
            REQUIRE(sent_by(how, tx, message));
            CHECK(is_gone(message));
            const auto sent = static_cast<std::size_t>(id + 1);
            CHECK(tx.size() == std::min(sent, capacity));
            CHECK(tx.dropped() == (sent > capacity ? sent - capacity : 0));
        }
        CHECK(rx.full());
        CHECK(rx.dropped() == tx.dropped());
        CHECK(rx.capacity() == std::optional<std::size_t>(capacity));
        CHECK(drain(rx) == left_of(capacity, rule, 0, count));
        CHECK(rx.close());
        TestType late(99);
        CHECK(error_in(tx.try_send(std::move(late))) == errc::closed);
        CHECK(id_of(late) == 99);
        CHECK(tx.dropped() == capacity + 3);
    }
    CHECK(books.balanced());
}

TEMPLATE_LIST_TEST_CASE("many messages at once are discarded as one after the other are", "[overflow]",
                        steady_copyable_payloads) {
    const auto rule = GENERATE(overflow::drop_oldest, overflow::drop_newest);
    const std::size_t capacity = GENERATE(1u, 3u, 100u);
    const bool tries = GENERATE(true, false);
    const bool rvalue = GENERATE(true, false);
    CAPTURE(static_cast<int>(rule), capacity, tries, rvalue);
    const audit books;
    {
        auto [tx, rx] = sluice::bounded<TestType>(capacity, rule);
        std::vector<TestType> many;
        for (int id = 0; id < 200; ++id) many.emplace_back(id);
        const std::size_t sent = tries    ? rvalue ? tx.try_send_many(std::move(many)) : tx.try_send_many(many)
                                    : rvalue ? tx.send_many(std::move(many))
                                          : tx.send_many(many);
        CHECK(sent == 200);
        if (rvalue) CHECK(std::all_of(many.begin(), many.end(), [](const auto& m) { return is_gone(m); }));
        CHECK(tx.dropped() == 200 - capacity);
        CHECK(drain(rx) == left_of(capacity, rule, 0, 200));
    }
    CHECK(books.balanced());
}

TEST_CASE("an lvalue stays as it is where it is discarded", "[overflow]") {
    const auto rule = GENERATE(overflow::drop_oldest, overflow::drop_newest);
    auto [tx, rx] = sluice::bounded<no_default>(1, rule);
    const no_default message(5);
    for (int i = 0; i < 3; ++i) CHECK(tx.try_send(message).has_value());
    CHECK(tx.send(message).has_value());
    CHECK(message.id() == 5);
    CHECK(tx.dropped() == 3);
}

TEST_CASE("a stop that was requested before comes before the rule", "[overflow]") {
    const auto rule = GENERATE(overflow::drop_oldest, overflow::drop_newest);
    auto [tx, rx] = sluice::bounded<int>(1, rule);
    CHECK(tx.send(1).has_value());
    CHECK(error_in(tx.send(2, requested())) == errc::stopped);
    CHECK(error_in(tx.send_timeout(2, 1s, requested())) == errc::stopped);
    CHECK(tx.dropped() == 0);
    CHECK(rx.recv() == 1);
}

TEST_CASE("a receiver that waits gets the message, and nothing is discarded", "[overflow]") {
    const auto rule = GENERATE(overflow::drop_oldest, overflow::drop_newest);
    auto [tx, rx] = sluice::bounded<move_only>(1, rule);
    task receiver([&rx = rx] { return id_in(rx.recv()); });
    REQUIRE(wait_until_asleep(receiver));
    CHECK(tx.try_send(move_only(1)).has_value());
    CHECK(receiver.get() == 1);
    CHECK(tx.dropped() == 0);
}

TEST_CASE("which rules a channel takes", "[overflow]") {
    CHECK_THROWS_AS(sluice::bounded<int>(1, overflow::disconnect), std::invalid_argument);
    CHECK_THROWS_AS(sluice::bounded<int>(0, overflow::disconnect), std::invalid_argument);
    CHECK_THROWS_AS(sluice::bounded<int>(0, overflow::drop_oldest), std::invalid_argument);
    CHECK_THROWS_AS(sluice::bounded<int>(0, overflow::drop_newest), std::invalid_argument);
    auto [tx, rx] = sluice::bounded<int>(1, overflow::block);
    CHECK(tx.try_send(1).has_value());
    CHECK(error_in(tx.try_send(1)) == errc::full);
    CHECK(tx.dropped() == 0);
    CHECK(sluice::bounded<int>(0, overflow::block).tx.capacity() == std::optional<std::size_t>(0));
    CHECK(sluice::sender<int>().dropped() == 0);
    CHECK(sluice::receiver<int>().dropped() == 0);
    CHECK(sluice::unbounded<int>().rx.dropped() == 0);
}

TEST_CASE("what is discarded is destroyed before the send returns, with no lock held", "[overflow]") {
    const auto rule = GENERATE(overflow::drop_oldest, overflow::drop_newest);
    const int how = GENERATE(0, 1, 2, 3);
    CAPTURE(static_cast<int>(rule), how);
    auto [tx, rx] = sluice::bounded<farewell>(1, rule);
    int told = 0;
    const auto say = [&, &tx = tx, &rx = rx] {
        ++told;
        CHECK(tx.size() == 1);
        CHECK(tx.try_send(farewell(nullptr)).has_value());
        CHECK(rx.try_recv().has_value());
        CHECK(tx.try_send(farewell(nullptr)).has_value());
    };
    CHECK(tx.try_send(farewell(rule == overflow::drop_oldest ? std::function<void()>(say) : nullptr)).has_value());
    farewell second(rule == overflow::drop_newest ? std::function<void()>(say) : nullptr);
    switch (how) {
        case 0: CHECK(tx.try_send(std::move(second)).has_value()); break;
        case 1: CHECK(tx.send(std::move(second)).has_value()); break;
        case 2: {
            std::vector<farewell> one;
            one.push_back(std::move(second));
            CHECK(tx.send_many(std::move(one)) == 1);
            break;
        }
        default: CHECK(sluice::select(sluice::on_send(tx, std::move(second))).has_value());
    }
    CHECK(told == 1);
}

TEST_CASE("producers and consumers of a channel that discards lose nothing that is not counted", "[overflow]") {
    const auto rule = GENERATE(overflow::drop_oldest, overflow::drop_newest);
    const std::size_t capacity = GENERATE(1u, 8u);
    CAPTURE(static_cast<int>(rule), capacity);
    const audit books;
    constexpr int producers = 2;
    const int each = scaled(20'000);
    {
        auto [tx, rx] = sluice::bounded<no_default>(capacity, rule);
        std::atomic<long> received{0};
        std::atomic<bool> in_order{true};
        {
            std::vector<std::jthread> threads;
            for (int c = 0; c < 2; ++c)
                threads.emplace_back([&, rx = rx] {
                    int last[producers] = {-1, -1};
                    for (auto&& m : rx) {
                        int& before = last[m.id() / each];
                        if (m.id() % each <= before) in_order = false;
                        before = m.id() % each;
                        ++received;
                    }
                });
            for (int p = 0; p < producers; ++p)
                threads.emplace_back([&, p, tx = tx] {
                    const auto other = sluice::never<int>();
                    for (int i = 0; i < each; ++i) {
                        no_default message(p * each + i);
                        switch (i % 3) {
                            case 0: (void)tx.send(std::move(message)); break;
                            case 1: (void)tx.try_send(std::move(message)); break;
                            default:
                                (void)sluice::select(sluice::on_recv(other, [](int) {}),
                                                     sluice::on_send(tx, std::move(message)));
                        }
                    }
                });
            tx = {};
        }
        CHECK(in_order);
        CHECK(static_cast<std::size_t>(received.load()) + rx.dropped() == static_cast<std::size_t>(producers * each));
    }
    CHECK(books.balanced());
}

// ---- force_send

TEMPLATE_LIST_TEST_CASE("a forced send gives back the oldest message where there is no room", "[overflow]",
                        steady_payloads) {
    const auto which = EACH_KIND();
    CAPTURE(which);
    const audit books;
    {
        auto [tx, rx] = make_channel<TestType>(which);
        fill(tx, which);
        if (which == kind::rendezvous) {
            TestType message(1);
            CHECK(error_in(tx.force_send(std::move(message))) == errc::full);
            CHECK(id_of(message) == 1);
        } else {
            for (int i = 0; i < 5; ++i) {
                TestType message(room(which) + i);
                auto forced = tx.force_send(std::move(message));
                REQUIRE(forced.has_value());
                CHECK(is_gone(message));
                CHECK(forced->has_value() == (which != kind::unbounded));
                if (*forced) CHECK(id_of(**forced) == i);
            }
            CHECK(drain(rx) == numbers(which == kind::unbounded ? 0 : 5, room(which) + 5));
            const auto forced = tx.force_send(TestType(1));
            CHECK((forced && !*forced));
        }
        CHECK(tx.dropped() == 0);
        rx.close();
        TestType late(3);
        CHECK(error_in(tx.force_send(std::move(late))) == errc::closed);
        CHECK(id_of(late) == 3);
        CHECK(error_in(sluice::sender<TestType>().force_send(std::move(late))) == errc::closed);
    }
    CHECK(books.balanced());
}

TEST_CASE("a forced send of an lvalue makes a copy, if that may be sent", "[overflow]") {
    auto [tx, rx] = sluice::bounded<no_default>(1);
    const no_default message(1);
    const long before = witness::copied();
    CHECK(tx.force_send(message).has_value());
    CHECK(tx.force_send(message).value()->id() == 1);
    CHECK(witness::copied() == before + 2);
    rx.close();
    CHECK(error_in(tx.force_send(message)) == errc::closed);
    const auto nobody = sluice::rendezvous<no_default>();
    CHECK(error_in(nobody.tx.force_send(message)) == errc::full);
    CHECK(witness::copied() == before + 2);
    auto words = sluice::bounded<std::string>(1);
    CHECK(words.tx.force_send("implicitly").has_value());
    CHECK(words.tx.force_send("converted").value() == "implicitly");
}

TEST_CASE("under every rule a forced send returns what comes out, and it is not counted", "[overflow]") {
    const auto rule = GENERATE(overflow::block, overflow::drop_oldest, overflow::drop_newest);
    auto [tx, rx] = sluice::bounded<int>(2, rule);
    CHECK(tx.send_many({1, 2}) == 2);
    const auto forced = tx.force_send(3);
    REQUIRE(forced.has_value());
    CHECK(*forced == std::optional<int>(1));
    CHECK(tx.dropped() == 0);
    CHECK(drain(rx) == std::vector<int>{2, 3});
}

TEST_CASE("an optional, and a result, may be forced in", "[overflow]") {
    auto [tx, rx] = sluice::bounded<std::optional<int>>(1);
    CHECK(tx.force_send(std::nullopt).has_value());
    auto forced = tx.force_send(std::optional<int>(4));
    REQUIRE((forced && *forced));
    CHECK_FALSE((**forced).has_value());
    forced = tx.force_send(std::optional<int>(5));
    REQUIRE((forced && *forced));
    CHECK(**forced == std::optional<int>(4));
    auto flags = sluice::bounded<bool>(1);
    CHECK(flags.tx.force_send(false).has_value());
    CHECK(flags.tx.force_send(true).value() == std::optional<bool>(false));
}

TEST_CASE("who is blocked in a send stays blocked, in order, and a forced message passes it", "[overflow]") {
    const std::size_t capacity = GENERATE(1u, 3u);
    auto [tx, rx] = sluice::bounded<move_only>(capacity);
    const int n = static_cast<int>(capacity);
    for (int i = 0; i < n; ++i) CHECK(tx.try_send(move_only(i)).has_value());
    task one([&tx = tx] { return error_in(tx.send(move_only(100))); });
    REQUIRE(wait_until_asleep(one));
    task two([&tx = tx] { return ran(sluice::select(sluice::on_send(tx, move_only(101), [] {}))); });
    REQUIRE(wait_until_asleep(two));
    for (int i = 0; i < 2; ++i) {
        auto forced = tx.force_send(move_only(n + i));
        REQUIRE((forced && *forced));
        CHECK((*forced)->id() == i);
    }
    CHECK(tx.full());
    REQUIRE(wait_until_asleep(one));
    REQUIRE(wait_until_asleep(two));
    for (int i = 0; i < n; ++i) CHECK(id_in(rx.recv()) == 2 + i);
    CHECK(id_in(rx.recv()) == 100);
    CHECK(one.get() == errc{});
    CHECK(id_in(rx.recv()) == 101);
    CHECK(two.get() == 0);
}

TEST_CASE("a forced send meets a receiver that waits", "[overflow]") {
    const auto which = EACH_KIND();
    auto [tx, rx] = make_channel<move_only>(which);
    task receiver([&rx = rx] { return id_in(rx.recv()); });
    REQUIRE(wait_until_asleep(receiver));
    const auto forced = tx.force_send(move_only(1));
    REQUIRE(forced.has_value());
    CHECK_FALSE(forced->has_value());
    CHECK(receiver.get() == 1);
}

TEST_CASE("what comes out of forced sends and what is received is all that was sent", "[overflow]") {
    const std::size_t capacity = GENERATE(1u, 5u);
    const audit books;
    const int each = scaled(10'000);
    {
        auto [tx, rx] = sluice::bounded<no_default>(capacity);
        std::atomic<long> sum{0};
        {
            std::vector<std::jthread> threads;
            threads.emplace_back([&, rx = rx] {
                for (auto&& m : rx) sum += m.id();
            });
            threads.emplace_back([&, tx = tx] {
                for (int i = 1; i <= each; ++i) {
                    auto forced = tx.force_send(no_default(i));
                    if (forced && *forced) sum += (*forced)->id();
                }
            });
            threads.emplace_back([&, tx = tx] {
                for (int i = 1; i <= each; ++i) (void)tx.send(no_default(i));
            });
            tx = {};
        }
        CHECK(sum == 2 * (static_cast<long>(each) * (each + 1) / 2));
        CHECK(rx.dropped() == 0);
    }
    CHECK(books.balanced());
}

TEST_CASE("forced sends through segments of a queue that grows", "[overflow]") {
    constexpr std::size_t capacity = 1000;
    auto [tx, rx] = sluice::bounded<over_aligned>(capacity);
    int in = 0, out = 0;
    for (int round = 0; round < 5; ++round) {
        for (std::size_t i = 0; i < capacity + 300; ++i) {
            const auto forced = tx.force_send(over_aligned(in++));
            REQUIRE(forced.has_value());
            if (*forced) CHECK(id_of(**forced) == out++);
        }
        for (int i = 0; i < 150 * round; ++i) CHECK(id_in(rx.try_recv()) == out++);
    }
    for (const int id : drain(rx)) CHECK(id == out++);
    CHECK(in == out);
}

TEST_CASE("a send beside a select that has sent to itself discards, and does not report that the channel is full") {
    // Such a select stands in line as a receiver for a moment after its own message has filled the channel.
    const auto rule = GENERATE(overflow::drop_oldest, overflow::drop_newest);
    auto [tx, rx] = sluice::bounded<int>(1, rule);
    namespace detail = sluice::detail;
    detail::parker sleeper;
    detail::claim decision;
    decision.begin(2, nullptr);
    detail::blocked_op sending, receiving;
    for (detail::blocked_op* const op : {&sending, &receiving}) {
        op->sleeper = &sleeper;
        op->decision = &decision;
    }
    sluice::result<int> received = sluice::unexpected(errc::empty);
    int sent = 1;
    auto* const core = core_of(rx);
    REQUIRE(core->register_receiver(received, receiving) == detail::op_status::blocked);
    REQUIRE(core->register_sender(sent, sending) == detail::op_status::done);
    CHECK(tx.try_send(2));
    CHECK(tx.send(3));
    CHECK(tx.dropped() == 2);
    core->unregister_receiver(receiving);
    CHECK(rx.recv() == (rule == overflow::drop_oldest ? 3 : 1));
}
