// The sieve of Eratosthenes as a chain of coroutines in one thread: each holds one prime and passes on what it does not
// divide. When enough primes are known, dropping the last receiver ends the whole chain, link by link.
#include "args.hpp"
#include "checked.hpp"

#include <sluice/async.hpp>

#include <cstddef>
#include <cstdio>
#include <utility>

sluice::task<> count(sluice::sender<std::size_t> out) {
    for (std::size_t n = 2; co_await out.async_send(n); ++n) {
    }
}

sluice::task<> filter(std::size_t prime, sluice::receiver<std::size_t> in, sluice::sender<std::size_t> out) {
    while (const auto n = co_await in.async_recv()) {
        if (*n % prime != 0 && !co_await out.async_send(*n)) co_return;
    }
}

bool is_prime(std::size_t n) {
    for (std::size_t divisor = 2; divisor * divisor <= n; ++divisor) {
        if (n % divisor == 0) return false;
    }
    return n > 1;
}

// Returns whether it has found the first primes, and no other number.
sluice::task<bool> sieve(std::size_t wanted) {
    const auto executor = co_await sluice::this_executor();
    sluice::task_group chain(executor);
    auto [tx, rx] = sluice::rendezvous<std::size_t>();
    chain.spawn(count(std::move(tx)));

    bool right = true;
    std::size_t candidate = 2;
    for (std::size_t found = 0; found < wanted; ++found) {
        const auto prime = (co_await rx.async_recv()).value();
        for (; candidate < prime; ++candidate) right = right && !is_prime(candidate);
        right = right && is_prime(candidate++);
        std::printf("%zu ", prime);

        auto [passed_tx, passed] = sluice::rendezvous<std::size_t>();
        chain.spawn(filter(prime, std::move(rx), std::move(passed_tx)));
        rx = std::move(passed);
    }
    std::printf("\n");
    rx = {};  // the last filter's next send fails, it drops its receiver, and so on up to the source
    co_await chain.join();
    co_return right;
}

int main(int argc, char** argv) {
    example::args args(argc, argv, "Finds the first primes with a chain of coroutines, one for each prime.");
    const auto wanted = args.number("primes", 500, "how many to find", 1, 10'000);
    args.finish();
    return example::checked(sluice::sync_wait(sieve(wanted)), "these are the first primes, none is missing");
}
