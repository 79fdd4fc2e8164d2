// Coroutines of one thread: channels of sluice beside those of other libraries.
#include "coroutines/peers.hpp"
#include "coroutines/tasks.hpp"
#include "harness.hpp"

#include <array>
#include <cstddef>
#include <utility>
#include <vector>

namespace bench {
namespace {

template <coroutine_adapter A>
struct workloads {
    using loop = typename A::loop;
    using task = typename A::task;
    using sender = typename A::sender;
    using receiver = typename A::receiver;

    // Runs what was spawned.
    static void run(benchmark::State& state, loop& of) {
        state.ResumeTiming();
        of.run();
        state.PauseTiming();
    }

    static bool stream(benchmark::State& state, number messages, const limit& capacity, number senders,
                       number receivers) {
        loop l;
        const auto channel = A::open(l, capacity);
        std::vector<number> sums(static_cast<std::size_t>(receivers));
        for (number r = 0; r < receivers; ++r) {
            const share mine(messages, r, receivers);
            l.spawn(consume<A>(channel.rx, mine.count, sums[static_cast<std::size_t>(r)]));
        }
        for (number s = 0; s < senders; ++s) l.spawn(produce<A>(channel.tx, share(messages, s, senders)));
        run(state, l);
        number sum = 0;
        for (const number n : sums) sum += n;
        return sum == sum_to(messages);
    }

    // Two channels: a message goes there and comes back.
    static bool round_trips(benchmark::State& state, number messages, const limit& capacity) {
        loop l;
        const auto there = A::open(l, capacity);
        const auto back = A::open(l, capacity);
        number sum = 0;
        l.spawn(strike_back<A>({back.tx, there.rx}, messages));
        l.spawn(serve<A>({there.tx, back.rx}, messages, sum));
        run(state, l);
        return sum == sum_to(messages);
    }

    // A task in a ring: passes on what it receives, as long as it is to send anything. The token counts how often it
    // was passed.
    static task pass_on(ends<sender, receiver> with, number receives, number sends, bool begins, number& last) {
        number token = 0;
        if (begins && sends > 0) {
            A::check(co_await A::send(with.tx, token));
            --sends;
        }
        for (; receives > 0; --receives) {
            token = A::value(co_await A::recv(with.rx));
            last = token++;
            if (sends == 0) continue;
            A::check(co_await A::send(with.tx, token));
            --sends;
        }
    }
    static bool ring(benchmark::State& state, number hops, const limit& capacity) {
        constexpr number size = 1000;
        loop l;
        std::vector<ends<sender, receiver>> channels;
        for (number i = 0; i < size; ++i) channels.push_back(A::open(l, capacity));
        number last = -1;
        for (number i = 0; i < size; ++i) {
            const number next = (i + 1) % size;
            l.spawn(pass_on({channels[static_cast<std::size_t>(next)].tx, channels[static_cast<std::size_t>(i)].rx},
                            share(hops, i, size).count, share(hops, next, size).count, next == 0, last));
        }
        run(state, l);
        return last == hops - 1;
    }

    // Four channels with a sender each; one receiver selects among them.
    static bool select_from_four(benchmark::State& state, number messages, const limit& capacity) {
        constexpr number width = 4;
        loop l;
        std::vector<sender> tx;  // they outlive the loop: a closed channel could be ready again and again
        std::array<receiver, width> rx;
        for (number s = 0; s < width; ++s) {
            auto channel = A::open(l, capacity);
            l.spawn(produce<A>(channel.tx, share(messages, s, width)));
            tx.push_back(std::move(channel.tx));
            rx[static_cast<std::size_t>(s)] = std::move(channel.rx);
        }
        number sum = 0;
        l.spawn(A::select_from(rx, messages, sum));
        run(state, l);
        return sum == sum_to(messages);
    }

    // One task spawns as many as fit, each of which sends one message and ends, receives the messages, and so on.
    static task send_one(sender tx, number n) { A::check(co_await A::send(tx, n)); }
    static task spawn_all(loop& on, number messages, number& sum) {
        constexpr number crowd = 500;  // some libraries' channel of 512 holds 511
        auto channel = A::open(on, b512.capacity);
        for (number n = 0; n < messages;) {
            const number before = n;
            while (n < messages && n < before + crowd) on.spawn(send_one(channel.tx, ++n));
            for (number left = n - before; left > 0; --left) sum += A::value(co_await A::recv(channel.rx));
        }
    }
    static bool spawn(benchmark::State& state, number messages, const limit&) {
        loop l;
        number sum = 0;
        l.spawn(spawn_all(l, messages, sum));
        run(state, l);
        return sum == sum_to(messages);
    }

