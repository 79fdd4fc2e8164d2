// Channels that discard where there is no room, and forced sends.
#include <model/scenario.hpp>

#include <optional>
#include <vector>

namespace model {

namespace {

using M = steady;
using sluice::overflow;

// How many messages were received, and that they are in order.
struct reader {
    int last = 0, count = 0;
    void got(const M& m) {
        expect(m.id() > last, "messages are out of order");
        last = m.id();
        ++count;
    }
};

}  // namespace

[[maybe_unused]] static const bool added = [] {
    add_pairs_of<M>({{"oldest-full", 1, 1, overflow::drop_oldest},
                     {"newest-full", 1, 1, overflow::drop_newest},
                     {"oldest-half", 2, 1, overflow::drop_oldest}});

    constexpr budgets limits{.preemptions = 2, .stale_reads = 1, .ticks = 0};
    for (const auto rule : {overflow::drop_oldest, overflow::drop_newest}) {
        const std::string name = rule == overflow::drop_oldest ? "oldest" : "newest";
        add("overflow/ledger-" + name, "What was sent was received, or is counted by then.", limits, [rule] {
            auto [tx, rx] = sluice::bounded<M>(1, rule);
            reader r;
            {
                thread sender([mine = std::move(tx)]() mutable {
                    for (int i = 1; i <= 3; ++i) expect(mine.send(M(i)).has_value(), "a send failed");
                    mine = {};
                });
                thread receiver([&, mine = rx] {
                    while (auto m = mine.recv()) {
                        r.got(*m);
                        // What is behind it was discarded before it came, or is still to come.
                        if (rx.dropped() == 0) expect(m->id() <= r.count, "a message is missing and not counted");
                    }
                });
            }
            expect(r.count + static_cast<int>(rx.dropped()) == 3,
                   "a message is lost and not counted, or counted twice");
        });
        add("overflow/two-senders-" + name, "Two that discard at once discard one message each at most.", limits,
            [rule] {
                auto [tx, rx] = sluice::bounded<M>(1, rule);
                expect(tx.try_send(M(1)).has_value(), "a send failed");
                {
                    thread a([&] { expect(tx.try_send(M(2)).has_value(), "a send failed"); });
                    thread b([&] { expect(sluice::select(sluice::on_send(tx, M(3))).has_value(), "a send failed"); });
                }
                expect(tx.dropped() == 2 && rx.size() == 1, "another number is discarded");
                const auto m = rx.try_recv();
                expect(m && (m->id() == 1) == (rule == overflow::drop_newest), "another message is discarded");
            });
        add("overflow/select-blocked-" + name, "A case that sends is ready in a select that stands in line elsewhere.",
            limits, [rule] {
                auto [tx, rx] = sluice::bounded<M>(1, rule);
                auto other = sluice::rendezvous<M>();
                expect(tx.try_send(M(1)).has_value(), "a send failed");
                thread peer([&] { (void)other.tx.try_send(M(4)); });
                thread chooser([&] {
                    const auto chosen =
                        sluice::select_biased(sluice::on_recv(other.rx, [](const M&) {}), sluice::on_send(tx, M(2)));
                    expect(chosen.has_value(), "a select has chosen nothing");
                });
            });
        add("overflow/no-memory-" + name, "An allocation that fails leaves the message and the channel as they are.",
            {.preemptions = 0, .stale_reads = 0, .ticks = 0, .faults = 1}, [rule] {
                auto [tx, rx] = sluice::bounded<M>(1, rule);
                for (int i = 1; i <= 4; ++i) {
                    const scarce_memory none;
                    M m(i);
                    try {
                        expect(tx.try_send(std::move(m)).has_value(), "a send failed");
                    } catch (const std::bad_alloc&) {
                        expect(m.id() == i, "a send that threw has moved from its message");
                    }
                }
            });
    }

    add("overflow/force-waiting", "A forced send hands its message to the receiver that waits.", limits, [] {
        auto [tx, rx] = sluice::bounded<M>(1);
        thread receiving([&] { expect(rx.recv().value().id() == 1, "a message is damaged"); });
        thread forcing([&] {
            const auto r = tx.force_send(M(1));
            expect(r && !*r, "a message has come out where there was room");
        });
    });
    add("overflow/force-closed", "A forced send to a channel that was closed fails, though there is room.", limits, [] {
        auto [tx, rx] = sluice::bounded<M>(1);
        thread closing([&, mine = rx] {
            mine.close();
            M m(1);
            const auto r = tx.force_send(std::move(m));
            expect(!r && r.error() == sluice::errc::closed && m.id() == 1, "a closed channel takes a message");
        });
        thread receiving([&] { expect(!rx.recv().has_value(), "a message is in a channel that was closed empty"); });
    });
    add("overflow/register", "An operation that would stand in line at a channel that discards is done at once.",
        limits, [] {
            for (const auto rule : {overflow::drop_oldest, overflow::drop_newest}) {
                auto [tx, rx] = sluice::bounded<M>(1, rule);
                expect(tx.try_send(M(1)).has_value(), "a send failed");
                M m(2);
                sluice::detail::blocked_op self;
                expect(core_of(tx)->register_sender(m, self) == sluice::detail::op_status::done && !self.linked,
                       "a send waits on a channel that discards");
                expect(rx.dropped() == 1, "another number is discarded");
            }
        });
    add("overflow/biased", "A case that sends is not chosen where one before it was ready.", limits, [] {
        auto [tx, rx] = sluice::bounded<M>(1, overflow::drop_oldest);
        auto preferred = sluice::bounded<M>(1);
        expect(tx.try_send(M(1)).has_value(), "a send failed");
        bool must_receive = false;
        std::size_t chosen = 2;
        {
            thread peer([&] {
                expect(preferred.tx.try_send(M(2)).has_value(), "a send failed");
                must_receive = rx.try_recv().value().id() == 1;
            });
            thread chooser([&] {
                chosen =
                    sluice::select_biased(sluice::on_recv(preferred.rx, [](const M&) {}), sluice::on_send(tx, M(3)))
                        .value();
            });
        }
        expect(!must_receive || chosen == 0, "a case is chosen though another comes before it");
        expect(chosen == 1 || tx.dropped() == 0, "a message is discarded for one that was not sent");
    });

    add("overflow/force-ledger", "What comes out of forced sends and what is received is all that was sent.", limits,
        [] {
            auto [tx, rx] = sluice::bounded<M>(1);
            int sum = 0, out = 0;
            {
                thread forcing([&, mine = tx]() mutable {
                    for (int i = 1; i <= 2; ++i) {
                        const auto r = mine.force_send(M(i));
                        expect(r.has_value(), "a forced send failed");
                        if (*r) out += (*r)->id();
                    }
                    mine = {};
                });
                thread sending([mine = tx]() mutable {
                    expect(mine.send(M(10)).has_value(), "a send failed");
                    mine = {};
                });
                tx = {};
                thread receiving([&, mine = rx] {
                    while (auto m = mine.recv()) sum += m->id();
                });
            }
            expect(sum + out == 13 && rx.dropped() == 0, "a message is lost or doubled");
        });
    add("overflow/force-blocked",
        "Those who are blocked in a send keep their order, and get no room from a forced send.", limits, [] {
            auto [tx, rx] = sluice::bounded<M>(1);
            expect(tx.try_send(M(1)).has_value(), "a send failed");
            {
                thread first([&] { expect(tx.send(M(2)).has_value(), "a send failed"); });
                wait_until_quiet();
                thread second([&] { expect(tx.send(M(3)).has_value(), "a send failed"); });
                wait_until_quiet();
                thread forcing([&] {
                    const auto r = tx.force_send(M(4));
                    expect(r && (!*r || (*r)->id() < 4), "a forced send gave its own message back");
                });
                thread receiving([&] {
                    int last = 0, got = 0;
                    while (got < 3) {
                        const int id = rx.recv().value().id();
                        ++got;
                        if (id == 4) continue;
                        expect(id > last, "blocked senders are served out of order");
                        last = id;
                    }
                });
            }
        });
    return true;
}();

}  // namespace model
