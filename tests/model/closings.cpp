// Cases for the closing of a channel, and cases that store what they receive, against all that can come first.
#include <model/models.hpp>
#include <model/operations.hpp>
#include <model/readiness.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace model {

namespace {

using namespace readiness;

void hear_of_closing(fixture& s) {
    operation op("select(closed)");
    chose(op, sluice::select(hearing_of_closing(op, s.a.ends.rx, s.a.number)), false);
}
void hear_or_receive(fixture& s) {
    operation op("select(closed, recv)");
    chose(op, sluice::select(hearing_of_closing(op, s.a.ends.tx, s.a.number), receiving(op, s.b.ends.rx, s.b.number)),
          false);
}
// Of the channel from which it receives.
void receive_until_closed(fixture& s) {
    operation op("select(recv, closed)");
    chose(op, sluice::select(receiving(op, s.a.ends.rx, s.a.number), hearing_of_closing(op, s.a.ends.rx, s.a.number)),
          false);
}
void send_until_closed(fixture& s) {
    operation op("select(send, closed)");
    M m(10);
    chose(op, sluice::select(sending(op, s.b.ends.tx, s.b.number, m), hearing_of_closing(op, s.a.ends.tx, s.a.number)),
          false);
}
void hear_in_time(fixture& s) {
    operation op("select(closed, timeout)");
    chose(op, sluice::select(hearing_of_closing(op, s.a.ends.rx, s.a.number), giving_up_after(op, clock::tick)), false);
}
// Of the two that have come the timer is first.
void hear_behind_timer(fixture& s, const timer_probe& t) {
    operation op("select_biased(timer, closed)");
    op.biased();
    chose(op, sluice::select_biased(receiving(op, t, 0), hearing_of_closing(op, s.a.ends.rx, s.a.number, 1)), false);
}
void hear_or_stop(fixture& s) {
    operation op("select(closed, stop)");
    chose(op, sluice::select(hearing_of_closing(op, s.a.ends.rx, s.a.number), stopping(op, s.token)), false);
}
// A group that hears of the closing once, and receives what comes before or after it.
void hear_in_group(fixture& s) {
    sluice::selector group;
    operation* now = nullptr;
    group.add(sluice::on_closed(s.a.ends.rx, [&] {
        expect(group.size() == 1, "an on_closed is still there when its handler runs");
        now->came_to(event::was_closed, s.a.number);
    }));
    group.add(sluice::on_recv(s.b.ends.rx, [&](M m) { now->came_to(event::received, s.b.number, m.id()); }));
    for (int i = 0; i < 2; ++i) {
        operation op("selector.wait");
        if (group.size() == 2) op.hears_of_closing(s.a.number);
        op.receives(s.b.number, false);
        now = &op;
        if (!group.wait()) op.all_closed();
    }
}

// A group that goes while it watches.
void watch_and_go(fixture& s) {
    sluice::selector group;
    operation op("selector.try_wait");
    op.hears_of_closing(s.a.number).never_waits();
    group.add(sluice::on_closed(s.a.ends.tx, [&] { op.came_to(event::was_closed, s.a.number); }));
    if (!group.try_wait()) op.gave_up();
}

// What one of two that store has got is there when the select returns, and the other has nothing.
template <class Into>
void receive_into(fixture& s, Into& a, Into& b, bool hears) {
    operation op("select(into, into)");
    op.receives(s.a.number, hears).receives(s.b.number, hears);
    const auto chosen = sluice::select(sluice::on_recv(s.a.ends.rx, a), sluice::on_recv(s.b.ends.rx, b));
    if (!chosen) return chose(op, chosen, !hears);
    probe<M>& from = *chosen == 0 ? s.a : s.b;
    const Into &got = *chosen == 0 ? a : b, &other = *chosen == 0 ? b : a;
    if constexpr (requires { got.error(); })
        expect(got || got.error() == sluice::errc::closed, "a result does not say that its channel is closed");
    op.came_to(got ? event::received : event::receive_refused, from.number, got ? got->id() : -1);
    expect(!other, "a case that was not chosen has stored something");
}
void receive_into_optionals(fixture& s) {
    std::optional<M> a(std::in_place, 30), b(std::in_place, 31);
    receive_into(s, a, b, false);
}
void receive_into_results(fixture& s) {
    sluice::result<M> a(std::in_place, 30), b(std::in_place, 31);
    receive_into(s, a, b, true);
}
void receive_into_by_group(fixture& s) {
    std::optional<M> a(std::in_place, 30), b(std::in_place, 31);
    sluice::selector group;
    const auto first = group.add(sluice::on_recv(s.a.ends.rx, a));
    group.add(sluice::on_recv(s.b.ends.rx, b));
    operation op("selector.wait(into, into)");
    op.receives(s.a.number, false).receives(s.b.number, false);
    const auto chosen = group.wait();
    if (!chosen) return op.all_closed();
    probe<M>& from = *chosen == first ? s.a : s.b;
    op.came_to(event::received, from.number, (*chosen == first ? a : b)->id());
    expect((*chosen == first ? b : a)->id() >= 30, "a group stores by a case that was not chosen");
}

using action = std::function<void(fixture&)>;

void add_closing(const std::string& name, const std::string& property, std::optional<std::size_t> capacity,
                 budgets limits, std::vector<action> actions) {
    add("closing/" + name, property, limits, [capacity, actions] {
        fixture s(capacity);
        run_at_once(s, actions);
    });
}

// The last handle of one side goes while a select holds one of the other.
template <class Dropped, class Kept>
void add_drop(const std::string& name, Dropped dropped, Kept kept, budgets limits) {
    for (const auto& [kind, capacity] : {std::pair("rendezvous", 0), std::pair("two", 2)}) {
        add("closing/" + std::string(kind) + "/" + name, "The drop of the last handle of a side is heard of.", limits,
            [=, capacity = capacity] {
                probe<M> p(static_cast<std::size_t>(capacity));
                if (capacity > 0) try_send(p.ends.tx, p.number, 1);
                thread hears([&p, kept, mine = std::move(p.ends.*kept)]() mutable {
                    {
                        operation op("select(closed)");
                        chose(op, sluice::select(hearing_of_closing(op, mine, p.number)), false);
                    }
                    drop(mine, p.number);
                });
                drop(p.ends.*dropped, p.number);
            });
    }
}

}  // namespace

