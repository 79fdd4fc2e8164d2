// What a thread does to the two channels whose groups are explored.
#pragma once

#include <model/operations.hpp>
#include <model/two_channels.hpp>
#include <model/watched_group.hpp>

namespace model {

using group_channels = two_channels<steady>;

inline void send_a(group_channels& t) { send(t.a.ends.tx, t.a.number, 1); }
inline void send_b(group_channels& t) { send(t.b.ends.tx, t.b.number, 2); }
inline void send_both(group_channels& t) {
    send(t.a.ends.tx, t.a.number, 3);
    send(t.b.ends.tx, t.b.number, 4);
}
inline void send_two_a(group_channels& t) {
    send(t.a.ends.tx, t.a.number, 5);
    send(t.a.ends.tx, t.a.number, 6);
}
inline void fill_a(group_channels& t) { try_send(t.a.ends.tx, t.a.number, 9); }
inline void recv_a(group_channels& t) { recv(t.a.ends.rx, t.a.number); }
inline void recv_two_a(group_channels& t) { recv_two(t.a.ends.rx, t.a.number, true); }
inline void try_recv_a(group_channels& t) { try_recv(t.a.ends.rx, t.a.number); }
inline void close_a(group_channels& t) { close(t.a.ends.tx, t.a.number); }

inline void group_receives_a(group_channels& t) {
    watched_group<steady> g(t.a);
    g.wait();
}
// Receives from one and sends to the other.
inline void group_exchanges(probe<steady>& from, probe<steady>& to, int id) {
    watched_group<steady> g(from);
    g.sends(to, id);
    g.wait();
    g.wait();
}

}  // namespace model
