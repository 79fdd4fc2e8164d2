// Cases without a handler: what is received is stored, and the index that select returns says what to do.
#include "catch.hpp"
#include "support/kinds.hpp"
#include "support/names.hpp"
#include "support/outcomes.hpp"
#include "support/task.hpp"

#include <chrono>
#include <functional>
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

template <class T>
sluice::result<T> none(errc why = errc::full) {
    return sluice::unexpected(why);
}

/// The number in what a case stores into, or a word for none.
template <class T>
id_or_error stored(const sluice::result<T>& into) {
    return id_in(into);
}
template <class T>
id_or_error stored(const std::optional<T>& into) {
    return into ? id_or_error(id_of(*into)) : errc::empty;
}

template <class T, class Into>
Into holding(int id) {
    Into into = Into(std::in_place, T(id));
    return into;
}

/// Each payload in each of the two that a case can store into.
template <class T, class Into>
struct stored_as {
    using message = T;
    using into = Into;
};
template <class T>
using in_optional = stored_as<T, std::optional<T>>;
template <class T>
using in_result = stored_as<T, sluice::result<T>>;
using stores = std::tuple<in_optional<int>, in_result<int>, in_optional<move_only>, in_result<move_only>,
                          in_optional<over_aligned>, in_result<over_aligned>, in_optional<throwing_move>,
                          in_result<throwing_move>>;

}  // namespace

// ---- on_recv(rx, into)

TEMPLATE_LIST_TEST_CASE("a message that is there is stored", "[cases]", stores) {
    using message = typename TestType::message;
    using into = typename TestType::into;
    const auto which = EACH_KIND();
    CAPTURE(which);
    const audit books;
    {
        auto ch = make_channel<message>(which);
        auto idle = make_channel<message>(which);
        into got = holding<message, into>(70), other = holding<message, into>(71);
        task sending([&] { return ch.tx.send(message(5)).has_value(); });
        REQUIRE((which != kind::rendezvous ? sending.get() : wait_until_asleep(sending)));
        CHECK(ran(select(on_recv(idle.rx, other), on_recv(ch.rx, got))) == 1);
        CHECK(stored(got) == 5);
        CHECK(stored(other) == errc::empty);
        if (which == kind::rendezvous) CHECK(sending.get());
        CHECK(ran(select(on_recv(ch.rx, got), otherwise(nothing))) == 1);
        CHECK(stored(got) == errc::empty);
    }
    CHECK(books.balanced());
}

TEMPLATE_LIST_TEST_CASE("a blocked select stores the message that wakes it", "[cases]", stores) {
    using message = typename TestType::message;
    using into = typename TestType::into;
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto ch = make_channel<message>(which);
    auto idle = make_channel<message>(which);
    into got = holding<message, into>(70), other = holding<message, into>(71);
    task selecting([&] { return ran(select(on_recv(idle.rx, other), on_recv(ch.rx, got))); });
    REQUIRE(wait_until_asleep(selecting));
    CHECK(ch.tx.try_send(message(8)).has_value());
    CHECK(selecting.get() == 1);
    CHECK(stored(got) == 8);
    CHECK(stored(other) == errc::empty);
    CHECK(ch.rx.empty());
}

TEMPLATE_LIST_TEST_CASE("an optional drops out when its channel is closed, a result hears of it", "[cases]", stores) {
    using message = typename TestType::message;
    using into = typename TestType::into;
    constexpr bool hears = std::is_same_v<into, sluice::result<message>>;
    const auto which = EACH_KIND();
    const bool by_drop = GENERATE(false, true);
    CAPTURE(which, by_drop);
    auto ch = make_channel<message>(which);
    into got = holding<message, into>(70);
    const auto shut = [&] {
        if (by_drop) {
            ch.tx = {};
        } else {
            ch.tx.close();
        }
    };
    SECTION("before") {
        fill(ch.tx, which);
        shut();
        for (int id = 0; id < room(which); ++id) {
            CHECK(ran(select(on_recv(ch.rx, got))) == 0);
            CHECK(stored(got) == id);
        }
        CHECK(ran(select(on_recv(ch.rx, got))) == (hears ? id_or_error(0) : errc::closed));
    }
    SECTION("while it waits") {
        task selecting([&] { return ran(select(on_recv(ch.rx, got))); });
        REQUIRE(wait_until_asleep(selecting));
        shut();
        CHECK(selecting.get() == (hears ? id_or_error(0) : errc::closed));
    }
    CHECK(stored(got) == (hears ? errc::closed : errc::empty));
}

