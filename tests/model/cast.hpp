// A part for each operation of a channel, and the stage on which several of them are played at once.
#pragma once

#include <model/models.hpp>
#include <model/operations.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace model {

// What two or three threads work on. The first thread keeps a handle of each side, unless the handles themselves are in question.
template <class M>
struct table {
    explicit table(std::optional<std::size_t> capacity) : channel(capacity) {}
    probe<M> channel;
    stop_source stop;
};

// One thread's part; its messages have the numbers from `id`.
template <class M>
struct part {
    const char* name;
    void (*play)(table<M>&, const sluice::sender<M>&, const sluice::receiver<M>&, int id);
    bool sends, receives;
};

template <class M>
using tx_of = const sluice::sender<M>&;
template <class M>
using rx_of = const sluice::receiver<M>&;

template <class M>
void play_select_send(table<M>& t, tx_of<M> tx, rx_of<M>, int id) {
    history::operation op(book, "select(send)");
    M m(id);
    chose(op, sluice::select(sending(op, tx, t.channel.number, m)));
}
template <class M>
void play_select_send_timeout(table<M>& t, tx_of<M> tx, rx_of<M>, int id) {
    history::operation op(book, "select(send, timeout)");
    M m(id);
    chose(op, sluice::select(sending_or_closed(op, tx, t.channel.number, m), giving_up_after(op, clock::tick)), false);
}
template <class M>
void play_select_send_otherwise(table<M>& t, tx_of<M> tx, rx_of<M>, int id) {
    history::operation op(book, "select(send, otherwise)");
    M m(id);
    chose(op, sluice::select(sending_or_closed(op, tx, t.channel.number, m), giving_up(op)), false);
}
template <class M>
void play_select_recv(table<M>& t, tx_of<M>, rx_of<M> rx, int) {
    history::operation op(book, "select(recv)");
    chose(op, sluice::select(receiving(op, rx, t.channel.number)));
}
template <class M>
void play_select_recv_timeout(table<M>& t, tx_of<M>, rx_of<M> rx, int) {
    history::operation op(book, "select(recv, timeout)");
    chose(op, sluice::select(receiving_or_closed(op, rx, t.channel.number), giving_up_after(op, clock::tick)), false);
}
template <class M>
void play_select_recv_otherwise(table<M>& t, tx_of<M>, rx_of<M> rx, int) {
    history::operation op(book, "select(recv, otherwise)");
    chose(op, sluice::select(receiving_or_closed(op, rx, t.channel.number), giving_up(op)), false);
}
template <class M>
void play_select_recv_stop(table<M>& t, tx_of<M>, rx_of<M> rx, int) {
    history::operation op(book, "select(recv, stop)");
    const stop_token stop = t.stop.get_token();
    chose(op, sluice::select(receiving_or_closed(op, rx, t.channel.number), stopping(op, stop)), false);
}
// Both ends of the channel in one select, which must not serve itself.
template <class M>
void play_select_both(table<M>& t, tx_of<M> tx, rx_of<M> rx, int id) {
    history::operation op(book, "select(recv, send)");
    M m(id);
    chose(op, sluice::select(receiving(op, rx, t.channel.number), sending(op, tx, t.channel.number, m)));
}

template <class M>
const std::vector<part<M>>& parts() {
    using table_t = table<M>;
    static const std::vector<part<M>> all = {
        {"send", [](table_t& t, tx_of<M> tx, rx_of<M>, int id) { send(tx, t.channel.number, id); }, true, false},
        {"try_send", [](table_t& t, tx_of<M> tx, rx_of<M>, int id) { try_send(tx, t.channel.number, id); }, true,
         false},
        {"send_timeout", [](table_t& t, tx_of<M> tx, rx_of<M>, int id) { send_timeout(tx, t.channel.number, id); },
         true, false},
        {"send_stop",
         [](table_t& t, tx_of<M> tx, rx_of<M>, int id) { send(tx, t.channel.number, id, t.stop.get_token()); }, true,
         false},
        {"send_many", [](table_t& t, tx_of<M> tx, rx_of<M>, int id) { send_two(tx, t.channel.number, id, true); }, true,
         false},
        {"try_send_many", [](table_t& t, tx_of<M> tx, rx_of<M>, int id) { send_two(tx, t.channel.number, id, false); },
         true, false},
        {"select_send", play_select_send<M>, true, false},
        {"select_send_timeout", play_select_send_timeout<M>, true, false},
        {"select_send_otherwise", play_select_send_otherwise<M>, true, false},
        {"recv", [](table_t& t, tx_of<M>, rx_of<M> rx, int) { recv(rx, t.channel.number); }, false, true},
        {"try_recv", [](table_t& t, tx_of<M>, rx_of<M> rx, int) { try_recv(rx, t.channel.number); }, false, true},
        {"recv_timeout", [](table_t& t, tx_of<M>, rx_of<M> rx, int) { recv_timeout(rx, t.channel.number); }, false,
         true},
        {"recv_stop", [](table_t& t, tx_of<M>, rx_of<M> rx, int) { recv(rx, t.channel.number, t.stop.get_token()); },
         false, true},
        {"recv_many", [](table_t& t, tx_of<M>, rx_of<M> rx, int) { recv_two(rx, t.channel.number, true); }, false,
         true},
        {"try_recv_many", [](table_t& t, tx_of<M>, rx_of<M> rx, int) { recv_two(rx, t.channel.number, false); }, false,
         true},
        {"select_recv", play_select_recv<M>, false, true},
        {"select_recv_timeout", play_select_recv_timeout<M>, false, true},
        {"select_recv_otherwise", play_select_recv_otherwise<M>, false, true},
        {"select_recv_stop", play_select_recv_stop<M>, false, true},
        {"select_both", play_select_both<M>, true, true},
        {"close", [](table_t& t, tx_of<M> tx, rx_of<M>, int) { close(tx, t.channel.number); }, true, false},
        {"stop", [](table_t& t, tx_of<M>, rx_of<M>, int) { request_stop(t.stop); }, false, false},
        {"observe",
         [](table_t& t, tx_of<M>, rx_of<M> rx, int) {
             observe(rx, t.channel.number, rx.capacity().value_or(registry::most));
         },
         false, true},
    };
    return all;
}

