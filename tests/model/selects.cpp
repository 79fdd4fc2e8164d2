// Selects that meet other selects, and all that can decide one: peers, deadlines, stop requests, closing, and its own
// cases.
#include <model/models.hpp>
#include <model/operations.hpp>
#include <model/two_channels.hpp>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace model {

namespace {

using M = number;

using pair_of_channels = two_channels<M>;

void receive_either_or_hear(probe<M>& first, probe<M>& second) {
    operation op("select(recv or closed, recv or closed)");
    chose(op,
          sluice::select(receiving_or_closed(op, first.ends.rx, first.number),
                         receiving_or_closed(op, second.ends.rx, second.number)),
          false);
}
void either_in_time(probe<M>& first, probe<M>& second) {
    operation op("select(recv, recv, timeout)");
    op.biased();
    chose(op,
          sluice::select_biased(receiving(op, first.ends.rx, first.number, 0),
                                receiving(op, second.ends.rx, second.number, 1), giving_up_after(op, clock::tick)),
          false);
}
void hear_in_time(probe<M>& p) {
    operation op("select(recv or closed, timeout)");
    chose(op, sluice::select(receiving_or_closed(op, p.ends.rx, p.number), giving_up_after(op, clock::tick)), false);
}
// Sees that the channel is closed without a lock.
void send_or_hear_now(probe<M>& p, int id) {
    operation op("select(send or closed, otherwise)");
    M m(id);
    chose(op, sluice::select(sending_or_closed(op, p.ends.tx, p.number, m), giving_up(op)), false);
}

using action = std::function<void(pair_of_channels&)>;

void add_meeting(const std::string& name, const std::string& property, std::optional<std::size_t> capacity,
                 budgets limits, std::vector<action> actions) {
    add("select/" + name, property, limits, [capacity, actions] {
        pair_of_channels t(capacity);
        run_at_once(t, actions);
    });
}

}  // namespace

