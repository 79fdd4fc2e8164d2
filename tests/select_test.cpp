// select: which case runs, when, and that the others have no effect.
#include "catch.hpp"
#include "support/chance.hpp"
#include "support/kinds.hpp"
#include "support/names.hpp"
#include "support/outcomes.hpp"
#include "support/task.hpp"

#include <array>
#include <chrono>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

using namespace test;
using namespace std::chrono_literals;

namespace {

/// One sender that is blocked, or has sent, so that a message can be received.
template <class T>
class offered {
public:
    offered(const sluice::sender<T>& tx, kind which, int id) : work_([&tx, id] { return error_in(tx.send(T(id))); }) {
        if (which == kind::rendezvous) {
            REQUIRE(wait_until_asleep(work_));
        } else {
            REQUIRE(work_.get() == errc{});
        }
    }

private:
    task<errc> work_;
};

}  // namespace

// ---- receiving

TEMPLATE_LIST_TEST_CASE("on_recv runs its handler with a message that is there", "[select]", payloads) {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<TestType>(which);
    auto [idle_tx, idle_rx] = make_channel<TestType>(which);
    id_or_error got = -1;
    {
        const offered<TestType> sender(tx, which, 5);
        CHECK(ran(select(on_recv(idle_rx, [&](TestType) { got = 99; }),
                         on_recv(rx, [&](TestType message) { got = id_of(message); }))) == 1);
    }
    CHECK(got == 5);
    {
        const offered<TestType> sender(tx, which, 6);
        CHECK(ran(select(on_recv(rx, [&](sluice::result<TestType> message) { got = id_in(message); }))) == 0);
    }
    CHECK(got == 6);
    CHECK(error_in(rx.try_recv()) == errc::empty);
}

TEMPLATE_LIST_TEST_CASE("a blocked select is woken by a message", "[select]", payloads) {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<TestType>(which);
    auto [idle_tx, idle_rx] = make_channel<TestType>(which);
    int got = -1;
    task selecting([&, &rx = rx, &idle_rx = idle_rx] {
        return ran(select(on_recv(idle_rx, [&](const TestType&) { got = 99; }),
                          on_recv(rx, [&](TestType&& message) { got = id_of(message); })));
    });
    REQUIRE(wait_until_asleep(selecting));
    CHECK(tx.try_send(TestType(8)).has_value());
    CHECK(selecting.get() == 1);
    CHECK(got == 8);
    CHECK(error_in(rx.try_recv()) == errc::empty);
    CHECK(tx.size() == 0);
    if (which == kind::rendezvous) {
        CHECK(idle_tx.try_send(TestType(1)).error() == errc::full);
        CHECK(tx.try_send(TestType(1)).error() == errc::full);
    }
}

TEST_CASE("which kind of handler it is, is decided by its declared parameter", "[select]") {
    auto [tx, rx] = sluice::unbounded<std::string>();
    std::string got;
    const auto run = [&, &tx = tx, &rx = rx](auto handler) {
        got.clear();
        REQUIRE(tx.send("text").has_value());
        REQUIRE(ran(select(on_recv(rx, handler))) == 0);
        return got;
    };
    CHECK(run([&](std::string s) { got = s; }) == "text");
    CHECK(run([&](const std::string& s) { got = s; }) == "text");
    CHECK(run([&](std::string&& s) { got = std::move(s); }) == "text");
    CHECK(run([&](auto s) {
              got = s;
              static_assert(std::is_same_v<decltype(s), std::string>);
          }) == "text");
    CHECK(run([&](auto&& s) { got = s; }) == "text");
    CHECK(run([&](const auto& s) { got = s; }) == "text");
    CHECK(run([&](sluice::result<std::string> s) { got = *s; }) == "text");
    CHECK(run([&](const sluice::result<std::string>& s) { got = *s; }) == "text");
    CHECK(run([&](sluice::result<std::string>&& s) { got = *std::move(s); }) == "text");
    struct function_object {
        std::string& to;
        void operator()(const std::string& s) const { to = s; }
    };
    CHECK(run(function_object{got}) == "text");
    CHECK(run(std::function<void(std::string)>([&](std::string s) { got = std::move(s); })) == "text");
    CHECK(run(std::function<void(sluice::result<std::string>)>([&](const auto& s) { got = *s; })) == "text");
    static std::string* text = &got;
    void (*const takes_message)(const std::string&) = [](const std::string& s) { *text = s; };
    void (*const takes_result)(sluice::result<std::string>) noexcept = [](sluice::result<std::string> s) noexcept {
        *text = *s;
    };
    CHECK(run(takes_message) == "text");
    CHECK(run(takes_result) == "text");

    tx.close();
    int calls = 0;
    CHECK(ran(select(on_recv(rx, [&](auto) { ++calls; }), on_recv(rx, [&](const std::string&) { ++calls; }))) ==
          errc::closed);
    CHECK(calls == 0);
    CHECK(ran(select(on_recv(rx, [&](const sluice::result<std::string>& s) { calls += !s; }))) == 0);
    CHECK(ran(select(on_recv(
              rx, std::function<void(sluice::result<std::string>)>([&](const auto& s) { calls += !s; })))) == 0);
    CHECK(calls == 2);
}

