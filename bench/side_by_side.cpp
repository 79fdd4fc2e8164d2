// sluice beside other libraries: each workload on each kind of channel.
#include "harness.hpp"
#include "peers.hpp"

#include <array>
#include <string>
#include <utility>
#include <vector>

namespace bench {
namespace {

// Two threads and two channels: a message goes there and comes back.
template <adapter A>
bool round_trips(benchmark::State& state, number messages, const limit& capacity) {
    auto there = A::template open<number>(capacity);
    auto back = A::template open<number>(capacity);
    start_line line(2);
    team threads(line);
    number sum = 0;
    threads.add([tx = there.tx, rx = back.rx, messages, &sum]() mutable {
        for (number n = 1; n <= messages; ++n) {
            tx.send(number(n));
            sum += *rx.recv();
        }
    });
    threads.add([tx = back.tx, rx = there.rx, messages]() mutable {
        for (number n = 1; n <= messages; ++n) tx.send(number(*rx.recv()));
    });
    threads.run(state);
    return sum == sum_to(messages);
}

// Makes a channel with its two ends, and drops it.
template <adapter A>
bool open_and_drop(benchmark::State& state, number count, const limit& capacity) {
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
    struct threads {
        const char* name;
        number senders;
        number receivers;
    };
    constexpr std::array sides{threads{"spsc", 1, 1}, threads{"mpsc", 4, 1}, threads{"spmc", 1, 4},
                               threads{"mpmc", 4, 4}};

    add_kinds<A>("seq", {unb, b1}, how, [](benchmark::State& state, number messages, const limit& capacity) {
        return in_one_thread<A>(state, messages, capacity, 0);
    });
    for (const threads& t : sides) {
        if ((t.senders > 1 && !A::can.many_senders) || (t.receivers > 1 && !A::can.many_receivers)) continue;
        add_kinds<A>(t.name, {unb, b512, b1, b0}, how,
                     [t](benchmark::State& state, number messages, const limit& capacity) {
                         return stream<A, number>(state, messages, capacity, t.senders, t.receivers);
                     });
    }
    add_kinds<A>("pingpong", {unb, b1, b0}, how, round_trips<A>);
    add_kinds<A>("payload256", {b512}, how, [](benchmark::State& state, number messages, const limit& capacity) {
        return stream<A, block<256>>(state, messages, capacity, 1, 1);
    });
    add_kinds<A>("payload_str", {b512}, how, [](benchmark::State& state, number messages, const limit& capacity) {
        return stream<A, std::string>(state, messages, capacity, 1, 1);
    });
    add_kinds<A>("create", {b16}, how, open_and_drop<A>);
}

const part side_by_side([](const plan& p) {
    const effort how{.repetitions = p.repetitions(), .seconds = p.seconds()};
    for_each_peer([&how]<adapter A>() { add_peer<A>(how); });
    add_kinds<sluice_channel>("select_recv", {unb, b512, b0}, how, select_from_four);
});

}  // namespace
}  // namespace bench
