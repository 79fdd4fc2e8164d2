// Scenarios: what several threads do at once to one channel.
#pragma once

#include <model/models.hpp>
#include <model/operations.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace model {

// What the threads work on. The first thread keeps a handle of each side, unless the handles themselves are in
// question.
template <class M>
struct fixture {
    explicit fixture(std::optional<std::size_t> capacity, sluice::overflow rule = sluice::overflow::block)
        : channel(capacity, rule) {}
    probe<M> channel;
    stop_source stop;
};

// What a thread may do; its messages have the numbers from `id`.
template <class M>
struct channel_op {
    const char* name;
    void (*run)(fixture<M>&, const sluice::sender<M>&, const sluice::receiver<M>&, int id);
    bool sends, receives;
};

template <class M>
using tx_of = const sluice::sender<M>&;
template <class M>
using rx_of = const sluice::receiver<M>&;

template <class M>
void run_select_send(fixture<M>& t, tx_of<M> tx, rx_of<M>, int id) {
    operation op("select(send)");
    M m(id);
    chose(op, sluice::select(sending(op, tx, t.channel.number, m)));
}
template <class M>
void run_select_send_timeout(fixture<M>& t, tx_of<M> tx, rx_of<M>, int id) {
    operation op("select(send, timeout)");
    M m(id);
    chose(op, sluice::select(sending_or_closed(op, tx, t.channel.number, m), giving_up_after(op, clock::tick)), false);
}
template <class M>
void run_select_send_otherwise(fixture<M>& t, tx_of<M> tx, rx_of<M>, int id) {
    operation op("select(send, otherwise)");
    M m(id);
    chose(op, sluice::select(sending_or_closed(op, tx, t.channel.number, m), giving_up(op)), false);
}
template <class M>
void run_select_recv(fixture<M>& t, tx_of<M>, rx_of<M> rx, int) {
    operation op("select(recv)");
    chose(op, sluice::select(receiving(op, rx, t.channel.number)));
}
template <class M>
void run_select_recv_timeout(fixture<M>& t, tx_of<M>, rx_of<M> rx, int) {
    operation op("select(recv, timeout)");
    chose(op, sluice::select(receiving_or_closed(op, rx, t.channel.number), giving_up_after(op, clock::tick)), false);
}
template <class M>
void run_select_recv_otherwise(fixture<M>& t, tx_of<M>, rx_of<M> rx, int) {
    operation op("select(recv, otherwise)");
    chose(op, sluice::select(receiving_or_closed(op, rx, t.channel.number), giving_up(op)), false);
}
template <class M>
void run_select_recv_stop(fixture<M>& t, tx_of<M>, rx_of<M> rx, int) {
    operation op("select(recv, stop)");
    const stop_token stop = t.stop.get_token();
    chose(op, sluice::select(receiving_or_closed(op, rx, t.channel.number), stopping(op, stop)), false);
}
// Both ends of the channel in one select, which must not serve itself.
template <class M>
void run_select_both(fixture<M>& t, tx_of<M> tx, rx_of<M> rx, int id) {
    operation op("select(recv, send)");
    M m(id);
    chose(op, sluice::select(receiving(op, rx, t.channel.number), sending(op, tx, t.channel.number, m)));
}