TEST_CASE("a mutable handler and a handler that only moves are run as they are", "[select]") {
    auto [tx, rx] = sluice::unbounded<int>();
    REQUIRE(tx.send(1).has_value());
    auto owner = std::make_unique<int>(0);
    int* const seen = owner.get();
    CHECK(ran(select(on_recv(rx, [own = std::move(owner)](int id) mutable { *own = id; }), otherwise(nothing))) == 0);
    int count = 0;
    auto counting = [&count, calls = 0](int) mutable { count = ++calls; };
    REQUIRE(tx.send(1).has_value());
    CHECK(ran(select(on_recv(rx, counting))) == 0);
    CHECK(count == 1);
    CHECK(seen != nullptr);
}

TEMPLATE_LIST_TEST_CASE("a closed channel takes a case for messages out of the race", "[select]", payloads) {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<TestType>(which);
    auto [open_tx, open_rx] = make_channel<TestType>(which);
    fill(tx, which);
    tx.close();
    std::vector<int> ids;
    const auto keep = [&](const TestType& message) { ids.push_back(id_of(message)); };
    while (select(on_recv(rx, keep))) {
    }
    CHECK(ids == numbers(0, room(which)));

    task selecting(
        [&, &rx = rx, &open_rx = open_rx] { return ran(select(on_recv(rx, keep), on_recv(open_rx, keep))); });
    REQUIRE(wait_until_asleep(selecting));
    CHECK(open_tx.send(TestType(70)).has_value());
    CHECK(selecting.get() == 1);
    CHECK(ids.back() == 70);
}

TEMPLATE_LIST_TEST_CASE("closing wakes a blocked select", "[select]", payloads) {
    const auto which = EACH_KIND();
    const bool by_drop = GENERATE(false, true);
    CAPTURE(which, by_drop);
    auto [tx, rx] = make_channel<TestType>(which);
    const auto shut = [&, &tx = tx] {
        if (by_drop) {
            tx = {};
        } else {
            tx.close();
        }
    };
    SECTION("and a case for messages drops out") {
        task selecting([&rx = rx] { return ran(select(on_recv(rx, [](const TestType&) {}))); });
        REQUIRE(wait_until_asleep(selecting));
        shut();
        CHECK(selecting.get() == errc::closed);
    }
    SECTION("and a case for results is called with closed") {
        errc seen{};
        task selecting([&, &rx = rx] {
            return ran(select(on_recv(rx, [&](sluice::result<TestType> r) { seen = error_in(r); }),
                              on_timeout(patience, nothing)));
        });
        REQUIRE(wait_until_asleep(selecting));
        shut();
        CHECK(selecting.get() == 0);
        CHECK(seen == errc::closed);
    }
    SECTION("and it goes on waiting for the others") {
        auto other = make_channel<TestType>(which);
        task selecting([&, &rx = rx] {
            return ran(select(on_recv(rx, [](const TestType&) {}), on_recv(other.rx, [](const TestType&) {})));
        });
        REQUIRE(wait_until_asleep(selecting));
        shut();
        REQUIRE(wait_until_asleep(selecting));
        CHECK(other.tx.send(TestType(1)).has_value());
        CHECK(selecting.get() == 1);
    }
}

// ---- sending

TEMPLATE_LIST_TEST_CASE("on_send sends its value if there is room", "[select]", payloads) {
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<TestType>(which);
    TestType value(5);
    int called = 0;
    CHECK(ran(select(on_send(tx, std::move(value), [&] { ++called; }))) == 0);
    CHECK(called == 1);
    CHECK(id_in(rx.try_recv()) == 5);
    CHECK(ran(select(on_send(tx, TestType(6)))) == 0);
    CHECK(id_in(rx.try_recv()) == 6);
    CHECK(ran(select(on_send(tx, TestType(7), [&](sluice::result<void> r) { called += r.has_value(); }))) == 0);
    CHECK(called == 2);
    CHECK(id_in(rx.try_recv()) == 7);
}

