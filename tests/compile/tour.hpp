// Uses what sluice/sluice.hpp declares, each thing once, for programs that are compiled in special ways.
#pragma once

#include <sluice/async.hpp>
#include <sluice/sluice.hpp>

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <exception>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

namespace tour {

using namespace std::chrono_literals;
using sluice::errc;

/// Ends the program unless it is so.
inline void expect(bool so, int line = __builtin_LINE()) {
    if (so) return;
    std::fprintf(stderr, "line %d of the tour is not so\n", line);
    std::_Exit(1);
}

struct alignas(64) wide {
    double x = 0;
};

inline void results() {
    const auto half = [](int x) -> sluice::result<int> {
        if (x % 2 != 0) return sluice::unexpected(errc::full);
        return x / 2;
    };
    sluice::result<int> r = 8;
    expect(r && r.has_value() && *r == 8 && r.value() == 8 && r.value_or(1) == 8 && r == 8 && r == r);
    expect(r.and_then(half) == 4 && r.transform([](int x) { return x + 1; }).and_then(half) == errc::full);
    expect(r.transform([](int) {}).has_value() && r.error_or(errc::closed) == errc::closed);
    r = sluice::unexpected(errc::empty);
    expect(!r && r.error() == errc::empty && r.value_or(1) == 1 && r == errc::empty);
    expect(r.or_else([](errc) -> sluice::result<int> { return 2; }) == 2);
    expect(r.emplace(3) == 3);

    sluice::result<void> v;
    expect(v && v == sluice::result<void>());
    v.value();
    v = sluice::unexpected(errc::timeout);
    expect(v == errc::timeout && v.transform([] { return 1; }) == errc::timeout);
    expect(v.and_then([&] { return half(8); }).error() == errc::timeout);
    expect(v.or_else([](errc) { return sluice::result<void>(); }).has_value());

    const std::error_code code = errc::stopped;
    expect(code == errc::stopped && code.category() == sluice::category() &&
           code.message() == to_string(errc::stopped));
}

/// A channel of any kind with room for one at least.
template <class T, class Make>
void channel_of(const sluice::channel<T>& c, Make make) {
    const auto [tx, rx] = c;
    expect(tx && rx && tx == c.tx && rx == c.rx && !tx.is_closed() && rx.empty() && tx.size() == 0);
    expect(tx.sender_count() == 2 && rx.receiver_count() == 2);
    expect(tx.send(make()) && rx.recv());
    expect(tx.try_send(make()) && rx.try_recv());
    expect(tx.send_timeout(make(), 1s) && rx.recv_timeout(1s));
    const auto later = std::chrono::steady_clock::now() + 1h;
    expect(tx.send_until(make(), later) && rx.recv_until(std::chrono::system_clock::now() + 1h));
    expect(rx.try_recv().error() == errc::empty && rx.recv_timeout(0s).error() == errc::timeout);

    std::deque<T> some, more;
    some.push_back(make());
    more.push_back(make());
    expect(tx.send_many(std::move(some)) == 1 && !rx.empty() && rx.full() == tx.full());
    some.clear();
    expect(rx.recv_many(std::back_inserter(some), 3) == 1 && some.size() == 1);
    expect(tx.try_send_many(std::move(more)) == 1);
    expect(rx.try_recv_many(some.begin(), 1) == 1 && rx.try_recv_many(some.begin(), 1) == 0);
#if defined(__cpp_lib_jthread)
    std::stop_source stop;
    const std::stop_token token = stop.get_token();
    expect(tx.send(make(), token) && rx.recv(token));
    more.clear();
    more.push_back(make());
    expect(tx.send_many(std::move(more), token) == 1 && rx.recv_many(some.begin(), 1, token) == 1);
    expect(tx.send(make()).has_value());
    for (T& message : rx.until(token)) {
        some.front() = std::move(message);
        stop.request_stop();
    }
    expect(rx.recv(token).error() == errc::stopped);
#endif
    expect(tx.send(make()).has_value());
    expect(tx.close() && !rx.close() && tx.is_closed() && !tx.send(make()));
    int left = 0;
    for (T& message : rx) {
        some.front() = std::move(message);
        ++left;
    }
    expect(left == 1 && rx.recv().error() == errc::closed);
}

inline void channels() {
    channel_of(sluice::unbounded<int>(), [] { return 1; });
    channel_of(sluice::bounded<std::string>(1), [] { return std::string("message"); });
    channel_of(sluice::unbounded<std::unique_ptr<int>>(), [] { return std::make_unique<int>(1); });
    channel_of(sluice::bounded<wide>(3), [] { return wide(); });
    channel_of(sluice::unbounded<bool>(), [] { return true; });
    channel_of(sluice::unbounded<errc>(), [] { return errc::closed; });

    auto [tx, rx] = sluice::rendezvous<std::string>();
    expect(tx.try_send("nobody waits") == errc::full && rx.capacity() == 0U && rx.full() && rx.empty());
    std::thread other([to = std::move(tx)] {
        for (const char* const word : {"a", "b", "c"}) expect(to.send(word).has_value());
    });
    std::string words;
    for (const std::string& word : rx) words += word;
    expect(words == "abc");
    other.join();
}

inline void closings_and_rules() {
    auto [tx, rx] = sluice::bounded<std::string>(1, sluice::overflow::drop_oldest);
    expect(tx.send("a") && tx.try_send("b") && rx.dropped() == 1 && tx.dropped() == 1);
    const auto forced = tx.force_send("c");
    expect(forced && *forced == "b" && rx.recv() == "c");
    sluice::weak_sender<std::string> weak = tx.downgrade();
    const sluice::weak_receiver<std::string> weak_too = rx.downgrade();
    expect(weak == tx.downgrade() && weak.lock() == tx && weak_too.lock() == rx);
    expect(std::hash<sluice::sender<std::string>>()(tx) == std::hash<sluice::sender<std::string>>()(weak.lock()));
    expect(std::hash<sluice::receiver<std::string>>()(rx) ==
           std::hash<sluice::receiver<std::string>>()(weak_too.lock()));
    expect(tx.close(std::exception_ptr()) && !rx.close(std::exception_ptr()) && !rx.close_cause() && !tx.close_cause());
    tx = {};
    expect(!weak.lock());
    weak = {};
    expect(sluice::bounded<int>(1, sluice::overflow::block).tx.force_send(1).has_value());
}

inline void selects() {
    const auto [tx, rx] = sluice::bounded<int>(1);
    const auto [texts, text] = sluice::unbounded<std::string>();
    int sent = 0, got = 0;
    const int value = 2;
    expect(sluice::select(sluice::on_recv(rx, [&](int x) { got += x; }), sluice::on_send(tx, value, [&] { ++sent; }),
                          sluice::on_timeout(1min, [] {})) == 1U);
    expect(sluice::select_biased(
               sluice::on_send(texts, std::string("text"), [&](sluice::result<void> r) { sent += r ? 1 : 0; }),
               sluice::on_recv(rx, [&](sluice::result<int> x) { got += x.value_or(0); })) == 0U);
    expect(sluice::select(sluice::on_recv(rx, [&](sluice::result<int> x) { got += x.value_or(0); }),
                          sluice::otherwise([] {})) == 0U);
    expect(sent == 2 && got == 2);
    expect(sluice::select(sluice::on_recv(rx, [](auto) {}), sluice::otherwise([] {})) == 1U);
    expect(sluice::select(sluice::on_recv(rx, [](int) {}),
                          sluice::on_deadline(std::chrono::system_clock::now() - 1s, [] {})) == 1U);
#if defined(__cpp_lib_jthread)
    std::stop_source stop;
    stop.request_stop();
    expect(sluice::select(sluice::on_recv(rx, [](int) {}), sluice::on_stop(stop.get_token(), [] {})) == 1U);
#endif
    std::optional<int> into = 1;
    sluice::result<int> or_closed = 1;
    expect(sluice::select(sluice::on_recv(rx, into), sluice::on_closed(tx), sluice::otherwise()) == 2U && !into);
    expect(sluice::select(sluice::on_recv(rx, or_closed), sluice::on_timeout(0s)) == 1U && or_closed == errc::empty);
    expect(sluice::select_biased(sluice::on_send(tx, 3), sluice::on_recv(rx, into)) == 0U);
    expect(sluice::select(sluice::on_recv(rx, into), sluice::on_deadline(std::chrono::steady_clock::now())) == 0U);
    expect(into == 3);
    tx.close();
    expect(sluice::select(sluice::on_recv(rx, [](int) {})) == errc::closed);
    expect(sluice::select_biased(sluice::on_recv(rx, or_closed), sluice::on_closed(rx, [] {})) == 0U);
    expect(or_closed == errc::closed && sluice::select(sluice::on_closed(rx), sluice::on_recv(rx, into)) == 0U);

    sluice::selector group;
    std::string words;
    const std::size_t first = group.add(sluice::on_recv(text, [&](const std::string& word) { words += word; }));
    const std::size_t second = group.add(sluice::on_send(texts, "more", [] {}));
    const std::size_t third = group.add(sluice::on_timeout(1h, [] {}));
    expect(group.size() == 3 && !group.empty());
    while (words != "textmore") expect(group.wait().has_value());
    expect(!group.remove(second) && group.remove(third));
    expect(texts.send("!") && group.try_wait() == first && texts.send("?") && group.wait_timeout(1min) == first);
    expect(group.try_wait() == errc::empty && group.wait_timeout(0s) == errc::timeout);
    expect(group.wait_until(std::chrono::steady_clock::now()) == errc::timeout && words == "textmore!?");
#if defined(__cpp_lib_jthread)
    expect(group.wait(stop.get_token()) == errc::stopped);
#endif
    sluice::selector ordered(sluice::biased);
    ordered = std::move(group);
    const std::size_t fourth = ordered.add(sluice::on_closed(texts));
    texts.close();
    expect(ordered.wait() == fourth && ordered.wait() == errc::closed);
}

inline void timers() {
    const sluice::timer once = sluice::after(1ms), same = once;
    expect(once && once == same && once.recv() && once.recv() == errc::closed);
    const sluice::timer past = sluice::at(std::chrono::steady_clock::now());
    expect(past.recv_timeout(1min) && past.try_recv() == errc::closed);
    const sluice::timer ticks = sluice::tick(1ms);
    std::chrono::steady_clock::time_point before{};
    int left = 3;
    for (const auto when : ticks) {
        expect(when > before);
        before = when;
        if (--left == 0) break;
    }
    expect(ticks.recv_until(std::chrono::steady_clock::now() + 1min).has_value());
    const sluice::receiver<int> none = sluice::never<int>();
    expect(sluice::select(sluice::on_recv(ticks, [](auto) {}), sluice::on_recv(none, [](int) {})) == 0U);
}

inline void broadcasts() {
    const sluice::broadcaster<std::string> bus;
    const auto all = bus.subscribe();
    const auto tail = bus.subscribe(1, sluice::overflow::drop_oldest);
    const auto head = bus.subscribe(1, sluice::overflow::drop_newest);
    const auto slow = bus.subscribe(1, sluice::overflow::disconnect);
    expect(bus && bus == bus && bus.subscriber_count() == 4);
    const std::string first = "first";
    expect(bus.send(first) == 4);
#if defined(__cpp_lib_jthread)
    expect(bus.send("second", std::stop_token()) >= 2);
#else
    expect(bus.send("second") >= 2);
#endif
    expect(all.recv() == "first" && all.recv() == "second" && tail.recv() == "second" && head.recv() == "first");
    expect(slow.recv() == "first" && slow.recv() == errc::closed);
    expect(tail.dropped() == 1 && bus.close() && all.is_closed());

    const sluice::broadcaster<std::string> latest(sluice::replay(1));
    expect(latest.send(first) == 0 && latest.subscribe().recv() == "first");
}

inline sluice::task<std::string> word() { co_return "word"; }
inline sluice::task<int&> variable(int& v) { co_return v; }
inline sluice::task<> count(int& n) {
    co_await sluice::yield();
    ++n;
}
inline sluice::task<bool> group() {
    int n = 0;
    sluice::task_group g(co_await sluice::this_executor());
    g.spawn(count(n));
    g.spawn([&n] { return count(n); });
    co_await g.join();
    const std::string first = co_await word();
    co_return n == 2 && first == "word" && !g.stop_token().stop_requested();
}

inline void coroutines() {
    int n = 0;
    expect(sluice::sync_wait(word()) == "word" && &sluice::sync_wait(variable(n)) == &n && sluice::sync_wait(group()));
    sluice::run_loop loop;
    loop.spawn(count(n));
    loop.spawn([&n] { return count(n); });
    expect(loop.poll() == 2 && n == 0);
    loop.stop();
    loop.run();
    loop.run();
    expect(n == 2 && loop.executor() == loop.executor());
}

inline void everything() {
    results();
    channels();
    closings_and_rules();
    selects();
    timers();
    broadcasts();
    coroutines();
}

}  // namespace tour
