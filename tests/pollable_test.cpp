// pollable: descriptors that event loops wait for.
#include "catch.hpp"

#if defined(__unix__) || defined(__APPLE__)

#include "support/kinds.hpp"
#include "support/outcomes.hpp"
#include "support/payload.hpp"
#include "support/scale.hpp"
#include "support/task.hpp"

#include <sluice/pollable.hpp>
#include <sluice/sluice.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/epoll.h>
#endif

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

using namespace test;
using namespace std::chrono_literals;
using sluice::errc;
using sluice::on_recv;
using sluice::on_send;
using sluice::pollable;

namespace {

template <class P>
bool is_readable(const P& p) {
    pollfd waiting{p.fd(), POLLIN, 0};
    return ::poll(&waiting, 1, 0) == 1;
}
/// As a loop does: without a limit, so that an edge that is missed is a test that hangs, and is ended by CTest.
template <class P>
void wait_for(const P& p) {
    pollfd waiting{p.fd(), POLLIN, 0};
    while (::poll(&waiting, 1, -1) != 1) {
    }
}

template <class T>
id_or_error receive(const pollable<T>& p) {
    return id_in(p.try_recv());
}
/// How many are open in this process.
std::ptrdiff_t open_descriptors() {
    std::ptrdiff_t count = 0;
    for (int fd = 0; fd < 1024; ++fd) count += ::fcntl(fd, F_GETFD) != -1 ? 1 : 0;
    return count;
}
constexpr auto ignore = [](int) {};

}  // namespace

TEST_CASE("a pollable is readable while there may be a message", "[pollable]") {
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    const auto [tx, rx] = make_channel<int>(which);
    const pollable<int> in(rx);
    CHECK_FALSE(is_readable(in));
    fill(tx, which);
    CHECK(is_readable(in));
    for (int id = 0; id < room(which); ++id) {
        CHECK(receive(in) == id);
        CHECK(is_readable(in));
    }
    CHECK(receive(in) == errc::empty);
    CHECK_FALSE(is_readable(in));
    CHECK(receive(in) == errc::empty);
    CHECK_FALSE(is_readable(in));
    REQUIRE(tx.send(70).has_value());
    CHECK(is_readable(in));
    CHECK(receive(in) == 70);
    CHECK(receive(in) == errc::empty);
    CHECK_FALSE(is_readable(in));
}

TEST_CASE("a pollable of a channel that holds messages is readable from the beginning", "[pollable]") {
    const auto [tx, rx] = sluice::unbounded<int>();
    REQUIRE(tx.send(1).has_value());
    const pollable<int> in(rx);
    CHECK(is_readable(in));
    tx.close();
    const pollable<int> closed(sluice::receiver<int>{});
    CHECK(is_readable(closed));
    CHECK(receive(closed) == errc::closed);
    CHECK(is_readable(closed));
}

TEMPLATE_LIST_TEST_CASE("a pollable takes every message", "[pollable]", payloads) {
    const auto [tx, rx] = sluice::bounded<TestType>(2);
    const pollable<TestType> in(rx);
    REQUIRE(tx.send(TestType(1)).has_value());
    REQUIRE(is_readable(in));
    CHECK(receive(in) == 1);
    CHECK(receive(in) == errc::empty);
    CHECK_FALSE(is_readable(in));
}

TEST_CASE("closing makes a pollable readable for good", "[pollable]") {
    const auto which = EACH_KIND();
    const int how = GENERATE(0, 1, 2);
    CAPTURE(which, how);
    auto [tx, rx] = make_channel<int>(which);
    const pollable<int> in(rx);
    CHECK(receive(in) == errc::empty);
    if (how == 0) tx.close();
    if (how == 1) rx.close();
    if (how == 2) tx = {};
    for (int i = 0; i < 3; ++i) {
        CHECK(is_readable(in));
        CHECK(receive(in) == errc::closed);
    }
}

TEST_CASE("what is buffered at the closing is received from a pollable first", "[pollable]") {
    auto [tx, rx] = sluice::bounded<int>(3);
    const pollable<int> in(std::move(rx));
    REQUIRE(tx.send(1).has_value());
    REQUIRE(tx.send(2).has_value());
    tx = {};
    CHECK(receive(in) == 1);
    CHECK(receive(in) == 2);
    CHECK(receive(in) == errc::closed);
    CHECK(is_readable(in));
}