template <class M>
void fill(table<M>& t, int count) {
    for (int i = 0; i < count; ++i)
        expect(try_send(t.channel.ends.tx, t.channel.number, i) == sluice::errc{}, "a fill fails");
}

template <class M>
void drain(table<M>& t) {
    while (try_recv(t.channel.ends.rx, t.channel.number) == sluice::errc{}) {
    }
}

// What one thread plays, one after the other.
template <class M>
using script = std::vector<const part<M>*>;

// The scripts at once, on the handles of the first thread; whoever is blocked when all is quiet waits in vain, and is let go by close().
template <class M>
void run_parts(std::optional<std::size_t> capacity, int filled, const std::vector<script<M>>& cast) {
    table<M> t(capacity);
    fill(t, filled);
    {
        std::vector<std::unique_ptr<thread>> threads;
        int id = 10;
        for (const script<M>& parts : cast) {
            threads.push_back(std::make_unique<thread>([&t, &parts, id]() mutable {
                for (const part<M>* p : parts)
                    p->play(t, t.channel.ends.tx, t.channel.ends.rx, std::exchange(id, id + 2));
            }));
            id += 2 * static_cast<int>(parts.size());
        }
        wait_until_quiet();
        book.check_quiet({t.channel.ends.rx.size()});
        close(t.channel.ends.tx, t.channel.number);
        expect(try_send(t.channel.ends.tx, t.channel.number, 40) == sluice::errc::closed,
               "a closed channel takes a message");
    }
    drain(t);
}

// The same, but each thread has handles of its own, which it drops when it is done; the first thread has those of one side at most.
template <class M>
void run_owners(std::optional<std::size_t> capacity, int filled, const script<M>& cast) {
    table<M> t(capacity);
    fill(t, filled);
    struct owner {
        sluice::sender<M> tx;
        sluice::receiver<M> rx;
    };
    std::vector<owner> owners(cast.size());
    int senders = 0, receivers = 0;
    for (std::size_t i = 0; i < cast.size(); ++i) {
        if (cast[i]->sends) owners[i].tx = t.channel.ends.tx, ++senders;
        if (cast[i]->receives) owners[i].rx = t.channel.ends.rx, ++receivers;
    }
    book.more_senders(t.channel.number, senders);
    book.more_receivers(t.channel.number, receivers);
    if (senders > 0) drop(t.channel.ends.tx, t.channel.number);
    if (receivers > 0) drop(t.channel.ends.rx, t.channel.number);
    std::vector<std::unique_ptr<thread>> threads;
    int id = 10;
    for (std::size_t i = 0; i < cast.size(); ++i) {
        threads.push_back(std::make_unique<thread>([&t, &owners, &cast, i, id] {
            owner mine = std::move(owners[i]);
            cast[i]->play(t, mine.tx, mine.rx, id);
            if (mine.tx) drop(mine.tx, t.channel.number);
            if (mine.rx) drop(mine.rx, t.channel.number);
        }));
        id += 2;
    }
    wait_until_quiet();
    book.check_quiet();
    if (t.channel.ends.tx) close(t.channel.ends.tx, t.channel.number);
    if (t.channel.ends.rx) close(t.channel.ends.rx, t.channel.number);
}

struct kind {
    const char* name;
    std::optional<std::size_t> capacity;
    int filled;
};

template <class M>
void add_pairs_of(const std::vector<kind>& kinds) {
    budgets fewer;
    fewer.preemptions = 2;
    for (const kind& k : kinds) {
        const auto& all = parts<M>();
        for (std::size_t a = 0; a < all.size(); ++a) {
            for (std::size_t b = a; b < all.size(); ++b) {
                const std::string name = std::string(k.name) + "/" + all[a].name + "+" + all[b].name;
                const std::vector<script<M>> cast{{&all[a]}, {&all[b]}};
                add("pair/" + name, "The two are linearizable together, and neither sleeps though it could complete.",
                    budgets{}, [k, cast] { run_parts<M>(k.capacity, k.filled, cast); });
                // Not with one who holds both ends: he keeps the channel open for himself.
                const bool both_sides = (all[a].sends && all[b].receives && !all[a].receives && !all[b].sends);
                if (both_sides && k.filled == 0) {
                    add("drop/" + name, "The same where each drops its handles: the channel closes, and is freed once.",
                        fewer,
                        [k, owners = script<M>{&all[a], &all[b]}] { run_owners<M>(k.capacity, k.filled, owners); });
                }
            }
        }
    }
}

}  // namespace model