[[maybe_unused]] static const bool added = [] {
    // Of two threads and the first; and of three.
    constexpr budgets two{.preemptions = 3, .stale_reads = 0, .detours = 2};
    constexpr budgets three{.preemptions = 2, .stale_reads = 0, .ticks = 0, .detours = 1};

    const action close_a = [](fixture& s) { closes_a()(s); };
    const action send_b = [](fixture& s) { try_send(s.b.ends.tx, s.b.number, 2); };
    const action wait_to_send_b = sends_to_b(2), wait_to_send_a = sends_to_a(1), receive_b = receives_from_b();
    const action stop = [](fixture& s) { request_stop(s.stop); };

    for (const auto& [kind, capacity] : {std::pair("rendezvous", 0), std::pair("one", 1)}) {
        const std::string k = std::string(kind) + "/";
        const auto c = static_cast<std::size_t>(capacity);
        add_closing(k + "heard", "Who waits for a closing hears of it.", c, two, {hear_of_closing, close_a});
        add_closing(k + "heard-by-two", "All who wait for a closing hear of it.", c, three,
                    {hear_of_closing, hear_or_receive, close_a});
        add_closing(k + "in-time", "Of a closing and a deadline the earlier counts.", c, two, {hear_in_time, close_a});
        add_closing(k + "or-stop", "A closing or a stop decides the select, not both.", c, three,
                    {hear_or_stop, close_a, stop});
        add_closing(k + "or-message", "A select hears of a closing or takes a message, not both, and loses none.", c,
                    three, {hear_or_receive, close_a, wait_to_send_b});
        add_closing(k + "or-its-own", "The same where the message comes through the channel that closes.", c, three,
                    {receive_until_closed, close_a, wait_to_send_a});
        add_closing(k + "or-room", "A select hears of a closing or sends, not both, and loses nothing.", c, three,
                    {send_until_closed, close_a, receive_b});
        add_closing(k + "against-select", "A select that hears of a closing meets another like it, or neither.", c,
                    three, {hear_or_receive, send_until_closed, close_a});
        add_closing(k + "in-group", "A group hears of a closing once, and takes the message too.", c, three,
                    {hear_in_group, close_a, wait_to_send_b});
        add_closing(k + "group-goes", "A group that goes stands in no line any more.", c, two, {watch_and_go, close_a});
        add_closing(k + "into-optionals", "A select stores one message of two, and leaves the other.", c, three,
                    {receive_into_optionals, wait_to_send_a, wait_to_send_b});
        add_closing(k + "into-results", "A select stores a message or that a channel is closed, and the other stays.",
                    c, three, {receive_into_results, close_a, wait_to_send_b});
        add_closing(k + "into-by-group", "A group stores by the case that it chooses, and by no other.", c, three,
                    {receive_into_by_group, wait_to_send_a, wait_to_send_b});
    }
    add("closing/behind-timer", "A closing is not heard of where a timer is listed before it and was due.", two, [] {
        fixture s(1);
        const timer_probe t(clock::tick);
        {
            thread hears([&] { hear_behind_timer(s, t); });
            thread closes([&] {
                if (choose_below(2) == 0) (void)sluice::after(clock::tick).recv();
                closes_a()(s);
            });
            s.finish();
        }
    });
    add_drop("sender-dropped", &sluice::channel<M>::tx, &sluice::channel<M>::rx, two);
    add_drop("receiver-dropped", &sluice::channel<M>::rx, &sluice::channel<M>::tx, two);
    return true;
}();

}  // namespace model