TEST_CASE("a pollable keeps its channel open, and drops it with the receiver", "[pollable]") {
    auto [tx, rx] = sluice::unbounded<int>();
    std::optional<pollable<int>> in(std::in_place, std::move(rx));
    const auto weak = tx.downgrade();
    CHECK(tx.receiver_count() == 1);
    CHECK_FALSE(tx.is_closed());
    in.reset();
    CHECK(tx.is_closed());
    CHECK(weak.lock());
    tx = {};
    CHECK_FALSE(weak.lock());

    auto other = sluice::unbounded<int>();
    const auto weak_rx = other.rx.downgrade();
    const pollable<int> kept(std::move(other.rx));
    const auto weak_tx = other.tx.downgrade();
    CHECK(weak_rx.lock());
    CHECK(receive(kept) == errc::empty);
    other.tx = {};
    CHECK_FALSE(weak_tx.lock());
    CHECK(is_readable(kept));
    CHECK(receive(kept) == errc::closed);
}

TEST_CASE("on channels that discard, a pollable tells of what is left", "[pollable]") {
    const auto rule = GENERATE(sluice::overflow::drop_oldest, sluice::overflow::drop_newest);
    const auto [tx, rx] = sluice::bounded<int>(2, rule);
    const pollable<int> in(rx);
    CHECK(receive(in) == errc::empty);
    for (int id = 0; id < 5; ++id) REQUIRE(tx.try_send(id).has_value());
    CHECK(is_readable(in));
    CHECK(receive(in) == (rule == sluice::overflow::drop_oldest ? 3 : 0));
    CHECK(receive(in) == (rule == sluice::overflow::drop_oldest ? 4 : 1));
    CHECK(receive(in) == errc::empty);
    CHECK_FALSE(is_readable(in));
    CHECK(in.fd() >= 0);
    REQUIRE(tx.force_send(9).has_value());
    CHECK(is_readable(in));
    CHECK(receive(in) == 9);
}

TEST_CASE("a blocked sender of a rendezvous makes a pollable readable", "[pollable]") {
    const int how = GENERATE(0, 1, 2, 3);
    CAPTURE(how);
    const auto [tx, rx] = sluice::rendezvous<int>();
    const pollable<int> in(rx);
    CHECK_FALSE(is_readable(in));
    CHECK(receive(in) == errc::empty);
    for (int round = 0; round < 3; ++round) {
        task sending([&, to = tx] {
            if (how == 0) return to.send(7).has_value();
            if (how == 1) return sluice::select(on_send(to, 7)).has_value();
            if (how == 2) return to.send_timeout(7, 10h).has_value();
            sluice::selector group;
            group.add(on_send(to, 7));
            return group.wait().has_value();
        });
        wait_for(in);
        CHECK(receive(in) == 7);
        CHECK(sending.get());
        CHECK(receive(in) == errc::empty);
        CHECK_FALSE(is_readable(in));
    }
}

TEST_CASE("a pollable is readable where the sender of a rendezvous waits already", "[pollable]") {
    const auto [tx, rx] = sluice::rendezvous<int>();
    std::stop_source stop;
    task sending([&, to = tx] { return to.send(7, stop.get_token()).error() == errc::stopped; });
    REQUIRE(wait_until_asleep(sending));
    const pollable<int> in(rx);
    CHECK(is_readable(in));
    stop.request_stop();
    CHECK(sending.get());
    CHECK(receive(in) == errc::empty);
    CHECK_FALSE(is_readable(in));
}

TEST_CASE("on a rendezvous two sides that only look do not meet, nor tell each other", "[pollable]") {
    const auto [tx, rx] = sluice::rendezvous<int>();
    const pollable<int> in(rx);
    sluice::selector group;
    group.add(on_send(tx, 1));
    pollable<sluice::selector> out(group);
    for (int round = 0; round < 3; ++round) {
        CHECK_FALSE(is_readable(in));
        CHECK_FALSE(is_readable(out));
        CHECK(tx.try_send(2).error() == errc::full);
        CHECK(receive(in) == errc::empty);
        CHECK(ran(out.try_wait()) == errc::empty);
        CHECK(ran(sluice::select(on_recv(rx, ignore), sluice::otherwise())) == 1);
    }
    sluice::selector both;
    both.add(on_send(tx, 3));
    both.add(on_recv(rx, ignore));
    pollable<sluice::selector> ends(both);
    CHECK_FALSE(is_readable(ends));
    CHECK(ran(ends.try_wait()) == errc::empty);
    CHECK_FALSE(is_readable(ends));
    CHECK_FALSE(is_readable(in));
    CHECK_FALSE(is_readable(out));
}

