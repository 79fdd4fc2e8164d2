// A coroutine that sends by a broadcaster: it waits for slow subscribers, beside another publisher, until they receive or
// leave, all is closed, a stop is requested, or it is destroyed.
#include <model/async_operations.hpp>

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>

namespace model {

namespace {

using M = steady;
using sluice::overflow;
using bus_of = sluice::broadcaster<M>;

// Sends the message, and returns how many it has reached.
std::size_t publish(const bus_of& bus, int id, const stop_token& stop = {}) {
    std::size_t reached = 0;
    in_coroutine([&](executor, small_loop&) -> coroutine { reached = co_await bus.async_send(M(id), stop); });
    return reached;
}
std::size_t publish_copy(const bus_of& bus, int id) {
    std::size_t reached = 0;
    const M message(id);
    in_coroutine([&](executor, small_loop&) -> coroutine { reached = co_await bus.async_send(message); });
    expect(message.id() == id, "a send of a copy has moved from the message");
    return reached;
}

// What is left, in order; returns how many there are from `first`, each once.
int drain(const sluice::receiver<M>& rx, int first) {
    int next = first;
    while (const auto m = rx.try_recv()) expect(m->id() == next++, "a message is lost, doubled or out of order");
    return next - first;
}

// A subscriber that is slow, since one message fills its channel, or since it receives from a rendezvous seldom; one that
// never holds up anyone; and one behind it that does.
struct audience {
    explicit audience(std::size_t capacity)
        : slow(bus.subscribe(capacity, overflow::block)),
          fast(bus.subscribe()),
          last(bus.subscribe(2, overflow::block)) {
        if (capacity > 0) expect(bus.send(M(1)) == 3, "a send does not reach everyone who is there");
        next = capacity > 0 ? 2 : 1;
    }
    // Of a send that is over: it has reached those of the first that it says, and those behind in any case.
    void check(std::size_t reached, bool slow_has_it) {
        expect(reached == (slow_has_it ? 3u : 2u), "a send says that it reached another number");
        for (const auto* rx : {&fast, &last}) expect(drain(*rx, 1) == next, "a message is lost");
    }

