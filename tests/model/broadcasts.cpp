// broadcaster: its policies while subscribers receive, come and go.
#include <model/models.hpp>
#include <model/operations.hpp>

#include <array>
#include <memory>
#include <optional>

namespace model {

namespace {

using M = number;
using sluice::overflow;

}  // namespace

[[maybe_unused]] static const bool added = [] {
    budgets limits;
    limits.preemptions = 2;
    limits.stale_reads = 0;
    limits.ticks = 0;
    limits.detours = 1;

    add("broadcast/block",
        "A blocked publisher goes on when the slow subscriber receives, and each gets everything in order.", limits,
        [] {
            std::optional<sluice::broadcaster<M>> bus(std::in_place);
            auto slow = bus->subscribe(1);
            auto fast = bus->subscribe();
            {
                thread publisher([&] {
                    for (int i = 1; i <= 2; ++i) expect(bus->send(M(i)) == 2, "a send did not reach both");
                    bus.reset();
                });
                thread reader([&] {
                    for (int i = 1; i <= 2; ++i)
                        expect(slow.recv().value().id() == i, "a message is lost or out of order");
                    expect(!slow.recv().has_value(), "a channel is open whose broadcaster is gone");
                });
            }
            for (int i = 1; i <= 2; ++i) expect(fast.recv().value().id() == i, "a message is lost or out of order");
        });

    add("broadcast/drop-oldest", "The newest messages are there, in order, and a send does not block.", limits, [] {
        std::optional<sluice::broadcaster<M>> bus(std::in_place);
        auto rx = bus->subscribe(1, overflow::drop_oldest);
        int last = 0;
        {
            thread publisher([&] {
                for (int i = 1; i <= 3; ++i) expect(bus->send(M(i)) == 1, "a send did not reach the subscriber");
                bus.reset();
            });
            thread reader([&] {
                while (auto m = rx.recv()) {
                    expect(m->id() > last, "messages are out of order");
                    last = m->id();
                }
            });
        }
        expect(last == 3, "the newest message is lost");
    });

    add("broadcast/drop-newest", "The oldest messages are there, in order, and a send says whether it reached anyone.",
        limits, [] {
            std::optional<sluice::broadcaster<M>> bus(std::in_place);
            auto rx = bus->subscribe(1, overflow::drop_newest);
            std::size_t reached = 0, received = 0;
            int last = 0;
            {
                thread publisher([&] {
                    for (int i = 1; i <= 3; ++i) reached += bus->send(M(i));
                    bus.reset();
                });
                thread reader([&] {
                    while (auto m = rx.recv()) {
                        expect(m->id() > last, "messages are out of order");
                        last = m->id();
                        ++received;
                    }
                });
            }
            expect(reached == received && received >= 1,
                   "a send reached nobody and was received, or the other way round");
        });

    add("broadcast/disconnect", "A subscriber that falls behind gets what is in its channel, and then closed.", limits,
        [] {
            sluice::broadcaster<M> bus;
            auto rx = bus.subscribe(1, overflow::disconnect);
            std::size_t reached = 0, received = 0;
            {
                thread publisher([&] {
                    for (int i = 1; i <= 2; ++i) reached += bus.send(M(i));
                });
                thread reader([&] {
                    while (received < 2) {
                        if (!rx.recv()) break;
                        ++received;
                    }
                });
            }
            expect(reached == received, "a send reached nobody and was received, or the other way round");
        });

    add("broadcast/come-and-go",
        "A subscriber that leaves or comes during a send gets the message whole or not at all.", limits, [] {
            sluice::broadcaster<M> bus;
            auto first = bus.subscribe(1);
            std::optional<sluice::receiver<M>> late;
            std::size_t reached = 0;
            {
                thread publisher([&] { reached = bus.send(M(1)); });
                thread leaver([&] { first = {}; });
                thread comer([&] { late = bus.subscribe(2); });
            }
            const auto m = late->try_recv();
            expect(reached >= (m ? 1u : 0u) && reached <= 2, "a send says that it reached another number");
            const std::size_t again = bus.send(M(2));
            const auto n = late->try_recv();
            expect(again == 1 && n && n->id() == 2, "a subscriber that has come is not reached");
        });

    add("broadcast/two-publishers", "Two publishers at once reach both subscribers.", limits, [] {
        sluice::broadcaster<M> bus;
        std::array rx{bus.subscribe(2), bus.subscribe(2)};
        {
            thread a([&] { expect(bus.send(M(1)) == 2, "a send did not reach both"); });
            thread b([&] { expect(bus.send(M(2)) == 2, "a send did not reach both"); });
        }
        for (auto& r : rx) {
            const int x = r.try_recv().value().id(), y = r.try_recv().value().id();
            expect(x + y == 3, "a message is lost or doubled");
        }
    });
    return true;
}();

}  // namespace model
