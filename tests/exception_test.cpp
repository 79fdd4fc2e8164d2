// Moves, copies and constructors that throw: who gets the exception, and that nothing else is lost or doubled.
#include "catch.hpp"
#include "support/kinds.hpp"
#include "support/task.hpp"

#include <algorithm>
#include <iterator>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

using namespace test;
using sluice::errc;

namespace {

/// Lights the fuse of this thread for one operation.
template <class Operation>
bool throws_after(int steps, Operation operation) {
    fuse() = steps;
    try {
        operation();
    } catch (const spark&) {
        fuse() = 0;
        return true;
    }
    fuse() = 0;
    return false;
}

/// Runs `attempt(steps)`, which tells whether it threw, with a longer and longer fuse until it did not.
template <class Attempt>
int burn_each_step(Attempt attempt) {
    int steps = 1;
    while (attempt(steps)) {
        REQUIRE(++steps < 1000);
    }
    return steps - 1;
}

bool is_subsequence(const std::vector<int>& part, const std::vector<int>& whole) {
    auto at = whole.begin();
    for (const int id : part) {
        at = std::find(at, whole.end(), id);
        if (at == whole.end()) {
            return false;
        }
        ++at;
    }
    return true;
}

/// The channel of this kind still carries a message from one thread to another, and holds no other.
void carries_on(const sluice::sender<throwing_move>& tx, const sluice::receiver<throwing_move>& rx) {
    CHECK(error_in(rx.try_recv()) == errc::empty);
    task receiver([&] { return id_in(rx.recv()); });
    CHECK(tx.send(throwing_move(1234)).has_value());
    CHECK(receiver.get() == 1234);
    CHECK(error_in(rx.try_recv()) == errc::empty);
}

}  // namespace

TEST_CASE("a send that throws leaves its argument and the channel as they were", "[exception]") {
    const auto which = EACH_BUFFERED_KIND();
    const bool copying = GENERATE(false, true);
    CAPTURE(which, copying);
    const audit books;
    {
        const int thrown = burn_each_step([&](int steps) {
            auto [tx, rx] = make_channel<throwing_move>(which);
            for (int id = 0; id + 1 < room(which); ++id) {
                REQUIRE(tx.send(throwing_move(id)).has_value());
            }
            const int last = room(which) - 1;
            throwing_move message(last);
            const bool threw = throws_after(
                steps, [&, &tx = tx] { (void)(copying ? tx.send(message) : tx.send(std::move(message))); });
            if (threw || copying) {
                CHECK(id_of(message) == last);
            }
            CHECK(drain(rx) == numbers(0, threw ? last : last + 1));
            carries_on(tx, rx);
            return threw;
        });
        CHECK(thrown >= 1);
    }
    CHECK(books.balanced());
}

TEST_CASE("try and timed sends that throw do likewise", "[exception]") {
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    burn_each_step([&](int steps) {
        auto [tx, rx] = make_channel<throwing_move>(which);
        throwing_move message(5);
        const bool threw = throws_after(steps, [&, &tx = tx] { (void)tx.try_send(std::move(message)); });
        CHECK((!threw || id_of(message) == 5));
        CHECK(drain(rx).size() == (threw ? 0 : 1));
        throwing_move timed(6);
        const bool timed_threw =
            throws_after(steps, [&, &tx = tx] { (void)tx.send_timeout(std::move(timed), std::chrono::hours(1)); });
        CHECK((!timed_threw || id_of(timed) == 6));
        CHECK(drain(rx).size() == (timed_threw ? 0 : 1));
        carries_on(tx, rx);
        return threw;
    });
}

TEST_CASE("a receive that throws loses no other message", "[exception]") {
    const auto which = EACH_BUFFERED_KIND();
    const bool waiting = GENERATE(false, true);
    CAPTURE(which, waiting);
    const audit books;
    {
        const int thrown = burn_each_step([&](int steps) {
            auto [tx, rx] = make_channel<throwing_move>(which);
            fill(tx, which);
            std::optional<int> received;
            const bool threw = throws_after(steps, [&, &rx = rx] {
                auto message = waiting ? rx.recv() : rx.try_recv();
                received = id_in(message);
            });
            CHECK(threw == !received.has_value());
            const auto rest = drain(rx);
            if (threw) {
                CHECK((rest == numbers(0, room(which)) || rest == numbers(1, room(which))));
            } else {
                CHECK(*received == 0);
                CHECK(rest == numbers(1, room(which)));
            }
            carries_on(tx, rx);
            return threw;
        });
        CHECK(thrown >= 1);
    }
    CHECK(books.balanced());
}

