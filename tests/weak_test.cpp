// Weak handles: they find the channel while somebody keeps it open, and keep nothing themselves.
#include "catch.hpp"
#include "support/kinds.hpp"
#include "support/outcomes.hpp"
#include "support/task.hpp"

#if defined(__unix__)
#include <sys/wait.h>
#include <unistd.h>
#endif

#include <atomic>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

using namespace test;
using sluice::errc;

namespace {

// They may be named where the message is incomplete, and be part of it.
struct parcel {
    explicit parcel(sluice::weak_receiver<parcel> r = {}) : from(std::move(r)) {}
    sluice::weak_sender<parcel> to;
    sluice::weak_receiver<parcel> from;
};

template <class Weak>
constexpr bool is_plain = std::is_default_constructible_v<Weak>&& std::is_nothrow_copy_constructible_v<Weak>&&
                              std::is_nothrow_move_constructible_v<Weak>&& std::is_copy_assignable_v<Weak> &&
                          !std::is_convertible_v<Weak, bool> && !std::is_constructible_v<bool, Weak>;
static_assert(is_plain<sluice::weak_sender<int>> && is_plain<sluice::weak_receiver<int>>);

template <class Weak>
constexpr bool has_more = requires(Weak w) {
    w.close();
}
|| requires(Weak w) { w.is_closed(); }
|| requires(Weak w) { w.size(); }
|| requires(Weak w) { w.downgrade(); };
static_assert(!has_more<sluice::weak_sender<int>> && !has_more<sluice::weak_receiver<int>>);

}  // namespace

TEMPLATE_LIST_TEST_CASE("a weak sender gives a sender while there is one, and does not count as one", "[weak]",
                        payloads) {
    const auto which = EACH_KIND();
    CAPTURE(which);
    const audit books;
    {
        auto [tx, rx] = make_channel<TestType>(which);
        const sluice::weak_sender<TestType> weak = tx.downgrade();
        CHECK(tx.sender_count() == 1);
        {
            const sluice::sender<TestType> locked = weak.lock();
            CHECK(locked == tx);
            CHECK(tx.sender_count() == 2);
            fill(locked, which);
        }
        CHECK(tx.sender_count() == 1);
        sluice::sender<TestType> keeps = weak.lock();
        tx = {};
        CHECK_FALSE(rx.is_closed());
        CHECK(weak.lock() == keeps);
        keeps = {};
        CHECK(rx.is_closed());
        CHECK_FALSE(weak.lock());
        CHECK(drain(rx) == numbers(0, room(which)));
        CHECK_FALSE(weak.lock());
    }
    CHECK(books.balanced());
}

TEMPLATE_LIST_TEST_CASE("a weak receiver gives a receiver while there is one, and keeps no message", "[weak]",
                        payloads) {
    const auto which = EACH_KIND();
    CAPTURE(which);
    const audit books;
    auto [tx, rx] = make_channel<TestType>(which);
    const sluice::weak_receiver<TestType> weak = rx.downgrade();
    CHECK(rx.receiver_count() == 1);
    fill(tx, which);
    sluice::receiver<TestType> keeps = weak.lock();
    CHECK(keeps == rx);
    rx = {};
    CHECK_FALSE(tx.is_closed());
    if (auto first = keeps.try_recv()) CHECK(id_of(*first) == 0);
    keeps = {};
    CHECK(tx.is_closed());
    CHECK(books.balanced());
    CHECK_FALSE(weak.lock());
    CHECK(error_in(tx.try_send(TestType(1))) == errc::closed);
}

TEST_CASE("a closed channel is still found while it has handles", "[weak]") {
    auto [tx, rx] = sluice::bounded<int>(1);
    const auto weak_tx = tx.downgrade();
    const auto weak_rx = rx.downgrade();
    CHECK(tx.close());
    CHECK(weak_tx.lock() == tx);
    CHECK(weak_rx.lock().is_closed());
}

TEST_CASE("weak handles are values", "[weak]") {
    auto [tx, rx] = sluice::unbounded<int>();
    auto other = sluice::unbounded<int>();
    const sluice::weak_sender<int> none;
    CHECK_FALSE(none.lock());
    CHECK(none == sluice::weak_sender<int>());
    CHECK(sluice::sender<int>().downgrade() == none);
    CHECK(sluice::receiver<int>().downgrade() == sluice::weak_receiver<int>());
    auto one = tx.downgrade();
    auto two = one;
    CHECK(one == two);
    CHECK(one == tx.downgrade());
    CHECK(one != other.tx.downgrade());
    CHECK(one != none);
    auto moved = std::move(one);
    CHECK(moved == two);
    CHECK(one == none);  // NOLINT(bugprone-use-after-move)
    one = moved;
    moved = other.tx.downgrade();
    CHECK(one.lock() == tx);
    CHECK(moved.lock() == other.tx);
    auto& same = two;
    two = same;
    CHECK(two.lock() == tx);
    CHECK(other.rx.downgrade().lock() == other.rx);
}

