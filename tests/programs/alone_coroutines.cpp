// Coroutines in a process with one thread alone, where the lines of channels are used without their locks: they do the same, step
// by step, as beside another thread, where they are used with them.
#include "program.hpp"

#include <sluice/async.hpp>
#include <sluice/pollable.hpp>
#include <sluice/sluice.hpp>

#include <poll.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <latch>
#include <iterator>
#include <memory>
#include <optional>
#include <random>
#include <stop_token>
#include <string>
#include <thread>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using program::check;
using sluice::receiver;
using sluice::sender;
using sluice::task;

// What has happened, in order.
using trace = std::vector<std::uint64_t>;

// A message that travels in what waits for it, one that does not, and one whose moves are code.
struct wide {
    std::uint64_t number, copies[2];
};
template <class T>
T make(std::uint64_t number) {
    if constexpr (std::is_same_v<T, wide>) {
        return {number, {number, number}};
    } else if constexpr (std::is_same_v<T, std::string>) {
        return std::to_string(number) + std::string(20, '.');
    } else {
        return T(number);
    }
}
std::uint64_t number_of(std::uint64_t m) { return m; }
std::uint64_t number_of(const wide& m) {
    check(m.copies[0] == m.number && m.copies[1] == m.number, "a message arrives as it was sent");
    return m.number;
}
std::uint64_t number_of(const std::string& m) { return std::stoull(m); }

template <class T>
struct world {
    struct ends {
        sender<T> tx;
        receiver<T> rx;
    };
    std::vector<ends> channels;
    // In half of the runs, what is told of messages and of room without standing in line for one.
    std::vector<sluice::pollable<T>> messages;
    std::vector<sluice::selector> sends;
    std::vector<sluice::pollable<sluice::selector>> rooms;
    bool fills;  // whether more is sent than received
    trace happened;
    std::uint64_t sent = 0;

    explicit world(std::mt19937& random) : fills(random() % 2 == 0) {
        for (int i = 0; i < 3; ++i) {
            switch (random() % 7) {
                case 0: add(sluice::unbounded<T>()); break;
                case 1: add(sluice::bounded<T>(36)); break;  // the first two rings of small messages
                case 2: add(sluice::bounded<T>(5)); break;
                case 3: add(sluice::bounded<T>(2)); break;
                case 4: add(sluice::bounded<T>(1)); break;
                default: add(sluice::rendezvous<T>());
            }
        }
        if (random() % 2 == 0) return;
        for (const ends& c : channels) {
            messages.emplace_back(c.rx);
            sends.emplace_back().add(sluice::on_send(c.tx, make<T>(7), [](sluice::result<void>) {}));
        }
        for (auto& one : sends) rooms.emplace_back(one);
    }
    template <class Channel>
    void add(Channel&& made) {
        channels.push_back({std::move(made.tx), std::move(made.rx)});
    }

    static bool is_readable(int descriptor) {
        pollfd p{descriptor, POLLIN, 0};
        return ::poll(&p, 1, 0) == 1;
    }
    void note_pollables() {
        std::uint64_t readable = 0;
        for (const auto& m : messages) readable = readable * 2 + is_readable(m.fd());
        for (const auto& r : rooms) readable = readable * 2 + is_readable(r.fd());
        note(97, 0, readable);
    }

    void note(std::uint64_t who, std::uint64_t what, std::uint64_t came_to) {
        happened.push_back(who << 32 | what << 24);
        happened.push_back(came_to);
    }
    template <class Outcome>
    static std::uint64_t of(const Outcome& r) {
        if (!r) return 1'000'000 + static_cast<std::uint64_t>(r.error());
        if constexpr (std::is_same_v<Outcome, sluice::result<T>>) {
            return number_of(*r);
        } else if constexpr (std::is_same_v<Outcome, sluice::result<std::size_t>>) {
            return *r;
        } else {
            return 0;
        }
    }
    void note_state() {
        for (const ends& c : channels) {
            note(99, 0, c.rx.size());
            note(99, 1, c.rx.dropped());
            note(99, 2, c.tx.sender_count() * 100 + c.rx.receiver_count());
            note(99, 3, c.rx.is_closed());
        }
    }
};

