// Every operation of a channel, each written down in the book of the model with what it came to.
#pragma once

#include <sluice/sluice.hpp>

#include <array>
#include <cstddef>
#include <iterator>
#include <optional>
#include <utility>

#include <model/history.hpp>
#include <model/message.hpp>
#include <model/scheduler.hpp>

namespace model {

// A channel whose operations are written down.
template <class M>
struct probe {
    explicit probe(std::optional<std::size_t> capacity)
        : ends(capacity ? sluice::bounded<M>(*capacity) : sluice::unbounded<M>()), number(book.add_channel(capacity)) {}

    sluice::channel<M> ends;
    int number;
};

// What an operation may fail with besides `closed`; without a reason it may not fail otherwise.
using reason = std::optional<sluice::errc>;

inline void check_error(sluice::errc e, reason other) {
    expect(e == sluice::errc::closed || e == other, "an operation failed for a reason that it cannot have");
}

inline event of_send(sluice::errc e) {
    if (e == sluice::errc{}) return event::sent;
    return e == sluice::errc::closed ? event::send_refused : event::no_room;
}
inline event of_receive(sluice::errc e) {
    return e == sluice::errc::closed ? event::receive_refused : event::no_message;
}

// Sends a message with `how(message)`.
template <class M, class How>
sluice::errc do_send(const char* what, int channel, int id, bool waits, reason other, How&& how) {
    history::operation op(book, what);
    if (waits) op.wants_to_send(channel);
    if (other == sluice::errc::stopped) op.ends_when_stopped();
    M m(id);
    try {
        const sluice::result<void> r = how(m);
        op.came_to(of_send(r ? sluice::errc{} : r.error()), channel, id);
        op.end();
        if (r) return {};
        check_error(r.error(), other);
        expect(m.id() == id, "a send that failed has moved from its message");
        return r.error();
    } catch (const spark&) {
        expect(m.id() == id, "a send that threw has moved from its message");
    } catch (const std::bad_alloc&) {
        expect(m.id() == id, "a send that threw has moved from its message");
    }
    return sluice::errc::full;
}

template <class How>
sluice::errc do_receive(const char* what, int channel, bool waits, reason other, How&& how) {
    history::operation op(book, what);
    if (waits) op.wants_to_receive(channel);
    if (other == sluice::errc::stopped) op.ends_when_stopped();
    try {
        const auto r = how();
        if (r) {
            op.came_to(event::received, channel, r->id());
            op.end();
            return {};
        }
        op.came_to(of_receive(r.error()), channel);
        op.end();
        check_error(r.error(), other);
        return r.error();
    } catch (const spark&) {
        return sluice::errc::empty;
    }
}

template <class M>
sluice::errc send(const sluice::sender<M>& tx, int channel, int id) {
    return do_send<M>("send", channel, id, true, {}, [&](M& m) { return tx.send(std::move(m)); });
}
template <class M>
sluice::errc send(const sluice::sender<M>& tx, int channel, int id, const stop_token& stop) {
    return do_send<M>("send(stop)", channel, id, true, sluice::errc::stopped,
                      [&](M& m) { return tx.send(std::move(m), stop); });
}
template <class M>
sluice::errc try_send(const sluice::sender<M>& tx, int channel, int id) {
    return do_send<M>("try_send", channel, id, false, sluice::errc::full,
                      [&](M& m) { return tx.try_send(std::move(m)); });
}
template <class M>
sluice::errc send_timeout(const sluice::sender<M>& tx, int channel, int id) {
    return do_send<M>("send_timeout", channel, id, true, sluice::errc::timeout,
                      [&](M& m) { return tx.send_timeout(std::move(m), clock::tick); });
}

template <class M>
sluice::errc recv(const sluice::receiver<M>& rx, int channel) {
    return do_receive("recv", channel, true, {}, [&] { return rx.recv(); });
}
template <class M>
sluice::errc recv(const sluice::receiver<M>& rx, int channel, const stop_token& stop) {
    return do_receive("recv(stop)", channel, true, sluice::errc::stopped, [&] { return rx.recv(stop); });
}
template <class M>
sluice::errc try_recv(const sluice::receiver<M>& rx, int channel) {
    return do_receive("try_recv", channel, false, sluice::errc::empty, [&] { return rx.try_recv(); });
}
template <class M>
sluice::errc recv_timeout(const sluice::receiver<M>& rx, int channel) {
    return do_receive("recv_timeout", channel, true, sluice::errc::timeout,
                      [&] { return rx.recv_timeout(clock::tick); });
}

// Two messages at once.
template <class M>
std::size_t send_two(const sluice::sender<M>& tx, int channel, int id, bool blocking) {
    history::operation op(book, blocking ? "send_many" : "try_send_many");
    if (blocking) op.wants_to_send_many(channel);
    std::array<M, 2> pair{M(id), M(id + 1)};
    const std::size_t sent = blocking ? tx.send_many(std::move(pair)) : tx.try_send_many(std::move(pair));
    for (std::size_t i = 0; i < sent; ++i) op.came_to(event::sent, channel, id + static_cast<int>(i));
    if (blocking && sent < 2) op.came_to(event::send_refused, channel);
    op.end();
    for (std::size_t i = sent; i < 2; ++i)
        expect(pair[i].id() == id + static_cast<int>(i), "send_many has moved from what it did not send");
    return sent;
}

// Up to two messages at once.
template <class M>
std::size_t recv_two(const sluice::receiver<M>& rx, int channel, bool blocking) {
    history::operation op(book, blocking ? "recv_many" : "try_recv_many");
    if (blocking) op.wants_to_receive(channel);
    std::array<std::optional<M>, 2> got;
    const std::size_t count = blocking ? rx.recv_many(got.begin(), 2) : rx.try_recv_many(got.begin(), 2);
    for (std::size_t i = 0; i < count; ++i) op.came_to(event::received, channel, got[i]->id());
    if (blocking && count == 0) op.came_to(event::receive_refused, channel);
    op.end();
    return count;
}

template <class H>
bool close(const H& handle, int channel) {
    history::operation op(book, "close");
    const bool first = handle.close();
    op.came_to(first ? event::closed : event::was_closed, channel);
    return first;
}

template <class M>
void drop(sluice::sender<M>& tx, int channel) {
    history::operation op(book, "drop of a sender");
    tx = {};
    op.came_to(event::sender_dropped, channel);
}
template <class M>
void drop(sluice::receiver<M>& rx, int channel) {
    history::operation op(book, "drop of a receiver");
    rx = {};
    op.came_to(event::receiver_dropped, channel);
}

template <class H>
void observe(const H& handle, int channel, std::size_t capacity) {
    history::operation op(book, "observers");
    const std::size_t size = handle.size();
    expect(size <= capacity, "size() is more than the capacity");
    if (handle.is_closed()) op.came_to(event::was_closed, channel);
}

// ---- Select, by its cases: the handler writes down what was chosen.

template <class M>
auto receiving(history::operation& op, const sluice::receiver<M>& rx, int channel) {
    op.wants_to_receive(channel);
    return sluice::on_recv(rx, [&op, channel](M m) {
        user_code("a handler runs");
        op.came_to(event::received, channel, m.id());
    });
}
template <class M>
auto receiving_or_closed(history::operation& op, const sluice::receiver<M>& rx, int channel) {
    op.wants_to_receive(channel);
    return sluice::on_recv(rx, [&op, channel](sluice::result<M> m) {
        user_code("a handler runs");
        op.came_to(m ? event::received : event::receive_refused, channel, m ? m->id() : -1);
    });
}
template <class M>
auto sending(history::operation& op, const sluice::sender<M>& tx, int channel, M& message) {
    op.wants_to_send(channel);
    return sluice::on_send(tx, std::move(message), [&op, channel, id = message.id()] {
        user_code("a handler runs");
        op.came_to(event::sent, channel, id);
    });
}
template <class M>
auto sending_or_closed(history::operation& op, const sluice::sender<M>& tx, int channel, M& message) {
    op.wants_to_send(channel);
    return sluice::on_send(tx, std::move(message), [&op, channel, id = message.id()](sluice::result<void> r) {
        user_code("a handler runs");
        op.came_to(r ? event::sent : event::send_refused, channel, r ? id : -1);
    });
}

}  // namespace model
