// What channels cost in memory. A program of its own, for its allocations are counted, which takes time.
#include "harness.hpp"
#include "adapters/sluice.hpp"
#include "adapters/textbook.hpp"

#include <malloc.h>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace {

std::atomic<long> live_bytes{0};
std::atomic<long> allocations{0};

void* count(void* block) {
    if (block == nullptr) throw std::bad_alloc();
    live_bytes += static_cast<long>(malloc_usable_size(block));
    ++allocations;
    return block;
}

void release(void* block) noexcept {
    live_bytes -= static_cast<long>(malloc_usable_size(block));
    std::free(block);
}

}  // namespace

void* operator new(std::size_t size) { return count(std::malloc(size)); }
void* operator new(std::size_t size, std::align_val_t alignment) {
    const auto to = static_cast<std::size_t>(alignment);
    return count(std::aligned_alloc(to, (size + to - 1) / to * to));
}
void operator delete(void* block) noexcept { release(block); }
void operator delete(void* block, std::size_t) noexcept { release(block); }
void operator delete(void* block, std::align_val_t) noexcept { release(block); }
void operator delete(void* block, std::size_t, std::align_val_t) noexcept { release(block); }

namespace bench {
namespace {

constexpr number million = 1'000'000;

// Bytes of a channel and its two ends while nothing is in it.
template <adapter A>
bool empty_channel(benchmark::State& state, number, const limit& capacity) {
    const long before = live_bytes;
    auto channel = A::template open<number>(capacity);
    state.ResumeTiming();
    state.counters["value"] = static_cast<double>(live_bytes - before) + static_cast<double>(sizeof channel);
    state.PauseTiming();
    return true;
}

// Bytes of an unbounded channel that holds a million messages.
template <adapter A>
bool full_channel(benchmark::State& state, number) {
    const long before = live_bytes;
    auto channel = A::template open<number>(unbounded);
    state.ResumeTiming();
    for (number n = 1; n <= million; ++n) channel.tx.send(number(n));
    state.PauseTiming();
    state.counters["value"] = static_cast<double>(live_bytes - before);
    number sum = 0;
    for (number n = 1; n <= million; ++n) sum += *channel.rx.recv();
    return sum == sum_to(million);
}

// Allocations while a million messages pass through a channel that holds a hundred all the time.
template <adapter A>
bool steady_stream(benchmark::State& state, number, const limit& capacity) {
    constexpr number depth = 100;
    constexpr number warm_up = 10'000;
    auto channel = A::template open<number>(capacity);
    number sent = 0;
    number sum = 0;
    const auto pass = [&](number messages) {
        for (number n = 0; n < messages; ++n) {
            channel.tx.send(++sent);
            sum += *channel.rx.recv();
        }
    };
    while (sent < depth) channel.tx.send(++sent);
    pass(warm_up);
    const long before = allocations;
    state.ResumeTiming();
    pass(million);
    state.PauseTiming();
    state.counters["value"] = static_cast<double>(allocations - before);
    for (number n = 0; n < depth; ++n) sum += *channel.rx.recv();
    return sum == sum_to(sent);
}

template <adapter A>
void add_peer() {
    constexpr effort once{.messages = 1};
    add("memory", "bytes of an empty unbounded channel", A::name, once,
        [](benchmark::State& state, number n) { return empty_channel<A>(state, n, unbounded); });
    add("memory", "bytes of an empty channel of capacity 512", A::name, once,
        [](benchmark::State& state, number n) { return empty_channel<A>(state, n, 512); });
    add("memory", "bytes of a million messages of 8 bytes", A::name, once, full_channel<A>);
    add("memory", "allocations for a million messages unbounded", A::name, once,
        [](benchmark::State& state, number n) { return steady_stream<A>(state, n, unbounded); });
    add("memory", "allocations for a million messages capacity 512", A::name, once,
        [](benchmark::State& state, number n) { return steady_stream<A>(state, n, 512); });
}

const part memory([](const plan&) {
    add_peer<sluice_channel>();
    add_peer<textbook>();
});

}  // namespace
}  // namespace bench
