// What models of readiness share: two channels, and threads that make their cases ready, or take that back.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <model/models.hpp>
#include <model/operations.hpp>
#include <model/two_channels.hpp>

namespace model::readiness {

using M = number;

// Two channels, and all that the programs need beside them.
struct fixture : two_channels<M> {
    using two_channels::two_channels;

    stop_source stop;
    stop_token token = stop.get_token();
    std::optional<sluice::selector> group;
    operation* now = nullptr;  // of the thread that waits on the group
    int next_id = 20;          // of the thread that moves messages

    void fill(probe<M>& p, int count) {
        for (int i = 0; i < count; ++i)
            expect(try_send(p.ends.tx, p.number, next_id++) == sluice::errc{}, "a fill fails");
    }
};

// ---- What one thread does, one after the other

using move = std::function<void(fixture&)>;

inline move sends_a() {
    return [](fixture& s) { try_send(s.a.ends.tx, s.a.number, s.next_id++); };
}
inline move sends_b() {
    return [](fixture& s) { try_send(s.b.ends.tx, s.b.number, s.next_id++); };
}
inline move takes_a() {
    return [](fixture& s) { try_recv(s.a.ends.rx, s.a.number); };
}
inline move takes_b() {
    return [](fixture& s) { try_recv(s.b.ends.rx, s.b.number); };
}
inline move closes_a() {
    return [](fixture& s) { close(s.a.ends.tx, s.a.number); };
}
inline move closes_b() {
    return [](fixture& s) { close(s.b.ends.rx, s.b.number); };
}
inline move stops() {
    return [](fixture& s) { request_stop(s.stop); };
}

struct buffered {
    const char* name;
    std::optional<std::size_t> capacity;
    int room() const { return static_cast<int>(capacity.value_or(1)); }
};

// ---- On a rendezvous threads that wait come and go

using comes = std::function<void(fixture&)>;

inline comes sends_to_a(int id) {
    return [=](fixture& s) { send(s.a.ends.tx, s.a.number, id); };
}
inline comes sends_to_b(int id) {
    return [=](fixture& s) { send(s.b.ends.tx, s.b.number, id); };
}
inline comes sends_to_a_until_stopped(int id) {
    return [=](fixture& s) { send(s.a.ends.tx, s.a.number, id, s.token); };
}
inline comes receives_from_a() {
    return [](fixture& s) { recv(s.a.ends.rx, s.a.number); };
}
inline comes receives_from_b() {
    return [](fixture& s) { recv(s.b.ends.rx, s.b.number); };
}
inline comes receives_from_a_until_stopped() {
    return [](fixture& s) { recv(s.a.ends.rx, s.a.number, s.token); };
}
inline comes selects_to_b(int id) {
    return [=](fixture& s) {
        operation op("select(send, stop)");
        M m(id);
        chose(op, sluice::select(sending_or_closed(op, s.b.ends.tx, s.b.number, m), stopping(op, s.token)), false);
    };
}
inline comes selects_from_b() {
    return [](fixture& s) {
        operation op("select(recv, stop)");
        chose(op, sluice::select(receiving_or_closed(op, s.b.ends.rx, s.b.number), stopping(op, s.token)), false);
    };
}
inline comes sends_to_either(int id) {
    return [=](fixture& s) {
        operation op("select(send, send)");
        M m(id), n(id + 1);
        chose(op, sluice::select(sending(op, s.a.ends.tx, s.a.number, m), sending(op, s.b.ends.tx, s.b.number, n)));
    };
}

inline void wait_for(const thread& t) {
    if (wait_until_asleep(t)) history.seen_asleep(t.number());
}

}  // namespace model::readiness
