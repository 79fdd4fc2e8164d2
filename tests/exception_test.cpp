// Moves, copies and constructors that throw: who gets the exception, and that nothing else is lost or doubled.
#include "catch.hpp"
#include "support/kinds.hpp"
#include "support/outcomes.hpp"
#include "support/task.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <iterator>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

using namespace test;
using sluice::errc;

namespace {

/// Lights the fuse of this thread for one operation.
template <class Operation>
bool throws_after(int steps, Operation operation) {
    throw_after() = steps;
    try {
        operation();
    } catch (const injected_error&) {
        throw_after() = 0;
        return true;
    }
    throw_after() = 0;
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

/// A message that refuses, if it is `stubborn`, to be moved by any thread but the one that made it.
struct homebound {
    explicit homebound(int id, bool is_stubborn = false) : mark(id), stubborn(is_stubborn) {}
    homebound(homebound&& other) noexcept(false)
        : mark((other.check(), std::move(other.mark))), stubborn(other.stubborn), home(other.home) {}
    homebound& operator=(homebound&&) = delete;
    ~homebound() = default;
    int id() const { return mark.id(); }
    void check() const {
        if (stubborn && std::this_thread::get_id() != home) {
            throw injected_error();
        }
    }
    witness mark;
    bool stubborn;
    std::thread::id home = std::this_thread::get_id();
};

/// Sends such a message: what is left of it, and whether the send threw.
std::pair<int, bool> offer(const sluice::sender<homebound>& tx, int id, bool stubborn) {
    homebound message(id, stubborn);
    bool threw = false;
    try {
        (void)tx.send(std::move(message));
    } catch (const injected_error&) {
        threw = true;
    }
    return {id_of(message), threw};
}

constexpr int ways_to_receive = 8;

/// Waits for at least one message, in one of so many ways.
void receive(int way, const sluice::receiver<homebound>& rx, std::vector<int>& ids) {
    const auto keep = [&](const homebound& message) { ids.push_back(id_of(message)); };
    switch (way) {
        case 0: ids.push_back(id_of(rx.recv().value())); break;
        case 1: ids.push_back(id_of(rx.recv_timeout(std::chrono::hours(1)).value())); break;
        case 2: {
            const std::stop_source source;
            const auto until = std::chrono::steady_clock::now() + patience;
            ids.push_back(id_of(rx.recv_until(until, source.get_token()).value()));
            break;
        }
        case 3: (void)rx.recv_many(id_sink{&ids}, 1); break;
        case 4: ids.push_back(id_of(*rx.begin())); break;
        case 5: (void)sluice::select(sluice::on_recv(rx, keep)); break;
        case 6: (void)sluice::select_biased(sluice::on_timeout(patience, [] {}), sluice::on_recv(rx, keep)); break;
        default: {
            sluice::selector group;
            group.add(sluice::on_recv(rx, keep));
            (void)group.wait();
            break;
        }
    }
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
            std::optional<id_or_error> received;
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
                id_or_error id = -1;
                threw = throws_after(steps, [&] { id = id_in(rx.recv()); });
                return id;
            });
            REQUIRE(wait_until_asleep(receiver));
            CHECK(tx.send(throwing_move(5)).has_value());
            const id_or_error received = receiver.get();
            CHECK(received == (threw ? -1 : 5));
            // The message may have stayed in the channel, if it did not go with its move.
            CHECK(is_subsequence(drain(rx), threw ? numbers(5, 6) : numbers(0, 0)));
            carries_on(tx, rx);
            return threw;
        });
    }
    CHECK(books.balanced());
}

TEST_CASE("what the move of a blocked sender's message throws is the sender's to hear", "[exception]") {
    const auto which = EACH_BOUNDED_KIND();
    const auto way = GENERATE(range(0, ways_to_receive));
    CAPTURE(which, way);
    const audit books;
    {
        auto [tx, rx] = make_channel<homebound>(which);
        fill(tx, which);
        const int last = room(which);
        task refused([&, &tx = tx] { return offer(tx, last, true); });
        REQUIRE(wait_until_asleep(refused));
        std::vector<int> ids;
        // One that is there is received as ever; where there is none, the receiver goes on waiting.
        task receiving([&, &rx = rx] {
            while (ids.size() < static_cast<std::size_t>(last + 1)) {
                receive(way, rx, ids);
            }
            return true;
        });
        CHECK(refused.get() == std::pair(last, true));
        REQUIRE(wait_until_asleep(receiving));
        CHECK(offer(tx, last + 1, false) == std::pair(witness::gone, false));
        CHECK(receiving.get());
        auto expected = numbers(0, last);
        expected.push_back(last + 1);
        CHECK(ids == expected);
        CHECK(error_in(rx.try_recv()) == errc::empty);
    }
    CHECK(books.balanced());
}

