// Groups that a coroutine waits for: no message, room, closing, stop or time is left over while it is suspended, beside
// threads and other groups; and a group whose coroutine was destroyed can be used on.
#include <model/async_operations.hpp>
#include <model/group_actions.hpp>
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

struct stoppable : group_channels {
    using group_channels::group_channels;
    stop_source stop;
};
using action = std::function<void(stoppable&)>;

void await(watched_group& g) {
    in_coroutine([&](executor, small_loop&) -> coroutine {
        operation op("group.async_wait");
        g.tell(op);
        const auto chosen = co_await g.group().async_wait();
        if (!chosen) g.fails(op, chosen.error(), sluice::errc::closed);
    });
}
void await(watched_group& g, const stop_token& stop) {
    in_coroutine([&](executor, small_loop&) -> coroutine {
        operation op("group.async_wait(stop)");
        g.tell(op).obeys(stop);
        const auto chosen = co_await g.group().async_wait(stop);
        if (!chosen) g.fails(op, chosen.error(), sluice::errc::stopped);
    });
}
void await_for(watched_group& g, clock::duration patience) {
    in_coroutine([&](executor, small_loop&) -> coroutine {
        operation op("group.async_wait_timeout");
        g.tell(op).no_longer_than(patience);
        const auto chosen = co_await g.group().async_wait_timeout(patience);
        if (!chosen) g.fails(op, chosen.error(), sluice::errc::timeout);
    });
}

// ---- What one thread does

void await_twice(stoppable& t) {
    watched_group g(t.a, t.b);
    await(g);
    await(g);
}
void await_once(stoppable& t) {
    watched_group g(t.a);
    await(g);
}
void poll_then_await(stoppable& t) {
    watched_group g(t.a, t.b);
    g.try_wait();
    await(g);
}
void await_until_stopped(stoppable& t) {
    watched_group g(t.a, t.b);
    await(g, t.stop.get_token());
}
void await_in_time(stoppable& t) {
    watched_group g(t.a, t.b);
    await_for(g, clock::tick);
}
void await_to_send(stoppable& t, int id) {
    watched_group g;
    g.sends(t.a, id);
    await(g);
}
// Receives from one and sends to the other.
void await_exchange(probe<M>& from, probe<M>& to, int id) {
    watched_group g(from);
    g.sends(to, id);
    await(g);
    await(g);
}

void add_group(const std::string& name, const std::string& property, std::optional<std::size_t> capacity,
               budgets limits, std::vector<action> actions, action before = {}) {
    add("async-group/" + name, property, limits, [capacity, actions, before] {
        stoppable t(capacity);
        if (before) before(t);
        run_at_once(t, actions);
    });
}

// A coroutine that waits for the group is destroyed as others send; then this thread waits for the group, which is as it
// was. Only what was handed to the coroutine by then is gone, and counted.
void destroy_and_wait(std::optional<std::size_t> capacity) {
    auto [tx, rx] = probe<M>::make(capacity, sluice::overflow::block);
    int got = 0, sent = 0;
    bool was_sent = false;
    sluice::selector group;
    group.add(sluice::on_recv(rx, [&got](const M&) { ++got; }));
    const auto take_all = [&group] {
        while (group.try_wait()) {
        }
    };
    stop_source stop;
    thread blocked([&, &tx = tx] { was_sent = tx.send(M(1), stop.get_token()).has_value(); });
    small_loop loop;
    destroy_meanwhile(
        loop, [&](executor, small_loop&) -> coroutine { (void)co_await group.async_wait(); },
        [&, &tx = tx] { sent += tx.try_send(M(2)) ? 1 : 0; });
    take_all();
    stop.request_stop();
    blocked.join();
    take_all();
    expect(group.size() == 1, "a case is lost");
    expect(got + static_cast<int>(rx.dropped()) == sent + (was_sent ? 1 : 0), "a message is lost, or came twice");
    tx.close();
    const auto none = group.try_wait();
    expect(!none && none.error() == sluice::errc::closed && group.empty(), "a group does not hear of the closing");
}

}  // namespace

[[maybe_unused]] static const bool added = [] {
    constexpr budgets two{.preemptions = 2, .stale_reads = 0, .ticks = 0, .detours = 1};
    constexpr budgets three{.preemptions = 1, .stale_reads = 0, .ticks = 0, .detours = 1};
    constexpr budgets timed{.preemptions = 2, .stale_reads = 0, .ticks = 1, .detours = 1};
    const std::string told = "What comes is taken, or told again; no coroutine waits though there is something for it.";

    const action stops = [](stoppable& t) { request_stop(t.stop); };
    const action awaits_to_send = [](stoppable& t) { await_to_send(t, 20); };
    const action awaits_to_send_too = [](stoppable& t) { await_to_send(t, 21); };

    for (const auto& [name, capacity] : {std::pair<std::string, std::optional<std::size_t>>{"unbounded", std::nullopt},
                                         {"one", 1},
                                         {"rendezvous", 0}}) {
        add_group(name + "/twice", told, capacity, two, {await_twice, send_both});
        add_group(name + "/two-groups", told, capacity, three, {await_once, await_once, send_two_a});
        add_group(name + "/coroutine-and-thread", told, capacity, three, {await_once, group_receives_a, send_two_a});
        add_group(name + "/group-and-receiver", told, capacity, three, {await_once, recv_a, send_two_a});
        add_group(name + "/group-and-try", told, capacity, three, {await_once, try_recv_a, send_a});
        add_group(name + "/between-waits", told, capacity, three, {poll_then_await, send_a, send_b});
        add_group(name + "/closed", told, capacity, two, {await_twice, close_a});
        add_group(name + "/stop", "A stop ends the wait, or a message that came before.", capacity, two,
                  {await_until_stopped, stops});
        add_group(name + "/stop-against-message", "A stop ends the wait, or a message that came before.", capacity,
                  three, {await_until_stopped, stops, send_a});
        add_group(name + "/timeout", "A time ends the wait, or a message that came before.", capacity, timed,
                  {await_in_time, send_a});
        add_group(
            name + "/both-ends", told, capacity, three,
            {[](stoppable& t) { await_exchange(t.a, t.b, 30); }, [](stoppable& t) { group_exchanges(t.b, t.a, 40); }});
        add_group(
            name + "/both-ends-of-coroutines", told, capacity, three,
            {[](stoppable& t) { await_exchange(t.a, t.b, 30); }, [](stoppable& t) { await_exchange(t.b, t.a, 40); }});
        add("async-group/" + name + "/destroyed", "A group outlives the coroutine that waits for it, with its cases.",
            three, [c = capacity] { destroy_and_wait(c); });
    }
    add_group("one-full/room", told, 1, two, {awaits_to_send, recv_a}, fill_a);
    add_group("one-full/room-for-two", told, 1, three, {awaits_to_send, awaits_to_send_too, recv_two_a}, fill_a);
    add_group("one-full/group-and-sender", told, 1, three, {awaits_to_send, send_a, recv_two_a}, fill_a);
    add_group("one-full/closed", told, 1, two, {awaits_to_send, close_a}, fill_a);
    return true;
}();

}  // namespace model
