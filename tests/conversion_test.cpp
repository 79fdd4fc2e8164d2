// What a send makes of its argument: which conversions and copies there are, when they run, and where.
#include "catch.hpp"
#include "support/kinds.hpp"
#include "support/names.hpp"
#include "support/onlooker.hpp"
#include "support/outcomes.hpp"
#include "support/task.hpp"

#include <chrono>
#include <cstddef>
#include <list>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

using namespace test;
using namespace std::chrono_literals;

namespace {

/// Counts the copies of messages since it was made.
class copy_count {
public:
    long made() const { return witness::copied() - before_; }

private:
    long before_ = witness::copied();
};

struct parcel {
    explicit parcel(int id) : number(id) {}
    int id() const { return number; }
    int number;
};

/// Becomes a parcel, under the eyes of an onlooker.
struct order {
    int number;
    onlooker* watched_by;
    operator parcel() && {
        watched_by->look();
        return parcel(std::exchange(number, witness::gone));
    }
};

struct base {
    virtual ~base() = default;
};
struct derived : base {};

struct point {
    int x = 0;
    int y = 0;
};

}  // namespace

// ---- conversions

TEST_CASE("a message of another class is converted with no lock held", "[conversion]") {
    const auto which = EACH_KIND();
    const int way = GENERATE(0, 1, 2, 3, 4, 5, 6);
    const bool awaited = GENERATE(false, true);
    CAPTURE(which, way, awaited);
    auto [tx, rx] = make_channel<parcel>(which);
    onlooker watch(wait_briefly(rx));
    std::optional<task<id_or_error>> receiver;
    if (awaited) {
        receiver.emplace([&rx = rx] { return id_in(rx.recv()); });
        REQUIRE(wait_until_asleep(*receiver));
    } else if (which == kind::rendezvous) {
        SUCCEED("a send to a rendezvous needs a receiver");
        return;
    }
    const auto send = [&, &tx = tx]() -> bool {
        order one{7, &watch};
        switch (way) {
            case 0: return tx.send(std::move(one)).has_value();
            case 1: return tx.try_send(std::move(one)).has_value();
            case 2: return tx.send_timeout(std::move(one), 1h).has_value();
            case 3: return tx.send_until(std::move(one), std::chrono::steady_clock::now() + 1h).has_value();
            case 4: return ran(select(on_send(tx, std::move(one)))) == 0;
            case 5: {
                std::vector<order> several{one};
                return tx.send_many(std::move(several)) == 1;
            }
            default: {
                sluice::selector group;
                group.add(on_send(tx, std::move(one)));
                return group.wait().has_value();
            }
        }
    };
    CHECK(send());
    CHECK(watch.looks() > 0);
    CHECK_FALSE(watch.kept_out());
    CHECK((awaited ? receiver->get() : id_in(rx.try_recv())) == 7);
}

TEST_CASE("what converts to a message implicitly is sent", "[conversion]") {
    const auto soon = std::chrono::steady_clock::now() + 1h;
    SECTION("a string from a literal, from nothing and from braces") {
        auto [tx, rx] = sluice::unbounded<std::string>();
        CHECK(tx.send("literal").has_value());
        CHECK(tx.try_send({'a', 'b'}).has_value());
        CHECK(tx.send_timeout({}, 1h).has_value());
        CHECK(tx.send_until({"cdef", 1}, soon).has_value());
        CHECK(ran(select(on_send(tx, {"braces"}))) == 0);
        CHECK(rx.recv().value() == "literal");
        CHECK(rx.recv().value() == "ab");
        CHECK(rx.recv().value().empty());
        CHECK(rx.recv().value() == "c");
        CHECK(rx.recv().value() == "braces");
    }
    SECTION("an aggregate from braces") {
        auto [tx, rx] = sluice::unbounded<point>();
        CHECK(tx.send({1, 2}).has_value());
        CHECK(tx.send({.x = 3, .y = 4}, std::stop_token()).has_value());
        CHECK(rx.recv()->y == 2);
        CHECK(rx.recv()->x == 3);
    }
    SECTION("a vector from braces") {
        auto [tx, rx] = sluice::unbounded<std::vector<int>>();
        CHECK(tx.send({5}).has_value());
        CHECK(tx.try_send({1, 2, 3}).has_value());
        CHECK(rx.recv().value() == std::vector<int>{5});
        CHECK(rx.recv().value() == std::vector<int>{1, 2, 3});
    }
    SECTION("a pointer to a base from one to what is derived from it") {
        auto [tx, rx] = sluice::unbounded<std::unique_ptr<base>>();
        auto made = std::make_unique<derived>();
        const base* const where = made.get();
        CHECK(tx.send(std::move(made)).has_value());
        CHECK(tx.send(nullptr).has_value());
        std::vector<std::unique_ptr<derived>> several(3);
        CHECK(tx.send_many(std::move(several)) == 3);
        CHECK(rx.recv().value().get() == where);
        CHECK(rx.size() == 4);
    }
    SECTION("an optional from its value") {
        auto [tx, rx] = sluice::unbounded<std::optional<int>>();
        CHECK(tx.send(4).has_value());
        CHECK(tx.send(std::nullopt).has_value());
        CHECK(rx.recv().value() == 4);
        CHECK(rx.recv().value() == std::nullopt);
    }
}