TEST_CASE("who is behind one whose message throws is served instead", "[exception]") {
    const auto which = EACH_BOUNDED_KIND();
    const auto way = GENERATE(range(0, ways_to_receive));
    CAPTURE(which, way);
    auto [tx, rx] = make_channel<homebound>(which);
    fill(tx, which);
    const int last = room(which);
    task first([&, &tx = tx] { return offer(tx, last, true); });
    REQUIRE(wait_until_asleep(first));
    task second([&, &tx = tx] { return offer(tx, last + 1, true); });
    REQUIRE(wait_until_asleep(second));
    task third([&, &tx = tx] { return offer(tx, last + 2, false); });
    REQUIRE(wait_until_asleep(third));
    std::vector<int> ids;
    while (ids.size() < static_cast<std::size_t>(last + 1)) {
        receive(way, rx, ids);
    }
    CHECK(first.get() == std::pair(last, true));
    CHECK(second.get() == std::pair(last + 1, true));
    CHECK(third.get() == std::pair(witness::gone, false));
    CHECK(ids.back() == last + 2);
    CHECK(error_in(rx.try_recv()) == errc::empty);
}

TEST_CASE("a try that meets only a message that throws reports that nothing is there", "[exception]") {
    const auto way = GENERATE(range(0, 8));
    CAPTURE(way);
    auto [tx, rx] = sluice::rendezvous<homebound>();
    task sender([&, &tx = tx] { return offer(tx, 5, true); });
    REQUIRE(wait_until_asleep(sender));
    std::vector<homebound> out;
    const auto ignore = [](const homebound&) {};
    sluice::selector group;
    switch (way) {
        case 0: CHECK(error_in(rx.try_recv()) == errc::empty); break;
        case 1: CHECK(error_in(rx.recv_timeout(std::chrono::milliseconds(-1))) == errc::timeout); break;
        case 2: CHECK(error_in(rx.recv_timeout(std::chrono::milliseconds(1))) == errc::timeout); break;
        case 3: CHECK(rx.try_recv_many(std::back_inserter(out), 3) == 0); break;
        case 4: CHECK(sluice::select(sluice::on_recv(rx, ignore), sluice::otherwise([] {})).value() == 1); break;
        case 5:
            CHECK(sluice::select(sluice::on_recv(rx, ignore), sluice::on_timeout(std::chrono::seconds(0), [] {}))
                      .value() == 1);
            break;
        case 6:
            group.add(sluice::on_recv(rx, ignore));
            CHECK(group.try_wait().error() == errc::empty);
            break;
        default:
            group.add(sluice::on_recv(rx, ignore));
            CHECK(group.wait_timeout(std::chrono::milliseconds(1)).error() == errc::timeout);
            break;
    }
    CHECK(out.empty());
    CHECK(sender.get() == std::pair(5, true));
    CHECK(error_in(rx.try_recv()) == errc::empty);
}

TEST_CASE("what the message of a select's case throws leaves that select, and no handler runs", "[exception][select]") {
    const auto which = EACH_BOUNDED_KIND();
    const bool group_sends = GENERATE(false, true);
    const auto way = GENERATE(range(0, ways_to_receive));
    CAPTURE(which, group_sends, way);
    if (group_sends && which != kind::rendezvous) {
        SUCCEED("the thread of the group sends there itself, once it is told of the room");
        return;
    }
    const audit books;
    {
        auto [tx, rx] = make_channel<homebound>(which);
        auto other = make_channel<int>(which);
        fill(tx, which);
        const int last = room(which);
        std::atomic<int> handled{0};
        // What is left of the message where that can be seen, and whether the select threw.
        task selecting([&, &tx = tx] {
            homebound message(last, true);
            bool threw = false;
            sluice::selector group;
            const auto count = [&handled] { ++handled; };
            const auto count_messages = [&handled](int) { ++handled; };
            try {
                if (group_sends) {
                    group.add(sluice::on_send(tx, std::move(message), count));
                    group.add(sluice::on_recv(other.rx, count_messages));
                    (void)group.wait();
                } else {
                    (void)sluice::select(sluice::on_send(tx, std::move(message), count),
                                         sluice::on_recv(other.rx, count_messages));
                }
            } catch (const injected_error&) {
                threw = true;
            }
            return std::pair(id_of(message), threw);
        });
        REQUIRE(wait_until_asleep(selecting));
        std::vector<int> ids;
        task receiving([&, &rx = rx] {
            while (ids.size() < static_cast<std::size_t>(last + 1)) {
                receive(way, rx, ids);
            }
            return true;
        });
        CHECK(selecting.get() == std::pair(group_sends ? witness::gone : last, true));
        CHECK(handled.load() == 0);
        REQUIRE(wait_until_asleep(receiving));
        CHECK(other.tx.send_timeout(1, std::chrono::milliseconds(0)).has_value() == (which != kind::rendezvous));
        CHECK(offer(tx, last + 1, false) == std::pair(witness::gone, false));
        CHECK(receiving.get());
        CHECK(ids.back() == last + 1);
    }
    CHECK(books.balanced());
}