TEMPLATE_LIST_TEST_CASE("an on_send that is not chosen leaves its value alone", "[select]", payloads) {
    const auto which = EACH_BOUNDED_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<TestType>(which);
    fill(tx, which);
    TestType value(50);
    CHECK(ran(select(on_send(tx, std::move(value)), otherwise(nothing))) == 1);
    CHECK(id_of(value) == 50);
    CHECK(ran(select(on_send(tx, std::move(value)), on_timeout(1ms, nothing))) == 1);
    CHECK(id_of(value) == 50);

    auto ready = sluice::unbounded<TestType>();
    CHECK(ran(select(on_send(tx, std::move(value)), on_send(ready.tx, TestType(51)))) == 1);
    CHECK(id_of(value) == 50);
    CHECK(ran(select_biased(on_send(ready.tx, TestType(52)), on_send(ready.tx, std::move(value)))) == 0);
    CHECK(id_of(value) == 50);
    CHECK(drain(ready.rx) == std::vector<int>{51, 52});

    tx.close();
    CHECK(ran(select(on_send(tx, std::move(value)))) == errc::closed);
    CHECK(ran(select(on_send(tx, std::move(value), [](sluice::result<void>) {}))) == 0);
    CHECK(id_of(value) == 50);
    CHECK(drain(rx) == numbers(0, room(which)));
}

TEMPLATE_LIST_TEST_CASE("a blocked select is woken by room", "[select]", payloads) {
    const auto which = EACH_BOUNDED_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<TestType>(which);
    fill(tx, which);
    TestType value(room(which));
    bool called = false;
    task selecting([&, &tx = tx] { return ran(select(on_send(tx, std::move(value), [&] { called = true; }))); });
    REQUIRE(wait_until_asleep(selecting));
    CHECK(tx.size() == static_cast<std::size_t>(room(which)));
    CHECK(id_in(rx.recv()) == 0);
    CHECK(selecting.get() == 0);
    CHECK(called);
    CHECK(drain(rx) == numbers(1, which == kind::rendezvous ? 1 : room(which) + 1));
}

TEMPLATE_LIST_TEST_CASE("closing wakes a select that is blocked on sending", "[select]", payloads) {
    const auto which = EACH_BOUNDED_KIND();
    const bool by_drop = GENERATE(false, true);
    CAPTURE(which, by_drop);
    auto [tx, rx] = make_channel<TestType>(which);
    fill(tx, which);
    TestType value(50);
    errc seen{};
    const bool tells = GENERATE(false, true);
    task selecting([&, &tx = tx] {
        if (tells) {
            return ran(select(on_send(tx, std::move(value), [&](sluice::result<void> r) { seen = error_in(r); })));
        }
        return ran(select(on_send(tx, std::move(value), nothing)));
    });
    REQUIRE(wait_until_asleep(selecting));
    if (by_drop) {
        rx = {};
    } else {
        rx.close();
    }
    CHECK(selecting.get() == (tells ? id_or_error(0) : errc::closed));
    CHECK(seen == (tells ? errc::closed : errc{}));
    CHECK(id_of(value) == 50);
}

TEST_CASE("on_send takes what a message is made from", "[select]") {
    auto [tx, rx] = sluice::unbounded<std::string>();
    const std::string text = "copied";
    CHECK(ran(select(on_send(tx, "literal"))) == 0);
    CHECK(ran(select(on_send(tx, text))) == 0);
    CHECK(text == "copied");
    CHECK(rx.recv().value() == "literal");
    CHECK(rx.recv().value() == "copied");
}

// ---- time, stop, otherwise

TEST_CASE("a timeout runs when nothing else was ready by then", "[select]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<int>(which);
    int late = 0;
    const auto count = [&] { ++late; };
    const auto start = steady::now();
    CHECK(ran(select(on_recv(rx, [](int) {}), on_timeout(3ms, count))) == 1);
    CHECK(steady::now() - start >= 3ms);
    const auto soon = steady::now() + 3ms;
    CHECK(ran(select(on_deadline(soon, count), on_recv(rx, [](int) {}))) == 0);
    CHECK(steady::now() >= soon);
    CHECK(ran(select(on_recv(rx, [](int) {}), on_deadline(std::chrono::system_clock::now() + 1ms, count))) == 1);
    CHECK(ran(select(on_recv(rx, [](int) {}), on_timeout(0ms, count))) == 1);
    CHECK(ran(select(on_recv(rx, [](int) {}), on_timeout(std::chrono::hours::min(), count))) == 1);
    CHECK(ran(select(on_recv(rx, [](int) {}), on_deadline(steady::time_point::min(), count))) == 1);
    CHECK(late == 6);

    const offered<int> sender(tx, which, 4);
    CHECK(ran(select(on_timeout(-1ms, count), on_recv(rx, [](int) {}))) == 1);
    CHECK(late == 6);
}

TEST_CASE("of several timeouts the first runs", "[select]") {
    auto [tx, rx] = sluice::unbounded<int>();
    CHECK(ran(select(on_timeout(10h, nothing), on_timeout(1ms, nothing), on_recv(rx, [](int) {}),
                     on_deadline(steady::now() + 10h, nothing))) == 1);
    CHECK(ran(select(on_deadline(std::chrono::system_clock::now() + 1ms, nothing), on_timeout(10h, nothing))) == 0);
}

