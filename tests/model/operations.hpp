// Every operation of a channel, each written down in the history of the model with what it came to.
#pragma once

#include <sluice/sluice.hpp>

#include <array>
#include <cstddef>
#include <iterator>
#include <optional>
#include <type_traits>
#include <utility>

#include <model/history.hpp>
#include <model/message.hpp>
#include <model/explorer/control.hpp>

namespace model {

// A message in the history: by its number, or the tick of the time at which it was due.
template <class M>
int received_id(const M& m) {
    return m.id();
}
inline int received_id(clock::time_point due) { return static_cast<int>(due.time_since_epoch() / clock::tick); }

// A channel whose operations are written down.
template <class M>
struct probe {
    explicit probe(std::optional<std::size_t> capacity, sluice::overflow rule = sluice::overflow::block)
        : ends(make(capacity, rule)), number(history.add_channel(capacity, rule)) {}

    static sluice::channel<M> make(std::optional<std::size_t> capacity, sluice::overflow rule) {
        if constexpr (std::is_nothrow_move_constructible_v<M>) {
            if (rule != sluice::overflow::block) return sluice::bounded<M>(*capacity, rule);
        }
        return capacity ? sluice::bounded<M>(*capacity) : sluice::unbounded<M>();
    }

    sluice::channel<M> ends;
    int number;
};

// A timer that delivers one message, likewise.
struct timer_probe {
    explicit timer_probe(clock::duration delay)
        : timer(sluice::after(delay)), number(history.add_timer(time_of_the_model() + delay)) {}

    sluice::timer timer;
    int number;
};

// How an operation ends though its channel has nothing for it; one that has no such terms waits for ever.
struct terms {
    std::optional<sluice::errc> at_once;  // a try: what it then reports
    const stop_token* stop = nullptr;
    std::optional<clock::time_point> until;
    std::optional<clock::duration> patience;

