// Closing with a cause: who is told why, and when not.
#include "catch.hpp"
#include "support/kinds.hpp"
#include "support/outcomes.hpp"
#include "support/task.hpp"

#include <atomic>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace test;
using sluice::errc;

namespace {

struct reason : std::exception {
    explicit reason(int n) : number(n) {}
    int number;
};

std::exception_ptr because(int number) { return std::make_exception_ptr(reason(number)); }

/// The number of the reason; 0 if there is none.
int number_in(const std::exception_ptr& cause) {
    if (!cause) return 0;
    try {
        std::rethrow_exception(cause);
    } catch (const reason& r) {
        return r.number;
    }
}

/// An exception that does something when its last copy is destroyed.
struct last_words {
    std::shared_ptr<void> at_the_end;
};
std::exception_ptr cause_that_ends_with(std::function<void()> what) {
    return std::make_exception_ptr(
        last_words{std::shared_ptr<void>(nullptr, [what = std::move(what)](void*) { what(); })});
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("every handle tells the cause once the channel is closed, and not before", "[cause]",
                        payloads) {
    const auto which = EACH_KIND();
    const bool by_sender = GENERATE(true, false);
    CAPTURE(which, by_sender);
    auto [tx, rx] = make_channel<TestType>(which);
    fill(tx, which);
    CHECK(tx.close_cause() == nullptr);
    CHECK(rx.close_cause() == nullptr);
    CHECK((by_sender ? tx.close(because(1)) : rx.close(because(1))));
    const auto tx2 = tx;
    const auto rx2 = rx;
    CHECK(number_in(tx.close_cause()) == 1);
    CHECK(number_in(rx.close_cause()) == 1);
    CHECK(number_in(tx2.close_cause()) == 1);
    CHECK(number_in(rx2.close_cause()) == 1);
    CHECK(tx.is_closed());
    CHECK(error_in(tx.try_send(TestType(1))) == errc::closed);
    CHECK(drain(rx) == numbers(0, room(which)));
    CHECK(error_in(rx.recv()) == errc::closed);
    CHECK(number_in(rx.close_cause()) == 1);
    rx = {};
    CHECK(number_in(tx.close_cause()) == 1);
}

TEST_CASE("only the first closing counts", "[cause]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<int>(which);
    SECTION("two causes") {
        CHECK(tx.close(because(1)));
        CHECK_FALSE(rx.close(because(2)));
        CHECK_FALSE(rx.close());
        CHECK(number_in(rx.close_cause()) == 1);
    }
    SECTION("closed before without one") {
        CHECK(rx.close());
        CHECK_FALSE(tx.close(because(2)));
        CHECK(rx.close_cause() == nullptr);
    }
    SECTION("null is no cause") {
        CHECK(tx.close(nullptr));
        CHECK_FALSE(tx.close(because(2)));
        CHECK(tx.close_cause() == nullptr);
    }
    SECTION("the last receiver was dropped before") {
        rx = {};
        CHECK_FALSE(tx.close(because(2)));
        CHECK(tx.close_cause() == nullptr);
    }
    SECTION("the last sender was dropped before") {
        tx = {};
        CHECK_FALSE(rx.close(because(2)));
        CHECK(rx.close_cause() == nullptr);
    }
}

TEST_CASE("an empty handle closes nothing and has no cause", "[cause]") {
    sluice::sender<int> tx;
    sluice::receiver<int> rx;
    CHECK_FALSE(tx.close(because(1)));
    CHECK_FALSE(rx.close(because(1)));
    CHECK(tx.close_cause() == nullptr);
    CHECK(rx.close_cause() == nullptr);
}

TEST_CASE("who is blocked as the channel closes sees the cause", "[cause]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<int>(which);
    SECTION("in a receive") {
        task receiver([&rx = rx] { return rx.recv() ? -1 : number_in(rx.close_cause()); });
        REQUIRE(wait_until_asleep(receiver));
        CHECK(tx.close(because(3)));
        CHECK(receiver.get() == 3);
    }
    SECTION("in a select") {
        task receiver([&rx = rx] {
            (void)sluice::select(sluice::on_recv(rx, [](const sluice::result<int>&) {}));
            return number_in(rx.close_cause());
        });
        REQUIRE(wait_until_asleep(receiver));
        CHECK(tx.close(because(3)));
        CHECK(receiver.get() == 3);
    }
    SECTION("in a send") {
        fill(tx, which);
        if (which == kind::unbounded) {
            SUCCEED("no send blocks");
            return;
        }
        task sender([&tx = tx] { return tx.send(7) ? -1 : number_in(tx.close_cause()); });
        REQUIRE(wait_until_asleep(sender));
        CHECK(rx.close(because(3)));
        CHECK(sender.get() == 3);
    }
}

TEST_CASE("of many that close at once one is first, and its cause is what all see", "[cause]") {
    for (int round = 0; round < scaled(300); ++round) {
        auto [tx, rx] = sluice::bounded<int>(1);
        std::atomic<int> first{0};
        std::atomic<bool> torn{false};
        {
            std::vector<std::jthread> threads;
            for (int i = 1; i <= 2; ++i)
                threads.emplace_back([&, i, rx = rx] {
                    if (rx.close(because(i))) first = i;
                });
            threads.emplace_back([&, tx = tx] {
                while (!tx.is_closed()) std::this_thread::yield();
                if (number_in(tx.close_cause()) == 0) torn = true;
            });
        }
        CHECK_FALSE(torn);
        CHECK(number_in(tx.close_cause()) == first);
    }
}

TEST_CASE("a cause is destroyed with no lock held, when both sides are gone or when it does not count", "[cause]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<int>(which);
    int told = 0;
    const auto weak = tx.downgrade();
    SECTION("it did not count") {
        CHECK(rx.close());
        CHECK_FALSE(tx.close(cause_that_ends_with([&, &tx = tx, &rx = rx] {
            ++told;
            CHECK_FALSE(tx.close());
            CHECK(error_in(rx.try_recv()) == errc::closed);
            CHECK(error_in(tx.try_send(1)) == errc::closed);
        })));
        CHECK(told == 1);
    }
    SECTION("both sides are gone, in whichever order") {
        CHECK(tx.close(cause_that_ends_with([&] {
            ++told;
            CHECK_FALSE(weak.lock());
        })));
        const bool sender_first = GENERATE(true, false);
        if (sender_first) {
            tx = {};
        } else {
            rx = {};
        }
        CHECK(told == 0);
        tx = {};
        rx = {};
        CHECK(told == 1);
    }
    SECTION("it holds the last weak handle") { CHECK(tx.close(std::make_exception_ptr(rx.downgrade()))); }
}