    bus_of bus;
    sluice::receiver<M> slow, fast, last;
    int next = 0;  // the number of the message that has to wait
};

}  // namespace

[[maybe_unused]] static const bool added = [] {
    constexpr budgets limits{.preemptions = 2, .stale_reads = 0, .ticks = 0, .detours = 2};
    constexpr budgets fewer{.preemptions = 1, .stale_reads = 0, .ticks = 0, .detours = 2};

    for (const auto& [kind, capacity] : {std::pair<std::string, std::size_t>("rendezvous", 0), {"one", 1}}) {
        const std::string name = "async-broadcast/" + kind;
        add(name + "/received", "A send goes on when the slow subscriber receives, and reaches everyone.", limits,
            [c = capacity] {
                audience all(c);
                std::size_t reached = 0;
                thread a([&] { reached = publish(all.bus, all.next); });
                for (int id = 1; id <= all.next; ++id)
                    expect(all.slow.recv().value().id() == id, "a message is lost, or out of order");
                a.join();
                all.check(reached, true);
            });
        add(name + "/copy", "So does one of a message that stays with the caller.", fewer, [c = capacity] {
            audience all(c);
            std::size_t reached = 0;
            thread a([&] { reached = publish_copy(all.bus, all.next); });
            for (int id = 1; id <= all.next; ++id)
                expect(all.slow.recv().value().id() == id, "a message is lost, or out of order");
            a.join();
            all.check(reached, true);
        });
        add(name + "/two-publishers", "A coroutine and a thread send at once, and both reach everyone.", fewer,
            [c = capacity] {
                bus_of bus;
                const auto slow = bus.subscribe(c, overflow::block), fast = bus.subscribe();
                int sum = 0;
                {
                    thread a([&] { expect(publish(bus, 1) == 2, "a send does not reach both"); });
                    thread b([&] { expect(bus.send(M(2)) == 2, "a send does not reach both"); });
                    for (int i = 0; i < 2; ++i) sum += slow.recv().value().id();
                }
                for (int i = 0; i < 2; ++i) sum += fast.try_recv().value().id();
                expect(sum == 6, "a message is lost or doubled");
            });
        add(name + "/leaves", "A send goes on when the slow subscriber leaves.", limits, [c = capacity] {
            audience all(c);
            std::size_t reached = 0;
            thread a([&] { reached = publish(all.bus, all.next); });
            all.slow = {};
            a.join();
            all.check(reached, false);
        });
        add(name + "/closes", "A send goes on when all is closed, and says whom it has reached.", limits,
            [c = capacity] {
                audience all(c);
                std::size_t reached = 0;
                thread a([&] { reached = publish(all.bus, all.next); });
                all.bus.close();
                a.join();
                int got = 0;
                for (const auto* rx : {&all.slow, &all.fast, &all.last}) got += drain(*rx, 1) - (all.next - 1);
                expect(got == static_cast<int>(reached), "a send says that it reached another number");
            });
        add(name + "/stop", "A stop ends the wait for one subscriber, and those behind it get the message.", limits,
            [c = capacity] {
                audience all(c);
                stop_source stop;
                std::size_t reached = 0;
                thread a([&] { reached = publish(all.bus, all.next, stop.get_token()); });
                wait_until_quiet();
                thread b([&] { stop.request_stop(); });
                const bool makes_room = all.slow.try_recv().has_value();
                a.join();
                b.join();
                // What it made room for may be there, or was given up.
                const bool later = drain(all.slow, all.next) > 0;
                const bool slow_has_it = later || (c == 0 && makes_room);
                all.check(reached, slow_has_it);
                expect(all.slow.dropped() == (slow_has_it ? 0u : 1u),
                       "what is missed because of a stop is not counted");
            });

        // Whether it has received something from the slow one.
        using acting = bool (*)(audience&);
        for (const auto& [what, acts] :
             {std::pair<std::string, acting>("receives", [](audience& all) { return all.slow.try_recv().has_value(); }),
              {"leaves", [](audience& all) { return static_cast<bool>(all.slow = {}); }},
              {"closes", [](audience& all) { return !all.bus.close(); }}}) {
            add(name + "/destroyed-" + what,
                "A coroutine that is destroyed as it sends has reached at most the one that it was at.", limits,
                [c = capacity, act = acts, leaves = what == "leaves"] {
                    audience all(c);
                    small_loop loop;
                    std::optional<std::size_t> reached;
                    bool received = false;
                    destroy_meanwhile(
                        loop,
                        [&](executor, small_loop&) -> coroutine { reached = co_await all.bus.async_send(M(all.next)); },
                        [&] { received = act(all); });
                    const int taken = received ? 1 : 0, before = all.next - 1;
                    const int at_slow = leaves ? 0 : taken + drain(all.slow, 1 + taken) - before;
                    const int behind = drain(all.fast, 1) + drain(all.last, 1) - 2 * before;
                    expect(at_slow >= 0 && at_slow <= 1 && behind >= 0 && behind <= 2, "a message is lost, or doubled");
                    expect(reached ? static_cast<int>(*reached) == at_slow + behind : behind == 0,
                           "a send has reached another number");
                    all.slow = {};
                    const bool open = !all.fast.is_closed();
                    expect(all.bus.send(M(9)) == (open ? 2u : 0u), "a broadcaster is of no more use");
                });
        }
    }

    for (const auto& [name, rule] : {std::pair<std::string, overflow>("drop-oldest", overflow::drop_oldest),
                                     {"drop-newest", overflow::drop_newest},
                                     {"disconnect", overflow::disconnect}}) {
        add("async-broadcast/" + name, "A send does not wait for a subscriber that has a rule for it.", limits,
            [rule = rule] {
                const bus_of bus;
                const auto rx = bus.subscribe(1, rule);
                std::array<std::size_t, 2> reached{};
                int got = 0;
                {
                    thread a([&] {
                        for (int id = 1; id <= 2; ++id) reached[static_cast<std::size_t>(id - 1)] = publish(bus, id);
                    });
                    got += rx.try_recv() ? 1 : 0;
                }
                while (rx.try_recv()) ++got;
                const std::size_t sent = reached[0] + reached[1];
                expect(reached[0] == 1, "a send does not reach a subscriber that has room");
                expect(rule == overflow::drop_oldest ? sent == 2 : static_cast<int>(sent) == got,
                       "a send reached nobody and was received, or the other way round");
            });
    }
    return true;
}();

}  // namespace model
