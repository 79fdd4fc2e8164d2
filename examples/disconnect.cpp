// Both directions of leaving: producers learn from a failing send that the consumer has gone, and still own their
// message; a consumer learns that all producers have gone, after it received everything.
#include "args.hpp"
#include "checked.hpp"

#include <sluice/sluice.hpp>

#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using message = std::unique_ptr<std::string>;

bool consumer_goes(std::size_t producers, std::size_t messages) {
    auto [tx, rx] = sluice::bounded<message>(2);
    auto [kept_tx, kept] = sluice::unbounded<message>();
    std::vector<std::jthread> threads;
    for (std::size_t id = 1; id <= producers; ++id) {
        threads.emplace_back([out = tx, keep = kept_tx, id] {
            for (std::size_t n = 1;; ++n) {
                auto mine = std::make_unique<std::string>(std::to_string(n) + " of producer " + std::to_string(id));
                if (!out.send(std::move(mine))) {
                    (void)keep.send(std::move(mine));  // a send that fails has not moved from its argument
                    return;
                }
            }
        });
    }
    kept_tx = {};

    for (std::size_t n = 0; n < messages; ++n) {
        if (auto taken = rx.recv()) std::printf("consumer: got message %s\n", (*taken)->c_str());
    }
    std::printf("consumer: goes\n");
    rx = {};

    std::size_t whole = 0;
    for (const message& unsent : kept) {
        whole += unsent ? 1U : 0U;
        std::printf("producer: the consumer has gone, I keep message %s\n", unsent ? unsent->c_str() : "(lost)");
    }
    return whole == producers;
}

bool producers_go(std::size_t producers, std::size_t messages) {
    auto [tx, rx] = sluice::bounded<std::size_t>(2);
    std::vector<std::jthread> threads;
    for (std::size_t id = 1; id <= producers; ++id) {
        threads.emplace_back([out = tx, messages] {
            for (std::size_t n = 1; n <= messages && out.send(n); ++n) {
            }
        });
    }
    tx = {};

    std::size_t received = 0;
    auto next = rx.recv();
    for (; next; next = rx.recv()) ++received;
    std::printf("consumer: %zu messages, then: %s\n", received, make_error_code(next.error()).message().c_str());
    return next.error() == sluice::errc::closed && received == producers * messages;
}

int main(int argc, char** argv) {
    example::args args(argc, argv, "A consumer that leaves its producers, and producers that leave their consumer.");
    const auto producers = args.number("producers", 2, "threads that send", 1, 1000);
    const auto messages = args.number("messages", 5, "received before the consumer goes; sent by each producer");
    args.finish();

    const bool kept = consumer_goes(producers, messages);
    const bool drained = producers_go(producers, messages);
    return example::checked(kept && drained, "each side learned that the other has gone, and nothing was lost");
}
