// on_closed: a case for the closing of a channel, in a select and in a group.
#include "catch.hpp"
#include "support/kinds.hpp"
#include "support/names.hpp"
#include "support/outcomes.hpp"
#include "support/scale.hpp"
#include "support/task.hpp"

#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

using namespace test;
using namespace std::chrono_literals;

namespace {

/// The ways in which a channel closes. Dropping one side counts where the other is what a case watches.
enum class shutting { by_sender, by_receiver, by_drop };

std::ostream& operator<<(std::ostream& out, shutting how) {
    constexpr const char* names[] = {"tx.close()", "rx.close()", "drop"};
    return out << names[static_cast<int>(how)];
}

template <class T, class Kept>
void shut(sluice::channel<T>& ch, shutting how, const Kept&) {
    constexpr bool keeps_sender = std::is_same_v<Kept, sluice::sender<T>>;
    switch (how) {
        case shutting::by_sender: ch.tx.close(); break;
        case shutting::by_receiver: ch.rx.close(); break;
        case shutting::by_drop:
            if constexpr (keeps_sender) {
                ch.rx = {};
            } else {
                ch.tx = {};
            }
    }
}

#define EACH_SHUTTING() GENERATE(shutting::by_sender, shutting::by_receiver, shutting::by_drop)

}  // namespace

TEMPLATE_LIST_TEST_CASE("on_closed is ready once its channel is closed, and stays so", "[closed_case]", payloads) {
    const auto which = EACH_KIND();
    const auto how = EACH_SHUTTING();
    const bool filled = GENERATE(false, true);
    CAPTURE(which, how, filled);
    auto ch = make_channel<TestType>(which);
    if (filled) fill(ch.tx, which);
    const auto watch = [&](const auto& handle) {
        int calls = 0;
        const auto count = [&] { ++calls; };
        CHECK(ran(select(on_closed(handle), otherwise())) == 1);
        CHECK(ran(select(on_closed(handle, count), on_timeout(0ms))) == 1);
        CHECK(ran(select(on_closed(handle, count), on_timeout(1ms))) == 1);
        CHECK(ran(select_biased(on_closed(handle, count), otherwise())) == 1);
        CHECK(calls == 0);
        shut(ch, how, handle);
        for (int i = 1; i <= 3; ++i) {
            CHECK(ran(select(on_closed(handle, count))) == 0);
            CHECK(ran(select_biased(otherwise(), on_timeout(0ms), on_closed(handle))) == 2);
            CHECK(calls == i);
        }
    };
    SECTION("of a sender") { watch(ch.tx); }
    SECTION("of a receiver") { watch(ch.rx); }
    if (filled && ch.rx) CHECK(drain(ch.rx) == numbers(0, room(which)));
}

TEMPLATE_LIST_TEST_CASE("closing wakes a select that waits for it", "[closed_case]", payloads) {
    const auto which = EACH_KIND();
    const auto how = EACH_SHUTTING();
    CAPTURE(which, how);
    auto ch = make_channel<TestType>(which);
    auto other = make_channel<TestType>(which);
    fill(ch.tx, which);
    const auto watch = [&](const auto& handle) {
        bool called = false;
        std::optional<TestType> got;
        task selecting([&] {
            return ran(select(on_recv(other.rx, got), on_closed(handle, [&] { called = true; }), on_timeout(patience)));
        });
        task alone([&] { return ran(select(on_closed(handle))); });
        REQUIRE(wait_until_asleep(selecting));
        REQUIRE(wait_until_asleep(alone));
        shut(ch, how, handle);
        CHECK(selecting.get() == 1);
        CHECK(alone.get() == 0);
        CHECK(called);
    };
    SECTION("of a sender") { watch(ch.tx); }
    SECTION("of a receiver") { watch(ch.rx); }
}

TEST_CASE("a select that waits for a closing takes what comes before", "[closed_case]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto ch = make_channel<int>(which);
    std::optional<int> got;
    for (int i = 0; i < 3; ++i) {
        task selecting([&] { return ran(select(on_closed(ch.rx), on_recv(ch.rx, got), on_closed(ch.tx))); });
        REQUIRE(wait_until_asleep(selecting));
        CHECK(ch.tx.try_send(i).has_value());
        CHECK(selecting.get() == 1);
        CHECK(got == i);
    }
    ch.tx.close();
    CHECK(ran(select(on_closed(ch.rx), on_recv(ch.rx, got), on_closed(ch.tx))).has_id());
}

TEST_CASE("on_closed never drops out", "[closed_case]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto ch = make_channel<int>(which);
    auto done = make_channel<int>(which);
    done.tx.close();
    std::optional<int> got;
    task selecting([&] { return ran(select(on_recv(done.rx, got), on_closed(ch.rx))); });
    REQUIRE(wait_until_asleep(selecting));
    ch.tx.close();
    CHECK(selecting.get() == 1);
    CHECK(ran(select(on_recv(done.rx, got), on_closed(ch.rx))) == 1);
}