TEST_CASE("a select empties what it stores into, whatever it chooses", "[cases]") {
    auto ch = sluice::bounded<int>(1);
    std::optional<int> a = 1, b = 2;
    sluice::result<int> c = 3, d = none<int>(errc::stopped);
    CHECK(ran(select(on_recv(sluice::receiver<int>(), a), on_recv(sluice::receiver<int>(), c), on_recv(ch.rx, b),
                     on_recv(ch.rx, d), on_timeout(0ms, nothing))) == 4);
    CHECK(stored(a) == errc::empty);
    CHECK(stored(b) == errc::empty);
    CHECK(stored(c) == errc::empty);
    CHECK(stored(d) == errc::empty);
    a = 1;
    c = 3;
    CHECK(ran(select_biased(on_send(ch.tx, 9), on_recv(ch.rx, a), on_recv(ch.rx, c))) == 0);
    CHECK(stored(a) == errc::empty);
    CHECK(stored(c) == errc::empty);
    c = 3;
    CHECK(ran(select(on_recv(sluice::receiver<int>(), c))) == errc::closed);
    CHECK(stored(c) == errc::empty);
}

TEST_CASE("handles that are rvalues or const, and two cases that share what they store into", "[cases]") {
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    auto ch = make_channel<int>(which);
    const sluice::receiver<int> rx = ch.rx;
    std::optional<int> got;
    REQUIRE(ch.tx.try_send(1).has_value());
    CHECK(ran(select(on_recv(rx, got), on_recv(std::move(ch.rx), got))).has_id());
    CHECK(got == 1);
    CHECK(rx.receiver_count() == 1);
    REQUIRE(ch.tx.try_send(2).has_value());
    CHECK(ran(select(on_recv(sluice::receiver<int>(rx), got))) == 0);
    CHECK(got == 2);
}

TEST_CASE("messages that are themselves results or optionals are stored", "[cases]") {
    auto results = sluice::unbounded<sluice::result<int>>();
    std::optional<sluice::result<int>> one;
    sluice::result<sluice::result<int>> two = sluice::unexpected(errc::full);
    sluice::result<int> three = 0;
    for (int i = 1; i <= 2; ++i) REQUIRE(results.tx.send(i).has_value());
    REQUIRE(results.tx.send(sluice::unexpected(errc::timeout)).has_value());
    CHECK(ran(select(on_recv(results.rx, one))) == 0);
    CHECK((one && **one == 1));
    CHECK(ran(select(on_recv(results.rx, two))) == 0);
    CHECK((two && **two == 2));
    CHECK(ran(select(on_recv(results.rx, [&](sluice::result<int> message) { three = message; }))) == 0);
    CHECK(three == errc::timeout);
    results.tx.close();
    CHECK(ran(select(on_recv(results.rx, [&](sluice::result<int>) {}))) == errc::closed);
    CHECK(ran(select(on_recv(results.rx, two))) == 0);
    CHECK((!two && two.error() == errc::closed));

    auto optionals = sluice::unbounded<std::optional<int>>();
    std::optional<std::optional<int>> got;
    REQUIRE(optionals.tx.send(std::nullopt).has_value());
    CHECK(ran(select(on_recv(optionals.rx, got))) == 0);
    CHECK((got.has_value() && !got->has_value()));
}