    void tell(operation& op) const {
        if (at_once || (patience && *patience <= clock::duration::zero())) op.never_waits();
        if (stop) op.obeys(*stop);
        if (until) op.until(*until);
        if (patience) op.no_longer_than(*patience);
    }
};
inline terms as_try(sluice::errc e) { return {e, nullptr, {}, {}}; }
inline terms under(const stop_token& stop) { return {{}, &stop, {}, {}}; }
inline terms by(clock::time_point when) { return {{}, nullptr, when, {}}; }
inline terms within(clock::duration patience) { return {{}, nullptr, {}, patience}; }

// What an operation on one channel comes to when it fails, in the history.
inline void fails(operation& op, const terms& how, sluice::errc e, int channel, event if_closed) {
    using sluice::errc;
    switch (e) {
        case errc::closed: op.came_to(if_closed, channel); break;
        case errc::stopped:
            expect(how.stop, "an operation is stopped that nobody can stop");
            op.was_stopped();
            break;
        case errc::timeout:
            expect(how.until || how.patience, "an operation times out that has no deadline");
            op.gave_up();
            break;
        default: expect(e == how.at_once, "an operation failed for a reason that it cannot have"); op.gave_up();
    }
    op.end();
}

// What a send of the message `m` with the number `id` has returned.
template <class M>
sluice::errc ends_send(operation& op, const terms& how, int channel, const M& m, int id,
                       const sluice::result<void>& r) {
    if (r) {
        op.came_to(event::sent, channel, id);
        op.end();
        return {};
    }
    fails(op, how, r.error(), channel, event::send_refused);
    expect(m.id() == id, "a send that failed has moved from its message");
    return r.error();
}
// What a receive has returned.
template <class Result>
sluice::errc ends_receive(operation& op, const terms& how, int channel, const Result& r) {
    if (r) {
        op.came_to(event::received, channel, received_id(*r));
        op.end();
        return {};
    }
    fails(op, how, r.error(), channel, event::receive_refused);
    return r.error();
}

// Sends a message with `call(message)`.
template <class M, class Call>
sluice::errc do_send(const char* what, int channel, int id, const terms& how, Call&& call) {
    operation op(what);
    op.sends(channel);
    how.tell(op);
    M m(id);
    try {
        return ends_send(op, how, channel, m, id, call(m));
    } catch (const injected_error&) {
        messages.heard();
    } catch (const std::bad_alloc&) {
    }
    op.came_to(event::threw);
    op.end();
    expect(m.id() == id, "a send that threw has moved from its message");
    return sluice::errc::full;
}

template <class Call>
sluice::errc do_receive(const char* what, int channel, const terms& how, Call&& call) {
    operation op(what);
    op.receives(channel);
    how.tell(op);
    try {
        return ends_receive(op, how, channel, call());
    } catch (const injected_error&) {
        expect(!history.is_rendezvous(channel),
               "a receive hears what the move of a blocked sender's message has thrown");
        messages.heard();
        op.came_to(event::threw);
        return sluice::errc::empty;
    }
}

template <class M>
sluice::errc send(const sluice::sender<M>& tx, int channel, int id) {
    return do_send<M>("send", channel, id, {}, [&](M& m) { return tx.send(std::move(m)); });
}
template <class M>
sluice::errc send(const sluice::sender<M>& tx, int channel, int id, const stop_token& stop) {
    return do_send<M>("send(stop)", channel, id, under(stop), [&](M& m) { return tx.send(std::move(m), stop); });
}
template <class M>
sluice::errc try_send(const sluice::sender<M>& tx, int channel, int id) {
    return do_send<M>("try_send", channel, id, as_try(sluice::errc::full),
                      [&](M& m) { return tx.try_send(std::move(m)); });
}
// On a rendezvous it is a try_send.
template <class M>
void force_send(const sluice::sender<M>& tx, int channel, int id) {
    if (history.is_rendezvous(channel)) {
        do_send<M>("force_send", channel, id, as_try(sluice::errc::full), [&](M& m) -> sluice::result<void> {
            const auto r = tx.force_send(std::move(m));
            expect(!r || !*r, "a message has come out of a rendezvous");
            if (!r) return sluice::unexpected(r.error());
            return {};
        });
        return;
    }
    operation op("force_send");
    op.sends(channel).never_waits();
    M m(id);
    const auto r = tx.force_send(std::move(m));
    if (r) {
        op.came_to(event::forced, channel, forced(id, *r ? (*r)->id() : -1));
    } else {
        expect(r.error() == sluice::errc::closed && m.id() == id,
               "a forced send failed for no reason, or took its message");
        op.came_to(event::send_refused, channel);
    }
    op.end();
}
template <class M>
sluice::errc send_timeout(const sluice::sender<M>& tx, int channel, int id, clock::duration patience = clock::tick) {
    return do_send<M>("send_timeout", channel, id, within(patience),
                      [&](M& m) { return tx.send_timeout(std::move(m), patience); });
}
template <class M>
sluice::errc send_until(const sluice::sender<M>& tx, int channel, int id, clock::time_point when) {
    return do_send<M>("send_until", channel, id, by(when), [&](M& m) { return tx.send_until(std::move(m), when); });
}
template <class M>
sluice::errc send_until(const sluice::sender<M>& tx, int channel, int id, clock::time_point when,
                        const stop_token& stop) {
    return do_send<M>("send_until(stop)", channel, id, {{}, &stop, when, {}},
                      [&](M& m) { return tx.send_until(std::move(m), when, stop); });
}

template <class Receiver>
sluice::errc recv(const Receiver& rx, int channel) {
    return do_receive("recv", channel, {}, [&] { return rx.recv(); });
}
template <class Receiver>
sluice::errc recv(const Receiver& rx, int channel, const stop_token& stop) {
    return do_receive("recv(stop)", channel, under(stop), [&] { return rx.recv(stop); });
}
template <class Receiver>
sluice::errc try_recv(const Receiver& rx, int channel) {
    return do_receive("try_recv", channel, as_try(sluice::errc::empty), [&] { return rx.try_recv(); });
}
template <class Receiver>
sluice::errc recv_timeout(const Receiver& rx, int channel, clock::duration patience = clock::tick) {
    return do_receive("recv_timeout", channel, within(patience), [&] { return rx.recv_timeout(patience); });
}
template <class Receiver>
sluice::errc recv_until(const Receiver& rx, int channel, clock::time_point when) {
    return do_receive("recv_until", channel, by(when), [&] { return rx.recv_until(when); });
}
template <class Receiver>
sluice::errc recv_until(const Receiver& rx, int channel, clock::time_point when, const stop_token& stop) {
    return do_receive("recv_until(stop)", channel, {{}, &stop, when, {}}, [&] { return rx.recv_until(when, stop); });
}

// Two messages at once.
template <class M>
std::size_t send_two(const sluice::sender<M>& tx, int channel, int id, bool blocking) {
    operation op(blocking ? "send_many" : "try_send_many");
    blocking ? op.sends_many(channel) : op.sends(channel).never_waits();
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
    operation op(blocking ? "recv_many" : "try_recv_many");
    op.receives(channel);
    if (!blocking) op.never_waits();
    std::array<std::optional<M>, 2> got;
    const std::size_t count = blocking ? rx.recv_many(got.begin(), 2) : rx.try_recv_many(got.begin(), 2);
    for (std::size_t i = 0; i < count; ++i) op.came_to(event::received, channel, got[i]->id());
    if (blocking && count == 0) op.came_to(event::receive_refused, channel);
    op.end();
    return count;
}

// A batch of up to two messages, under way: what follows the first is waited for, for as long as the batch may linger.
template <class M>
class batch {
public:
    static constexpr std::size_t limit = 2;

