// sluice beside other libraries: each workload on each kind of channel.
#include "harness.hpp"
#include "peers.hpp"

#include <array>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

namespace bench {
namespace {

// One thread: send one, receive one.
template <adapter A>
bool alone(benchmark::State& state, number messages, const limit& capacity) {
    auto channel = A::template open<number>(capacity);
    number sum = 0;
    state.ResumeTiming();
    for (number n = 1; n <= messages; ++n) {
        channel.tx.send(number(n));
        sum += *channel.rx.recv();
    }
    state.PauseTiming();
    return sum == sum_to(messages);
}

// Two threads and two channels: a message goes there and comes back.
template <adapter A>
bool round_trips(benchmark::State& state, number messages, const limit& capacity) {
    auto there = A::template open<number>(capacity);
    auto back = A::template open<number>(capacity);
    start_line line(2);
    team players(line);
    number sum = 0;
    players.add([tx = there.tx, rx = back.rx, messages, &sum]() mutable {
        for (number n = 1; n <= messages; ++n) {
            tx.send(number(n));
            sum += *rx.recv();
        }
    });
    players.add([tx = back.tx, rx = there.rx, messages]() mutable {
        for (number n = 1; n <= messages; ++n) tx.send(number(*rx.recv()));
    });
    players.run(state);
    return sum == sum_to(messages);
}

// Makes a channel with its two ends, and drops it.
template <adapter A>
bool channels(benchmark::State& state, number count, const limit& capacity) {
    state.ResumeTiming();
    for (number n = 0; n < count; ++n) {
        auto channel = A::template open<number>(capacity);
        benchmark::DoNotOptimize(channel);
    }
    state.PauseTiming();
    return true;
}

// Four channels with a sender each; one receiver selects among them. No other library here has a select.
bool select_from_four(benchmark::State& state, number messages, const limit& capacity) {
    constexpr number width = 4;
    start_line line(width + 1);
    team threads(line);
    std::vector<sluice::receiver<number>> rx;
    for (number s = 0; s < width; ++s) {
        auto channel = sluice_channel::open<number>(capacity);
        rx.push_back(std::move(channel.rx.rx));
        threads.add([tx = std::move(channel.tx), mine = share(messages, s, width)] {
            for (number n = 1; n <= mine.count; ++n) tx.send(mine.first + n);
        });
    }
    number sum = 0;
    threads.add([&rx, &sum] {
        number mine = 0;
        const auto take = [&mine](number n) { mine += n; };
        // Ends when all four senders have dropped their handles and all was received.
        while (sluice::select(sluice::on_recv(rx[0], take), sluice::on_recv(rx[1], take), sluice::on_recv(rx[2], take),
                              sluice::on_recv(rx[3], take))) {
        }
        sum = mine;
    });
    threads.run(state);
    return sum == sum_to(messages);
}

template <adapter A>
void add_peer(const effort& how) {
    struct crowd {
        const char* name;
        number senders;
        number receivers;
    };
    constexpr std::array crowds{crowd{"spsc", 1, 1}, crowd{"mpsc", 4, 1}, crowd{"spmc", 1, 4}, crowd{"mpmc", 4, 4}};

    const auto add_for = [&how](const char* workload, std::initializer_list<kind> kinds, auto run) {
        for (const kind& k : kinds) {
            if (!A::can.open(k.capacity)) continue;
            add(workload, k.name, A::name, how,
                [k, run](benchmark::State& state, number messages) { return run(state, messages, k.capacity); });
        }
    };
    add_for("seq", {unb, b1}, alone<A>);
    for (const crowd& c : crowds) {
        if ((c.senders > 1 && !A::can.many_senders) || (c.receivers > 1 && !A::can.many_receivers)) continue;
        add_for(c.name, {unb, b512, b1, b0}, [c](benchmark::State& state, number messages, const limit& capacity) {
            return stream<A, number>(state, messages, capacity, c.senders, c.receivers);
        });
    }
    add_for("pingpong", {unb, b1, b0}, round_trips<A>);
    add_for("payload256", {b512}, [](benchmark::State& state, number messages, const limit& capacity) {
        return stream<A, block<256>>(state, messages, capacity, 1, 1);
    });
    add_for("payload_str", {b512}, [](benchmark::State& state, number messages, const limit& capacity) {
        return stream<A, std::string>(state, messages, capacity, 1, 1);
    });
    add_for("create", {b16}, channels<A>);
}

const part side_by_side([](const plan& p) {
    const effort how{.repetitions = p.repetitions(), .seconds = p.seconds()};
    for_each_peer([&how]<adapter A>() { add_peer<A>(how); });
    for (const kind& k : {unb, b512, b0}) {
        add("select_recv", k.name, sluice_channel::name, how,
            [k](benchmark::State& state, number messages) { return select_from_four(state, messages, k.capacity); });
    }
});

}  // namespace
}  // namespace bench