template <class M>
const std::vector<channel_op<M>>& channel_ops() {
    using fixture_t = fixture<M>;
    static const std::vector<channel_op<M>> all = [] {
        std::vector<channel_op<M>> ops = {
            {"send", [](fixture_t& t, tx_of<M> tx, rx_of<M>, int id) { send(tx, t.channel.number, id); }, true, false},
            {"try_send", [](fixture_t& t, tx_of<M> tx, rx_of<M>, int id) { try_send(tx, t.channel.number, id); }, true,
             false},
            {"send_timeout",
             [](fixture_t& t, tx_of<M> tx, rx_of<M>, int id) { send_timeout(tx, t.channel.number, id); }, true, false},
            {"send_stop",
             [](fixture_t& t, tx_of<M> tx, rx_of<M>, int id) { send(tx, t.channel.number, id, t.stop.get_token()); },
             true, false},
            {"send_many", [](fixture_t& t, tx_of<M> tx, rx_of<M>, int id) { send_two(tx, t.channel.number, id, true); },
             true, false},
            {"try_send_many",
             [](fixture_t& t, tx_of<M> tx, rx_of<M>, int id) { send_two(tx, t.channel.number, id, false); }, true,
             false},
            {"select_send", run_select_send<M>, true, false},
            {"select_send_timeout", run_select_send_timeout<M>, true, false},
            {"select_send_otherwise", run_select_send_otherwise<M>, true, false},
            {"recv", [](fixture_t& t, tx_of<M>, rx_of<M> rx, int) { recv(rx, t.channel.number); }, false, true},
            {"try_recv", [](fixture_t& t, tx_of<M>, rx_of<M> rx, int) { try_recv(rx, t.channel.number); }, false, true},
            {"recv_timeout", [](fixture_t& t, tx_of<M>, rx_of<M> rx, int) { recv_timeout(rx, t.channel.number); },
             false, true},
            {"recv_stop",
             [](fixture_t& t, tx_of<M>, rx_of<M> rx, int) { recv(rx, t.channel.number, t.stop.get_token()); }, false,
             true},
            {"recv_many", [](fixture_t& t, tx_of<M>, rx_of<M> rx, int) { recv_two(rx, t.channel.number, true); }, false,
             true},
            {"try_recv_many", [](fixture_t& t, tx_of<M>, rx_of<M> rx, int) { recv_two(rx, t.channel.number, false); },
             false, true},
            {"select_recv", run_select_recv<M>, false, true},
            {"select_recv_timeout", run_select_recv_timeout<M>, false, true},
            {"select_recv_otherwise", run_select_recv_otherwise<M>, false, true},
            {"select_recv_stop", run_select_recv_stop<M>, false, true},
            {"select_both", run_select_both<M>, true, true},
            {"close", [](fixture_t& t, tx_of<M> tx, rx_of<M>, int) { close(tx, t.channel.number); }, true, false},
            {"stop", [](fixture_t& t, tx_of<M>, rx_of<M>, int) { request_stop(t.stop); }, false, false},
            {"observe",
             [](fixture_t& t, tx_of<M>, rx_of<M> rx, int) {
                 observe(rx, t.channel.number, rx.capacity().value_or(registry::most));
             },
             false, true},
        };
        if constexpr (std::is_nothrow_move_constructible_v<M>) {
            ops.push_back({"force_send",
                           [](fixture_t& t, tx_of<M> tx, rx_of<M>, int id) { force_send(tx, t.channel.number, id); },
                           true, false});
        }
        return ops;
    }();
    return all;
}

template <class M>
void fill(fixture<M>& t, int count) {
    for (int i = 0; i < count; ++i)
        expect(try_send(t.channel.ends.tx, t.channel.number, i) == sluice::errc{}, "a fill fails");
}

template <class M>
void drain(fixture<M>& t) {
    while (try_recv(t.channel.ends.rx, t.channel.number) == sluice::errc{}) {
    }
}

// What one thread does, one after the other; and what all do at once.
template <class M>
using script = std::vector<const channel_op<M>*>;
template <class M>
using scenario = std::vector<script<M>>;

// The scripts at once, on the handles of the first thread. A thread that is blocked when all is quiet waits for what
// cannot come, and is released by close().
template <class M>
void run_scenario(std::optional<std::size_t> capacity, int filled, const scenario<M>& scripts,
                  sluice::overflow rule = sluice::overflow::block) {
    fixture<M> t(capacity, rule);
    fill(t, filled);
    {
        std::vector<std::unique_ptr<thread>> threads;
        int id = 10;
        for (const script<M>& ops : scripts) {
            threads.push_back(std::make_unique<thread>([&t, &ops, id]() mutable {
                for (const channel_op<M>* o : ops)
                    o->run(t, t.channel.ends.tx, t.channel.ends.rx, std::exchange(id, id + 2));
            }));
            id += 2 * static_cast<int>(ops.size());
        }
        wait_until_quiet();
        history.check_quiet({t.channel.ends.rx.size()});
        close(t.channel.ends.tx, t.channel.number);
        expect(try_send(t.channel.ends.tx, t.channel.number, 40) == sluice::errc::closed,
               "a closed channel takes a message");
    }
    drain(t);
}

