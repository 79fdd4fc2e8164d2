// How the cost of a message changes with the number of threads, the capacity, the payload, the batch, the depth, and
// over time.
#include "harness.hpp"
#include "peers.hpp"

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace bench {
namespace {

// One sender and one receiver, that move up to `size` messages with a call.
template <batching A>
bool batches(benchmark::State& state, number messages, const limit& capacity, std::size_t size) {
    auto channel = A::template open<number>(capacity);
    start_line line(2);
    team threads(line);
    number sum = 0;
    threads.add([tx = channel.tx, messages, size]() mutable {
        std::vector<number> batch(size);
        for (number sent = 0; sent < messages;) {
            const std::size_t count = std::min(size, static_cast<std::size_t>(messages - sent));
            for (std::size_t i = 0; i < count; ++i) batch[i] = ++sent;
            tx.send_many(std::span<const number>(batch.data(), count));
        }
    });
    threads.add([rx = channel.rx, messages, size, &sum]() mutable {
        std::vector<number> batch(size);
        number mine = 0;
        for (number received = 0; received < messages;) {
            const std::size_t count = rx.recv_many(std::span<number>(batch));
            for (std::size_t i = 0; i < count; ++i) mine += batch[i];
            received += static_cast<number>(count);
        }
        sum = mine;
    });
    threads.run(state);
    return sum == sum_to(messages);
}

template <adapter A>
void add_stream(const std::string& group, const std::string& parameter, const effort& how, const limit& capacity,
                number senders, number receivers) {
    if (!A::can.open(capacity)) return;
    add(group, parameter, A::name, how, [capacity, senders, receivers](benchmark::State& state, number messages) {
        return stream<A, number>(state, messages, capacity, senders, receivers);
    });
}

template <adapter A, std::size_t... Bytes>
void add_payloads(const effort& how, std::index_sequence<Bytes...>) {
    if (!A::can.bounded) return;
    (add("payload bytes", std::to_string(Bytes), A::name, how,
         [](benchmark::State& state, number messages) { return stream<A, block<Bytes>>(state, messages, 512, 1, 1); }),
     ...);
}

template <adapter A>
void add_peer(const plan& p) {
    const effort how{.repetitions = p.few_repetitions(), .seconds = p.seconds()};
    if (A::can.many_senders && A::can.many_receivers) {
        for (const number threads : {1, 2, 4, 8, 16}) {
            add_stream<A>("threads a side unb", std::to_string(threads), how, unbounded, threads, threads);
            add_stream<A>("threads a side b512", std::to_string(threads), how, 512, threads, threads);
        }
    }
    if (A::can.many_senders) {
        for (const number senders : {1, 2, 4, 8, 16, 32, 64}) {
            add_stream<A>("senders unb", std::to_string(senders), how, unbounded, senders, 1);
        }
    }
    for (const number capacity : {1, 4, 16, 64, 256, 1024, 4096}) {
        add_stream<A>("capacity", std::to_string(capacity), how, static_cast<std::size_t>(capacity), 1, 1);
    }
    add_payloads<A>(how, std::index_sequence<8, 64, 256, 1024, 4096>());

    if constexpr (batching<A>) {
        for (const kind& k : {unb, b512}) {
            if (!A::can.open(k.capacity)) continue;
            const std::string group = std::string("batch ") + k.name;
            add_stream<A>(group, "one by one", how, k.capacity, 1, 1);
            for (const std::size_t size : {1u, 8u, 64u, 512u}) {
                add(group, std::to_string(size), A::name, how,
                    [k, size](benchmark::State& state, number n) { return batches<A>(state, n, k.capacity, size); });
            }
        }
    }

    if (A::can.unbounded) {
        const number deepest = p.quick ? 100'000 : 10'000'000;
        const number messages = p.quick ? 100'000 : 1'000'000;
        for (number depth = 1; depth <= deepest; depth *= 10) {
            add("depth", std::to_string(depth), A::name, {.repetitions = p.few_repetitions(), .messages = messages},
                [depth](benchmark::State& state, number n) { return in_one_thread<A>(state, n, unbounded, depth); });
        }
    }
}

const part sweeps([](const plan& p) {
    for_each_peer([&p]<adapter A>() { add_peer<A>(p); });

    const number most = p.quick ? 1'000'000 : 100'000'000;
    for (number messages = 10'000; messages <= most; messages *= 10) {
        const effort how{.repetitions = messages < 10'000'000 ? p.repetitions() : 1, .messages = messages};
        add_stream<sluice_channel>("messages b512", std::to_string(messages), how, 512, 1, 1);
    }
});

}  // namespace
}  // namespace bench
