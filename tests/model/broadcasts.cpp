// broadcaster: its policies while subscribers receive, come and go, and stops.
#include <model/models.hpp>
#include <model/operations.hpp>

#include <array>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <vector>

namespace model {

namespace {

using M = steady;
using sluice::overflow;

// Whether each of them gets the message `id` next, which is then sent.
template <class Bus, class Receivers>
void expect_all_reached(const Bus& bus, const Receivers& those, int id) {
    expect(bus.send(M(id)) == those.size(), "a send does not reach everyone who is there");
    for (const auto& rx : those) {
        const auto m = rx.try_recv();
        expect(m && m->id() == id, "a message is lost, doubled or out of order");
    }
}

}  // namespace

[[maybe_unused]] static const bool added = [] {
    constexpr budgets limits{.preemptions = 2, .stale_reads = 0, .ticks = 0, .detours = 1};

    add("broadcast/block",
        "A blocked publisher goes on when the slow subscriber receives, and each gets everything in order.", limits,
        [] {
            std::optional<sluice::broadcaster<M>> bus(std::in_place);
            auto slow = bus->subscribe(1, overflow::block);
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
            auto first = bus.subscribe(1, overflow::block);
            std::optional<sluice::receiver<M>> late;
            std::size_t reached = 0;
            {
                thread publisher([&] { reached = bus.send(M(1)); });
                thread leaver([&] { first = {}; });
                thread comer([&] { late = bus.subscribe(2, overflow::block); });
            }
            const auto m = late->try_recv();
            expect(reached >= (m ? 1u : 0u) && reached <= 2, "a send says that it reached another number");
            const std::size_t again = bus.send(M(2));
            const auto n = late->try_recv();
            expect(again == 1 && n && n->id() == 2, "a subscriber that has come is not reached");
        });

    add("broadcast/two-publishers", "Two publishers at once reach both subscribers.", limits, [] {
        sluice::broadcaster<M> bus;
        std::array rx{bus.subscribe(2, overflow::block), bus.subscribe(2, overflow::block)};
        {
            thread a([&] { expect(bus.send(M(1)) == 2, "a send did not reach both"); });
            thread b([&] { expect(bus.send(M(2)) == 2, "a send did not reach both"); });
        }
        for (auto& r : rx) {
            const int x = r.try_recv().value().id(), y = r.try_recv().value().id();
            expect(x + y == 3, "a message is lost or doubled");
        }
    });

    add("broadcast/comers",
        "Those who come at the same time, while a send forgets one who has left, are all there after it.", limits, [] {
            sluice::broadcaster<M> bus;
            (void)bus.subscribe();
            std::array<sluice::receiver<M>, 3> rx;
            rx[0] = bus.subscribe();
            (void)bus.subscribe();
            std::size_t reached = 0;
            {
                thread publisher([&] { reached = bus.send(M(1)); });
                thread a([&] { rx[1] = bus.subscribe(); });
                thread b([&] { rx[2] = bus.subscribe(); });
            }
            std::size_t got = 0;
            for (auto& r : rx) got += r.try_recv().has_value();
            expect(reached == got && rx[0].empty(), "a send says that it reached another number");
            expect_all_reached(bus, rx, 2);
        });

    add("broadcast/not-for-who-comes-later",
        "Someone who comes while a publisher waits does not get its message, and gets the next one.", limits, [] {
            sluice::broadcaster<M> bus;
            const auto slow = bus.subscribe(1, overflow::block);
            expect(bus.send(M(1)) == 1, "a send did not reach the subscriber");
            std::vector<sluice::receiver<M>> late;
            {
                thread publisher([&] { expect(bus.send(M(2)) == 1, "a send did not reach the subscriber alone"); });
                wait_until_quiet();
                thread comer([&] {
                    for (int i = 0; i < 2; ++i) late.push_back(bus.subscribe());
                    expect(bus.subscriber_count() == 3, "someone is missing");
                    expect(slow.recv().value().id() == 1, "a message is lost or out of order");
                });
            }
            expect(slow.recv().value().id() == 2, "a message is lost or out of order");
            late.push_back(slow);
            expect_all_reached(bus, late, 3);
        });

    for (const bool drains : {false, true}) {
        add(std::string("broadcast/stop-") + (drains ? "against-room" : "against-leaving"),
            "A stop ends the wait for one subscriber, and those behind it get the message.", limits, [drains] {
                sluice::broadcaster<M> bus;
                auto slow = bus.subscribe(1, overflow::block);
                expect(bus.send(M(1)) == 1, "a send did not reach the subscriber");
                const auto behind = bus.subscribe(1, overflow::block);
                const auto last = bus.subscribe(1, overflow::block);
                stop_source source;
                std::size_t reached = 0;
                {
                    thread publisher([&, stop = source.get_token()] { reached = bus.send(M(2), stop); });
                    thread stopper([&] { source.request_stop(); });
                    thread reader([&] {
                        if (drains) {
                            expect(slow.recv().value().id() == 1, "a message is lost or out of order");
                        } else {
                            slow = {};
                        }
                    });
                }
                const auto m = slow.try_recv();
                const auto n = behind.try_recv();
                const auto o = last.try_recv();
                expect(!m || (drains && m->id() == 2), "a message is lost or out of order");
                expect((!n || n->id() == 2) && (!o || o->id() == 2), "a message is damaged");
                // Nothing happens if the stop came first.
                expect(n.has_value() == o.has_value() && (n || !m), "a stop kept the message from one who had room");
                expect(reached == std::size_t{m.has_value()} + 2 * std::size_t{n.has_value()},
                       "a send says that it reached another number");
                std::vector<sluice::receiver<M>> those{behind, last};
                if (slow) those.push_back(slow);
                expect_all_reached(bus, those, 3);
            });
    }

    add("broadcast/stop-alone", "A publisher that only a stop can free ends, and keeps its message.", limits, [] {
        sluice::broadcaster<M> bus;
        const std::array rx{bus.subscribe(1, overflow::block), bus.subscribe(2, overflow::block),
                            bus.subscribe(0, overflow::block)};
        const auto of_room = bus.subscribe(1, overflow::drop_newest);
        stop_source fill;
        {
            thread publisher([&, stop = fill.get_token()] {
                expect(bus.send(M(1), stop) == 3, "a send did not reach those who had room");
            });
            wait_until_quiet();
            fill.request_stop();
        }
        stop_source source;
        M message(2);
        {
            thread publisher([&, stop = source.get_token()] {
                expect(bus.send(std::move(message), stop) <= 1, "a send reached those who had no room");
            });
            thread stopper([&] { source.request_stop(); });
        }
        expect(message.id() == 2, "a message was moved from that the last one did not take");
        expect(rx[0].size() == 1 && of_room.size() == 1, "a channel has got more than it can hold");
    });

    add("broadcast/last-leaves", "When the last subscriber leaves during a send, the message is whole or delivered.",
        limits, [] {
            sluice::broadcaster<M> bus;
            const auto first = bus.subscribe(1, overflow::block);
            auto last = bus.subscribe(1, overflow::block);
            M message(1);
            std::size_t reached = 0;
            {
                thread publisher([&] { reached = bus.send(std::move(message)); });
                thread leaver([&] { last = {}; });
            }
            const auto m = first.try_recv();
            expect(m && m->id() == 1 && (reached == 1 || reached == 2), "a message is lost");
            expect_all_reached(bus, std::array{first}, 2);
        });

    // ---- Replay, and closing

    for (const int publishers : {1, 2}) {
        add("broadcast/replay-" + std::to_string(publishers),
            "Who comes gets each message once, replayed or live, and those of one publisher in order.", limits,
            [publishers] {
                sluice::broadcaster<M> bus(sluice::replay(2));
                sluice::receiver<M> rx;
                {
                    std::vector<std::unique_ptr<thread>> threads;
                    for (int p = 0; p < publishers; ++p) {
                        threads.push_back(std::make_unique<thread>([&bus, p] {
                            for (int i = 1; i <= 2; ++i) (void)bus.send(M(10 * p + i));
                        }));
                    }
                    thread comer([&] { rx = bus.subscribe(); });
                }
                int last[2] = {}, count = 0;
                while (const auto m = rx.try_recv()) {
                    int& before = last[m->id() / 10];
                    expect(before == 0 || m->id() % 10 == before + 1, "a message is lost, doubled or out of order");
                    before = m->id() % 10;
                    ++count;
                }
                expect(count >= 2 && (publishers == 2 || last[0] == 2), "what was remembered is not replayed");
            });
    }
    add("broadcast/replay-tail", "What is dropped for a newcomer is older than what it gets.", limits, [] {
        sluice::broadcaster<M> bus(sluice::replay(2));
        expect(bus.send(M(1)) == 0, "a send reached somebody");
        sluice::receiver<M> rx;
        {
            thread publisher([&] {
                for (int i = 2; i <= 3; ++i) (void)bus.send(M(i));
            });
            thread comer([&] { rx = bus.subscribe(1, overflow::drop_oldest); });
        }
        expect(rx.size() == 1 && rx.try_recv().value().id() == 3, "the newest message is lost");
        expect(rx.dropped() <= 2, "what was replayed counts as dropped");
    });
    for (const bool remembers : {false, true}) {
        add(std::string("broadcast/close-") + (remembers ? "replay" : "plain"),
            "Who comes while all is closed is closed too, after its replay; a send reaches nobody who is closed.",
            limits, [remembers] {
                sluice::broadcaster<M> bus(sluice::replay(remembers ? 1 : 0));
                (void)bus.send(M(1));
                const auto there = bus.subscribe();
                while (there.try_recv()) {
                }
                sluice::receiver<M> late;
                std::size_t reached = 0;
                {
                    thread closing([&] { expect(bus.close(), "the first closing was not the first"); });
                    thread comer([&] { late = bus.subscribe(); });
                    thread publisher([&] { reached = bus.send(M(2)); });
                }
                expect(there.is_closed() && late.is_closed(), "a subscriber is open though all are closed");
                std::size_t got = there.try_recv().has_value();
                const auto m = late.try_recv();
                expect(!remembers || m, "what was remembered is not replayed");
                if (m && m->id() == 1) {
                    const auto n = late.try_recv();
                    got += n.has_value();
                    expect(!n || n->id() == 2, "a message is lost or doubled");
                } else if (m && !remembers) {
                    ++got;
                }
                expect(!late.try_recv(), "a message is doubled");
                expect(remembers ? reached <= 2 : reached == got, "a send says that it reached another number");
            });
    }

    constexpr budgets scarce{.preemptions = 1, .stale_reads = 0, .ticks = 0, .faults = 1, .detours = 1};
    add("broadcast/no-memory", "An allocation that fails leaves the broadcaster and its subscribers usable.", scarce,
        [] {
            sluice::broadcaster<M> bus;
            std::vector<sluice::receiver<M>> rx;
            rx.reserve(3);
            rx.push_back(bus.subscribe());
            (void)bus.subscribe();
            std::optional<sluice::receiver<M>> late;
            bool threw = false;
            {
                thread publisher([&] {
                    const scarce_memory none;
                    try {
                        const std::size_t reached = bus.send(M(1));
                        expect(reached == 1 || reached == 2, "a send says that it reached another number");
                    } catch (const std::bad_alloc&) {
                    }
                });
                thread comer([&] {
                    const scarce_memory none;
                    try {
                        late = bus.subscribe();
                    } catch (const std::bad_alloc&) {
                        threw = true;
                    }
                });
            }
            expect(late.has_value() != threw, "a subscription that failed was made");
            if (late) rx.push_back(*late);
            expect(bus.subscriber_count() == rx.size(), "someone is missing, or there who is not");
            for (const auto& r : rx) (void)r.try_recv();
            expect_all_reached(bus, rx, 2);
        });
    return true;
}();

}  // namespace model
