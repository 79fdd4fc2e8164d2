// Two ways to get an answer from a pool of workers: a request that carries the sender of its own reply channel, and
// numbered requests whose answers all come back through one shared channel.
#include "args.hpp"
#include "checked.hpp"

#include <sluice/sluice.hpp>

#include <cstdio>
#include <thread>
#include <vector>

struct request {
    std::size_t value;
    sluice::sender<std::size_t> reply;
};

bool with_own_reply_channels(std::size_t clients, std::size_t requests, std::size_t workers) {
    auto [tx, rx] = sluice::bounded<request>(8);
    auto [verdict_tx, verdicts] = sluice::unbounded<bool>();
    std::vector<std::jthread> threads;
    for (std::size_t w = 0; w < workers; ++w) {
        threads.emplace_back([in = rx] {
            for (const request& asked : in) {
                (void)asked.reply.send(asked.value * asked.value);  // a client that has gone needs no answer
            }
        });
    }
    for (std::size_t client = 1; client <= clients; ++client) {
        threads.emplace_back([out = tx, verdict = verdict_tx, client, requests] {
            bool right = true;
            for (std::size_t n = client; n < client + requests; ++n) {
                auto [reply, answer] = sluice::bounded<std::size_t>(1);
                right = right && out.send(request{n, std::move(reply)}) && answer.recv() == n * n;
            }
            (void)verdict.send(right);
        });
    }
    tx = {};
    verdict_tx = {};

    std::size_t satisfied = 0;
    for (bool right : verdicts) satisfied += right ? 1U : 0U;
    std::printf("own reply channels: %zu of %zu clients got their own answers\n", satisfied, clients);
    return satisfied == clients;
}

struct numbered {
    std::size_t id;
    std::size_t value;
};

bool with_shared_reply_channel(std::size_t requests, std::size_t workers) {
    auto [tx, rx] = sluice::bounded<numbered>(8);
    auto [reply_tx, replies] = sluice::bounded<numbered>(8);
    std::vector<std::jthread> threads;
    for (std::size_t w = 0; w < workers; ++w) {
        threads.emplace_back([in = rx, out = reply_tx] {
            for (const numbered& asked : in) (void)out.send(numbered{asked.id, asked.value * asked.value});
        });
    }
    threads.emplace_back([out = std::move(tx), requests] {
        for (std::size_t id = 0; id < requests && out.send(numbered{id, id + 7}); ++id) {
        }
    });
    reply_tx = {};

    std::vector<std::size_t> answers(requests);  // they come in any order, and the id says where each belongs
    for (const numbered& reply : replies) answers[reply.id] += reply.value;
    std::size_t right = 0;
    for (std::size_t id = 0; id < requests; ++id) right += answers[id] == (id + 7) * (id + 7) ? 1U : 0U;
    std::printf("shared reply channel: %zu of %zu requests got their own answers\n", right, requests);
    return right == requests;
}

int main(int argc, char** argv) {
    example::args args(argc, argv, "Clients ask workers for squares, each with its own reply channel, or by ids.");
    const auto clients = args.number("clients", 4, "threads that ask", 1, 1000);
    const auto requests = args.number("requests", 1000, "from each of them");
    const auto workers = args.number("workers", 2, "threads that answer", 1, 1000);
    args.finish();

    const bool own = with_own_reply_channels(clients, requests, workers);
    const bool shared = with_shared_reply_channel(clients * requests, workers);
    return example::checked(own && shared, "every client got its own answers");
}