TEST_CASE("a select of nothing but a timeout is a pause", "[select]") {
    const auto start = steady::now();
    CHECK(ran(select(on_timeout(2ms, nothing))) == 0);
    CHECK(steady::now() - start >= 2ms);
}

TEST_CASE("an endless timeout does not overflow", "[select]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<int>(which);
    task selecting([&rx = rx] {
        return ran(select(on_timeout(std::chrono::hours::max(), nothing), on_recv(rx, [](int) {}),
                          on_deadline(steady::time_point::max(), nothing)));
    });
    REQUIRE(wait_until_asleep(selecting));
    CHECK(tx.send(1).has_value());
    CHECK(selecting.get() == 1);
}

TEST_CASE("on_stop runs when stop is requested", "[select][stop]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<int>(which);
    CHECK(ran(select(on_recv(rx, [](int) {}), on_stop(requested(), nothing))) == 1);
    CHECK(ran(select(on_timeout(0ms, nothing), on_stop(requested(), nothing))) == 1);
    CHECK(ran(select(on_stop(requested(), nothing))) == 0);
    CHECK(ran(select(on_recv(rx, [](int) {}), on_stop(std::stop_token(), nothing), otherwise(nothing))) == 2);

    std::stop_source source;
    bool stopped = false;
    task selecting([&, &rx = rx] {
        return ran(select(on_recv(rx, [](int) {}), on_stop(source.get_token(), [&] { stopped = true; })));
    });
    REQUIRE(wait_until_asleep(selecting));
    source.request_stop();
    CHECK(selecting.get() == 1);
    CHECK(stopped);
    if (which == kind::rendezvous) {
        CHECK(tx.try_send(1).error() == errc::full);
    }
}

TEST_CASE("a stop that was requested before comes before everything in select", "[select][stop]") {
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<int>(which);
    auto closed = make_channel<int>(which);
    closed.tx.close();
    auto room = make_channel<int>(which);
    fill(tx, which);
    const auto size = rx.size();
    int calls = 0;
    const auto count = [&] { ++calls; };
    const auto count_message = [&](int) { ++calls; };
    const auto count_result = [&](const sluice::result<int>&) { ++calls; };
    const auto stop = requested();
    for (int i = 0; i < 50; ++i) {
        CHECK(ran(select(on_recv(rx, count_message), on_stop(stop, nothing))) == 1);
        CHECK(ran(select(on_stop(stop, nothing), on_recv(rx, count_message))) == 0);
        CHECK(ran(select(on_send(room.tx, 1, count), on_stop(stop, nothing), on_recv(rx, count_message))) == 1);
        CHECK(ran(select(on_recv(closed.rx, count_result), on_stop(stop, nothing))) == 1);
        CHECK(ran(select(on_send(closed.tx, 1, [&](sluice::result<void>) { ++calls; }), on_stop(stop, nothing))) == 1);
        CHECK(ran(select(otherwise(count), on_timeout(0ms, count), on_stop(stop, nothing))) == 2);
        CHECK(ran(select(on_deadline(steady::time_point::min(), count),
                         on_recv(sluice::after(0ms), [&](auto) { ++calls; }), on_stop(stop, nothing))) == 2);
    }
    CHECK(calls == 0);
    CHECK(rx.size() == size);
    CHECK(room.rx.empty());
}

TEST_CASE("select_biased holds on_stop to the listed order", "[select][stop]") {
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<int>(which);
    fill(tx, which);
    const auto size = rx.size();
    const auto ignore = [](int) {};
    CHECK(ran(select_biased(on_stop(requested(), nothing), on_recv(rx, ignore))) == 0);
    CHECK(rx.size() == size);
    CHECK(ran(select_biased(on_recv(rx, ignore), on_stop(requested(), nothing))) == 0);
    CHECK(rx.size() == size - 1);
    CHECK(ran(select_biased(on_timeout(0ms, nothing), otherwise(nothing), on_stop(requested(), nothing))) == 2);
    tx.close();
    (void)drain(rx);
    CHECK(ran(select_biased(on_recv(rx, ignore), on_stop(requested(), nothing))) == 1);
    CHECK(ran(select_biased(on_recv(rx, [](const sluice::result<int>&) {}), on_stop(requested(), nothing))) == 0);
}

TEST_CASE("otherwise runs at once when nothing is ready", "[select]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<int>(which);
    int idle = 0;
    const auto count = [&] { ++idle; };
    CHECK(ran(select(on_recv(rx, [](int) {}), otherwise(count))) == 1);
    CHECK(ran(select(otherwise(count), on_timeout(10h, nothing))) == 0);
    CHECK(ran(select(otherwise(count))) == 0);
    CHECK(idle == 3);
    const offered<int> sender(tx, which, 4);
    CHECK(ran(select(otherwise(count), on_recv(rx, [](int) {}))) == 1);
    CHECK(ran(select_biased(otherwise(count), on_stop(requested(), nothing))) == 1);
    CHECK(idle == 3);
}