TEST_CASE("on_closed of an empty handle is never ready", "[closed_case]") {
    const sluice::sender<int> tx;
    const sluice::receiver<int> rx;
    int calls = 0;
    const auto count = [&] { ++calls; };
    CHECK(ran(select(on_closed(tx, count), on_closed(rx, count), otherwise())) == 2);
    CHECK(ran(select(on_closed(tx, count), on_closed(rx, count), on_timeout(1ms))) == 2);
    CHECK(ran(select(on_closed(tx, count), on_closed(rx, count))) == errc::closed);
    CHECK(ran(select_biased(on_closed(sluice::sender<int>(), count))) == errc::closed);
    sluice::selector group;
    group.add(on_closed(tx, count));
    group.add(on_closed(rx, count));
    CHECK(ran(group.try_wait()) == errc::closed);
    CHECK(ran(group.wait()) == errc::closed);
    CHECK(group.size() == 2);
    CHECK(calls == 0);
}

TEST_CASE("handles that are rvalues or const in on_closed", "[closed_case]") {
    auto ch = sluice::unbounded<int>();
    const auto tx = ch.tx;
    CHECK(ran(select(on_closed(tx), on_closed(sluice::receiver<int>(ch.rx)), on_closed(std::as_const(ch.rx)),
                     otherwise())) == 3);
    CHECK(ch.rx.receiver_count() == 1);
    CHECK(ran(select(on_closed(std::move(ch.rx)), otherwise())) == 1);
    CHECK_FALSE(ch.rx);
    CHECK(tx.is_closed());
    CHECK(ran(select(on_closed(tx))) == 0);
}

TEST_CASE("a closing is one of the ready cases, chosen at random or in the listed order", "[closed_case]") {
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    auto ch = make_channel<int>(which);
    fill(ch.tx, which);
    ch.tx.close();
    auto room_left = sluice::unbounded<int>();
    std::array<int, 3> chosen{};
    constexpr int rounds = 3000;
    for (int i = 0; i < rounds; ++i)
        ++chosen[*select(on_closed(ch.tx), on_send(room_left.tx, 1), on_closed(ch.rx, [] {}))];
    for (const int times : chosen) {
        CHECK(times > rounds / 3 - 200);
        CHECK(times < rounds / 3 + 200);
    }
    std::optional<int> got;
    CHECK(ran(select_biased(on_closed(ch.rx), on_recv(ch.rx, got))) == 0);
    CHECK_FALSE(got.has_value());
    CHECK(ran(select_biased(on_recv(ch.rx, got), on_closed(ch.rx))) == 0);
    CHECK(got == 0);
    CHECK(ran(select(on_closed(ch.rx), on_stop(requested()))) == 1);
    CHECK(ran(select_biased(on_closed(ch.rx), on_stop(requested()))) == 0);
}

TEST_CASE("the handler of on_closed may use the channel, and may throw", "[closed_case][exception]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto ch = make_channel<int>(which);
    task selecting([&] {
        return ran(select(on_closed(ch.rx, [&] {
            CHECK_FALSE(ch.tx.close());
            CHECK(ch.tx.try_send(1).error() == errc::closed);
            CHECK(ch.rx.try_recv().error() == errc::closed);
        })));
    });
    REQUIRE(wait_until_asleep(selecting));
    ch.rx.close();
    CHECK(selecting.get() == 0);
    CHECK_THROWS_AS(select(on_closed(ch.rx, [] { throw injected_error(); })), injected_error);
}

TEST_CASE("many selects hear of one closing, and no message is lost", "[closed_case]") {
    const auto which = EACH_KIND();
    const bool by_drop = GENERATE(false, true);
    CAPTURE(which, by_drop);
    constexpr int messages = 20;
    for (int round = 0; round < scaled(200); ++round) {
        auto ch = make_channel<int>(which);
        auto idle = make_channel<int>(which);
        const auto receives = [&idle, rx = ch.rx] {
            int received = 0;
            std::optional<int> got, other;
            while (*select(on_recv(idle.rx, other), on_recv(rx, got), on_closed(rx)) == 1) ++received;
            return received;
        };
        const auto watches = [&idle, rx = ch.rx] {
            std::optional<int> other;
            return *select(on_closed(rx), on_recv(idle.rx, other)) == 0;
        };
        task one(receives), two(receives);
        task watching(watches);
        int sent = 0;
        for (int i = 0; i < messages; ++i) sent += ch.tx.send(i).has_value();
        if (by_drop) {
            ch.tx = {};
        } else {
            ch.tx.close();
        }
        const int received = one.get() + two.get();
        CHECK(sent == messages);
        CHECK(received + static_cast<int>(drain(ch.rx).size()) == messages);
        CHECK(watching.get());
    }
}

// ---- in a group