    // The sieve: a task that generates numbers, and one for each prime, which passes on what it does not divide. A 0 is
    // the last number.
    static task generate(sender tx, number last) {
        for (number n = 2; n <= last; ++n) A::check(co_await A::send(tx, n));
        const number end = 0;
        A::check(co_await A::send(tx, end));
    }
    static task filter(ends<sender, receiver> with, number prime) {
        for (number n = prime; n != 0;) {
            n = A::value(co_await A::recv(with.rx));
            if (n == 0 || n % prime != 0) A::check(co_await A::send(with.tx, n));
        }
    }
    static task sift(loop& on, const limit& capacity, number primes, number last, number& sum) {
        auto channel = A::open(on, capacity);
        on.spawn(generate(channel.tx, last));
        for (number found = 1;; ++found) {
            const number prime = A::value(co_await A::recv(channel.rx));
            sum += prime;
            if (found == primes) break;
            auto next = A::open(on, capacity);
            on.spawn(filter({next.tx, channel.rx}, prime));
            channel = std::move(next);
        }
        demand(A::value(co_await A::recv(channel.rx)) == 0);
    }
};

// What a sieve does until it has found so many primes. A number passes a channel for each prime up to its least factor.
struct sieve_plan {
    number primes;
    number last = 1;  // the last prime
    number sum = 0;   // of the primes
    number passes = 0;

    explicit sieve_plan(number count) : primes(count) {
        std::vector<number> found;
        while (static_cast<number>(found.size()) < count) {
            ++last;
            std::size_t tried = 0;
            while (tried < found.size() && last % found[tried] != 0) ++tried;
            if (tried == found.size()) {
                found.push_back(last);
                sum += last;
            }
            passes += static_cast<number>(tried) + 1;
        }
    }
};

template <coroutine_adapter A>
bool sieve(benchmark::State& state, const sieve_plan& what, const limit& capacity) {
    typename A::loop l;
    number sum = 0;
    l.spawn(workloads<A>::sift(l, capacity, what.primes, what.last, sum));
    workloads<A>::run(state, l);
    return sum == what.sum;
}

template <coroutine_adapter A>
void add_peer(const effort& how, number hops, const sieve_plan& primes) {
    using work = workloads<A>;
    add_kinds<A>("co_spsc", {unb, b512, b1, b0}, how,
                 [](benchmark::State& state, number messages, const limit& capacity) {
                     return work::stream(state, messages, capacity, 1, 1);
                 });
    add_kinds<A>("co_mpmc", {unb, b512, b1, b0}, how,
                 [](benchmark::State& state, number messages, const limit& capacity) {
                     return work::stream(state, messages, capacity, 4, 4);
                 });
    if constexpr (!A::sends_at_once) {
        add_kinds<A>("co_pingpong", {b1, b0}, how, work::round_trips);
        add_kinds<A>("co_spawn", {b512}, how, work::spawn);
        // So often that the start of all tasks does not count.
        add_kinds<A>("co_ring", {b1, b0}, {.repetitions = how.repetitions, .messages = hops}, work::ring);
        add_kinds<A>("co_sieve", {b1, b0}, {.repetitions = how.repetitions, .messages = primes.passes},
                     [primes](benchmark::State& state, number, const limit& capacity) {
                         return sieve<A>(state, primes, capacity);
                     });
    }
    if constexpr (A::selects) add_kinds<A>("co_select", {b512, b1, b0}, how, work::select_from_four);
}

const part coroutines([](const plan& p) {
    const effort how{.repetitions = p.repetitions(), .seconds = p.seconds()};
    const number hops = p.quick ? 100'000 : 1'000'000;
    const sieve_plan primes(p.quick ? 200 : 1000);
    for_each_coroutine_peer<false>([&]<coroutine_adapter A>() { add_peer<A>(how, hops, primes); });
});

}  // namespace
}  // namespace bench