TEST_CASE("when every channel case has dropped out, what is not a channel still runs", "[select]") {
    const auto which = EACH_KIND();
    const bool closed = GENERATE(true, false);
    CAPTURE(which, closed);
    sluice::channel<int> ch;
    if (closed) {
        ch = make_channel<int>(which);
        ch.tx.close();
    }
    const auto ignore = [](int) {};
    CHECK(ran(select(on_recv(ch.rx, ignore), on_send(ch.tx, 1), otherwise(nothing))) == 2);
    CHECK(ran(select(on_recv(ch.rx, ignore), on_send(ch.tx, 1), on_timeout(1ms, nothing))) == 2);
    CHECK(ran(select(on_recv(ch.rx, ignore), on_send(ch.tx, 1), on_deadline(steady::now(), nothing))) == 2);
    CHECK(ran(select(on_recv(ch.rx, ignore), on_send(ch.tx, 1), on_stop(requested(), nothing))) == 2);
    CHECK(ran(select(on_recv(ch.rx, ignore), on_send(ch.tx, 1))) == errc::closed);
    CHECK(ran(select_biased(on_send(ch.tx, 1), on_recv(ch.rx, ignore))) == errc::closed);

    std::stop_source source;
    task selecting(
        [&] { return ran(select(on_recv(ch.rx, ignore), on_send(ch.tx, 1), on_stop(source.get_token(), nothing))); });
    REQUIRE(wait_until_asleep(selecting));
    source.request_stop();
    CHECK(selecting.get() == 2);
}

TEST_CASE("a case on an empty handle is never ready", "[select]") {
    const sluice::sender<int> tx;
    const sluice::receiver<int> rx;
    int calls = 0;
    const auto got = [&](const sluice::result<int>&) { ++calls; };
    const auto sent = [&](sluice::result<void>) { ++calls; };
    CHECK(ran(select(on_recv(rx, got), on_send(tx, 1, sent), otherwise(nothing))) == 2);
    CHECK(ran(select(on_recv(rx, got), on_send(tx, 1, sent), on_timeout(1ms, nothing))) == 2);
    CHECK(ran(select(on_recv(rx, got), on_send(tx, 1, sent))) == errc::closed);
    auto ready = sluice::unbounded<int>();
    CHECK(ran(select(on_recv(rx, got), on_send(ready.tx, 1))) == 1);
    CHECK(calls == 0);
}

TEST_CASE("a case on an empty handle is switched off, whatever its handler and in whatever select", "[select]") {
    int calls = 0;
    const auto got = [&](const sluice::result<int>&) { ++calls; };
    const auto sent = [&](sluice::result<void>) { ++calls; };
    const auto due = [&](const sluice::result<steady::time_point>&) { ++calls; };
    sluice::receiver<int> moved_from;
    {
        auto ch = sluice::unbounded<int>();
        moved_from = ch.rx;
        const auto taken = std::move(moved_from);
    }
    CHECK(ran(select(on_recv(sluice::timer(), due))) == errc::closed);
    CHECK(ran(select_biased(on_recv(sluice::timer(), due), otherwise(nothing))) == 1);
    CHECK(ran(select(on_recv(moved_from, got), on_recv(sluice::timer(), due), on_timeout(1ms, nothing))) == 2);
    CHECK(ran(select_biased(on_send(sluice::sender<int>(), 1, sent), on_recv(moved_from, got))) == errc::closed);
    CHECK(ran(select_biased(on_recv(moved_from, got), on_stop(requested(), nothing))) == 1);
    std::stop_source source;
    task selecting([&] { return ran(select(on_recv(moved_from, got), on_stop(source.get_token(), nothing))); });
    REQUIRE(wait_until_asleep(selecting));
    source.request_stop();
    CHECK(selecting.get() == 1);
    CHECK(calls == 0);
}

TEST_CASE("a loop over a select ends when all is done", "[select]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto one = make_channel<int>(which);
    auto two = make_channel<int>(which);
    const auto produce = [](sluice::sender<int> tx) {
        return task([tx = std::move(tx)] {
            int sent = 0;
            for (int id = 0; id < 100; ++id) {
                sent += tx.send(id).has_value();
            }
            return sent;
        });
    };
    auto first = produce(std::move(one.tx));
    auto second = produce(std::move(two.tx));
    std::vector<int> ones;
    std::vector<int> twos;
    while (select(on_recv(one.rx, [&](int id) { ones.push_back(id); }),
                  on_recv(two.rx, [&](int id) { twos.push_back(id); }))) {
    }
    CHECK(ones == numbers(0, 100));
    CHECK(twos == numbers(0, 100));
    CHECK(first.get() + second.get() == 200);
}

