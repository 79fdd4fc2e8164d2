// A biased select takes a case only if there was a moment at which it was ready, and none before it.
#include <model/models.hpp>
#include <model/operations.hpp>
#include <model/readiness.hpp>

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace model {

namespace {

using namespace readiness;

// Chooses one of the two; if it does not wait, `otherwise` if neither is ready.
template <class First, class Second>
void prefer(operation& op, bool waits, First&& first, Second&& second) {
    if (waits) {
        chose(op, sluice::select_biased(std::forward<First>(first), std::forward<Second>(second)));
    } else {
        chose(op, sluice::select_biased(std::forward<First>(first), std::forward<Second>(second), giving_up(op)));
    }
}

using prefers = std::function<void(fixture&, bool waits)>;

void prefers_message_of_a(fixture& s, bool waits) {
    operation op("select_biased(recv, recv)");
    op.biased();
    prefer(op, waits, receiving(op, s.a.ends.rx, s.a.number, 0), receiving(op, s.b.ends.rx, s.b.number, 1));
}
void prefers_closing_of_a(fixture& s, bool waits) {
    operation op("select_biased(recv or closed, recv)");
    op.biased();
    prefer(op, waits, receiving_or_closed(op, s.a.ends.rx, s.a.number, 0), receiving(op, s.b.ends.rx, s.b.number, 1));
}
// Of the closing itself, before or behind what is received.
void prefers_end_of_a(fixture& s, bool waits) {
    operation op("select_biased(closed, recv)");
    op.biased();
    prefer(op, waits, hearing_of_closing(op, s.a.ends.rx, s.a.number, 0), receiving(op, s.b.ends.rx, s.b.number, 1));
}
void prefers_message_to_end(fixture& s, bool waits) {
    operation op("select_biased(recv, closed)");
    op.biased();
    prefer(op, waits, receiving(op, s.a.ends.rx, s.a.number, 0), hearing_of_closing(op, s.b.ends.tx, s.b.number, 1));
}
void prefers_room_of_a(fixture& s, bool waits) {
    operation op("select_biased(send, send)");
    op.biased();
    M m(10), n(11);
    prefer(op, waits, sending(op, s.a.ends.tx, s.a.number, m, 0), sending(op, s.b.ends.tx, s.b.number, n, 1));
}
void prefers_stop(fixture& s, bool waits) {
    operation op("select_biased(stop, recv)");
    op.biased();
    prefer(op, waits, stopping(op, s.token, 0), receiving(op, s.b.ends.rx, s.b.number, 1));
}
void prefers_message_to_stop(fixture& s, bool waits) {
    operation op("select_biased(recv, stop)");
    op.biased();
    prefer(op, waits, receiving(op, s.a.ends.rx, s.a.number, 0), stopping(op, s.token, 1));
}

void prefers_in_group(fixture& s, bool waits) {
    operation op("biased selector");
    op.biased();
    sluice::selector group(sluice::biased);
    group.add(receiving(op, s.a.ends.rx, s.a.number, 0));
    group.add(receiving(op, s.b.ends.rx, s.b.number, 1));
    if (!waits) op.never_waits();
    const auto chosen = waits ? group.wait() : group.try_wait();
    if (chosen || waits) return chose(op, chosen);
    expect(chosen.error() == sluice::errc::empty || chosen.error() == sluice::errc::closed,
           "a group fails for a reason that it cannot have");
    chosen.error() == sluice::errc::empty ? op.gave_up() : op.all_closed();
}

constexpr const char* first_is_taken = "A biased select takes a case only if none before it was ready at that moment.";

// What the select prefers comes first, and stays.
void add_biased(const buffered& kind, const std::string& what, const prefers& who, bool full,
                const std::vector<move>& moves, budgets limits) {
    for (const bool waits : {false, true}) {
        add("biased/" + std::string(kind.name) + "/" + what + (waits ? "/waits" : "/otherwise"), first_is_taken, limits,
            [=] {
                fixture s(kind.capacity);
                if (full) {
                    s.fill(s.a, kind.room());
                    s.fill(s.b, kind.room());
                }
                {
                    thread asks([&] { who(s, waits); });
                    thread moves_on([&] {
                        for (const move& m : moves) m(s);
                    });
                    s.finish();
                }
                s.drain();
            });
    }
}
void add_biased_rendezvous(const std::string& what, const prefers& who, const comes& first, const comes& second,
                           budgets limits) {
    for (const bool waits : {false, true}) {
        add("biased/rendezvous/" + what + (waits ? "/waits" : "/otherwise"), first_is_taken, limits, [=] {
            fixture s(0);
            {
                thread asks([&] { who(s, waits); });
                thread preferred([&] { first(s); });
                wait_for(preferred);
                thread other([&] { second(s); });
                s.finish();
            }
        });
    }
}

}  // namespace

[[maybe_unused]] static const bool added = [] {
    // Of two threads; and of three and the first, which comes last.
    constexpr budgets limits{.preemptions = 5, .stale_reads = 0, .ticks = 0, .detours = 1};
    constexpr budgets lines{.preemptions = 2, .stale_reads = 0, .ticks = 0, .detours = 1};

    const std::vector<buffered> kinds = {{"one", 1}, {"two", 2}, {"unbounded", std::nullopt}};
    for (const buffered& k : kinds) {
        add_biased(k, "recv-recv", prefers_message_of_a, false, {sends_a(), sends_b()}, limits);
        add_biased(k, "group", prefers_in_group, false, {sends_a(), sends_b()}, limits);
        add_biased(k, "closed-recv", prefers_closing_of_a, false, {closes_a(), sends_b()}, limits);
        add_biased(k, "end-recv", prefers_end_of_a, false, {closes_a(), sends_b()}, limits);
        add_biased(k, "recv-end", prefers_message_to_end, false, {sends_a(), closes_b()}, limits);
        add_biased(k, "stop-recv", prefers_stop, false, {stops(), sends_b()}, limits);
        add_biased(k, "recv-stop", prefers_message_to_stop, false, {sends_a(), stops()}, limits);
        if (k.capacity) add_biased(k, "send-send", prefers_room_of_a, true, {takes_a(), takes_b()}, limits);
    }
    add_biased_rendezvous("recv-recv", prefers_message_of_a, sends_to_a(1), sends_to_b(2), lines);
    add_biased_rendezvous("group", prefers_in_group, sends_to_a(1), sends_to_b(2), lines);
    add_biased_rendezvous("send-send", prefers_room_of_a, receives_from_a(), receives_from_b(), lines);
    add_biased_rendezvous(
        "send-send-leaving", prefers_room_of_a, [](fixture& s) { recv(s.b.ends.rx, s.b.number, s.token); },
        [](fixture& s) { stops()(s); }, lines);
    add_biased_rendezvous(
        "closed-recv", prefers_closing_of_a, [](fixture& s) { closes_a()(s); }, sends_to_b(2), lines);
    add_biased_rendezvous(
        "end-recv", prefers_end_of_a, [](fixture& s) { closes_a()(s); }, sends_to_b(2), lines);
    add_biased_rendezvous(
        "recv-end", prefers_message_to_end, sends_to_a(1), [](fixture& s) { closes_b()(s); }, lines);
    add_biased_rendezvous(
        "stop-recv", prefers_stop, [](fixture& s) { stops()(s); }, sends_to_b(2), lines);
    add_biased_rendezvous(
        "recv-stop", prefers_message_to_stop, sends_to_a(1), [](fixture& s) { stops()(s); }, lines);
    return true;
}();

}  // namespace model