TEST_CASE("a move that throws on the way to a blocked receiver reaches the sender", "[exception]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    const audit books;
    {
        burn_each_step([&](int steps) {
            auto [tx, rx] = make_channel<throwing_move>(which);
            task receiver([&rx = rx] { return id_in(rx.recv()); });
            REQUIRE(wait_until_asleep(receiver));
            throwing_move message(5);
            const bool threw = throws_after(steps, [&, &tx = tx] { (void)tx.send(std::move(message)); });
            if (threw) {
                CHECK(id_of(message) == 5);
                CHECK(tx.send(throwing_move(6)).has_value());
            }
            CHECK(receiver.get() == (threw ? 6 : 5));
            carries_on(tx, rx);
            return threw;
        });
    }
    CHECK(books.balanced());
}

TEST_CASE("a move that throws on the way out of a blocked receiver is the receiver's", "[exception]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    const audit books;
    {
        burn_each_step([&](int steps) {
            auto [tx, rx] = make_channel<throwing_move>(which);
            bool threw = false;
            task receiver([&, &rx = rx] {
                int id = -1;
                threw = throws_after(steps, [&] { id = id_in(rx.recv()); });
                return id;
            });
            REQUIRE(wait_until_asleep(receiver));
            CHECK(tx.send(throwing_move(5)).has_value());
            const int received = receiver.get();
            CHECK(received == (threw ? -1 : 5));
            // The message may have stayed in the channel, if it did not go with its move.
            CHECK(is_subsequence(drain(rx), threw ? numbers(5, 6) : numbers(0, 0)));
            carries_on(tx, rx);
            return threw;
        });
    }
    CHECK(books.balanced());
}

TEST_CASE("a move that throws as a receive lets a blocked sender in is of one of the two", "[exception]") {
    const auto which = EACH_BOUNDED_KIND();
    CAPTURE(which);
    const audit books;
    {
        const int thrown = burn_each_step([&](int steps) {
            auto ch = make_channel<throwing_move>(which);
            fill(ch.tx, which);
            // What is left of the message, and whether the send threw.
            const auto offer = [&ch](int id) {
                throwing_move message(id);
                bool sender_threw = false;
                try {
                    sender_threw = !ch.tx.send(std::move(message)).has_value();
                } catch (const spark&) {
                    sender_threw = true;
                }
                return std::pair(id_of(message), sender_threw);
            };
            const int next = room(which);
            task first([&] { return offer(next); });
            REQUIRE(wait_until_asleep(first));
            task second([&] { return offer(next + 1); });
            REQUIRE(wait_until_asleep(second));

            std::vector<int> ids;
            const bool receiver_threw = throws_after(steps, [&] { ids.push_back(id_in(ch.rx.recv())); });
            CHECK(receiver_threw == ids.empty());
            while (ids.empty() || ids.back() < next + 1) {
                const int id = id_in(ch.rx.recv_timeout(patience));
                REQUIRE(id >= 0);
                ids.push_back(id);
            }
            const auto [left, sender_threw] = first.get();
            CHECK(left == (sender_threw ? next : witness::gone));
            CHECK(second.get() == std::pair(witness::gone, false));
            CHECK_FALSE((receiver_threw && sender_threw));

            // Missing may be the message that is back with its sender, or else the first, whose receive threw.
            auto expected = numbers(0, next + 2);
            if (sender_threw) {
                expected.erase(expected.begin() + next);
            }
            if (receiver_threw && ids.front() != 0) {
                expected.erase(expected.begin());
            }
            CHECK(ids == expected);
            carries_on(ch.tx, ch.rx);
            return receiver_threw || sender_threw;
        });
        CHECK(thrown >= 1);
    }
    CHECK(books.balanced());
}