TEMPLATE_TEST_CASE("what a move throws leaves the select, and nothing is stored", "[cases][exception]",
                   in_optional<throwing_move>, in_result<throwing_move>) {
    using into = typename TestType::into;
    const auto which = EACH_BUFFERED_KIND();
    const bool in_group = GENERATE(false, true);
    CAPTURE(which, in_group);
    const audit books;
    {
        auto ch = make_channel<throwing_move>(which);
        into got = holding<throwing_move, into>(70);
        sluice::selector group;
        if (in_group) group.add(on_recv(ch.rx, got));
        const auto receive = [&] { return ran(in_group ? group.wait() : select(on_recv(ch.rx, got))); };
        fill(ch.tx, which);
        throw_after() = 1;  // out of the channel, in which the message stays
        CHECK_THROWS_AS(receive(), injected_error);
        CHECK(stored(got) == (in_group ? id_or_error(70) : errc::empty));
        CHECK(ch.rx.size() == static_cast<std::size_t>(room(which)));
        throw_after() = 2;  // out of the select: it is lost
        CHECK_THROWS_AS(receive(), injected_error);
        CHECK(stored(got) == errc::empty);
        CHECK(ch.rx.size() == static_cast<std::size_t>(room(which) - 1));
        throw_after() = 0;
        if (room(which) > 1) {
            CHECK(receive() == 0);
            CHECK(stored(got) == 1);
        }
    }
    CHECK(books.balanced());
}

TEST_CASE("what was stored before ends with no lock held", "[cases][lifetime]") {
    struct curious {
        std::function<void()> at_end;
        explicit curious(std::function<void()> f) : at_end(std::move(f)) {}
        curious(curious&& other) noexcept : at_end(std::exchange(other.at_end, nullptr)) {}
        curious& operator=(curious&&) = delete;
        ~curious() {
            if (at_end) at_end();
        }
    };
    const auto which = EACH_BUFFERED_KIND();
    const bool in_group = GENERATE(false, true);
    CAPTURE(which, in_group);
    auto ch = make_channel<curious>(which);
    int ended = 0;
    const auto uses_channel = [&] {
        ch.tx.close();
        ++ended;
    };
    std::optional<curious> got;
    got.emplace(uses_channel);
    REQUIRE(ch.tx.try_send(curious(uses_channel)).has_value());
    sluice::selector group;
    if (in_group) {
        group.add(on_recv(ch.rx, got));
        CHECK(ran(group.wait()) == 0);
    } else {
        CHECK(ran(select(on_recv(ch.rx, got))) == 0);
    }
    CHECK(ended == 1);
    CHECK(got.has_value());
}

TEST_CASE("the time points of a timer are stored", "[cases][timer]") {
    const auto due = steady::now() - 1h;
    std::optional<steady::time_point> got = steady::time_point();
    sluice::result<steady::time_point> heard = steady::time_point();
    const sluice::timer past = sluice::at(due), future = sluice::after(10h);
    CHECK(ran(select(on_recv(future, heard), on_recv(past, got))) == 1);
    CHECK(got == due);
    CHECK(heard == errc::empty);
    CHECK(ran(select(on_recv(past, got))) == errc::closed);
    CHECK_FALSE(got.has_value());
    CHECK(ran(select(on_recv(past, heard))) == 0);
    CHECK(heard == errc::closed);
    CHECK(ran(select(on_recv(sluice::at(due), heard))) == 0);
    CHECK(heard == due);
    CHECK(ran(select(on_recv(sluice::after(1ms), got))) == 0);
    CHECK(got.has_value());

    sluice::selector group;
    const auto id = group.add(on_recv(sluice::tick(1ms), got));
    for (int i = 0; i < 3; ++i) {
        got.reset();
        CHECK(group.wait().value() == id);
        CHECK(got.has_value());
    }
}

// ---- cases without a handler