// The same for one operation a thread, but each thread has handles of its own, which it drops when it is done; the
// first thread has those of one side at most.
template <class M>
void run_with_own_handles(std::optional<std::size_t> capacity, int filled, const script<M>& ops) {
    fixture<M> t(capacity);
    fill(t, filled);
    struct own_handles {
        sluice::sender<M> tx;
        sluice::receiver<M> rx;
    };
    std::vector<own_handles> handles(ops.size());
    int senders = 0, receivers = 0;
    for (std::size_t i = 0; i < ops.size(); ++i) {
        if (ops[i]->sends) handles[i].tx = t.channel.ends.tx, ++senders;
        if (ops[i]->receives) handles[i].rx = t.channel.ends.rx, ++receivers;
    }
    history.more_senders(t.channel.number, senders);
    history.more_receivers(t.channel.number, receivers);
    if (senders > 0) drop(t.channel.ends.tx, t.channel.number);
    if (receivers > 0) drop(t.channel.ends.rx, t.channel.number);
    std::vector<std::unique_ptr<thread>> threads;
    int id = 10;
    for (std::size_t i = 0; i < ops.size(); ++i) {
        threads.push_back(std::make_unique<thread>([&t, &handles, &ops, i, id] {
            own_handles mine = std::move(handles[i]);
            ops[i]->run(t, mine.tx, mine.rx, id);
            if (mine.tx) drop(mine.tx, t.channel.number);
            if (mine.rx) drop(mine.rx, t.channel.number);
        }));
        id += 2;
    }
    wait_until_quiet();
    history.check_quiet();
    if (t.channel.ends.tx) close(t.channel.ends.tx, t.channel.number);
    if (t.channel.ends.rx) close(t.channel.ends.rx, t.channel.number);
}

struct kind {
    const char* name;
    std::optional<std::size_t> capacity;
    int filled;
    sluice::overflow rule = sluice::overflow::block;
};

// Where the channel discards, no send blocks: then only those that differ.
template <class M>
bool is_of_use(const channel_op<M>& op, const kind& k) {
    if (k.rule == sluice::overflow::block) return true;
    for (const std::string_view other :
         {"send_timeout", "send_stop", "try_send_many", "select_send_timeout", "recv_timeout", "recv_stop",
          "try_recv_many", "select_recv_timeout", "select_recv_stop", "stop"}) {
        if (op.name == other) return false;
    }
    return true;
}

// Two operations at once; and where that makes a difference, each with handles of its own.
template <class M>
void add_pair(const kind& k, const channel_op<M>& a, const channel_op<M>& b, budgets limits, budgets fewer) {
    if (!is_of_use(a, k) || !is_of_use(b, k)) return;
    const std::string name = std::string(k.name) + "/" + a.name + "+" + b.name;
    const scenario<M> scripts{{&a}, {&b}};
    add("pair/" + name, "The two are linearizable together, and neither sleeps though it could complete.", limits,
        [k, scripts] { run_scenario<M>(k.capacity, k.filled, scripts, k.rule); });
    // Not with a thread that holds both ends: it keeps the channel open for itself.
    // The size of a message does not matter to it.
    const bool both_sides = !std::is_same_v<M, small> && a.sends && b.receives && !a.receives && !b.sends;
    if (both_sides && k.filled == 0) {
        add("drop/" + name, "The same where each drops its handles: the channel closes, and is freed once.", fewer,
            [k, ops = script<M>{&a, &b}] { run_with_own_handles<M>(k.capacity, k.filled, ops); });
    }
}

template <class M>
void add_pairs_of(const std::vector<kind>& kinds) {
    constexpr budgets fewer{.preemptions = 2};
    for (const kind& k : kinds) {
        const auto& all = channel_ops<M>();
        for (std::size_t a = 0; a < all.size(); ++a) {
            for (std::size_t b = a; b < all.size(); ++b) add_pair(k, all[a], all[b], budgets{}, fewer);
        }
    }
}

}  // namespace model