TEST_CASE("a batch that throws halfway sent what was before and leaves the rest", "[exception]") {
    const auto which = EACH_BUFFERED_KIND();
    const bool trying = GENERATE(true, false);
    CAPTURE(which, trying);
    const audit books;
    {
        const int thrown = burn_each_step([&](int steps) {
            auto [tx, rx] = make_channel<throwing_move>(which);
            std::vector<throwing_move> batch;
            batch.reserve(10);
            for (int id = 0; id < room(which); ++id) {
                batch.emplace_back(id);
            }
            struct offered {
                std::vector<throwing_move>& from;
                auto begin() const { return std::make_move_iterator(from.begin()); }
                auto end() const { return std::make_move_iterator(from.end()); }
            };
            const bool threw = throws_after(steps, [&, &tx = tx] {
                (void)(trying ? tx.try_send_many(offered{batch}) : tx.send_many(offered{batch}));
            });
            const auto ids = drain(rx);
            CHECK(ids == numbers(0, static_cast<int>(ids.size())));
            CHECK(threw == (ids.size() < batch.size()));
            for (std::size_t i = 0; i < batch.size(); ++i) {
                CHECK(id_of(batch[i]) == (i < ids.size() ? witness::gone : static_cast<int>(i)));
            }
            carries_on(tx, rx);
            return threw;
        });
        CHECK(thrown >= room(which));
    }
    CHECK(books.balanced());
}

TEST_CASE("receiving a batch that throws halfway loses no other message", "[exception]") {
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    const audit books;
    {
        burn_each_step([&](int steps) {
            auto [tx, rx] = make_channel<throwing_move>(which);
            fill(tx, which);
            std::vector<throwing_move> out;
            out.reserve(20);
            const bool threw = throws_after(steps, [&, &rx = rx] { (void)rx.recv_many(std::back_inserter(out), 20); });
            std::vector<int> ids;
            for (const auto& message : out) {
                ids.push_back(id_of(message));
            }
            for (const int id : drain(rx)) {
                ids.push_back(id);
            }
            CHECK(is_subsequence(ids, numbers(0, room(which))));
            CHECK(ids.size() + (threw ? 1 : 0) >= static_cast<std::size_t>(room(which)));
            carries_on(tx, rx);
            return threw;
        });
    }
    CHECK(books.balanced());
}

TEST_CASE("a select whose case throws as it moves the message passes the exception on", "[exception]") {
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    const audit books;
    {
        burn_each_step([&](int steps) {
            auto [tx, rx] = make_channel<throwing_move>(which);
            throwing_move message(0);
            const bool sending_threw =
                throws_after(steps, [&, &tx = tx] { (void)sluice::select(sluice::on_send(tx, std::move(message))); });
            CHECK((!sending_threw || id_of(message) == 0));
            CHECK(rx.size() == (sending_threw ? 0 : 1));
            (void)drain(rx);

            fill(tx, which);
            int received = -1;
            const bool threw = throws_after(steps, [&, &rx = rx] {
                (void)sluice::select(sluice::on_recv(rx, [&](const throwing_move& m) { received = id_of(m); }));
            });
            CHECK((threw ? received == -1 : received == 0));
            const auto rest = drain(rx);
            CHECK((rest == numbers(1, room(which)) || (threw && rest == numbers(0, room(which)))));
            carries_on(tx, rx);
            return threw || sending_threw;
        });
    }
    CHECK(books.balanced());
}

TEST_CASE("an exception of what makes the message reaches the sender", "[exception]") {
    struct picky {
        picky(int id) : value(id) {
            if (id < 0) {
                throw spark();
            }
        }
        int id() const { return value; }
        int value;
    };
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<picky>(which);
    CHECK_THROWS_AS(tx.send(-1), spark);
    CHECK_THROWS_AS(tx.try_send(-1), spark);
    CHECK(tx.empty());
    fill(tx, which);
    CHECK(drain(rx) == numbers(0, room(which)));
}

TEST_CASE("an exception of a handler passes through, after its message was taken", "[exception][select]") {
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<int>(which);
    fill(tx, which);
    CHECK_THROWS_AS(sluice::select(sluice::on_recv(rx, [](int) { throw spark(); })), spark);
    CHECK(drain(rx) == numbers(1, room(which)));
    CHECK_THROWS_AS(sluice::select(sluice::on_send(tx, 7, [] { throw spark(); })), spark);
    CHECK(drain(rx) == std::vector<int>{7});
    CHECK_THROWS_AS(sluice::select(sluice::on_recv(rx, [](int) {}), sluice::otherwise([] { throw spark(); })), spark);
    sluice::selector group;
    group.add(sluice::on_recv(rx, [](int) { throw spark(); }));
    CHECK(tx.send(8).has_value());
    CHECK_THROWS_AS(group.wait(), spark);
    CHECK(group.try_wait().error() == errc::empty);
}
