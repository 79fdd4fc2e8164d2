// The operations that a coroutine awaits, each written down in the history of the model as that of its thread, which runs
// nothing else meanwhile.
#pragma once

#include <sluice/async.hpp>

#include <array>
#include <cstddef>
#include <functional>
#include <optional>
#include <utility>

#include <model/coroutines.hpp>
#include <model/operations.hpp>
#include <model/scenario.hpp>

namespace model {

using executor = small_loop::executor;

template <class M>
void async_send(const sluice::sender<M>& tx, int channel, int id) {
    in_coroutine([&](executor, small_loop&) -> coroutine {
        operation op("async_send");
        op.sends(channel);
        M m(id);
        const sluice::result<void> r = co_await tx.async_send(std::move(m));
        ends_send(op, {}, channel, m, id, r);
    });
}
// Of a message that stays with the caller.
template <class M>
void async_send_copy(const sluice::sender<M>& tx, int channel, int id) {
    in_coroutine([&](executor, small_loop&) -> coroutine {
        operation op("async_send(copy)");
        op.sends(channel);
        const M m(id);
        const sluice::result<void> r = co_await tx.async_send(m);
        ends_send(op, {}, channel, m, id, r);
        expect(m.id() == id, "a send of a copy has moved from the message");
    });
}
template <class M>
void async_send(const sluice::sender<M>& tx, int channel, int id, const stop_token& stop) {
    in_coroutine([&](executor, small_loop&) -> coroutine {
        operation op("async_send(stop)");
        op.sends(channel);
        const terms how = under(stop);
        how.tell(op);
        M m(id);
        const sluice::result<void> r = co_await tx.async_send(std::move(m), stop);
        ends_send(op, how, channel, m, id, r);
    });
}
template <class M>
void async_send_timeout(const sluice::sender<M>& tx, int channel, int id) {
    in_coroutine([&](executor, small_loop&) -> coroutine {
        operation op("async_send_timeout");
        op.sends(channel);
        const terms how = within(clock::tick);
        how.tell(op);
        M m(id);
        const sluice::result<void> r = co_await tx.async_send_timeout(std::move(m), clock::tick);
        ends_send(op, how, channel, m, id, r);
    });
}
// Two messages at once; as send_two() and recv_two(). A stop may end it between the two, also where there is room.
template <class M>
void async_send_two(const sluice::sender<M>& tx, int channel, int id, const stop_token& stop = {}) {
    in_coroutine([&](executor, small_loop&) -> coroutine {
        operation op("async_send_many");
        op.sends_many(channel);
        if (stop.stop_possible()) op.obeys(stop);
        const bool stopped_before = stop.stop_requested();
        std::array<M, 2> pair{M(id), M(id + 1)};
        const std::size_t sent = co_await tx.async_send_many(std::move(pair), stop);
        for (std::size_t i = 0; i < sent; ++i) op.came_to(event::sent, channel, id + static_cast<int>(i));
        if (stopped_before) {
            expect(sent == 0, "async_send_many sends though its stop was requested before");
            op.was_stopped();
        } else if (sent < 2 && (tx.is_closed() || !stop.stop_requested())) {
            op.came_to(event::send_refused, channel);
        }
        op.end();
        for (std::size_t i = sent; i < 2; ++i)
            expect(pair[i].id() == id + static_cast<int>(i), "async_send_many has moved from what it did not send");
    });
}

template <class Receiver>
void async_recv(const Receiver& rx, int channel) {
    in_coroutine([&](executor, small_loop&) -> coroutine {
        operation op("async_recv");
        op.receives(channel);
        const auto r = co_await rx.async_recv();
        ends_receive(op, {}, channel, r);
    });
}
template <class Receiver>
void async_recv(const Receiver& rx, int channel, const stop_token& stop) {
    in_coroutine([&](executor, small_loop&) -> coroutine {
        operation op("async_recv(stop)");
        op.receives(channel);
        const terms how = under(stop);
        how.tell(op);
        const auto r = co_await rx.async_recv(stop);
        ends_receive(op, how, channel, r);
    });
}
template <class Receiver>
void async_recv_timeout(const Receiver& rx, int channel) {
    in_coroutine([&](executor, small_loop&) -> coroutine {
        operation op("async_recv_timeout");
        op.receives(channel);
        const terms how = within(clock::tick);
        how.tell(op);
        const auto r = co_await rx.async_recv_timeout(clock::tick);
        ends_receive(op, how, channel, r);
    });
}
template <class M>
void async_recv_two(const sluice::receiver<M>& rx, int channel) {
    in_coroutine([&](executor, small_loop&) -> coroutine {
        operation op("async_recv_many");
        op.receives(channel);
        std::array<std::optional<M>, 2> got;
        const std::size_t count = co_await rx.async_recv_many(got.begin(), 2);
        for (std::size_t i = 0; i < count; ++i) op.came_to(event::received, channel, got[i]->id());
        if (count == 0) op.came_to(event::receive_refused, channel);
        op.end();
    });
}
template <class M>
void async_recv_batch(const sluice::receiver<M>& rx, int channel, clock::duration linger, const stop_token& stop = {}) {
    in_coroutine([&](executor, small_loop&) -> coroutine {
        batch<M> taken("async_recv_batch", rx, channel, linger, stop);
        const std::size_t count = co_await rx.async_recv_batch(taken.out(), batch<M>::limit, linger, stop);
        taken.ends(count);
    });
}

// ---- A coroutine that is destroyed

using wait = std::function<coroutine(executor, small_loop&)>;

// On the thread where it runs, when others have done something, or nothing yet; the thread has run what was posted by
// then, or it has not.
inline void destroy_meanwhile(small_loop& loop, const wait& waits, const std::function<void()>& acts) {
    coroutine c = waits(executor(loop), loop);
    thread a(acts);
    yield();
    if (choose_below(2) == 1) loop.run_some();
    c.destroy();
}

// ---- The same for scenarios

template <class M>
void run_async_select_send(fixture<M>& t, tx_of<M> tx, rx_of<M>, int id) {
    in_coroutine([&](executor, small_loop&) -> coroutine {
        operation op("async_select(send)");
        M m(id);
        const auto r = co_await sluice::async_select(sending(op, tx, t.channel.number, m));
        chose(op, r);
    });
}
template <class M>
void run_async_select_recv(fixture<M>& t, tx_of<M>, rx_of<M> rx, int) {
    in_coroutine([&](executor, small_loop&) -> coroutine {
        operation op("async_select(recv)");
        const auto r = co_await sluice::async_select(receiving(op, rx, t.channel.number));
        chose(op, r);
    });
}
template <class M>
void run_async_select_recv_timeout(fixture<M>& t, tx_of<M>, rx_of<M> rx, int) {
    in_coroutine([&](executor, small_loop&) -> coroutine {
        operation op("async_select(recv, timeout)");
        const auto r = co_await sluice::async_select(receiving_or_closed(op, rx, t.channel.number),
                                                     giving_up_after(op, clock::tick));
        chose(op, r, false);
    });
}
template <class M>
void run_async_select_recv_stop(fixture<M>& t, tx_of<M>, rx_of<M> rx, int) {
    in_coroutine([&](executor, small_loop&) -> coroutine {
        operation op("async_select(recv, stop)");
        const stop_token stop = t.stop.get_token();
        const auto r = co_await sluice::async_select(receiving_or_closed(op, rx, t.channel.number), stopping(op, stop));
        chose(op, r, false);
    });
}
template <class M>
void run_async_select_both(fixture<M>& t, tx_of<M> tx, rx_of<M> rx, int id) {
    in_coroutine([&](executor, small_loop&) -> coroutine {
        operation op("async_select(recv, send)");
        M m(id);
        const auto r =
            co_await sluice::async_select(receiving(op, rx, t.channel.number), sending(op, tx, t.channel.number, m));
        chose(op, r);
    });
}

// Those of many messages. That which lingers for ever waits for a second message until the channel closes.
template <class M>
const std::vector<channel_op<M>>& async_batch_ops() {
    using fixture_t = fixture<M>;
    static const std::vector<channel_op<M>> all = {
        {"async_recv_batch",
         [](fixture_t& t, tx_of<M>, rx_of<M> rx, int) {
             async_recv_batch(rx, t.channel.number, clock::duration::max());
         },
         false, true},
        {"async_recv_batch_linger",
         [](fixture_t& t, tx_of<M>, rx_of<M> rx, int) { async_recv_batch(rx, t.channel.number, clock::tick); }, false,
         true},
        {"async_recv_batch_stop",
         [](fixture_t& t, tx_of<M>, rx_of<M> rx, int) {
             async_recv_batch(rx, t.channel.number, clock::duration::max(), t.stop.get_token());
         },
         false, true},
        {"async_send_many_stop",
         [](fixture_t& t, tx_of<M> tx, rx_of<M>, int id) {
             async_send_two(tx, t.channel.number, id, t.stop.get_token());
         },
         true, false},
    };
    return all;
}

template <class M>
const std::vector<channel_op<M>>& async_channel_ops() {
    using fixture_t = fixture<M>;
    static const std::vector<channel_op<M>> all = {
        {"async_send", [](fixture_t& t, tx_of<M> tx, rx_of<M>, int id) { async_send(tx, t.channel.number, id); }, true,
         false},
        {"async_send_copy",
         [](fixture_t& t, tx_of<M> tx, rx_of<M>, int id) { async_send_copy(tx, t.channel.number, id); }, true, false},
        {"async_send_stop",
         [](fixture_t& t, tx_of<M> tx, rx_of<M>, int id) { async_send(tx, t.channel.number, id, t.stop.get_token()); },
         true, false},
        {"async_send_timeout",
         [](fixture_t& t, tx_of<M> tx, rx_of<M>, int id) { async_send_timeout(tx, t.channel.number, id); }, true,
         false},
        {"async_send_many",
         [](fixture_t& t, tx_of<M> tx, rx_of<M>, int id) { async_send_two(tx, t.channel.number, id); }, true, false},
        {"async_recv", [](fixture_t& t, tx_of<M>, rx_of<M> rx, int) { async_recv(rx, t.channel.number); }, false, true},
        {"async_recv_stop",
         [](fixture_t& t, tx_of<M>, rx_of<M> rx, int) { async_recv(rx, t.channel.number, t.stop.get_token()); }, false,
         true},
        {"async_recv_timeout",
         [](fixture_t& t, tx_of<M>, rx_of<M> rx, int) { async_recv_timeout(rx, t.channel.number); }, false, true},
        {"async_recv_many", [](fixture_t& t, tx_of<M>, rx_of<M> rx, int) { async_recv_two(rx, t.channel.number); },
         false, true},
        {"async_select_send", run_async_select_send<M>, true, false},
        {"async_select_recv", run_async_select_recv<M>, false, true},
        {"async_select_recv_timeout", run_async_select_recv_timeout<M>, false, true},
        {"async_select_recv_stop", run_async_select_recv_stop<M>, false, true},
        {"async_select_both", run_async_select_both<M>, true, true},
    };
    return all;
}

}  // namespace model
