// What coroutines cost that wait: bytes of each, with the channel in which it waits, and the time to release them.
#include "coroutines/peers.hpp"
#include "harness.hpp"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <utility>
#include <vector>

namespace bench {
namespace {

// Bytes of memory that the system has given this process. What is freed was returned to it before.
number resident_bytes() {
    long size = 0;
    long pages = 0;
    std::FILE* const file = std::fopen("/proc/self/statm", "r");
    demand(file != nullptr);
    demand(std::fscanf(file, "%ld %ld", &size, &pages) == 2);
    std::fclose(file);
    return number{pages} * ::sysconf(_SC_PAGESIZE);
}

template <coroutine_adapter A>
struct crowd {
    using loop = typename A::loop;
    using task = typename A::task;
    using sender = typename A::sender;
    using receiver = typename A::receiver;

    number size;
    sender all;  // of capacity 1: gets a message when all wait, and when all have ended
    number waiting = 0;
    number ended = 0;
    number sum = 0;
    number bytes = 0;

    static task wait(crowd& c, receiver rx) {
        const number signal = 1;
        if (++c.waiting == c.size) A::check(co_await A::send(c.all, signal));
        c.sum += A::value(co_await A::recv(rx));
        if (++c.ended == c.size) A::check(co_await A::send(c.all, signal));
    }

    // Has them wait, each on a channel of its own, and sends a message to each.
    static task gather_and_release(crowd& c, loop& on, receiver all, benchmark::State& state) {
        const number before = resident_bytes();
        std::vector<sender> to_each;
        to_each.reserve(static_cast<std::size_t>(c.size));
        for (number n = 0; n < c.size; ++n) {
            auto own = A::open(on, b1.capacity);
            to_each.push_back(std::move(own.tx));
            on.spawn(wait(c, std::move(own.rx)));
        }
        A::value(co_await A::recv(all));
        c.bytes = resident_bytes() - before;
        state.ResumeTiming();
        for (number n = 1; n <= c.size; ++n) A::check(co_await A::send(to_each[static_cast<std::size_t>(n - 1)], n));
        A::value(co_await A::recv(all));
        state.PauseTiming();
    }
};

template <coroutine_adapter A>
bool block(benchmark::State& state, number count, const limit&) {
    ::malloc_trim(0);
    typename A::loop l;
    const auto all = A::open(l, b1.capacity);
    crowd<A> c{.size = count, .all = all.tx};
    l.spawn(crowd<A>::gather_and_release(c, l, all.rx, state));
    l.run();
    state.counters["value"] = static_cast<double>(c.bytes) / static_cast<double>(count);
    return c.sum == sum_to(count);
}

const part crowds([](const plan& p) {
    for_each_coroutine_peer<false>([&p]<coroutine_adapter A>() {
        if constexpr (!A::sends_at_once) {
            const effort how{.repetitions = p.few_repetitions(),
                             .messages = std::min<number>(A::most_blocked, p.quick ? 20'000 : 1'000'000)};
            add_kinds<A>("co_blocked", {b1}, how, block<A>);
        }
    });
});

}  // namespace
}  // namespace bench