// ---- the choice

TEST_CASE("the choice among ready cases is uniformly random", "[select]") {
    const int trials = scaled(8000);
    auto a = sluice::unbounded<int>();
    auto b = sluice::unbounded<int>();
    auto c = sluice::bounded<int>(1);
    std::array<long, 4> hits{};
    for (int i = 0; i < trials; ++i) {
        while (a.rx.size() < 1) {
            REQUIRE(a.tx.send(1).has_value());
        }
        while (b.rx.size() < 1) {
            REQUIRE(b.tx.send(1).has_value());
        }
        (void)c.rx.try_recv();
        const auto fired =
            select(on_recv(a.rx, [](int) {}), on_send(c.tx, 1), on_recv(b.rx, [](int) {}), on_recv(a.rx, [](int) {}));
        ++hits.at(fired.value());
    }
    for (const long count : hits) {
        CAPTURE(count);
        CHECK(plausible(count, trials, 0.25));
    }
}

TEST_CASE("the choice does not follow the one before", "[select]") {
    const int trials = scaled(8000);
    auto [tx, rx] = sluice::unbounded<int>();
    for (int i = 0; i <= trials; ++i) {
        REQUIRE(tx.send(i).has_value());
    }
    long repeats = 0;
    std::size_t last = select(on_recv(rx, [](int) {}), on_recv(rx, [](int) {})).value();
    for (int i = 0; i < trials; ++i) {
        const auto next = select(on_recv(rx, [](int) {}), on_recv(rx, [](int) {})).value();
        repeats += next == last;
        last = next;
    }
    CHECK(plausible(repeats, trials, 0.5));
}

TEST_CASE("the choice is random too when one event makes several cases of a blocked select ready", "[select]") {
    const auto which = EACH_KIND();
    const int event = GENERATE(0, 1, 2);
    CAPTURE(which, event);
    if (event == 1 && which == kind::unbounded) {
        SUCCEED("a send to an unbounded channel never waits");
        return;
    }
    constexpr int trials = sanitized || emulated ? 60 : 150;
    long first = 0;
    std::stop_source never;
    for (int i = 0; i < trials; ++i) {
        auto [tx, rx] = make_channel<int>(which);
        if (event == 1) {
            fill(tx, which);
        }
        task selecting([&, &tx = tx, &rx = rx] {
            if (event == 0) {
                return ran(select(on_recv(rx, [](int) {}), on_recv(rx, [](int) {})));
            }
            if (event == 1) {
                return ran(select(on_send(tx, 1), on_send(tx, 2)));
            }
            return ran(
                select(on_recv(rx, [](const sluice::result<int>&) {}), on_recv(rx, [](const sluice::result<int>&) {})));
        });
        REQUIRE(wait_until_asleep(selecting));
        if (event == 0) {
            REQUIRE(tx.send(1).has_value());
        } else if (event == 1) {
            REQUIRE(rx.recv().has_value());
        } else {
            tx.close();
        }
        const id_or_error index = selecting.get();
        REQUIRE((index == 0 || index == 1));
        first += index == 0;
    }
    CAPTURE(first);
    CHECK(plausible(first, trials, 0.5));
}

TEST_CASE("select_biased takes the first listed of those that are ready", "[select]") {
    auto a = sluice::unbounded<int>();
    auto b = sluice::unbounded<int>();
    for (int i = 0; i < 50; ++i) {
        REQUIRE(a.tx.send(1).has_value());
        REQUIRE(b.tx.send(1).has_value());
    }
    std::array<int, 3> hits{};
    const auto ignore = [](int) {};
    for (int i = 0; i < 100; ++i) {
        ++hits.at(select_biased(on_recv(a.rx, ignore), on_recv(b.rx, ignore), otherwise(nothing)).value());
        if (i < 50) {
            CHECK(hits[1] == 0);
        }
    }
    CHECK(hits == std::array<int, 3>{50, 50, 0});
    CHECK(ran(select_biased(on_recv(a.rx, ignore), on_recv(b.rx, ignore), otherwise(nothing))) == 2);
    CHECK(ran(select_biased(on_recv(a.rx, ignore), on_timeout(1ms, nothing))) == 1);
    REQUIRE(a.tx.send(1).has_value());
    CHECK(ran(select_biased(on_send(a.tx, 1), on_recv(a.rx, ignore))) == 0);
    CHECK(ran(select_biased(on_recv(a.rx, ignore), on_send(a.tx, 1))) == 0);
    a.tx.close();
    b.tx.close();
    CHECK(a.rx.recv().has_value());
    CHECK(ran(select_biased(on_recv(a.rx, ignore), on_recv(b.rx, [](const sluice::result<int>&) {}))) == 1);
}

