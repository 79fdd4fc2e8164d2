// Coroutines of two threads, each with a loop of its own, and a thread that sends to a coroutine.
#include "coroutines/peers.hpp"
#include "coroutines/tasks.hpp"
#include "harness.hpp"

namespace bench {
namespace {

// Runs in each of two threads the task that it makes, by a loop of that thread.
template <coroutine_adapter A, class Left, class Right>
void run_both(benchmark::State& state, typename A::loop& left_loop, Left left, typename A::loop& right_loop,
              Right right) {
    start_line line(2);
    team threads(line);
    threads.add([&] {
        left_loop.spawn(left());
        left_loop.run();
    });
    threads.add([&] {
        right_loop.spawn(right());
        right_loop.run();
    });
    threads.run(state);
}

template <coroutine_adapter A>
bool stream_across(benchmark::State& state, number messages, const limit& capacity) {
    typename A::loop sending, receiving;
    const auto channel = A::open(sending, capacity);
    number sum = 0;
    run_both<A>(
        state, sending, [&] { return produce<A>(channel.tx, share(messages, 0, 1)); }, receiving,
        [&] { return consume<A>(channel.rx, messages, sum); });
    return sum == sum_to(messages);
}

template <coroutine_adapter A>
bool round_trips_across(benchmark::State& state, number messages, const limit& capacity) {
    typename A::loop here, over_there;
    const auto there = A::open(here, capacity);
    const auto back = A::open(here, capacity);
    number sum = 0;
    run_both<A>(
        state, here,
        [&] {
            return serve<A>({there.tx, back.rx}, messages, sum);
        },
        over_there,
        [&] {
            return strike_back<A>({back.tx, there.rx}, messages);
        });
    return sum == sum_to(messages);
}

// A thread sends, and blocks where there is no room; a coroutine receives.
template <threaded_coroutine_adapter A>
bool thread_to_coroutine(benchmark::State& state, number messages, const limit& capacity) {
    typename A::loop receiving;
    const auto channel = A::open(receiving, capacity);
    number sum = 0;
    start_line line(2);
    team threads(line);
    threads.add([&receiving, &channel, messages, &sum] {
        receiving.spawn(consume<A>(channel.rx, messages, sum));
        receiving.run();
    });
    threads.add([tx = channel.tx, messages]() mutable {
        for (number n = 1; n <= messages; ++n) A::send_from_thread(tx, n);
    });
    threads.run(state);
    return sum == sum_to(messages);
}

const part coroutine_threads([](const plan& p) {
    const effort how{.repetitions = p.repetitions(), .seconds = p.seconds()};
    for_each_coroutine_peer<true>([&how]<coroutine_adapter A>() {
        add_kinds<A>("co2_spsc", {unb, b512, b1, b0}, how, stream_across<A>);
        if constexpr (!A::sends_at_once) add_kinds<A>("co2_pingpong", {b1}, how, round_trips_across<A>);
        add_kinds<A>("mix_spsc", {unb, b512}, how, thread_to_coroutine<A>);
    });
});

}  // namespace
}  // namespace bench