TEST_CASE("all pollables of a channel are told, and one gets the message", "[pollable]") {
    const auto which = EACH_BUFFERED_KIND();
    const auto [tx, rx] = make_channel<int>(which);
    const pollable<int> a(rx), b(rx);
    REQUIRE(tx.send(1).has_value());
    CHECK(is_readable(a));
    CHECK(is_readable(b));
    CHECK(receive(a) == 1);
    CHECK(receive(b) == errc::empty);
    CHECK_FALSE(is_readable(b));
    REQUIRE(tx.send(2).has_value());
    CHECK(rx.try_recv().value() == 2);
    CHECK(is_readable(b));
    CHECK(receive(b) == errc::empty);
    CHECK_FALSE(is_readable(b));
}

TEST_CASE("a receiver that is blocked gets the message before a pollable", "[pollable]") {
    const auto [tx, rx] = sluice::bounded<int>(1);
    const pollable<int> in(rx);
    task receiving([&, from = rx] { return from.recv().value() == 1; });
    REQUIRE(wait_until_asleep(receiving));
    REQUIRE(tx.send(1).has_value());
    CHECK(receiving.get());
    CHECK(receive(in) == errc::empty);
    CHECK_FALSE(is_readable(in));
    REQUIRE(tx.send(2).has_value());
    CHECK(is_readable(in));
}

TEST_CASE("a pollable moves with its descriptor, armed or not", "[pollable]") {
    static_assert(!std::is_copy_constructible_v<pollable<int>>);
    static_assert(!std::is_copy_assignable_v<pollable<int>>);
    static_assert(std::is_nothrow_move_constructible_v<pollable<int>>);
    static_assert(std::is_nothrow_move_assignable_v<pollable<int>>);
    static_assert(!std::is_copy_constructible_v<pollable<sluice::selector>>);
    static_assert(std::is_nothrow_move_constructible_v<pollable<sluice::selector>>);

    const auto [tx, rx] = sluice::unbounded<int>();
    pollable<int> first(rx);
    const int fd = first.fd();
    pollable<int> second(std::move(first));
    CHECK(first.fd() == -1);
    CHECK(receive(first) == errc::closed);
    CHECK(second.fd() == fd);
    REQUIRE(tx.send(1).has_value());
    CHECK(is_readable(second));

    const auto other = sluice::unbounded<int>();
    pollable<int> third(other.rx);
    const int gone = third.fd();
    third = std::move(second);
    CHECK(third.fd() == fd);
    CHECK(::fcntl(gone, F_GETFD) == -1);
    CHECK(receive(third) == 1);
    CHECK(receive(third) == errc::empty);
    auto& itself = third;
    third = std::move(itself);
    CHECK(third.fd() == fd);
    CHECK_FALSE(is_readable(third));
    REQUIRE(tx.send(2).has_value());
    CHECK(is_readable(third));

    sluice::selector group;
    group.add(on_recv(rx, ignore));
    pollable<sluice::selector> any(group);
    CHECK(ran(any.try_wait()) == 0);
    CHECK(ran(any.try_wait()) == errc::empty);
    pollable<sluice::selector> moved = std::move(any);
    CHECK(any.fd() == -1);
    CHECK(ran(any.try_wait()) == errc::closed);
    CHECK_FALSE(is_readable(moved));
    REQUIRE(tx.send(3).has_value());
    CHECK(is_readable(moved));
}

TEST_CASE("no pollable leaves a descriptor behind", "[pollable]") {
    const auto before = open_descriptors();
    {
        const auto [tx, rx] = sluice::bounded<int>(1);
        sluice::selector group;
        group.add(on_recv(rx, ignore));
        const pollable<int> armed(rx), told(rx);
        const pollable<sluice::selector> any(group);
        CHECK((::fcntl(armed.fd(), F_GETFD) & FD_CLOEXEC) != 0);
        CHECK((::fcntl(armed.fd(), F_GETFL) & O_NONBLOCK) != 0);
        CHECK(open_descriptors() > before);
        REQUIRE(tx.send(1).has_value());
        const pollable<int> raised(rx);
    }
    CHECK(open_descriptors() == before);
}