TEST_CASE("a biased select that blocks takes the first listed of what one event makes ready", "[select]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    for (int i = 0; i < 20; ++i) {
        auto [tx, rx] = make_channel<int>(which);
        task selecting([&rx = rx] { return ran(select_biased(on_recv(rx, [](int) {}), on_recv(rx, [](int) {}))); });
        REQUIRE(wait_until_asleep(selecting));
        REQUIRE(tx.send(1).has_value());
        CHECK(selecting.get() == 0);
    }
}

TEMPLATE_LIST_TEST_CASE("a case that was not chosen has no effect", "[select]", payloads) {
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    const audit books;
    {
        auto a = make_channel<TestType>(which);
        auto b = make_channel<TestType>(which);
        auto c = make_channel<TestType>(which);
        for (int i = 0; i < 60; ++i) {
            (void)a.tx.try_send(TestType(1));
            (void)b.tx.try_send(TestType(2));
            const auto before = std::array{a.rx.size(), b.rx.size(), c.rx.size()};
            TestType value(3);
            std::array<int, 3> calls{};
            const auto fired = select(on_recv(a.rx, [&](const TestType& m) { calls[0] += id_of(m) == 1; }),
                                      on_recv(b.rx, [&](const TestType& m) { calls[1] += id_of(m) == 2; }),
                                      on_send(c.tx, std::move(value), [&] { ++calls[2]; }));
            const auto index = fired.value();
            auto after = std::array{a.rx.size(), b.rx.size(), c.rx.size()};
            after.at(index) = index == 2 ? after.at(2) - 1 : after.at(index) + 1;
            CHECK(after == before);
            CHECK(calls[0] + calls[1] + calls[2] == 1);
            CHECK(calls.at(index) == 1);
            if (index != 2) {
                CHECK(id_of(value) == 3);
            }
            (void)c.rx.try_recv();
        }
    }
    CHECK(books.balanced());
}

// ---- what is ready while a select looks

namespace {

/// A message whose copy plays a scene, so that something happens in the midst of a select that may have to copy it.
struct scenic {
    explicit scenic(std::function<void()> what) : scene(std::move(what)) {}
    scenic(const scenic& other) : scene(other.scene) { scene(); }
    scenic(scenic&&) noexcept = default;
    scenic& operator=(scenic&&) noexcept = default;
    ~scenic() = default;
    std::function<void()> scene;
};

}  // namespace

TEST_CASE("nothing is not ready where something was at every moment", "[select]") {
    const auto which = EACH_BUFFERED_KIND();
    const int with = GENERATE(0, 1, 2);
    const bool biased = GENERATE(false, true);
    CAPTURE(which, with, biased);
    for (int i = 0; i < 20; ++i) {
        auto messages = make_channel<int>(which);
        auto room = sluice::bounded<scenic>(1);
        // A message comes before the room goes.
        const scenic value([&] {
            (void)messages.tx.try_send(1);
            (void)room.tx.try_send(scenic([] {}));
        });
        const auto choose = [biased](auto&&... cases) {
            return ran(biased ? select_biased(std::move(cases)...) : select(std::move(cases)...));
        };
        const auto ignore = [](int) {};
        id_or_error chosen = -1;
        switch (with) {
            case 0: chosen = choose(on_recv(messages.rx, ignore), on_send(room.tx, value), otherwise(nothing)); break;
            case 1:
                chosen = choose(on_recv(messages.rx, ignore), on_send(room.tx, value), on_timeout(0ms, nothing));
                break;
            default:
                chosen = choose(on_recv(messages.rx, ignore), on_send(room.tx, value),
                                on_deadline(steady::now() - 1s, nothing));
                break;
        }
        CHECK((chosen == 0 || chosen == 1));
    }
}

TEST_CASE("select_biased takes no later case where an earlier one was ready before it", "[select]") {
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    auto first = make_channel<int>(which);
    auto room = sluice::bounded<scenic>(1);
    auto second = make_channel<int>(which);
    const scenic value([&] {
        (void)first.tx.try_send(1);
        (void)second.tx.try_send(1);
        (void)room.tx.try_send(scenic([] {}));
    });
    const auto ignore = [](int) {};
    CHECK(ran(select_biased(on_recv(first.rx, ignore), on_send(room.tx, value), on_recv(second.rx, ignore),
                            otherwise(nothing))) == 0);
    CHECK(second.rx.size() == 1);
}

// ---- handlers

TEST_CASE("a handler may use any channel, its own included", "[select]") {
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<int>(which);
    REQUIRE(tx.send(1).has_value());
    int nested = 0;
    const auto fired = select(on_recv(rx, [&, &tx = tx, &rx = rx](int id) {
        CHECK(id == 1);
        CHECK(rx.size() == 0);
        CHECK(tx.send(2).has_value());
        CHECK(ran(select(on_recv(rx, [&](int inner) { nested = inner; }))) == 0);
        tx.close();
    }));
    CHECK(ran(fired) == 0);
    CHECK(nested == 2);
    CHECK(rx.is_closed());
}