TEMPLATE_LIST_TEST_CASE("an on_closed in a group removes itself before its handler runs", "[closed_case][selector]",
                        payloads) {
    const auto which = EACH_KIND();
    const bool biased = GENERATE(false, true);
    const bool waits = GENERATE(false, true);
    CAPTURE(which, biased, waits);
    auto ch = make_channel<TestType>(which);
    fill(ch.tx, which);
    sluice::selector group = biased ? sluice::selector(sluice::biased) : sluice::selector();
    std::size_t size_inside = 99, successor = 99;
    bool successor_called = false;
    const auto id = group.add(on_closed(ch.rx, [&] {
        size_inside = group.size();
        successor = group.add(on_closed(ch.tx, [&] { successor_called = true; }));
    }));
    CHECK(ran(group.try_wait()) == errc::empty);
    CHECK(ran(group.wait_timeout(1ms)) == errc::timeout);
    if (waits) {
        task waiting([&] { return ran(group.wait()); });
        REQUIRE(wait_until_asleep(waiting));
        ch.tx.close();
        CHECK(waiting.get() == id);
    } else {
        ch.tx.close();
        CHECK(ran(group.try_wait()) == id);
    }
    CHECK(size_inside == 0);
    CHECK_FALSE(group.remove(id));
    CHECK_FALSE(successor_called);
    CHECK(ran(group.wait()) == successor);
    CHECK(successor_called);
    CHECK(group.empty());
    CHECK(ran(group.wait()) == errc::closed);
    CHECK(ch.rx.sender_count() == 1);
    CHECK(ch.rx.receiver_count() == 1);
    CHECK(drain(ch.rx) == numbers(0, room(which)));
}

TEST_CASE("an on_closed that is not chosen stays in its group, ready", "[closed_case][selector]") {
    auto ch = sluice::unbounded<int>();
    fill(ch.tx, kind::unbounded);
    ch.tx.close();
    sluice::selector group(sluice::biased);
    std::optional<int> got;
    const auto messages = group.add(on_recv(ch.rx, got));
    const auto closing = group.add(on_closed(ch.rx));
    for (int i = 0; i < room(kind::unbounded); ++i) {
        CHECK(group.wait().value() == messages);
        CHECK(group.size() == 2);
    }
    CHECK(group.wait().value() == closing);
    CHECK(group.empty());
}

TEST_CASE("what the handler of an on_closed in a group throws finds the case gone", "[closed_case][selector]") {
    auto ch = sluice::bounded<int>(1);
    ch.tx.close();
    sluice::selector group;
    auto kept = std::make_shared<int>(7);
    const std::weak_ptr<int> watch = kept;
    (void)group.add(on_closed(ch.tx, [&, kept = std::move(kept)] {
        CHECK(group.empty());
        CHECK(*kept == 7);
        throw injected_error();
    }));
    CHECK_THROWS_AS(group.wait(), injected_error);
    CHECK(watch.expired());
    CHECK(ran(group.wait()) == errc::closed);
}

TEST_CASE("an on_closed that is removed from its group tells nothing", "[closed_case][selector]") {
    auto ch = sluice::bounded<int>(1);
    auto other = sluice::bounded<int>(1);
    int calls = 0;
    sluice::selector group;
    const auto id = group.add(on_closed(ch.rx, [&] { ++calls; }));
    (void)group.add(on_closed(other.rx));
    CHECK(ran(group.wait_timeout(1ms)) == errc::timeout);
    CHECK(group.remove(id));
    ch.tx.close();
    CHECK(ran(group.wait_timeout(1ms)) == errc::timeout);
    CHECK(calls == 0);
    CHECK(ch.rx.receiver_count() == 1);
}

namespace {

// Where handles can be weak.
template <class Channel>
void check_that_group_keeps_nothing_open(Channel ch, shutting how) {
    if constexpr (requires { ch.tx.downgrade(); }) {
        sluice::selector group;
        std::vector<std::size_t> closed;
        if (how == shutting::by_sender) {
            (void)group.add(on_closed(ch.tx, [&] { closed.push_back(0); }));
            (void)group.add(on_closed(ch.rx.downgrade(), [&] { closed.push_back(1); }));
            CHECK(ch.rx.sender_count() == 1);
            CHECK(ran(group.try_wait()) == errc::empty);
            ch.tx = {};
        } else {
            (void)group.add(on_closed(ch.rx, [&] { closed.push_back(0); }));
            (void)group.add(on_closed(ch.tx.downgrade(), [&] { closed.push_back(1); }));
            CHECK(ch.rx.receiver_count() == 1);
            CHECK(ran(group.try_wait()) == errc::empty);
            ch.rx = {};
        }
        CHECK(group.wait().has_value());
        ch = {};
        CHECK(group.wait().has_value());
        CHECK(closed.size() == 2);
        CHECK(group.empty());
        auto again = decltype(ch){};
        CHECK(ran(select(on_closed(again.tx), on_closed(decltype(again.rx.downgrade())()), otherwise())) == 2);
    } else {
        SUCCEED("no handle is weak");
    }
}

}  // namespace

TEST_CASE("an on_closed in a group does not keep its channel open", "[closed_case][selector]") {
    const auto which = EACH_KIND();
    const auto how = GENERATE(shutting::by_sender, shutting::by_receiver);
    CAPTURE(which, how);
    check_that_group_keeps_nothing_open(make_channel<int>(which), how);
}