TEST_CASE("every case but on_recv does without a handler", "[cases]") {
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    auto ch = make_channel<int>(which);
    std::optional<int> got;
    CHECK(ran(select(on_recv(ch.rx, got), otherwise())) == 1);
    CHECK(ran(select(on_recv(ch.rx, got), on_timeout(0ms))) == 1);
    CHECK(ran(select(on_recv(ch.rx, got), on_timeout(1ms))) == 1);
    CHECK(ran(select(on_recv(ch.rx, got), on_deadline(steady::now() + 1ms))) == 1);
    CHECK(ran(select(on_recv(ch.rx, got), on_stop(requested()))) == 1);
    CHECK(ran(select(on_recv(ch.rx, got), on_send(ch.tx, 5))) == 1);
    CHECK(ran(select_biased(on_recv(ch.rx, got), otherwise())) == 0);
    CHECK(got == 5);

    sluice::selector group;
    const auto late = group.add(on_timeout(1ms));
    CHECK(group.wait().value() == late);
    CHECK(group.remove(late));
    const auto due = group.add(on_deadline(steady::now()));
    CHECK(group.wait().value() == due);
    const auto idle = group.add(otherwise());
    CHECK_THROWS_AS(group.add(otherwise()), std::invalid_argument);
    CHECK(group.remove(due));
    CHECK(group.wait().value() == idle);
    const auto stop = group.add(on_stop(requested()));
    CHECK(group.wait().value() == stop);
}

TEST_CASE("a switch over the index breaks, returns, throws and sends", "[cases]") {
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    auto jobs = make_channel<int>(which);
    auto results = sluice::unbounded<int>();
    std::stop_source source;
    const auto serve = [&] {
        sluice::result<int> job = none<int>();
        for (;;) {
            switch (*select_biased(on_recv(jobs.rx, job), on_stop(source.get_token()), on_timeout(1ms))) {
                case 0:
                    if (!job) return 'c';
                    (void)results.tx.send(*job * 2);
                    continue;
                case 1: return 's';
                default: break;
            }
            throw injected_error();
        }
    };
    fill(jobs.tx, which);
    CHECK_THROWS_AS(serve(), injected_error);
    CHECK(results.rx.size() == static_cast<std::size_t>(room(which)));
    source.request_stop();
    CHECK(serve() == 's');
    jobs.tx.close();
    CHECK(serve() == 'c');
}

TEST_CASE("a handler may return what it likes, if that is not to be awaited", "[cases]") {
    struct [[nodiscard]] important {
        int value;
    };
    struct awaitable_in_part {
        bool await_ready() const { return true; }
    };
    auto [tx, rx] = sluice::unbounded<int>();
    int calls = 0;
    const auto counts = [&](auto&&...) { return important{++calls}; };
    for (int i = 0; i < 3; ++i) REQUIRE(tx.send(i).has_value());
    CHECK(ran(select(on_recv(rx, counts))) == 0);
    CHECK(ran(select(on_recv(rx, std::ref(counts)))) == 0);
    CHECK(ran(select(on_recv(rx, [&](sluice::result<int>) { return important{++calls}; }))) == 0);
    CHECK(ran(select(on_send(tx, 1, counts))) == 0);
    CHECK(ran(select(on_timeout(0ms, counts))) == 0);
    CHECK(ran(select(on_stop(requested(), counts))) == 0);
    CHECK(ran(select(otherwise([&] { return ++calls, awaitable_in_part(); }))) == 0);
    CHECK(calls == 7);
}

// ---- in a group

