// A token bucket: a tick puts one token into a bounded channel at each beat, and a request may go when it has taken a
// token. The capacity of the channel is the size of the burst that is allowed.
#include "args.hpp"
#include "checked.hpp"

#include <sluice/sluice.hpp>

#include <cstdio>
#include <thread>

struct token {};

int main(int argc, char** argv) {
    example::args args(argc, argv, "Lets requests through at a steady rate, after a first burst.");
    const auto requests = args.number("requests", 20, "that come all at once");
    const auto burst = args.number("burst", 3, "requests that may go without a wait");
    const auto period = args.delay("period", 5, "between two requests", 1);
    args.finish();

    auto [tokens, bucket] = sluice::bounded<token>(burst);
    while (tokens.try_send(token{})) {
    }
    const auto start = std::chrono::steady_clock::now();
    std::jthread refill([tokens = std::move(tokens), period] {
        for ([[maybe_unused]] auto due : sluice::tick(period)) {
            const auto added = tokens.try_send(token{});  // a full bucket overflows
            if (!added && added.error() == sluice::errc::closed) return;
        }
    });

    std::chrono::duration<double, std::milli> elapsed{};
    for (std::size_t n = 1; n <= requests && bucket.recv(); ++n) {
        elapsed = std::chrono::steady_clock::now() - start;
        std::printf("request %zu goes after %.1f ms\n", n, elapsed.count());
    }
    bucket = {};  // ends the refill at its next beat
    return example::checked(requests <= burst || elapsed >= (requests - burst) * period, "no request went too early");
}
