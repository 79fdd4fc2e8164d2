// How long a message takes to reach a receiver that is asleep: the time from before send to after recv, in percentiles.
#include "harness.hpp"
#include "peers.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <thread>
#include <vector>

namespace bench {
namespace {

number now() {
    using namespace std::chrono;
    return duration_cast<nanoseconds>(steady_clock::now().time_since_epoch()).count();
}

template <adapter A>
bool latency(benchmark::State& state, number messages, const limit& capacity) {
    // Long enough for everyone who spins at first to have gone to sleep.
    constexpr std::chrono::microseconds pause(500);

    auto channel = A::template open<number>(capacity);
    std::vector<number> sent;
    std::vector<number> received;
    std::vector<number> took;
    for (auto* times : {&sent, &received, &took}) times->reserve(static_cast<std::size_t>(messages));
    start_line line(1);
    team receiving(line);
    receiving.add([rx = channel.rx, messages, &received, &took]() mutable {
        for (number n = 0; n < messages; ++n) {
            const number stamp = *rx.recv();
            took.push_back(now() - stamp);
            received.push_back(stamp);
        }
    });
    line.release(state);
    for (number n = 0; n < messages; ++n) {
        std::this_thread::sleep_for(pause);
        sent.push_back(now());
        channel.tx.send(number(sent.back()));
    }
    receiving.join();
    state.PauseTiming();
    std::sort(took.begin(), took.end());
    state.counters["p50"] = static_cast<double>(took[took.size() / 2]);
    state.counters["p99"] = static_cast<double>(took[took.size() * 99 / 100]);
    return sent == received;
}

const part latencies([](const plan& p) {
    const effort how{.repetitions = p.few_repetitions(), .messages = p.quick ? 200 : 1000};
    for_each_peer([&how]<adapter A>() { add_kinds<A>("latency", {unb, b512, b0}, how, latency<A>); });
});

}  // namespace
}  // namespace bench