// One process: it draws what it does, and notes what that came to.
template <class T>
task<> draw_and_do(world<T>& w, std::uint64_t who, std::uint32_t seed, std::stop_source& stops) {
    std::mt19937 random(seed);
    const auto channel = [&]() -> auto& { return w.channels[random() % w.channels.size()]; };
    const receiver<T> nothing;
    sluice::selector watched(sluice::biased);
    std::uint64_t by_watch = 0;
    const auto take = [&by_watch](sluice::result<T> m) { by_watch = world<T>::of(m); };
    for (const auto& c : w.channels) watched.add(sluice::on_recv(c.rx, take));
    for (int step = 0; step < 300; ++step) {
        w.note_pollables();
        auto& c = channel();
        auto& d = channel();
        std::uint32_t what = random() % 16;
        if (w.fills && what >= 4 && what < 7 && random() % 3 > 0) what = 0;
        // As many in a row as may complete at once: so the next one lets the others run before it looks at its channel.
        if (random() % 8 == 0) {
            co_await sluice::yield();
            for (int i = 0; i < 128; ++i) (void)co_await nothing.async_recv();
        }
        const std::uint64_t number = w.sent + 1;
        if (what < 4 || what == 10 || what == 11) ++w.sent;
        switch (what) {
            case 0:
            case 1: {
                const T message = make<T>(number);
                w.note(who, what, w.of(co_await c.tx.async_send(message)));
                break;
            }
            case 2: w.note(who, what, w.of(co_await c.tx.async_send(make<T>(number), stops.get_token()))); break;
            case 3: w.note(who, what, w.of(c.tx.try_send(make<T>(number)))); break;
            case 4:
            case 5:
            case 6: w.note(who, what, w.of(co_await c.rx.async_recv())); break;
            case 7: w.note(who, what, w.of(co_await c.rx.async_recv(stops.get_token()))); break;
            case 8: w.note(who, what, w.of(c.rx.try_recv())); break;
            case 9: w.note(who, what, w.of(co_await c.rx.async_recv_timeout(0ms))); break;
            case 10:
            case 11: {
                std::uint64_t got = 0;
                const auto keep = [&got](sluice::result<T> m) { got = world<T>::of(m); };
                const T message = make<T>(number);
                auto chosen = co_await sluice::async_select_biased(
                    sluice::on_recv(c.rx, keep), sluice::on_send(d.tx, message, [](sluice::result<void>) {}),
                    sluice::on_stop(stops.get_token(), [] {}));
                w.note(who, what, w.of(chosen));
                w.note(who, what, got);
                break;
            }
            case 12: {
                std::vector<T> batch;
                w.note(who, what, co_await c.rx.async_recv_many(std::back_inserter(batch), 3));
                for (const T& m : batch) w.note(who, what, number_of(m));
                break;
            }
            case 13:
                if (!w.messages.empty()) w.note(who, what, w.of(w.messages[random() % 3].try_recv()));
                break;
            case 14:
                if (!w.rooms.empty()) w.note(who, what, w.of(w.rooms[random() % 3].try_wait()));
                break;
            default: w.note(who, what, w.of(co_await watched.async_wait_timeout(0ms))); w.note(who, what, by_watch);
        }
    }
    w.note(who, 90, 0);
}

// Runs until nothing is left to do, then stops some, then closes one channel after the other; or destroys the processes
// where they are.
template <class T>
trace run(std::uint32_t seed) {
    std::mt19937 random(seed);
    world<T> w(random);
    auto loop = std::make_unique<sluice::run_loop>();
    std::stop_source stops;
    const std::uint64_t processes = 2 + random() % 5;
    for (std::uint64_t who = 0; who < processes; ++who)
        loop->spawn(draw_and_do<T>(w, who, static_cast<std::uint32_t>(random()), stops));
    const auto go_on = [&] {
        while (loop->poll() > 0) {
        }
        w.note_state();
    };
    go_on();
    const bool destroys = random() % 3 == 0;
    if (!destroys) {
        stops.request_stop();
        go_on();
        for (const auto& c : w.channels) {
            c.tx.close();
            go_on();
        }
        loop->run();
    }
    loop.reset();
    w.note_state();
    for (const auto& c : w.channels) {
        while (auto left = c.rx.try_recv()) w.note(98, 0, number_of(*left));
    }
    w.note_state();
    return std::move(w.happened);
}

// One that sends more than there is room for, and then one that receives it: through all rings, each of which may be full when
// the sender waits.
template <class T>
trace fill_and_drain(std::size_t capacity) {
    sluice::channel<T> ch = sluice::bounded<T>(capacity);
    sluice::run_loop loop;
    trace happened;
    loop.spawn([&]() -> task<> {
        for (std::uint64_t i = 0; i < 200; ++i) {
            (void)co_await ch.tx.async_send(make<T>(i));
            happened.push_back(1'000 + ch.rx.size());
        }
        ch.tx = {};
    });
    while (loop.poll() > 0) {
    }
    check(ch.rx.size() == capacity, "a channel that is not received from is full");
    loop.spawn([&]() -> task<> {
        while (auto m = co_await ch.rx.async_recv()) {
            happened.push_back(number_of(*m));
            co_await sluice::yield();
        }
    });
    loop.run();
    return happened;
}

template <class T>
std::vector<trace> run_all() {
    std::vector<trace> all;
    for (std::size_t capacity = 1; capacity < 150; ++capacity) all.push_back(fill_and_drain<T>(capacity));
    for (std::uint32_t seed = 0; seed < 150; ++seed) all.push_back(run<T>(seed));
    return all;
}

}  // namespace

int main() {
    const auto alone = std::tuple(run_all<std::uint64_t>(), run_all<wide>(), run_all<std::string>());
    std::latch over(1);
    std::thread other([&] { over.wait(); });
    const auto beside = std::tuple(run_all<std::uint64_t>(), run_all<wide>(), run_all<std::string>());
    over.count_down();
    other.join();
    check(alone == beside, "coroutines do the same whether the process has another thread or not");
    std::size_t events = 0;
    for (const trace& t : std::get<0>(alone)) events += t.size() / 2;
    check(events > 10'000, "something has happened");
    std::printf("%zu events\n", events);
}
