// Dining philosophers without a lock: a fork is a message in a channel of its own, and a room with one seat less than
// there are philosophers, which is a bounded channel too, rules out the deadlock.
#include "args.hpp"
#include "checked.hpp"

#include <sluice/sluice.hpp>

#include <algorithm>
#include <cstdio>
#include <thread>
#include <vector>

struct token {};
using place = sluice::channel<token>;

void dine(const place& room, const place& left, const place& right, std::size_t meals, std::chrono::milliseconds delay,
          const sluice::sender<std::size_t>& eaten, std::size_t self) {
    for (std::size_t meal = 0; meal < meals; ++meal) {
        (void)room.tx.send(token{});  // blocks while all seats are taken
        (void)left.rx.recv();         // blocks while the neighbour has the fork
        (void)right.rx.recv();
        std::this_thread::sleep_for(delay);  // imitates eating
        (void)eaten.send(self);
        (void)right.tx.send(token{});
        (void)left.tx.send(token{});
        (void)room.rx.recv();
    }
}

int main(int argc, char** argv) {
    example::args args(argc, argv, "Philosophers share forks; nobody starves, and there is no deadlock.");
    const auto philosophers = args.number("philosophers", 5, "at the table, with as many forks", 2, 1000);
    const auto meals = args.number("meals", 20, "for each of them");
    const auto delay = args.delay("delay", 1, "what a meal takes");
    args.finish();

    const place room = sluice::bounded<token>(philosophers - 1);
    std::vector<place> forks;
    for (std::size_t n = 0; n < philosophers; ++n) {
        forks.push_back(sluice::bounded<token>(1));
        (void)forks.back().tx.send(token{});  // the fork lies on the table
    }

    auto [eaten_tx, eaten] = sluice::unbounded<std::size_t>();
    std::vector<std::jthread> threads;
    for (std::size_t n = 0; n < philosophers; ++n) {
        threads.emplace_back(dine, room, forks[n], forks[(n + 1) % philosophers], meals, delay, eaten_tx, n);
    }
    eaten_tx = {};

    std::vector<std::size_t> count(philosophers);
    for (std::size_t who : eaten) {
        if (++count[who] == meals) std::printf("philosopher %zu has eaten %zu times and leaves\n", who, meals);
    }
    const bool all = std::all_of(count.begin(), count.end(), [&](std::size_t n) { return n == meals; });
    return example::checked(all, "everyone ate as often as agreed");
}