TEMPLATE_LIST_TEST_CASE("a group stores where its case is chosen, and only then", "[cases][selector]", stores) {
    using message = typename TestType::message;
    using into = typename TestType::into;
    constexpr bool hears = std::is_same_v<into, sluice::result<message>>;
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    const audit books;
    {
        auto ch = make_channel<message>(which);
        auto other = make_channel<message>(which);
        into got = holding<message, into>(70), mine = holding<message, into>(71);
        sluice::selector group;
        const auto a = group.add(on_recv(ch.rx, got));
        const auto b = group.add(on_recv(other.rx, mine));
        CHECK(ran(group.try_wait()) == errc::empty);
        CHECK(ran(group.wait_timeout(1ms)) == errc::timeout);
        CHECK(stored(got) == 70);
        REQUIRE(other.tx.try_send(message(1)).has_value());
        CHECK(group.wait().value() == b);
        CHECK(stored(mine) == 1);
        CHECK(stored(got) == 70);
        for (int i = 2; i < 4; ++i) {
            REQUIRE(ch.tx.try_send(message(i)).has_value());
            CHECK(group.wait().value() == a);
            CHECK(stored(got) == i);
        }
        ch.tx.close();
        if (hears) {
            CHECK(group.wait().value() == a);
            CHECK(stored(got) == errc::closed);
        } else {
            CHECK(ran(group.try_wait()) == errc::empty);
            CHECK(stored(got) == 3);
        }
        CHECK(group.size() == 1);
        CHECK_FALSE(group.remove(a));
        CHECK(ch.rx.receiver_count() == 1);
        CHECK(stored(mine) == 1);
        CHECK(group.remove(b));
    }
    CHECK(books.balanced());
}

TEMPLATE_LIST_TEST_CASE("a blocked group stores the message that wakes it", "[cases][selector]", stores) {
    using message = typename TestType::message;
    using into = typename TestType::into;
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto ch = make_channel<message>(which);
    into got = holding<message, into>(70);
    sluice::selector group;
    const auto id = group.add(on_recv(ch.rx, got));
    for (int i = 0; i < 3; ++i) {
        task waiting([&] { return ran(group.wait()); });
        REQUIRE(wait_until_asleep(waiting));
        CHECK(ch.tx.try_send(message(i)).has_value());
        CHECK(waiting.get() == id);
        CHECK(stored(got) == i);
    }
}

TEST_CASE("an on_send goes before its handler hears of what became of it", "[cases][selector]") {
    const auto which = EACH_BOUNDED_KIND();
    const bool hears = GENERATE(false, true);
    CAPTURE(which, hears);
    auto ch = make_channel<int>(which);
    sluice::selector group;
    std::vector<std::size_t> sizes;
    std::vector<errc> outcomes;
    const auto add = [&] {
        if (!hears) return group.add(on_send(ch.tx, 1, [&] { sizes.push_back(group.size()); }));
        return group.add(on_send(ch.tx, 1, [&](sluice::result<void> r) {
            sizes.push_back(group.size());
            outcomes.push_back(error_in(r));
        }));
    };
    const auto sent = add();
    task receiving([&] { return id_in(ch.rx.recv()); });
    CHECK(group.wait().value() == sent);
    CHECK(receiving.get() == 1);
    CHECK_FALSE(group.remove(sent));
    CHECK(sizes == std::vector<std::size_t>{0});

    fill(ch.tx, which);
    const auto refused = add();
    CHECK(ran(group.try_wait()) == errc::empty);
    ch.tx.close();
    CHECK(ran(group.wait()) == (hears ? id_or_error(refused) : errc::closed));
    CHECK(group.empty());
    CHECK_FALSE(group.remove(refused));
    CHECK(sizes.size() == (hears ? 2U : 1U));
    if (hears) CHECK(outcomes == std::vector<errc>{errc{}, errc::closed});
    CHECK(ch.rx.sender_count() == 1);
}

TEST_CASE("what takes the place of a case that stores goes on where that ended", "[cases][selector]") {
    auto first = sluice::bounded<int>(1), second = sluice::bounded<int>(1);
    sluice::result<int> got = none<int>();
    sluice::selector group;
    (void)group.add(on_recv(first.rx, got));
    first.tx.close();
    CHECK(group.wait().has_value());
    CHECK(got == errc::closed);
    CHECK(group.empty());
    const auto next = group.add(on_recv(second.rx, got));
    REQUIRE(second.tx.send(4).has_value());
    CHECK(group.wait().value() == next);
    CHECK(got == 4);
}
