// Several replicas are asked the same question: the first answer is taken, and the stop tokens of their threads cancel
// the others at once, however long they would have taken.
#include "args.hpp"
#include "checked.hpp"

#include <sluice/sluice.hpp>

#include <cstdio>
#include <random>
#include <thread>
#include <vector>

struct reply {
    std::size_t replica;
    bool answered;  // or else cancelled
};

void answer(std::stop_token stop, std::size_t self, std::chrono::milliseconds thought,
            const sluice::sender<reply>& out) {
    // Imitates work that can be cancelled.
    const bool answered = *sluice::select(sluice::on_timeout(thought), sluice::on_stop(stop)) == 0;
    (void)out.send(reply{self, answered});
}

int main(int argc, char** argv) {
    example::args args(argc, argv, "Asks several replicas, takes the first answer and cancels the others.");
    const auto replicas = args.number("replicas", 6, "that are asked", 1, 1000);
    const auto delay =
        args.delay("delay", 5, "of the fastest replica; the others take up to a hundred times as long", 1);
    args.finish();

    auto [tx, rx] = sluice::unbounded<reply>();
    std::mt19937 random(std::random_device{}());
    std::uniform_int_distribution<int> factor(2, 100);
    std::vector<std::jthread> threads;
    for (std::size_t id = 1; id <= replicas; ++id) {
        const auto thought = id == replicas ? delay : delay * factor(random);
        threads.emplace_back(answer, id, thought, tx);
    }
    tx = {};

    const auto first = rx.recv();
    std::printf("replica %zu answered first\n", first->replica);
    for (std::jthread& thread : threads) thread.request_stop();
    std::size_t ended = 1;
    std::size_t cancelled = 0;
    for (const reply& other : rx) {
        ++ended;
        cancelled += other.answered ? 0U : 1U;
    }
    std::printf("%zu others were cancelled\n", cancelled);
    return example::checked(first->answered && ended == replicas, "one answer was taken, and every replica has ended");
}