TEST_CASE("a receiver stays where it is when the message on its way to it throws", "[exception]") {
    const auto which = EACH_KIND();
    const auto way = GENERATE(range(0, ways_to_receive));
    const int sending = GENERATE(0, 1, 2, 3, 4);
    CAPTURE(which, way, sending);
    const audit books;
    {
        auto [tx, rx] = make_channel<homebound>(which);
        std::vector<int> ids;
        task receiving([&, &rx = rx] {
            receive(way, rx, ids);
            return true;
        });
        REQUIRE(wait_until_asleep(receiving));
        // Made by another thread, it cannot be moved by this one.
        std::optional<homebound> stubborn;
        std::thread([&] { stubborn.emplace(5, true); }).join();
        bool handled = false;
        const auto send = [&, &tx = tx] {
            switch (sending) {
                case 0: (void)tx.send(std::move(*stubborn)); break;
                case 1: (void)tx.try_send(std::move(*stubborn)); break;
                case 2: (void)tx.send_timeout(std::move(*stubborn), std::chrono::hours(1)); break;
                case 3: (void)sluice::select(sluice::on_send(tx, std::move(*stubborn), [&] { handled = true; })); break;
                default:
                    (void)sluice::select(sluice::on_send(tx, std::move(*stubborn), [&] { handled = true; }),
                                         sluice::otherwise([&] { handled = true; }));
                    break;
            }
        };
        CHECK_THROWS_AS(send(), injected_error);
        CHECK(id_of(*stubborn) == 5);
        CHECK_FALSE(handled);
        REQUIRE(wait_until_asleep(receiving));
        CHECK(tx.send(homebound(6)).has_value());
        CHECK(receiving.get());
        CHECK(ids == std::vector<int>{6});
    }
    CHECK(books.balanced());
}

TEST_CASE("a message in the buffer stays there when its move throws, and is the receiver's to hear of", "[exception]") {
    const auto which = EACH_BUFFERED_KIND();
    const auto way = GENERATE(range(0, ways_to_receive));
    CAPTURE(which, way);
    const audit books;
    {
        auto [tx, rx] = make_channel<homebound>(which);
        std::thread([&, &tx = tx] { (void)tx.send(homebound(5, true)); }).join();
        std::vector<int> ids;
        for (int i = 0; i < 3; ++i) {
            CHECK_THROWS_AS(receive(way, rx, ids), injected_error);
            CHECK(ids.empty());
            CHECK(rx.size() == 1);
        }
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
                throw injected_error();
            }
        }
        int id() const { return value; }
        int value;
    };
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<picky>(which);
    CHECK_THROWS_AS(tx.send(-1), injected_error);
    CHECK_THROWS_AS(tx.try_send(-1), injected_error);
    CHECK(tx.empty());
    fill(tx, which);
    CHECK(drain(rx) == numbers(0, room(which)));
}

TEST_CASE("an exception of a handler passes through, after its message was taken", "[exception][select]") {
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<int>(which);
    fill(tx, which);
    CHECK_THROWS_AS(sluice::select(sluice::on_recv(rx, [](int) { throw injected_error(); })), injected_error);
    CHECK(drain(rx) == numbers(1, room(which)));
    CHECK_THROWS_AS(sluice::select(sluice::on_send(tx, 7, [] { throw injected_error(); })), injected_error);
    CHECK(drain(rx) == std::vector<int>{7});
    CHECK_THROWS_AS(sluice::select(sluice::on_recv(rx, [](int) {}), sluice::otherwise([] { throw injected_error(); })),
                    injected_error);
    sluice::selector group;
    group.add(sluice::on_recv(rx, [](int) { throw injected_error(); }));
    CHECK(tx.send(8).has_value());
    CHECK_THROWS_AS(group.wait(), injected_error);
    CHECK(group.try_wait().error() == errc::empty);
}
