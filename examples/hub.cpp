// A hub passes what each client says to all clients, which join and leave as they like. It never waits for one of them: who
// lets more pile up than it asked for is dropped, and hears of that as the end of its channel.
#include "args.hpp"
#include "checked.hpp"

#include <sluice/sluice.hpp>

#include <atomic>
#include <cstdio>
#include <optional>
#include <thread>
#include <vector>

struct news {
    std::size_t from, number;
};

void run_hub(const sluice::receiver<sluice::sender<news>>& door, const sluice::receiver<news>& said,
             std::atomic<std::size_t>& dropped) {
    std::vector<sluice::sender<news>> clients;
    std::optional<sluice::sender<news>> newcomer;
    std::optional<news> item;
    while (const auto chosen = sluice::select_biased(sluice::on_recv(door, newcomer), sluice::on_recv(said, item))) {
        if (*chosen == 0) {
            clients.push_back(*std::move(newcomer));
        } else {
            std::erase_if(clients, [&](const sluice::sender<news>& client) {
                const auto sent = client.try_send(*item);
                dropped += sent == sluice::unexpected(sluice::errc::full) ? 1U : 0U;
                return !sent;  // it has left, or is too slow
            });
        }
    }
}

int main(int argc, char** argv) {
    example::args args(argc, argv, "Clients talk to all others through a hub; one of them never listens.");
    const auto talkers = args.number("clients", 5, "that talk and listen", 2, 1000);
    const auto each = args.number("messages", 20, "from each of them", 2, 10'000);
    args.finish();

    auto [door, entering] = sluice::unbounded<sluice::sender<news>>();
    auto [mouth, said] = sluice::bounded<news>(16);
    const auto join = [&door = door](std::size_t backlog) {
        auto [tx, rx] = sluice::bounded<news>(backlog);
        (void)door.send(std::move(tx));
        return rx;
    };
    std::atomic<std::size_t> dropped = 0, complete = 0;
    const auto deaf = join(3);
    std::vector<std::jthread> threads;
    threads.emplace_back([in = join(talkers * each)]() mutable {
        (void)in.recv();
        in = {};  // has heard enough, and leaves
    });
    for (std::size_t id = 0; id < talkers; ++id) {
        threads.emplace_back([&complete, talkers, each, id, out = mouth, in = join(talkers * each)]() mutable {
            for (std::size_t n = 1; n <= each; ++n) (void)out.send(news{id, n});
            out = {};
            std::vector<std::size_t> heard(talkers);
            bool in_order = true;
            for (const news& item : in) in_order = ++heard[item.from] == item.number && in_order;
            complete += in_order && heard == std::vector<std::size_t>(talkers, each) ? 1U : 0U;
        });
    }
    door = {};
    mouth = {};
    run_hub(entering, said, dropped);  // until all have said what they had to say
    threads.clear();
    std::size_t overheard = 0;
    for ([[maybe_unused]] const news& item : deaf) ++overheard;
    std::printf("%zu clients heard everything, %zu was dropped after %zu messages\n", complete.load(), dropped.load(),
                overheard);
    return example::checked(complete == talkers && dropped == 1 && overheard == 3,
                            "a client that never listens held up nobody");
}