TEST_CASE("weak handles may be the last of all, in any order", "[weak]") {
    const auto which = EACH_KIND();
    const int order = GENERATE(0, 1, 2, 3);
    CAPTURE(which, order);
    std::optional<sluice::channel<move_only>> both(make_channel<move_only>(which));
    std::optional weak_tx(both->tx.downgrade());
    std::optional weak_rx(both->rx.downgrade());
    fill(both->tx, which);
    if (order & 1) {
        both->tx = {};
    } else {
        both->rx = {};
    }
    auto copy = *weak_tx;
    if (order & 2) weak_tx.reset();
    both.reset();
    CHECK_FALSE(copy.lock());
    CHECK_FALSE(weak_rx->lock());
    copy = {};
    auto last = *weak_rx;
    weak_rx.reset();
    CHECK_FALSE(last.lock());
}

TEST_CASE("a message may hold weak handles of the channel in which it is", "[weak]") {
    auto [tx, rx] = sluice::unbounded<parcel>();
    for (int i = 0; i < 3; ++i) {
        parcel p(rx.downgrade());
        p.to = tx.downgrade();
        CHECK(tx.send(std::move(p)).has_value());
    }
    CHECK(rx.recv()->to.lock() == tx);
    SECTION("the receiver goes first") {
        rx = {};
        CHECK(tx.is_closed());
        tx = {};
    }
    SECTION("the sender goes first") {
        tx = {};
        CHECK(rx.is_closed());
        rx = {};
    }
}

TEST_CASE("a thread that is blocked is woken by the last sender although there are weak ones", "[weak]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<int>(which);
    const auto weak = tx.downgrade();
    task receiver([&rx = rx] { return error_in(rx.recv()); });
    REQUIRE(wait_until_asleep(receiver));
    tx = {};
    CHECK(receiver.get() == errc::closed);
}

TEST_CASE("lock() and the drop of the last handle are one or the other", "[weak]") {
    const bool sending = GENERATE(true, false);
    CAPTURE(sending);
    int won = 0;
    for (int round = 0; round < scaled(3000); ++round) {
        auto [tx, rx] = sluice::bounded<int>(1);
        const auto weak_tx = tx.downgrade();
        const auto weak_rx = rx.downgrade();
        std::atomic<bool> go{false};
        bool locked = false, open = false, again = false;
        {
            std::jthread locker([&] {
                while (!go) {
                }
                if (sending) {
                    const auto mine = weak_tx.lock();
                    locked = static_cast<bool>(mine);
                    open = locked && mine.try_send(1).has_value();
                    again = static_cast<bool>(weak_tx.lock());
                } else {
                    const auto mine = weak_rx.lock();
                    locked = static_cast<bool>(mine);
                    open = locked && error_in(mine.try_recv()) == errc::empty;
                    again = static_cast<bool>(weak_rx.lock());
                }
            });
            go = true;
            if (sending) {
                tx = {};
            } else {
                rx = {};
            }
        }
        won += locked;
        CHECK(open == locked);
        CHECK(again == locked);
        CHECK((sending ? rx.is_closed() : tx.is_closed()));
        CHECK_FALSE((sending ? static_cast<bool>(weak_tx.lock()) : static_cast<bool>(weak_rx.lock())));
    }
    CAPTURE(won);
}

TEST_CASE("handles and weak handles come and go in many threads", "[weak]") {
    const audit books;
    for (int round = 0; round < scaled(300); ++round) {
        auto [tx, rx] = sluice::bounded<no_default>(2);
        std::vector<std::jthread> threads;
        threads.emplace_back([tx = std::move(tx)]() mutable {
            const auto weak = tx.downgrade();
            auto copy = weak;
            tx = {};
            if (const auto again = copy.lock()) (void)again.try_send(no_default(1));
        });
        threads.emplace_back([weak = rx.downgrade()] {
            if (const auto mine = weak.lock()) (void)mine.try_recv();
            const auto copy = weak;
            if (const auto mine = copy.lock()) (void)mine.try_recv();
        });
        threads.emplace_back([rx = std::move(rx)]() mutable {
            while (auto m = rx.try_recv()) {
            }
            rx = {};
        });
    }
    CHECK(books.balanced());
}

#if defined(__unix__)
TEST_CASE("in a forked child weak handles of before may be dropped", "[weak]") {
    std::optional<sluice::channel<int>> both(sluice::bounded<int>(1));
    std::optional weak(both->tx.downgrade());
    std::optional survivor(both->rx.downgrade());
    std::optional<sluice::weak_sender<int>> of_dead(sluice::bounded<int>(1).tx.downgrade());
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        weak.reset();
        both.reset();
        survivor.reset();
        of_dead.reset();
        ::_exit(7);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 7));
    CHECK(weak->lock() == both->tx);
}
#endif