[[maybe_unused]] static const bool added = [] {
    // Of two threads; and of three.
    constexpr budgets two{.preemptions = 3, .stale_reads = 0, .detours = 2};
    constexpr budgets three{.preemptions = 2, .stale_reads = 0, .detours = 1};
    constexpr budgets four{.preemptions = 1, .stale_reads = 0, .ticks = 0, .detours = 0};

    const action receives = [](pair_of_channels& t) { receive_either(t.a, t.b); };
    const action receives_reversed = [](pair_of_channels& t) { receive_either(t.b, t.a); };
    const action sends = [](pair_of_channels& t) { send_either(t.a, t.b, 10); };
    const action sends_reversed = [](pair_of_channels& t) { send_either(t.b, t.a, 20); };
    const action forth = [](pair_of_channels& t) { receive_or_send(t.a, t.b, 30); };
    const action back = [](pair_of_channels& t) { receive_or_send(t.b, t.a, 40); };
    const action both_of_a = [](pair_of_channels& t) { receive_or_send(t.a, t.a, 50); };
    const action both_of_a_again = [](pair_of_channels& t) { receive_or_send(t.a, t.a, 60); };
    const action in_time = [](pair_of_channels& t) { either_in_time(t.a, t.b); };
    const action hears_in_time = [](pair_of_channels& t) { hear_in_time(t.a); };
    const action hears = [](pair_of_channels& t) { receive_either_or_hear(t.a, t.b); };
    const action send_a = [](pair_of_channels& t) { send(t.a.ends.tx, t.a.number, 1); };
    const action send_b = [](pair_of_channels& t) { send(t.b.ends.tx, t.b.number, 2); };
    const action recv_a = [](pair_of_channels& t) { recv(t.a.ends.rx, t.a.number); };
    const action recv_b = [](pair_of_channels& t) { recv(t.b.ends.rx, t.b.number); };
    const action sees_closed_a = [](pair_of_channels& t) { send_or_hear_now(t.a, 3); };
    const action close_a = [](pair_of_channels& t) { close(t.a.ends.tx, t.a.number); };

    const std::string meet =
        "Selects that meet exchange exactly one message, whichever way round they list their cases.";
    for (const auto& [kind, capacity] : {std::pair("rendezvous", 0), std::pair("one", 1)}) {
        const std::string k = std::string(kind) + "/";
        const auto c = static_cast<std::size_t>(capacity);
        add_meeting(k + "recv-send", meet, c, two, {receives, sends});
        add_meeting(k + "recv-send-reversed", meet, c, two, {receives, sends_reversed});
        add_meeting(k + "send-recv-reversed", meet, c, two, {sends, receives_reversed});
        add_meeting(k + "forth-back", "Of two selects that could serve each other both ways, one message is exchanged.",
                    c, two, {forth, back});
        add_meeting(k + "forth-forth", "Two selects that cannot serve each other do not.", c, two, {forth, forth});
        add_meeting(k + "both-both", "A select does not serve itself, but another like it.", c, three,
                    {both_of_a, both_of_a_again});
        add_meeting(k + "recv-send-a-send-b", "Of two sends at once a select takes one, and leaves the other.", c,
                    three, {receives, send_a, send_b});
        add_meeting(k + "send-recv-a-recv-b", "Of two receives at once a select serves one, and leaves the other.", c,
                    three, {sends, recv_a, recv_b});
        budgets fewer = three;  // where so much is possible at every step
        if (capacity > 0) fewer.preemptions = 1;
        add_meeting(k + "two-recv-one-send", "One message goes to one of two selects.", c, fewer,
                    {receives, receives_reversed, send_a});
        add_meeting(k + "three", "Of three selects two meet.", c, fewer, {receives, sends, forth});
        add_meeting(k + "both-send", "A select with both ends of a channel is served by a send.", c, three,
                    {both_of_a, send_a});
        add_meeting(k + "both-recv", "A select with both ends of a channel is served by a receive.", c, three,
                    {both_of_a, recv_a});
        add_meeting(k + "close-one", "Closing one channel takes its case out; the other case goes on.", c, three,
                    {receives, close_a, send_b});
        add_meeting(k + "close-heard",
                    "A select hears that one channel closes, or takes the message of the other; not both.", c, three,
                    {hears, close_a, send_b});
        add_meeting(k + "seen-closed", "A select does not time out on what another has seen closed before.", c, three,
                    {hears_in_time, close_a, sees_closed_a});
        add_meeting(k + "passed-over", "A send that meets a select which was decided goes on to the next in line.", c,
                    four, {receives, recv_a, send_a, send_b});
        add_meeting(k + "in-time", "A deadline and two messages: one of the three, and nothing lost.", c, three,
                    {in_time, send_a, send_b});
        add_meeting(k + "in-time-select", "A deadline against a select that offers both.", c, two, {in_time, sends});
    }

    add("select/selector", "A selector that is used again and again takes every message once.", three, [] {
        pair_of_channels t(1);
        {
            thread sender([&t] {
                send(t.a.ends.tx, t.a.number, 1);
                send(t.b.ends.tx, t.b.number, 2);
            });
            thread receiver([&t] {
                sluice::selector group;
                operation* now = nullptr;
                const auto add_case = [&](probe<M>& p) {
                    return group.add(sluice::on_recv(
                        p.ends.rx, [&now, &p](M m) { now->came_to(event::received, p.number, m.id()); }));
                };
                add_case(t.a);
                add_case(t.b);
                for (int i = 0; i < 2; ++i) {
                    operation op("selector.wait");
                    op.receives(t.a.number, false).receives(t.b.number, false);
                    now = &op;
                    expect(group.wait().has_value(), "a selector chose nothing");
                }
            });
        }
        close(t.a.ends.tx, t.a.number);
        close(t.b.ends.tx, t.b.number);
        t.drain();
    });

    add("select/stop-against-match", "A stop request and a match: exactly one of the two decides the select.", three,
        [] {
            probe<M> p(0);
            stop_source stop;
            const stop_token token = stop.get_token();
            {
                thread a([&] {
                    operation op("select(recv, stop)");
                    chose(op, sluice::select(receiving(op, p.ends.rx, p.number), stopping(op, token)), false);
                });
                thread b([&] { request_stop(stop); });
                thread c([&] { try_send(p.ends.tx, p.number, 1); });
            }
            close(p.ends.tx, p.number);
        });

    add("select/stop-two", "One stop request wakes a blocked receive, and a select.", three, [] {
        probe<M> p(0);
        stop_source stop;
        const stop_token token = stop.get_token();
        {
            thread a([&] { recv(p.ends.rx, p.number, token); });
            thread b([&] {
                operation op("select(send, stop)");
                M m(5);
                chose(op, sluice::select(sending(op, p.ends.tx, p.number, m), stopping(op, token)), false);
            });
            thread c([&] { request_stop(stop); });
        }
        close(p.ends.tx, p.number);
    });

    add("select/temporary-handles", "A select may hold the last handles of its channels.", three, [] {
        auto [tx, rx] = sluice::bounded<M>(1);
        thread a([sender = std::move(tx)]() mutable {
            M m(1);
            expect(sluice::select(sluice::on_send(std::move(sender), std::move(m))).has_value() || m.id() == 1, "lost");
        });
        int got = 0;
        while (sluice::select(sluice::on_recv(rx, [&](M) { ++got; }))) {
        }
        expect(got == 1, "a message was sent and not received");
    });

    constexpr budgets own{.preemptions = 5, .stale_reads = 0, .ticks = 0, .detours = 0};
    add("select/own-send-closed",
        "A group that sends to a channel of its own, which closes then, keeps the case that can receive the message.",
        own, [] {
            auto [tx, rx] = sluice::bounded<int>(1);
            auto idle = sluice::rendezvous<int>();
            bool sent = false;
            sluice::selector group;
            group.add(sluice::on_recv(rx, [](int) {}));
            group.add(sluice::on_recv(idle.rx, [](int) {}));
            group.add(sluice::on_send(tx, 7, [&] { sent = true; }));
            {
                thread a([&] { (void)group.wait(); });
                thread b([&idle, tx, rx] {
                    (void)tx.try_send(1);
                    (void)rx.try_recv();
                    (void)tx.close();
                    (void)idle.tx.close();
                });
            }
            if (sent && rx.size() > 0)
                expect(group.try_wait().has_value(), "the case has gone and its message is there");
        });
    return true;
}();

}  // namespace model
