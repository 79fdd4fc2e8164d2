// One channel of each kind: what its operations do, in which order, and what its handles tell.
#include "catch.hpp"
#include "support/kinds.hpp"
#include "support/outcomes.hpp"
#include "support/task.hpp"

#include <atomic>
#include <chrono>
#include <concepts>
#include <iterator>
#include <limits>
#include <list>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

using namespace test;
using sluice::errc;

namespace {

template <class T>
task<std::vector<int>> receive_all(sluice::receiver<T> rx) {
    return task<std::vector<int>>([rx = std::move(rx)] {
        std::vector<int> ids;
        while (auto message = rx.recv()) {
            ids.push_back(id_of(*message));
        }
        return ids;
    });
}

/// Sends without a copy of the handle and tells what became of the argument: the error, or `errc{}`, and its number.
template <class T>
auto send_one(const sluice::sender<T>& tx, int id) {
    return task([&tx, id] {
        T message(id);
        const auto outcome = tx.send(std::move(message));
        return std::pair(outcome ? errc{} : outcome.error(), id_of(message));
    });
}

template <class T>
auto receive_one(const sluice::receiver<T>& rx) {
    return task([&rx] { return id_in(rx.recv()); });
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("a fresh channel is open and empty", "[channel]", payloads_and_page) {
    static_assert(std::is_aggregate_v<sluice::channel<TestType>>);
    const auto which = EACH_KIND();
    CAPTURE(which);
    const auto ch = make_channel<TestType>(which);
    const sluice::sender<TestType>& tx = ch.tx;
    const sluice::receiver<TestType>& rx = ch.rx;

    CHECK(static_cast<bool>(tx));
    CHECK(static_cast<bool>(rx));
    CHECK(tx.capacity() == capacity_of(which));
    CHECK(rx.capacity() == capacity_of(which));
    CHECK_FALSE(tx.is_closed());
    CHECK_FALSE(rx.is_closed());
    CHECK(tx.size() == 0);
    CHECK(rx.size() == 0);
    CHECK(tx.empty());
    CHECK(rx.empty());
    CHECK(tx.full() == (which == kind::rendezvous));
    CHECK(rx.full() == (which == kind::rendezvous));
    CHECK(tx.sender_count() == 1);
    CHECK(tx.receiver_count() == 1);
    CHECK(rx.sender_count() == 1);
    CHECK(rx.receiver_count() == 1);
    CHECK(error_in(rx.try_recv()) == errc::empty);
}

TEST_CASE("rendezvous() is bounded(0)", "[channel]") {
    auto [tx, rx] = sluice::rendezvous<int>();
    CHECK(tx.capacity() == std::optional<std::size_t>(0));
    CHECK(error_in(rx.try_recv()) == errc::empty);
    CHECK(tx.try_send(1).error() == errc::full);
}

TEST_CASE("a channel may be as large as a number can say", "[channel]") {
    constexpr auto most = std::numeric_limits<std::size_t>::max();
    auto [tx, rx] = sluice::bounded<page>(most);
    CHECK(tx.capacity() == most);
    for (int id = 0; id < 100; ++id) {
        REQUIRE(tx.try_send(page(id)).has_value());
    }
    CHECK_FALSE(tx.full());
    CHECK(drain(rx) == numbers(0, 100));
}

TEMPLATE_LIST_TEST_CASE("messages arrive in the order in which they were sent", "[channel]", payloads_and_page) {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto ch = make_channel<TestType>(which);
    auto receiver = receive_all(std::move(ch.rx));
    for (int id = 0; id < 100; ++id) {
        REQUIRE(ch.tx.send(TestType(id)).has_value());
    }
    ch.tx = {};
    CHECK(receiver.get() == numbers(0, 100));
}

TEMPLATE_LIST_TEST_CASE("try_send fills the channel and then leaves its argument alone", "[channel]", payloads_and_page) {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<TestType>(which);
    fill(tx, which);
    CHECK(tx.size() == static_cast<std::size_t>(room(which)));

    TestType extra(77);
    const auto outcome = tx.try_send(std::move(extra));
    if (which == kind::unbounded) {
        CHECK(outcome.has_value());
        CHECK_FALSE(tx.full());
    } else {
        REQUIRE_FALSE(outcome.has_value());
        CHECK(outcome.error() == errc::full);
        CHECK(id_of(extra) == 77);
    }
}

TEMPLATE_LIST_TEST_CASE("size, empty and full follow the messages", "[channel]", payloads_and_page) {
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<TestType>(which);
    const int count = room(which);
    for (int id = 0; id < count; ++id) {
        CHECK(rx.size() == static_cast<std::size_t>(id));
        CHECK(tx.full() == false);
        REQUIRE(tx.send(TestType(id)).has_value());
        CHECK_FALSE(tx.empty());
        CHECK_FALSE(rx.empty());
    }
    CHECK(tx.full() == (which != kind::unbounded));
    CHECK(rx.full() == tx.full());
    for (int id = 0; id < count; ++id) {
        CHECK(tx.size() == static_cast<std::size_t>(count - id));
        CHECK(id_in(rx.try_recv()) == id);
        CHECK_FALSE(rx.full());
    }
    CHECK(rx.empty());
    CHECK(tx.empty());
}

TEMPLATE_LIST_TEST_CASE("a send blocks while there is no room", "[channel]", payloads_and_page) {
    const auto which = EACH_BOUNDED_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<TestType>(which);
    fill(tx, which);
    auto sender = send_one(tx, room(which));
    REQUIRE(wait_until_asleep(sender));
    CHECK(tx.size() == static_cast<std::size_t>(room(which)));
    CHECK(tx.full());
    CHECK(rx.empty() == (which == kind::rendezvous));
    CHECK(tx.try_send(TestType(99)).error() == errc::full);

    CHECK(id_in(rx.recv()) == 0);
    CHECK(sender.get().first == errc{});
    CHECK(drain(rx) == numbers(1, which == kind::rendezvous ? 1 : room(which) + 1));
}

TEMPLATE_LIST_TEST_CASE("a receive blocks while the channel is empty", "[channel]", payloads_and_page) {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<TestType>(which);
    auto receiver = receive_one(rx);
    REQUIRE(wait_until_asleep(receiver));
    CHECK(error_in(rx.try_recv()) == errc::empty);
    CHECK(tx.send(TestType(5)).has_value());
    CHECK(receiver.get() == 5);
    CHECK(tx.size() == 0);
}

TEMPLATE_LIST_TEST_CASE("a try on a rendezvous succeeds only if someone waits", "[channel]", payloads_and_page) {
    auto [tx, rx] = sluice::rendezvous<TestType>();
    CHECK(tx.try_send(TestType(1)).error() == errc::full);
    {
        auto receiver = receive_one(rx);
        REQUIRE(wait_until_asleep(receiver));
        CHECK(tx.try_send(TestType(2)).has_value());
        CHECK(tx.try_send(TestType(3)).error() == errc::full);
        CHECK(receiver.get() == 2);
    }
    CHECK(tx.try_send(TestType(4)).error() == errc::full);
    CHECK(error_in(rx.try_recv()) == errc::empty);
    {
        auto sender = send_one(tx, 5);
        REQUIRE(wait_until_asleep(sender));
        CHECK(id_in(rx.try_recv()) == 5);
        CHECK(error_in(rx.try_recv()) == errc::empty);
        CHECK(sender.get().first == errc{});
    }
}

TEST_CASE("two tries never meet on a rendezvous", "[channel]") {
    auto [tx, rx] = sluice::rendezvous<int>();
    std::atomic<bool> done = false;
    task receiver([&, &rx = rx] {
        int received = 0;
        while (!done) {
            received += rx.try_recv().has_value();
        }
        return received;
    });
    int sent = 0;
    for (int i = 0; i < scaled(100000); ++i) {
        sent += tx.try_send(i).has_value();
    }
    done = true;
    CHECK(receiver.get() == 0);
    CHECK(sent == 0);
}

TEMPLATE_LIST_TEST_CASE("blocked senders are served in the order in which they blocked", "[channel]", payloads_and_page) {
    const auto which = EACH_BOUNDED_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<TestType>(which);
    fill(tx, which);
    std::list<decltype(send_one(tx, 0))> senders;
    for (int i = 0; i < 4; ++i) {
        senders.emplace_back([&, &tx = tx, i] {
            TestType message(room(which) + i);
            const auto outcome = tx.send(std::move(message));
            return std::pair(error_in(outcome), 0);
        });
        REQUIRE(wait_until_asleep(senders.back()));
    }
    for (int id = 0; id < room(which) + 4; ++id) {
        CHECK(id_in(rx.recv()) == id);
    }
    for (auto& sender : senders) {
        CHECK(sender.get().first == errc{});
    }
}

TEMPLATE_LIST_TEST_CASE("blocked receivers are served in the order in which they blocked", "[channel]", payloads_and_page) {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<TestType>(which);
    std::list<task<id_or_error>> receivers;
    for (int i = 0; i < 4; ++i) {
        receivers.emplace_back([&rx = rx] { return id_in(rx.recv()); });
        REQUIRE(wait_until_asleep(receivers.back()));
    }
    for (int id = 0; id < 4; ++id) {
        CHECK(tx.send(TestType(id)).has_value());
    }
    int expected = 0;
    for (auto& receiver : receivers) {
        CHECK(receiver.get() == expected++);
    }
}

TEMPLATE_LIST_TEST_CASE("close() closes once, for every handle, and keeps what is buffered", "[channel]", payloads_and_page) {
    const auto which = EACH_KIND();
    const bool by_sender = GENERATE(true, false);
    CAPTURE(which, by_sender);
    auto [tx, rx] = make_channel<TestType>(which);
    const auto other_tx = tx;
    const auto other_rx = rx;
    fill(tx, which);

    CHECK((by_sender ? tx.close() : rx.close()));
    CHECK_FALSE(tx.close());
    CHECK_FALSE(rx.close());
    CHECK_FALSE(other_tx.close());
    CHECK(tx.is_closed());
    CHECK(rx.is_closed());
    CHECK(other_tx.is_closed());
    CHECK(other_rx.is_closed());
    CHECK(tx.size() == static_cast<std::size_t>(room(which)));

    TestType refused(50);
    CHECK(tx.send(std::move(refused)).error() == errc::closed);
    CHECK(other_tx.try_send(std::move(refused)).error() == errc::closed);
    CHECK(id_of(refused) == 50);

    CHECK(drain(other_rx) == numbers(0, room(which)));
    CHECK(error_in(rx.recv()) == errc::closed);
    CHECK(error_in(rx.try_recv()) == errc::closed);
}

TEMPLATE_LIST_TEST_CASE("dropping the last sender closes, after what is buffered", "[channel]", payloads_and_page) {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<TestType>(which);
    auto copy = tx;
    fill(copy, which);
    tx = {};
    CHECK_FALSE(rx.is_closed());
    copy = {};
    CHECK(rx.is_closed());
    CHECK(rx.sender_count() == 0);
    CHECK(drain(rx) == numbers(0, room(which)));
    CHECK(error_in(rx.recv()) == errc::closed);
    CHECK_FALSE(rx.close());
}

TEMPLATE_LIST_TEST_CASE("dropping the last receiver closes and destroys what is buffered", "[channel]", payloads_and_page) {
    const auto which = EACH_KIND();
    CAPTURE(which);
    const audit books;
    auto [tx, rx] = make_channel<TestType>(which);
    auto copy = rx;
    fill(tx, which);
    rx = {};
    CHECK_FALSE(tx.is_closed());
    copy = {};
    CHECK(tx.is_closed());
    CHECK(tx.receiver_count() == 0);
    CHECK(books.balanced());
    CHECK(tx.size() == 0);

    TestType refused(50);
    CHECK(tx.try_send(std::move(refused)).error() == errc::closed);
    CHECK(tx.send(std::move(refused)).error() == errc::closed);
    CHECK(id_of(refused) == 50);
    CHECK_FALSE(tx.close());
}

TEMPLATE_LIST_TEST_CASE("closing wakes every blocked receiver", "[channel]", payloads_and_page) {
    const auto which = EACH_KIND();
    const int way = GENERATE(0, 1, 2);
    CAPTURE(which, way);
    auto [tx, rx] = make_channel<TestType>(which);
    std::list<task<id_or_error>> receivers;
    for (int i = 0; i < 3; ++i) {
        receivers.emplace_back([&rx = rx] { return id_in(rx.recv()); });
        REQUIRE(wait_until_asleep(receivers.back()));
    }
    if (way == 0) {
        CHECK(tx.close());
    } else if (way == 1) {
        CHECK(rx.close());
    } else {
        tx = {};
    }
    for (auto& receiver : receivers) {
        CHECK(receiver.get() == errc::closed);
    }
}

TEMPLATE_LIST_TEST_CASE("closing wakes every blocked sender and gives it its message back", "[channel]", payloads_and_page) {
    const auto which = EACH_BOUNDED_KIND();
    const int way = GENERATE(0, 1, 2);
    CAPTURE(which, way);
    auto [tx, rx] = make_channel<TestType>(which);
    fill(tx, which);
    std::list<task<std::pair<errc, int>>> senders;
    for (int i = 0; i < 3; ++i) {
        senders.emplace_back([&tx = tx, i] {
            TestType message(50 + i);
            const auto outcome = tx.send(std::move(message));
            return std::pair(error_in(outcome), id_of(message));
        });
        REQUIRE(wait_until_asleep(senders.back()));
    }
    if (way == 0) {
        CHECK(tx.close());
    } else if (way == 1) {
        CHECK(rx.close());
    } else {
        rx = {};
    }
    int id = 50;
    for (auto& sender : senders) {
        const auto [error, left] = sender.get();
        CHECK(error == errc::closed);
        CHECK(left == id++);
    }
    if (way != 2) {
        CHECK(drain(rx) == numbers(0, room(which)));
        CHECK(error_in(rx.try_recv()) == errc::closed);
    }
}

TEMPLATE_LIST_TEST_CASE("an empty handle belongs to no channel", "[channel][handle]", payloads_and_page) {
    sluice::sender<TestType> tx;
    sluice::receiver<TestType> rx;
    if (GENERATE(false, true)) {
        auto ch = sluice::unbounded<TestType>();
        const auto gone_tx = std::move(ch.tx);
        const auto gone_rx = std::move(ch.rx);
        tx = std::move(ch.tx);
        rx = std::move(ch.rx);
        CHECK_FALSE(static_cast<bool>(ch.tx));
        CHECK_FALSE(static_cast<bool>(ch.rx));
    }
    CHECK_FALSE(static_cast<bool>(tx));
    CHECK_FALSE(static_cast<bool>(rx));
    CHECK(tx.is_closed());
    CHECK(rx.is_closed());
    CHECK(tx.empty());
    CHECK(rx.empty());
    CHECK(tx.full());
    CHECK(rx.full());
    CHECK(tx.size() == 0);
    CHECK(rx.size() == 0);
    CHECK(tx.capacity() == std::optional<std::size_t>(0));
    CHECK(rx.capacity() == std::optional<std::size_t>(0));
    CHECK(tx.sender_count() == 0);
    CHECK(tx.receiver_count() == 0);
    CHECK(rx.sender_count() == 0);
    CHECK(rx.receiver_count() == 0);
    CHECK_FALSE(tx.close());
    CHECK_FALSE(rx.close());

    using namespace std::chrono_literals;
    TestType message(1);
    CHECK(tx.send(std::move(message)).error() == errc::closed);
    CHECK(tx.send(std::move(message), std::stop_token()).error() == errc::closed);
    CHECK(tx.try_send(std::move(message)).error() == errc::closed);
    CHECK(tx.send_timeout(std::move(message), 1ms).error() == errc::closed);
    CHECK(tx.send_until(std::move(message), std::chrono::steady_clock::now()).error() == errc::closed);
    CHECK(id_of(message) == 1);
    CHECK(error_in(rx.recv()) == errc::closed);
    CHECK(error_in(rx.recv(std::stop_token())) == errc::closed);
    CHECK(error_in(rx.try_recv()) == errc::closed);
    CHECK(error_in(rx.recv_timeout(1ms)) == errc::closed);
    CHECK(error_in(rx.recv_until(std::chrono::steady_clock::now())) == errc::closed);
    std::vector<TestType> out;
    CHECK(rx.recv_many(std::back_inserter(out), 5) == 0);
    CHECK(rx.try_recv_many(std::back_inserter(out), 5) == 0);
    for ([[maybe_unused]] auto&& each : rx) {
        FAIL("a message out of nowhere");
    }
    CHECK(tx == sluice::sender<TestType>());
    CHECK(rx == sluice::receiver<TestType>());
}

TEMPLATE_LIST_TEST_CASE("handles are values", "[channel][handle]", payloads_and_page) {
    const auto which = EACH_KIND();
    CAPTURE(which);
    static_assert(std::regular<sluice::sender<TestType>>);
    static_assert(std::regular<sluice::receiver<TestType>>);
    static_assert(std::is_nothrow_move_constructible_v<sluice::sender<TestType>>);
    static_assert(std::is_nothrow_move_constructible_v<sluice::receiver<TestType>>);
    auto one = make_channel<TestType>(which);
    auto two = make_channel<TestType>(which);
    CHECK(one.tx == one.tx);
    CHECK(one.tx != two.tx);
    CHECK(one.rx != two.rx);
    CHECK(one.tx != sluice::sender<TestType>());

    auto tx = one.tx;
    auto rx = one.rx;
    CHECK(tx == one.tx);
    CHECK(rx == one.rx);
    CHECK(one.tx.sender_count() == 2);
    CHECK(one.rx.receiver_count() == 2);

    const auto moved = std::move(tx);
    CHECK(one.tx.sender_count() == 2);
    CHECK(moved == one.tx);
    CHECK_FALSE(static_cast<bool>(tx));

    tx = two.tx;
    rx = two.rx;
    CHECK(one.rx.receiver_count() == 1);
    CHECK(two.tx.sender_count() == 2);
    CHECK(two.tx.receiver_count() == 2);
    CHECK(tx == two.tx);

    auto& itself = two.tx;
    two.tx = itself;
    CHECK(two.tx.sender_count() == 2);
    two.tx = std::move(itself);
    CHECK(two.rx.sender_count() == 2);

    std::swap(one.rx, two.rx);
    CHECK(one.rx == rx);
    two = std::move(one);
    CHECK_FALSE(static_cast<bool>(one.tx));
    CHECK(two.tx == moved);
}

TEST_CASE("a message is given as a copy, as itself, or as what it is made from", "[channel]") {
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<std::string>(which);
    const std::string text(100, 'x');
    CHECK(tx.send(text).has_value());
    CHECK(rx.recv().value() == text);
    std::string own = text;
    CHECK(tx.send(std::move(own)).has_value());
    CHECK(rx.recv().value() == text);
    CHECK(tx.send("literal").has_value());
    CHECK(rx.recv().value() == "literal");
    CHECK(tx.try_send("tried").has_value());
    CHECK(rx.recv().value() == "tried");
    CHECK(tx.send_timeout("timed", std::chrono::seconds(1)).has_value());
    CHECK(rx.recv().value() == "timed");
    CHECK(tx.send_until("until", std::chrono::steady_clock::now()).has_value());
    CHECK(rx.recv().value() == "until");
}

TEMPLATE_LIST_TEST_CASE("a sent lvalue is copied and stays as it was", "[channel]", copyable_payloads) {
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<TestType>(which);
    const TestType message(6);
    CHECK(tx.send(message).has_value());
    CHECK(id_of(message) == 6);
    CHECK(id_in(rx.recv()) == 6);
}

TEST_CASE("any number of threads may use one handle", "[channel]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    const auto ch = make_channel<int>(which);
    const int each = scaled(2000);
    const auto produce = [&] {
        int sent = 0;
        for (int i = 0; i < each; ++i) {
            sent += ch.tx.send(i).has_value();
        }
        return sent;
    };
    task first(produce);
    task second(produce);
    auto consume = [&] {
        long sum = 0;
        for (int i = 0; i < each; ++i) {
            sum += ch.rx.recv().value();
        }
        return sum;
    };
    task third(consume);
    const long sum = consume();
    CHECK(first.get() + second.get() == 2 * each);
    CHECK(sum + third.get() == static_cast<long>(each) * (each - 1));
    CHECK(ch.rx.empty());
}
