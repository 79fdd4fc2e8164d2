// A process with one thread alone: channels of messages whose moves are nobody's code do without their locks, and do the
// same as others.
#include "program.hpp"

#include <sluice/sluice.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <optional>
#include <random>
#include <vector>

namespace {

using program::check;

std::uint32_t count = 0;

// Random operations, beside a queue of the standard library that does the same.
void run_beside_a_queue(std::optional<std::size_t> capacity, std::uint32_t seed) {
    std::mt19937 random(seed);
    const auto draw = [&](std::uint32_t bound) { return static_cast<std::uint32_t>(random() % bound); };
    auto [tx, rx] = capacity ? sluice::bounded<std::uint32_t>(*capacity) : sluice::unbounded<std::uint32_t>();
    std::deque<std::uint32_t> expected;
    const auto room = [&] { return !capacity || expected.size() < *capacity; };
    for (int step = 0; step < 2000; ++step) {
        // Bursts, so that rings grow, are emptied and are given back.
        const std::uint32_t burst = draw(20) == 0 ? 200 : 3;
        for (std::uint32_t i = draw(burst); i > 0; --i) {
            const bool fits = room();
            const auto sent = fits && draw(2) == 0 ? tx.send(count) : tx.try_send(count);
            check(fits ? sent.has_value() : sent == sluice::errc::full, "a send that fits succeeds, and no other");
            if (fits) expected.push_back(count);
            ++count;
        }
        for (std::uint32_t i = draw(burst); i > 0; --i) {
            const bool some = !expected.empty();
            const auto received = some && draw(2) == 0 ? rx.recv() : rx.try_recv();
            check(some ? received == expected.front() : received == sluice::errc::empty, "messages come in order");
            if (some) expected.pop_front();
        }
        check(rx.size() == expected.size(), "as many are there as were sent and not received");
    }
    tx.close();
    check(tx.try_send(0) == sluice::errc::closed && tx.send(0) == sluice::errc::closed,
          "nothing is sent after a close");
    for (const std::uint32_t message : expected)
        check(rx.recv() == message, "what was sent before a close is received");
    check(rx.recv() == sluice::errc::closed && rx.try_recv() == sluice::errc::closed, "then the channel is closed");
}

}  // namespace

int main() {
    for (std::uint32_t seed = 0; seed < 20; ++seed) {
        run_beside_a_queue(std::nullopt, seed);
        for (const std::size_t capacity : {1, 2, 3, 7, 64, 1000}) run_beside_a_queue(capacity, seed);
    }
    const auto rendezvous = sluice::rendezvous<int>();
    check(rendezvous.tx.try_send(1) == sluice::errc::full, "nobody is there to take it");
    check(rendezvous.rx.try_recv() == sluice::errc::empty, "nobody is there to give one");
    std::printf("%u messages\n", count);
}