    batch(const char* what, const sluice::receiver<M>& rx, int channel, clock::duration linger, const stop_token& stop)
        : op_(what), rx_(rx), channel_(channel), linger_(linger), stop_(stop) {
        // One that does not linger for ever waits with a message only for a time, and not when nobody can go on.
        linger == clock::duration::max() ? op_.receives_many(channel) : op_.receives(channel);
        if (stop.stop_possible()) op_.obeys(stop);
        stopped_before_ = stop.stop_requested();
    }
    auto out() noexcept { return got_.begin(); }
    // What it has returned. One that waits looks at its stop before: so a stop may end it though a message has come
    // meanwhile, and which of the two was first is not told by the history.
    std::size_t ends(std::size_t count) {
        expect(count <= limit, "a batch is larger than its limit");
        for (std::size_t i = 0; i < count; ++i) op_.came_to(event::received, channel_, got_[i]->id());
        for (std::size_t i = count; i < limit; ++i) expect(!got_[i], "a batch does not count a message");
        const bool drained = rx_.is_closed() && rx_.empty(), stopped = stop_.stop_requested();
        if (stopped_before_) {
            expect(count == 0, "a batch takes a message though its stop was requested before");
            op_.was_stopped();
        } else if (count == 0 && (drained || !stopped)) {
            op_.came_to(event::receive_refused, channel_);
        } else if (count > 0 && count < limit && !drained && !stopped && time_matters) {
            expect(linger_ <= time_of_the_model() - begun_, "a batch ends though it may go on");
        }
        op_.end();
        return count;
    }

private:
    operation op_;
    const sluice::receiver<M>& rx_;
    const int channel_;
    const clock::duration linger_;
    const stop_token stop_;
    const clock::time_point begun_ = time_of_the_model();
    bool stopped_before_ = false;
    std::array<std::optional<M>, limit> got_;
};
template <class M>
std::size_t recv_batch(const sluice::receiver<M>& rx, int channel, clock::duration linger,
                       const stop_token& stop = {}) {
    batch<M> taken("recv_batch", rx, channel, linger, stop);
    return taken.ends(rx.recv_batch(taken.out(), batch<M>::limit, linger, stop));
}

template <class H>
bool close(const H& handle, int channel) {
    operation op("close");
    const bool first = handle.close();
    op.came_to(first ? event::closed : event::was_closed, channel);
    return first;
}

template <class M>
void drop(sluice::sender<M>& tx, int channel) {
    operation op("drop of a sender");
    tx = {};
    op.came_to(event::sender_dropped, channel);
}
template <class M>
void drop(sluice::receiver<M>& rx, int channel) {
    operation op("drop of a receiver");
    rx = {};
    op.came_to(event::receiver_dropped, channel);
}

inline void request_stop(stop_source& stop) {
    operation op("request_stop");
    stop.request_stop();
    op.came_to(event::stop_requested);
}

template <class H>
void observe(const H& handle, int channel, std::size_t capacity) {
    operation op("observers");
    const std::size_t size = handle.size();
    expect(size <= capacity, "size() is more than the capacity");
    if (handle.is_closed()) op.came_to(event::was_closed, channel);
}

// ---- Select, by its cases: the handler writes down what was chosen. Where the select is biased, `place` is that of
// the case.

template <class M>
auto receiving(operation& op, const sluice::receiver<M>& rx, int channel, int place = -1) {
    op.receives(channel, false, place);
    return sluice::on_recv(rx, [&op, channel, place](const M& m) {
        expect_unlocked("a handler runs");
        op.takes(place);
        op.came_to(event::received, channel, m.id());
    });
}
template <class M>
auto receiving_or_closed(operation& op, const sluice::receiver<M>& rx, int channel, int place = -1) {
    op.receives(channel, true, place);
    return sluice::on_recv(rx, [&op, channel, place](const sluice::result<M>& m) {
        expect_unlocked("a handler runs");
        op.takes(place);
        op.came_to(m ? event::received : event::receive_refused, channel, m ? m->id() : -1);
    });
}
inline auto receiving(operation& op, const timer_probe& t, int place = -1) {
    op.receives(t.number, false, place);
    return sluice::on_recv(t.timer, [&op, channel = t.number, place](clock::time_point when) {
        expect_unlocked("a handler runs");
        op.takes(place);
        op.came_to(event::received, channel, received_id(when));
    });
}
template <class M>
auto sending(operation& op, const sluice::sender<M>& tx, int channel, M& message, int place = -1) {
    op.sends(channel, false, place);
    return sluice::on_send(tx, std::move(message), [&op, channel, place, id = message.id()] {
        expect_unlocked("a handler runs");
        op.takes(place);
        op.came_to(event::sent, channel, id);
    });
}
template <class M>
auto sending_or_closed(operation& op, const sluice::sender<M>& tx, int channel, M& message, int place = -1) {
    op.sends(channel, true, place);
    return sluice::on_send(tx, std::move(message), [&op, channel, place, id = message.id()](sluice::result<void> r) {
        expect_unlocked("a handler runs");
        op.takes(place);
        op.came_to(r ? event::sent : event::send_refused, channel, r ? id : -1);
    });
}
template <class H>
auto hearing_of_closing(operation& op, const H& handle, int channel, int place = -1) {
    op.hears_of_closing(channel, place);
    return sluice::on_closed(handle, [&op, channel, place] {
        expect_unlocked("a handler runs");
        op.takes(place);
        op.came_to(event::was_closed, channel);
    });
}
inline auto stopping(operation& op, const stop_token& stop, int place = -1) {
    op.hears_of_stop(stop, place);
    return sluice::on_stop(stop, [&op, place] {
        expect_unlocked("a handler runs");
        op.takes(place);
        op.was_stopped();
    });
}
inline auto giving_up(operation& op) {
    op.never_waits();
    return sluice::otherwise([&op] {
        expect_unlocked("a handler runs");
        op.gave_up();
    });
}
inline auto giving_up_after(operation& op, clock::duration patience) {
    op.no_longer_than(patience);
    if (patience <= clock::duration::zero()) op.never_waits();
    return sluice::on_timeout(patience, [&op] {
        expect_unlocked("a handler runs");
        op.gave_up();
    });
}
inline auto giving_up_by(operation& op, clock::time_point when) {
    op.until(when);
    return sluice::on_deadline(when, [&op] {
        expect_unlocked("a handler runs");
        op.gave_up();
    });
}

// What a select has returned: without an index nothing can ever become ready.
inline void chose(operation& op, const sluice::result<std::size_t>& chosen, bool can_end = true) {
    if (chosen) return;
    expect(can_end && chosen.error() == sluice::errc::closed, "a select has chosen nothing");
    op.all_closed();
}

}  // namespace model