TEST_CASE("without a descriptor there is no pollable", "[pollable]") {
    if (sanitized) {
        SUCCEED("UBSan needs a descriptor to look at an exception");
        return;
    }
    const auto [tx, rx] = sluice::unbounded<int>();
    rlimit limit{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
    rlimit none = limit;
    none.rlim_cur = 0;
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
    std::optional<std::error_code> told;
    try {
        const pollable<int> in(rx);
    } catch (const std::system_error& e) {
        told = e.code();
    }
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
    REQUIRE(told.has_value());
    CHECK(*told == std::errc::too_many_files_open);
    CHECK(tx.receiver_count() == 1);
}

TEST_CASE("a message whose move throws stays in the channel of a pollable", "[pollable]") {
    struct throwing {
        explicit throwing(int i) : id(i) {}
        throwing(throwing&& other) : id(other.id) {
            if (id < 0) throw std::runtime_error("no");
        }
        int id;
    };
    const auto [tx, rx] = sluice::bounded<throwing>(2);
    const pollable<throwing> in(rx);
    REQUIRE(tx.send(throwing(1)).has_value());
    CHECK(in.try_recv()->id == 1);
    CHECK_FALSE(in.try_recv().has_value());
    CHECK_THROWS_AS(tx.send(throwing(-1)), std::runtime_error);
    (void)in.try_recv();
    CHECK_FALSE(is_readable(in));
}

TEST_CASE("what is told does not change errno", "[pollable]") {
    const auto [tx, rx] = sluice::unbounded<int>();
    const pollable<int> in(rx);
    errno = E2BIG;
    REQUIRE(tx.send(1).has_value());
    CHECK(receive(in) == 1);
    CHECK(receive(in) == errc::empty);
    CHECK(errno == E2BIG);
}

TEST_CASE("a signal is readable from set to clear, by an eventfd and by a pipe", "[pollable]") {
    const auto check = [](auto& signal) {
        CHECK_FALSE(is_readable(signal));
        signal.set();
        CHECK(is_readable(signal));
        signal.set();
        signal.clear();
        CHECK_FALSE(is_readable(signal));
        signal.clear();
        CHECK_FALSE(is_readable(signal));
        signal.set();
        CHECK(is_readable(signal));
        CHECK((::fcntl(signal.fd(), F_GETFD) & FD_CLOEXEC) != 0);
        CHECK((::fcntl(signal.fd(), F_GETFL) & O_NONBLOCK) != 0);
    };
    sluice::detail::event_signal<sluice::detail::owned_fd> usual;
    sluice::detail::pipe_signal<sluice::detail::owned_fd> pipe;
    check(usual);
    check(pipe);
    for (int i = 0; i < 100'000; ++i) pipe.set();  // more than a pipe holds
    CHECK(is_readable(pipe));
}

// ---- Selectors

TEST_CASE("the pollable of a selector is readable when a wait may do something", "[pollable]") {
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    const auto a = make_channel<int>(which);
    const auto b = make_channel<int>(which);
    fill(b.tx, which);
    sluice::selector group;
    int got = -1;
    const auto receives = group.add(on_recv(a.rx, [&](int id) { got = id; }));
    pollable<sluice::selector> any(group);
    CHECK_FALSE(is_readable(any));
    CHECK(ran(any.try_wait()) == errc::empty);
    CHECK_FALSE(is_readable(any));
    REQUIRE(a.tx.send(5).has_value());
    CHECK(is_readable(any));
    CHECK(ran(any.try_wait()) == receives);
    CHECK(got == 5);
    CHECK(is_readable(any));
    CHECK(ran(any.try_wait()) == errc::empty);
    CHECK_FALSE(is_readable(any));
    if (which == kind::unbounded) return;

    const auto sends = group.add(on_send(b.tx, 6));
    CHECK_FALSE(is_readable(any));
    CHECK(ran(any.try_wait()) == errc::empty);
    CHECK(b.rx.recv().has_value());
    CHECK(is_readable(any));
    CHECK(ran(any.try_wait()) == sends);
    CHECK(ran(any.try_wait()) == errc::empty);
    CHECK_FALSE(is_readable(any));
}

TEST_CASE("a case that is added makes the pollable of a selector readable if it may be ready", "[pollable]") {
    const auto idle = sluice::unbounded<int>();
    const auto busy = sluice::unbounded<int>();
    const auto meeting = sluice::rendezvous<int>();
    REQUIRE(busy.tx.send(1).has_value());
    sluice::selector group;
    group.add(on_recv(idle.rx, ignore));
    pollable<sluice::selector> any(group);
    CHECK(ran(any.try_wait()) == errc::empty);
    CHECK_FALSE(is_readable(any));
    SECTION("a message is there") {
        const auto id = group.add(on_recv(busy.rx, ignore));
        CHECK(is_readable(any));
        CHECK(ran(any.try_wait()) == id);
    }
    SECTION("a message comes later") {
        const auto later = sluice::unbounded<int>();
        const auto id = group.add(on_recv(later.rx, ignore));
        CHECK_FALSE(is_readable(any));
        REQUIRE(later.tx.send(1).has_value());
        CHECK(is_readable(any));
        CHECK(ran(any.try_wait()) == id);
    }
    SECTION("there is room") {
        const auto id = group.add(on_send(idle.tx, 1));
        CHECK(is_readable(any));
        CHECK(ran(any.try_wait()) == id);
    }
    SECTION("a sender comes to a rendezvous later") {
        const auto id = group.add(on_recv(meeting.rx, ignore));
        CHECK_FALSE(is_readable(any));
        task sending([&] { return meeting.tx.send(1).has_value(); });
        wait_for(any);
        CHECK(ran(any.try_wait()) == id);
        CHECK(sending.get());
    }
    SECTION("a sender waits at a rendezvous") {
        task sending([&] { return meeting.tx.send(1).has_value(); });
        REQUIRE(wait_until_asleep(sending));
        const auto id = group.add(on_recv(meeting.rx, ignore));
        CHECK(is_readable(any));
        CHECK(ran(any.try_wait()) == id);
        CHECK(sending.get());
    }
    SECTION("a receiver comes to a rendezvous later") {
        const auto id = group.add(on_send(meeting.tx, 1));
        CHECK_FALSE(is_readable(any));
        task receiving([&] { return meeting.rx.recv().value() == 1; });
        wait_for(any);
        CHECK(ran(any.try_wait()) == id);
        CHECK(receiving.get());
    }
    SECTION("its channel is closed") {
        const auto over = sluice::unbounded<int>();
        over.tx.close();
        group.add(on_recv(over.rx, ignore));
        CHECK(is_readable(any));
        CHECK(ran(any.try_wait()) == errc::empty);
        CHECK_FALSE(is_readable(any));
        CHECK(group.size() == 1);
    }
    SECTION("an on_closed") {
        const auto id = group.add(sluice::on_closed(meeting.tx));
        CHECK_FALSE(is_readable(any));
        meeting.rx.close();
        CHECK(is_readable(any));
        CHECK(ran(any.try_wait()) == id);
    }
    SECTION("an otherwise") {
        const auto id = group.add(sluice::otherwise());
        CHECK(is_readable(any));
        CHECK(ran(any.try_wait()) == id);
        CHECK(is_readable(any));
        group.remove(id);
        CHECK(ran(any.try_wait()) == errc::empty);
        CHECK_FALSE(is_readable(any));
    }
    SECTION("a stop that is requested later") {
        std::stop_source stop;
        const auto id = group.add(sluice::on_stop(stop.get_token()));
        CHECK_FALSE(is_readable(any));
        task stopping([&] { return stop.request_stop(); });
        wait_for(any);
        CHECK(stopping.get());
        CHECK(ran(any.try_wait()) == id);
        CHECK(is_readable(any));
    }
    SECTION("a stop that was requested") {
        const auto id = group.add(sluice::on_stop(requested()));
        CHECK(is_readable(any));
        CHECK(ran(any.try_wait()) == id);
    }
    SECTION("an empty handle") {
        group.add(on_recv(sluice::receiver<int>(), ignore));
        CHECK_FALSE(is_readable(any));
    }
    SECTION("by a handler") {
        group.add(on_recv(busy.rx, [&](int) { group.add(on_send(idle.tx, 1)); }));
        CHECK(is_readable(any));
        CHECK(any.try_wait().has_value());
        CHECK(is_readable(any));
        CHECK(any.try_wait().has_value());  // sent
        CHECK(any.try_wait().has_value());  // received
        CHECK(ran(any.try_wait()) == errc::empty);
        CHECK_FALSE(is_readable(any));
    }
}

TEST_CASE("cases for time do not make the pollable of a selector readable", "[pollable]") {
    const auto idle = sluice::unbounded<int>();
    sluice::selector group;
    const bool before = GENERATE(true, false);
    std::optional<pollable<sluice::selector>> any;
    group.add(on_recv(idle.rx, ignore));
    if (before) {
        any.emplace(group);
        CHECK_FALSE(is_readable(*any));
    }
    const auto timer = sluice::after(0ms);
    const auto due = group.add(on_recv(timer, [](auto) {}));
    const auto late = group.add(sluice::on_timeout(0ms));
    group.add(sluice::on_deadline(std::chrono::steady_clock::time_point::max()));
    if (!before) any.emplace(group);
    CHECK_FALSE(is_readable(*any));
    CHECK(ran(any->try_wait()) == due);
    CHECK(ran(any->try_wait()) == late);
    group.remove(late);
    CHECK(ran(any->try_wait()) == errc::empty);
    CHECK_FALSE(is_readable(*any));
    timer.reset(0ms);
    CHECK_FALSE(is_readable(*any));
    CHECK(ran(any->try_wait()) == due);
}

TEST_CASE("a selector that has nothing to wait for has a readable pollable", "[pollable]") {
    const auto a = sluice::unbounded<int>();
    const auto b = sluice::rendezvous<int>();
    sluice::selector group;
    pollable<sluice::selector> any(group);
    CHECK(is_readable(any));
    CHECK(ran(any.try_wait()) == errc::closed);
    CHECK(is_readable(any));
    const auto first = group.add(on_recv(a.rx, ignore));
    const auto second = group.add(on_recv(b.rx, ignore));
    const auto never = group.add(sluice::on_stop(std::stop_token()));
    CHECK(ran(any.try_wait()) == errc::empty);
    CHECK_FALSE(is_readable(any));
    group.remove(first);
    CHECK_FALSE(is_readable(any));
    SECTION("since the last case was removed") {
        group.remove(second);
        CHECK(is_readable(any));
        CHECK(ran(any.try_wait()) == errc::closed);
        group.remove(never);
        CHECK(ran(any.try_wait()) == errc::closed);
    }
    SECTION("since the last channel has closed") {
        b.tx.close();
        CHECK(is_readable(any));
        CHECK(ran(any.try_wait()) == errc::closed);
        CHECK(is_readable(any));
    }
    SECTION("since it is gone") {
        group = sluice::selector();
        CHECK(is_readable(any));
        CHECK(ran(any.try_wait()) == errc::closed);
    }
    SECTION("but not since it was moved") {
        sluice::selector moved = std::move(group);
        CHECK_FALSE(is_readable(any));
        task sending([&] { return b.tx.send(1).has_value(); });
        wait_for(any);
        CHECK(ran(any.try_wait()) == second);
        CHECK(sending.get());
    }
}

TEST_CASE("a case that is removed makes no pollable readable", "[pollable]") {
    const auto which = EACH_KIND();
    const auto [tx, rx] = make_channel<int>(which);
    const auto other = sluice::unbounded<int>();
    std::stop_source stop;
    sluice::selector group;
    const auto kept = group.add(on_recv(other.rx, ignore));
    const auto gone = group.add(on_recv(rx, ignore));
    const auto stops = group.add(sluice::on_stop(stop.get_token()));
    pollable<sluice::selector> any(group);
    CHECK(ran(any.try_wait()) == errc::empty);
    group.remove(gone);
    group.remove(stops);
    stop.request_stop();
    task sending([&, to = tx] { return to.send(1).has_value(); });
    if (which == kind::rendezvous) {
        REQUIRE(wait_until_asleep(sending));
    } else {
        REQUIRE(eventually([&] { return sending.finished(); }));
    }
    CHECK_FALSE(is_readable(any));
    REQUIRE(other.tx.send(1).has_value());
    CHECK(is_readable(any));
    CHECK(ran(any.try_wait()) == kept);
    tx.close();
    CHECK(sending.get() == (which != kind::rendezvous));
}

TEST_CASE("what a handler throws leaves the pollable readable", "[pollable]") {
    const auto [tx, rx] = sluice::unbounded<int>();
    sluice::selector group;
    group.add(on_recv(rx, [](int id) {
        if (id == 1) throw std::runtime_error("no");
    }));
    pollable<sluice::selector> any(group);
    CHECK(ran(any.try_wait()) == errc::empty);
    REQUIRE(tx.send(1).has_value());
    REQUIRE(tx.send(2).has_value());
    CHECK_THROWS_AS(any.try_wait(), std::runtime_error);
    CHECK(is_readable(any));
    CHECK(ran(any.try_wait()) == 0);
    CHECK(ran(any.try_wait()) == errc::empty);
    CHECK_FALSE(is_readable(any));
}

TEST_CASE("a selector may have several pollables, and waits of its own", "[pollable]") {
    const auto which = EACH_KIND();
    const auto [tx, rx] = make_channel<int>(which);
    sluice::selector group;
    int sum = 0;
    group.add(on_recv(rx, [&](int id) { sum += id; }));
    pollable<sluice::selector> a(group);
    std::optional<pollable<sluice::selector>> b(std::in_place, group);
    for (int round = 0; round < 3; ++round) {
        {
            task sending([&, to = tx] { return to.send(1).has_value(); });
            wait_for(a);
            wait_for(*b);
            CHECK(ran(a.try_wait()) == 0);
        }
        CHECK(ran(a.try_wait()) == errc::empty);
        CHECK_FALSE(is_readable(a));
        CHECK(ran(b->try_wait()) == errc::empty);
        CHECK_FALSE(is_readable(*b));
        {
            task sending([&, to = tx] { return to.send(1).has_value(); });
            CHECK(ran(group.wait()) == 0);
        }
        CHECK(ran(group.try_wait()) == errc::empty);
        while (is_readable(a)) (void)a.try_wait();
        while (is_readable(*b)) (void)b->try_wait();
        CHECK(ran(group.wait_timeout(1ms)) == errc::timeout);
        while (is_readable(a)) (void)a.try_wait();
        while (is_readable(*b)) (void)b->try_wait();
    }
    b.reset();
    task sending([&, to = tx] { return to.send(1).has_value(); });
    wait_for(a);
    CHECK(ran(a.try_wait()) == 0);
    CHECK(sum == 7);
}

// ---- Under load. Nothing but the descriptor says when to look.

TEST_CASE("a wait takes over from the pollable of a biased selector as quickly as from that of a fair one",
          "[pollable]") {
    constexpr int count = 10'000;
    const auto time_to_wait = [](sluice::selector group) {
        std::vector<sluice::channel<int>> channels;
        for (int i = 0; i < count; ++i) {
            channels.push_back(sluice::rendezvous<int>());
            group.add(on_recv(channels.back().rx, [](int) {}));
        }
        pollable<sluice::selector> any(group);
        CHECK(ran(any.try_wait()) == errc::empty);
        const auto begun = std::chrono::steady_clock::now();
        CHECK(ran(group.wait_timeout(1ns)) == errc::timeout);
        return std::chrono::steady_clock::now() - begun;
    };
    CHECK(time_to_wait(sluice::selector(sluice::biased)) < 20 * time_to_wait(sluice::selector()) + 100ms);
}

TEST_CASE("no message is missed by pollables", "[pollable]") {
    const int which = GENERATE(0, 1, 2, 3, 4);
    const bool one_each = GENERATE(true, false);
    CAPTURE(which, one_each);
    constexpr int producers = 3, consumers = 3;
    const int messages = scaled(2000);
    auto [tx, rx] = which == 0   ? sluice::rendezvous<int>()
                    : which == 1 ? sluice::bounded<int>(1)
                    : which == 2 ? sluice::bounded<int>(5)
                    : which == 3 ? sluice::unbounded<int>()
                                 : sluice::bounded<int>(4, sluice::overflow::drop_oldest);
    std::atomic<int> failed{0};
    std::vector<std::vector<int>> got(consumers);
    {
        std::vector<std::unique_ptr<pollable<int>>> ends;
        for (int i = 0; i < consumers; ++i) ends.push_back(std::make_unique<pollable<int>>(rx));
        std::vector<std::jthread> running;
        for (int i = 0; i < consumers; ++i) {
            running.emplace_back([&, i] {
                const pollable<int>& in = *ends[static_cast<std::size_t>(i)];
                for (bool open = true; open;) {
                    wait_for(in);
                    do {
                        const auto message = in.try_recv();
                        if (message) got[static_cast<std::size_t>(i)].push_back(*message);
                        open = message || message.error() == errc::empty;
                        if (!message) break;
                    } while (!one_each);
                }
            });
        }
        for (int p = 0; p < producers; ++p) {
            running.emplace_back([&, p, to = tx] {
                for (int i = 0; i < messages; ++i) failed += !to.send(p * messages + i);
            });
        }
        tx = {};
    }
    std::vector<int> seen(static_cast<std::size_t>(producers * messages));
    std::size_t count = 0;
    for (const auto& mine : got) {
        for (const int id : mine) ++seen[static_cast<std::size_t>(id)];
        count += mine.size();
    }
    CHECK(failed == 0);
    CHECK(count + rx.dropped() == seen.size());
    CHECK(std::all_of(seen.begin(), seen.end(), [](int n) { return n <= 1; }));
}

#if defined(__linux__)
TEST_CASE("no message is missed by a loop that waits for edges", "[pollable]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    constexpr int producers = 2;
    const int messages = scaled(3000);
    auto [tx, rx] = make_channel<int>(which);
    const pollable<int> in(rx);
    const pollable<int> other(rx);
    const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
    REQUIRE(epoll >= 0);
    for (const auto* p : {&in, &other}) {
        epoll_event wanted{};
        wanted.events = EPOLLIN | EPOLLET;
        wanted.data.ptr = const_cast<pollable<int>*>(p);
        REQUIRE(::epoll_ctl(epoll, EPOLL_CTL_ADD, p->fd(), &wanted) == 0);
    }
    std::atomic<int> failed{0};
    int received = 0;
    {
        std::vector<std::jthread> running;
        for (int p = 0; p < producers; ++p) {
            running.emplace_back([&, to = tx] {
                for (int i = 0; i < messages; ++i) failed += !to.send(i);
            });
        }
        tx = {};
        for (int open = 2; open > 0;) {
            epoll_event ready{};
            if (::epoll_wait(epoll, &ready, 1, -1) != 1) continue;
            const auto& told = *static_cast<pollable<int>*>(ready.data.ptr);
            sluice::result<int> message = told.try_recv();
            for (; message; message = told.try_recv()) ++received;
            if (message.error() == errc::closed) --open;
        }
    }
    ::close(epoll);
    CHECK(failed == 0);
    CHECK(received == producers * messages);
}
#endif

TEST_CASE("no event is missed by the pollable of a selector, in either direction", "[pollable]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    const int messages = scaled(1000);
    constexpr int peers = 2;
    std::vector<sluice::channel<int>> to_loop, from_loop;
    for (int i = 0; i < peers; ++i) {
        to_loop.push_back(make_channel<int>(which));
        from_loop.push_back(make_channel<int>(which));
    }
    std::atomic<int> failed{0};
    std::vector<std::jthread> running;
    for (int i = 0; i < peers; ++i) {
        running.emplace_back([&, tx = std::exchange(to_loop[static_cast<std::size_t>(i)].tx, {})] {
            for (int n = 1; n <= messages; ++n) failed += !tx.send(n);
        });
        running.emplace_back([&, rx = std::exchange(from_loop[static_cast<std::size_t>(i)].rx, {})] {
            for (int n = 1; n <= messages; ++n) failed += rx.recv().value_or(-1) != n;
        });
    }
    sluice::selector group;
    pollable<sluice::selector> any(group);
    int received = 0, sent = 0;
    std::vector<std::size_t> now(peers);
    // Each case that was sent is followed by the next one, which the handler adds.
    struct sending {
        sluice::selector& group;
        const sluice::sender<int>& tx;
        int messages;
        int* sent;
        int next = 1;
        void add() {
            group.add(on_send(tx, int(next), [this] {
                ++*sent;
                if (next++ < messages) add();
            }));
        }
    };
    std::vector<std::unique_ptr<sending>> sends;
    for (int i = 0; i < peers; ++i) {
        const auto at = static_cast<std::size_t>(i);
        group.add(on_recv(std::exchange(to_loop[at].rx, {}), [&](int) { ++received; }));
        sends.push_back(std::make_unique<sending>(sending{group, from_loop[at].tx, messages, &sent}));
        sends.back()->add();
    }
    for (;;) {
        wait_for(any);
        const auto one = any.try_wait();
        if (!one && one.error() == errc::closed) break;
    }
    running.clear();
    CHECK(failed == 0);
    CHECK(received == peers * messages);
    CHECK(sent == peers * messages);
}

TEST_CASE("a pollable may end or move while it is being told", "[pollable]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    const int rounds = scaled(2000);
    const auto [tx, rx] = make_channel<int>(which);
    sluice::selector group;
    group.add(on_recv(rx, ignore));
    std::atomic<bool> over{false};
    task sending([&, to = tx] {
        // Long enough to get in line also on a slow machine: on a rendezvous nothing else makes a descriptor readable.
        while (!over.load()) (void)to.send_timeout(1, 10ms);
        return true;
    });
    const auto before = open_descriptors();
    for (int i = 0; i < rounds; ++i) {
        pollable<int> in(rx);
        pollable<sluice::selector> any(group);
        (void)in.try_recv();
        (void)any.try_wait();
        pollable<int> moved(std::move(in));
        (void)moved.try_recv();
        if (i % 16 == 0) {
            sluice::selector ends;
            ends.add(on_recv(rx, ignore));
            any = pollable<sluice::selector>(ends);
        }
        if (i % 7 == 0) wait_for(moved);
        // Where a peer would write once the descriptor is closed.
        in = pollable<int>(rx);
    }
    over.store(true);
    CHECK(sending.get());
    CHECK(open_descriptors() == before);
}

TEST_CASE("several threads may share a pollable", "[pollable]") {
    const auto which = EACH_KIND();
    const int messages = scaled(2000);
    auto [tx, rx] = make_channel<int>(which);
    const pollable<int> in(std::move(rx));
    std::atomic<int> failed{0};
    std::atomic<int> received{0};
    {
        std::vector<std::jthread> running;
        for (int i = 0; i < 2; ++i) {
            running.emplace_back([&] {
                for (;;) {
                    wait_for(in);
                    const auto message = in.try_recv();
                    if (message) ++received;
                    if (!message && message.error() == errc::closed) return;
                }
            });
        }
        running.emplace_back([&, to = std::move(tx)] {
            for (int i = 0; i < messages; ++i) failed += !to.send(i);
        });
    }
    CHECK(failed == 0);
    CHECK(received == messages);
}

#endif