TEST_CASE("the handler of a blocked select may use the channel too", "[select]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<int>(which);
    task selecting([&tx = tx, &rx = rx] {
        errc again{};
        const auto fired =
            select(on_recv(rx, [&](int) { again = error_in(rx.recv()); }), on_send(sluice::sender<int>(), 1));
        (void)tx.close();
        return std::pair(ran(fired), again);
    });
    REQUIRE(wait_until_asleep(selecting));
    CHECK(tx.send(1).has_value());
    CHECK(tx.send(2).has_value());
    CHECK(selecting.get() == std::pair(id_or_error(0), errc{}));
    CHECK(tx.is_closed());
}

// ---- selects that meet

TEST_CASE("a try succeeds when a select waits at the other end of a rendezvous", "[select]") {
    auto [tx, rx] = sluice::rendezvous<int>();
    {
        int got = 0;
        task selecting([&, &rx = rx] { return ran(select(on_recv(rx, [&](int id) { got = id; }))); });
        REQUIRE(wait_until_asleep(selecting));
        CHECK(tx.try_send(3).has_value());
        CHECK(tx.try_send(4).error() == errc::full);
        CHECK(selecting.get() == 0);
        CHECK(got == 3);
    }
    {
        task selecting([&tx = tx] { return ran(select(on_send(tx, 5))); });
        REQUIRE(wait_until_asleep(selecting));
        CHECK(id_in(rx.try_recv()) == 5);
        CHECK(error_in(rx.try_recv()) == errc::empty);
        CHECK(selecting.get() == 0);
    }
}

TEMPLATE_LIST_TEST_CASE("two selects meet on a rendezvous", "[select]", payloads) {
    auto one = sluice::rendezvous<TestType>();
    auto two = sluice::rendezvous<TestType>();
    int got = -1;
    task receiving([&] {
        return ran(select(on_recv(one.rx, [&](const TestType& m) { got = id_of(m); }), on_send(two.tx, TestType(7))));
    });
    REQUIRE(wait_until_asleep(receiving));
    SECTION("one receives from the other") {
        CHECK(ran(select(on_send(one.tx, TestType(5)))) == 0);
        CHECK(receiving.get() == 0);
        CHECK(got == 5);
    }
    SECTION("the other way round") {
        CHECK(ran(select(on_recv(two.rx, [&](const TestType& m) { got = id_of(m); }), otherwise(nothing))) == 0);
        CHECK(receiving.get() == 1);
        CHECK(got == 7);
    }
}

TEST_CASE("a select never pairs with itself", "[select]") {
    auto [tx, rx] = sluice::rendezvous<int>();
    const auto ignore = [](int) {};
    CHECK(ran(select(on_recv(rx, ignore), on_send(tx, 1), otherwise(nothing))) == 2);
    CHECK(ran(select(on_send(tx, 1), on_recv(rx, ignore), on_timeout(1ms, nothing))) == 2);
    CHECK(ran(select_biased(on_send(tx, 1), on_recv(rx, ignore), on_send(tx, 2), on_timeout(1ms, nothing))) == 3);

    task selecting([&, &tx = tx, &rx = rx] { return ran(select(on_recv(rx, ignore), on_send(tx, 1))); });
    REQUIRE(wait_until_asleep(selecting));
    SECTION("but with a sender") {
        CHECK(tx.send(2).has_value());
        CHECK(selecting.get() == 0);
    }
    SECTION("but with a receiver") {
        CHECK(id_in(rx.recv()) == 1);
        CHECK(selecting.get() == 1);
    }
    SECTION("but with another select of the same kind") {
        int got = 0;
        const id_or_error mine = ran(select(on_recv(rx, [&](int id) { got = id; }), on_send(tx, 3)));
        CHECK(selecting.get() == (mine == 0 ? 1 : 0));
        CHECK(got == (mine == 0 ? 1 : 0));
    }
    SECTION("nor with a group of its own thread") {
        sluice::selector group;
        group.add(on_recv(rx, ignore));
        group.add(on_send(tx, 9));
        CHECK(group.wait().has_value());
        CHECK(selecting.get().has_id());
        CHECK(group.wait_timeout(1ms).error() == errc::timeout);
    }
}

TEST_CASE("both ends of a channel that holds messages may stand in one select", "[select]") {
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<int>(which);
    int sum = 0;
    for (int i = 0; i < 100; ++i) {
        const auto fired = select(on_recv(rx, [&](int) { --sum; }), on_send(tx, i, [&] { ++sum; }));
        REQUIRE(fired.has_value());
        REQUIRE(tx.size() == static_cast<std::size_t>(sum));
    }
}
