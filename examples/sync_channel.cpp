// A bounded channel makes fast producers wait for a slow consumer; with capacity 0, the rendezvous, a send returns only
// after its message was taken.
#include "args.hpp"
#include "checked.hpp"

#include <sluice/sluice.hpp>

#include <atomic>
#include <cstdio>
#include <thread>
#include <vector>

struct settings {
    std::size_t producers, messages;
    std::chrono::milliseconds delay;
};

// Returns whether no producer ever was further ahead of the consumer than the capacity allows.
bool run(std::size_t capacity, const settings& with) {
    std::printf("a channel of capacity %zu\n", capacity);
    std::atomic<std::size_t> sent = 0;
    std::atomic<std::size_t> asked = 0;  // receives that the consumer has begun
    std::atomic<bool> too_far = false;

    const auto produce = [&](const sluice::sender<std::size_t>& out, std::size_t id) {
        for (std::size_t n = 1; n <= with.messages; ++n) {
            if (!out.try_send(n)) {
                std::printf("  producer %zu waits to send %zu: %zu in the channel\n", id, n, out.size());
                if (!out.send(n)) return;
            }
            const std::size_t total = ++sent;
            if (total > asked + capacity) too_far = true;
        }
    };

    auto [tx, rx] = sluice::bounded<std::size_t>(capacity);
    std::vector<std::jthread> threads;
    for (std::size_t id = 1; id <= with.producers; ++id) threads.emplace_back(produce, tx, id);
    tx = {};

    std::size_t received = 0;
    for (++asked; rx.recv(); ++asked) {
        ++received;
        std::this_thread::sleep_for(with.delay);  // imitates work
    }
    std::printf("  received %zu messages\n", received);
    return !too_far && received == with.producers * with.messages;
}

int main(int argc, char** argv) {
    example::args args(argc, argv, "Fast producers and a slow consumer, over a bounded and over a rendezvous channel.");
    const auto capacity = args.number("capacity", 3, "of the bounded channel", 0);
    const auto producers = args.number("producers", 2, "threads that send", 1, 1000);
    const auto messages = args.number("messages", 6, "from each of them");
    const auto delay = args.delay("delay", 3, "what the consumer takes for a message");
    args.finish();

    const settings with{producers, messages, delay};
    const bool bounded = run(capacity, with);
    const bool rendezvous = run(0, with);
    return example::checked(bounded && rendezvous, "no producer got further ahead than the capacity");
}
