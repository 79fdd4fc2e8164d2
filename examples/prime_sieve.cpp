// The sieve of Eratosthenes as a chain of threads: each holds one prime and passes on what it does not divide. When
// enough primes are known, dropping the last receiver ends the whole chain, link by link.
#include "args.hpp"
#include "checked.hpp"

#include <sluice/sluice.hpp>

#include <cstdio>
#include <thread>
#include <vector>

bool is_prime(std::size_t n) {
    for (std::size_t divisor = 2; divisor * divisor <= n; ++divisor) {
        if (n % divisor == 0) return false;
    }
    return n > 1;
}

int main(int argc, char** argv) {
    example::args args(argc, argv, "Finds the first primes with a chain of threads, one for each prime.");
    const auto wanted = args.number("primes", 60, "how many to find", 1, 1000);
    args.finish();

    auto [tx, rx] = sluice::bounded<std::size_t>(16);
    std::vector<std::jthread> chain;
    chain.emplace_back([out = std::move(tx)] {
        for (std::size_t n = 2; out.send(n); ++n) {
        }
    });

    bool right = true;
    std::size_t candidate = 2;
    for (std::size_t found = 0; found < wanted; ++found) {
        const std::size_t prime = rx.recv().value();
        for (; candidate < prime; ++candidate) right = right && !is_prime(candidate);
        right = right && is_prime(candidate++);
        std::printf("%zu ", prime);

        auto [passed_tx, passed] = sluice::bounded<std::size_t>(16);
        chain.emplace_back([in = std::move(rx), out = std::move(passed_tx), prime] {
            for (std::size_t n : in) {
                if (n % prime != 0 && !out.send(n)) return;
            }
        });
        rx = std::move(passed);
    }
    std::printf("\n");
    rx = {};  // the last filter's next send fails, it drops its receiver, and so on up to the source
    return example::checked(right, "these are the first primes, none is missing");
}
