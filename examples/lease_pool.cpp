// A pool of connections is a channel that is filled with them: to lease one is to receive it, and its lease sends it back
// when it ends. Who gives up after a while, or is told to stop, has taken nothing.
#include "args.hpp"
#include "checked.hpp"

#include <sluice/sluice.hpp>

#include <atomic>
#include <cstdio>
#include <memory>
#include <thread>
#include <vector>

struct connection {
    std::atomic<int> users = 0;
};
using idle_connection = std::unique_ptr<connection>;

struct give_back {
    sluice::sender<idle_connection> home;
    void operator()(connection* c) const { (void)home.send(idle_connection(c)); }  // never waits: there is room for all
};
using lease = std::unique_ptr<connection, give_back>;

class pool {
public:
    explicit pool(std::size_t size) : idle_(sluice::bounded<idle_connection>(size)) {
        while (idle_.tx.try_send(std::make_unique<connection>())) {
        }
    }

    // Null if no connection is free in time, or a stop is requested.
    lease acquire(std::chrono::milliseconds patience, const std::stop_token& stop) const {
        auto free = idle_.rx.recv_timeout(patience, stop);
        return {free ? free->release() : nullptr, give_back{idle_.tx}};
    }
    std::size_t idle() const { return idle_.rx.size(); }

private:
    sluice::channel<idle_connection> idle_;
};

int main(int argc, char** argv) {
    example::args args(argc, argv, "Threads share a few connections, and give up when none is free in time.");
    const auto size = args.number("connections", 3, "in the pool", 1, 1000);
    const auto users = args.number("users", 8, "threads that lease them", 1, 1000);
    const auto hold = args.delay("hold", 2, "for which a connection is used");
    const auto patience = args.delay("patience", 3, "for which a user waits for one");
    const auto time = args.delay("time", 50, "until all are told to stop");
    args.finish();

    const pool connections(size);
    std::atomic<std::size_t> served = 0, gave_up = 0, shared = 0;
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < users; ++i) {
        threads.emplace_back([&](const std::stop_token& stop) {
            while (!stop.stop_requested()) {
                if (const lease mine = connections.acquire(patience, stop)) {
                    if (mine->users++ != 0) ++shared;
                    sluice::select(sluice::on_timeout(hold), sluice::on_stop(stop));  // imitates work
                    --mine->users;
                    ++served;
                } else {
                    ++gave_up;
                }
            }
        });
    }
    std::this_thread::sleep_for(time);
    for (std::jthread& t : threads) t.request_stop();
    threads.clear();
    std::printf("%zu leases, %zu times nothing was free in time\n", served.load(), gave_up.load());
    return example::checked(connections.idle() == size && shared == 0,
                            "a connection had one user at a time, and all came back");
}