TEST_CASE("the elements of a batch convert as a message does: explicit constructors stay out of it", "[conversion]") {
    struct measure {
        bool meant = false;
        double value;
        measure(double v) : value(v) {}
        explicit measure(int v) : meant(true), value(v) {}
    };
    auto [tx, rx] = sluice::unbounded<measure>();
    const std::vector<int> numbers{1, 2};
    CHECK(tx.send(3).has_value());
    CHECK(tx.send_many(numbers) == 2);
    CHECK(tx.try_send_many(std::vector<int>{3}) == 1);
    CHECK(rx.size() == 4);
    while (const auto m = rx.try_recv()) {
        CHECK_FALSE(m->meant);
    }
}

TEST_CASE("what had to be converted is consumed by the conversion, sent or not", "[conversion]") {
    const auto which = EACH_BOUNDED_KIND();
    const int way = GENERATE(0, 1, 2, 3, 4);
    CAPTURE(which, way);
    auto [tx, rx] = make_channel<std::shared_ptr<int>>(which);
    while (tx.try_send(std::make_shared<int>(0))) {
    }
    auto source = std::make_unique<int>(42);
    switch (way) {
        case 0: CHECK(tx.try_send(std::move(source)).error() == errc::full); break;
        case 1: CHECK(tx.send_timeout(std::move(source), 1ms).error() == errc::timeout); break;
        case 2:
            CHECK(tx.send_until(std::move(source), std::chrono::steady_clock::now()).error() == errc::timeout);
            break;
        case 3: CHECK(tx.send(std::move(source), requested()).error() == errc::stopped); break;
        default: CHECK(ran(select(on_send(tx, std::move(source)), otherwise([] {}))) == 1); break;
    }
    CHECK(source == nullptr);
}

// ---- copies

TEMPLATE_TEST_CASE("a try copies nothing where the channel is full or closed", "[conversion]", no_default, over_aligned,
                   throwing_move) {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<TestType>(which);
    const TestType message(9);
    const std::vector<TestType> batch(20, message);
    const auto try_all = [&, &tx = tx] {
        const copy_count copies;
        const errc one = error_in(tx.try_send(message));
        const std::size_t many = tx.try_send_many(batch);
        return std::tuple(one, many, copies.made());
    };
    if (which != kind::unbounded) {
        fill(tx, which);
        CHECK(try_all() == std::tuple(errc::full, 0, 0));
    }
    tx.close();
    CHECK(try_all() == std::tuple(errc::closed, 0, 0));
}

TEST_CASE("a try copies as many messages as it sends", "[conversion]") {
    const auto which = EACH_KIND();
    const int waiting = GENERATE(0, 2);
    CAPTURE(which, waiting);
    auto [tx, rx] = make_channel<no_default>(which);
    std::list<task<id_or_error>> receivers;
    for (int i = 0; i < waiting; ++i) {
        receivers.emplace_back([&rx = rx] { return id_in(rx.recv()); });
        REQUIRE(wait_until_asleep(receivers.back()));
    }
    const std::vector<no_default> batch(20, no_default(5));
    const copy_count copies;
    const std::size_t sent = tx.try_send_many(batch);
    const long made = copies.made();
    CHECK(sent >= static_cast<std::size_t>(waiting));
    CHECK(made == static_cast<long>(sent));
    const bool one_more = tx.try_send(batch.front()).has_value();
    CHECK(copies.made() == made + (one_more ? 1 : 0));
    for (auto& receiver : receivers) {
        CHECK(receiver.get() == 5);
    }
}

