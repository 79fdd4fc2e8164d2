// Groups that stay registered with their channels: each is told of what may be for it, and no message, room or closing is
// left over while one sleeps that could use it.
#include <model/group_actions.hpp>
#include <model/models.hpp>
#include <model/operations.hpp>
#include <model/two_channels.hpp>
#include <model/watched_group.hpp>

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace model {

namespace {

using M = steady;

using watched_group = model::watched_group<M>;
using fixture = group_channels;
using action = std::function<void(fixture&)>;

void add_group(const std::string& name, const std::string& property, std::optional<std::size_t> capacity,
               budgets limits, std::vector<action> actions, action before = {}) {
    add("group/" + name, property, limits, [capacity, actions, before] {
        fixture t(capacity);
        if (before) before(t);
        run_at_once(t, actions);
    });
}

void receive_twice(fixture& t) {
    watched_group g(t.a, t.b);
    g.wait();
    g.wait();
}
void poll_then_receive(fixture& t) {
    watched_group g(t.a, t.b);
    g.try_wait();
    g.try_wait();
    g.wait();
}
// Is told of `b` at any time, also as its case goes.
void receive_and_remove(fixture& t) {
    watched_group g(t.a, t.b);
    g.try_wait();
    g.remove_last();
    g.wait();
}
void poll_and_go(fixture& t) {
    watched_group g(t.a, t.b);
    g.try_wait();
}
// What this thread has seen, a group of its own does not overlook.
void look_and_poll(fixture& t) {
    watched_group g(t.a);
    g.try_wait();
    const bool seen = !t.a.ends.rx.empty();
    expect(g.try_wait() || !seen, "a group overlooks what its thread has seen");
}
void send_in_group(fixture& t, int id) {
    watched_group g;
    g.sends(t.a, id);
    g.wait();
}

}  // namespace

[[maybe_unused]] static const bool added = [] {
    constexpr budgets two{.preemptions = 3, .stale_reads = 0, .ticks = 0, .detours = 1};
    constexpr budgets three{.preemptions = 1, .stale_reads = 0, .ticks = 0, .detours = 1};
    const std::string told = "What comes is taken, or told again; nobody sleeps though there is something for it.";

    const action sends_in_group = [](fixture& t) { send_in_group(t, 20); };
    const action sends_in_group_too = [](fixture& t) { send_in_group(t, 21); };

    for (const auto& [name, capacity] : {std::pair<std::string, std::optional<std::size_t>>{"unbounded", std::nullopt},
                                         {"one", 1},
                                         {"rendezvous", 0}}) {
        add_group(name + "/twice", told, capacity, two, {receive_twice, send_both});
        add_group(name + "/two-groups", told, capacity, three, {group_receives_a, group_receives_a, send_two_a});
        add_group(name + "/group-and-receiver", told, capacity, three, {group_receives_a, recv_a, send_two_a});
        add_group(name + "/group-and-try", told, capacity, three, {group_receives_a, try_recv_a, send_a});
        add_group(name + "/between-waits", told, capacity, three, {poll_then_receive, send_a, send_b});
        add_group(name + "/between-waits-of-two", told, capacity, three, {poll_then_receive, group_receives_a, send_a});
        add_group(name + "/removed", told, capacity, three, {receive_and_remove, send_a, send_b});
        add_group(name + "/gone", told, capacity, three, {poll_and_go, send_both});
        add_group(name + "/gone-of-two", told, capacity, three, {poll_and_go, group_receives_a, send_a});
        add_group(name + "/seen", told, capacity, two, {look_and_poll, send_a});
        add_group(name + "/closed", told, capacity, two, {receive_twice, close_a});
        add_group(
            name + "/both-ends", told, capacity, two,
            {[](fixture& t) { group_exchanges(t.a, t.b, 30); }, [](fixture& t) { group_exchanges(t.b, t.a, 40); }});
    }
    add_group("one-full/room", told, 1, two, {sends_in_group, recv_a}, fill_a);
    add_group("one-full/room-for-two", told, 1, three, {sends_in_group, sends_in_group_too, recv_two_a}, fill_a);
    add_group("one-full/group-and-sender", told, 1, three, {sends_in_group, send_a, recv_two_a}, fill_a);
    add_group("one-full/group-and-select", told, 1, three,
              {sends_in_group,
               [](fixture& t) {
                   operation op("select(recv)");
                   chose(op, sluice::select(receiving(op, t.a.ends.rx, t.a.number)));
               }},
              fill_a);
    add_group("one-full/closed", told, 1, two, {sends_in_group, close_a}, fill_a);
    return true;
}();

}  // namespace model