TEST_CASE("a send copies an lvalue once, and an rvalue never", "[conversion]") {
    const auto which = EACH_KIND();
    const int way = GENERATE(0, 1, 2, 3, 4);
    CAPTURE(which, way);
    auto [tx, rx] = make_channel<no_default>(which);
    const no_default message(3);
    const auto send = [&, &tx = tx](auto&& what) -> bool {
        using what_type = decltype(what);
        switch (way) {
            case 0: return tx.send(std::forward<what_type>(what)).has_value();
            case 1: return tx.try_send(std::forward<what_type>(what)).has_value();
            case 2: return tx.send_timeout(std::forward<what_type>(what), 1h).has_value();
            case 3:
                return tx.send_until(std::forward<what_type>(what), std::chrono::system_clock::now() + 1h).has_value();
            default: return ran(select(on_send(tx, std::forward<what_type>(what)))) == 0;
        }
    };
    for (const bool lvalue : {true, false}) {
        task receiver([&rx = rx] { return id_in(rx.recv()); });
        REQUIRE(wait_until_asleep(receiver));
        const copy_count copies;
        CHECK((lvalue ? send(message) : send(no_default(3))));
        CHECK(receiver.get() == 3);
        CHECK(copies.made() == (lvalue ? 1 : 0));
    }
}

TEST_CASE("a blocked send copies an lvalue once", "[conversion]") {
    const auto which = EACH_BOUNDED_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<no_default>(which);
    fill(tx, which);
    const no_default message(50);
    const copy_count copies;
    task sender([&, &tx = tx] { return error_in(tx.send(message)); });
    REQUIRE(wait_until_asleep(sender));
    REQUIRE(rx.recv().has_value());
    CHECK(sender.get() == errc{});
    CHECK(copies.made() == 1);
}

TEST_CASE("a select copies an lvalue once at most, however often it looks", "[conversion][select]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<no_default>(which);
    auto quiet = make_channel<int>(which);
    const no_default value(50);
    const auto ignore = [](int) {};

    if (which != kind::unbounded) {
        fill(tx, which);
        const copy_count none;
        CHECK(ran(select(on_send(tx, value), on_recv(quiet.rx, ignore), on_timeout(1ms, [] {}))) == 2);
        CHECK(ran(select(on_send(tx, value), otherwise([] {}))) == 1);
        CHECK(none.made() <= 2);

        const copy_count copies;
        task selecting([&, &tx = tx] { return ran(select(on_recv(quiet.rx, ignore), on_send(tx, value))); });
        REQUIRE(wait_until_asleep(selecting));
        // Looks again, and finds that there is still no room.
        quiet.tx.close();
        REQUIRE(wait_until_asleep(selecting));
        REQUIRE(rx.recv().has_value());
        CHECK(selecting.get() == 1);
        CHECK(copies.made() == 1);
        (void)drain(rx);
    }
    if (which != kind::rendezvous) {
        const copy_count copies;
        CHECK(select(on_send(tx, value), on_send(tx, value), on_send(tx, value)).has_value());
        CHECK(copies.made() >= 1);
        CHECK(copies.made() <= 3);
    }
    tx.close();
    const copy_count late;
    CHECK(ran(select(on_send(tx, value))) == errc::closed);
    CHECK(ran(select(on_send(tx, value, [](sluice::result<void>) {}))) == 0);
    CHECK(late.made() <= 2);
    CHECK(id_of(value) == 50);
}

TEST_CASE("a group copies an lvalue as the case is added, and then never", "[conversion][selector]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<no_default>(which);
    const no_default value(50);
    sluice::selector group;
    const copy_count copies;
    group.add(on_send(tx, value));
    CHECK(copies.made() == 1);
    if (which == kind::rendezvous) {
        CHECK(ran(group.try_wait()) == errc::empty);
        CHECK(ran(group.wait_timeout(1ms)) == errc::timeout);
    }
    task receiver([&rx = rx] { return id_in(rx.recv()); });
    CHECK(group.wait().has_value());
    CHECK(receiver.get() == 50);
    CHECK(copies.made() == 1);
}
