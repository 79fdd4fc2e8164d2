// A coroutine that works on all channels of a round, and may be destroyed at each point where it is suspended.
#pragma once

#include "worker.hpp"

#include <sluice/async.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <stop_token>
#include <utility>
#include <vector>

namespace soak {

/// What leaves some tasks.
struct quit {};

class coroutine_worker : worker {
public:
    coroutine_worker(const workplace& place, std::uint32_t number, std::uint64_t seed, bool quits)
        : worker(place, number, seed), quits_(quits) {}

    /// The worker outlives the task. `group` stops some of what it waits for.
    sluice::task<> run(unsigned share, std::stop_token group) {
        done.coroutines.fetch_add(1, std::memory_order_relaxed);
        group_ = std::move(group);
        const presence here(*this);
        for (; operations_ < share; ++operations_) co_await one_operation();
        if (quits_) throw quit();
    }

private:
    // Ends with the coroutine, whether that has come to its end or is destroyed.
    class presence {
    public:
        explicit presence(coroutine_worker& of) : of_(of) {}
        presence(const presence&) = delete;
        presence& operator=(const presence&) = delete;
        ~presence() { of_.ended(of_.operations_); }

    private:
        coroutine_worker& of_;
    };

    // Messages that a coroutine offers, or has taken. One that is destroyed meanwhile has those that are left.
    class holding {
    public:
        explicit holding(fate left) : left_(left) {}
        holding(fate left, message m) : left_(left) { all.push_back(std::move(m)); }
        holding(const holding&) = delete;
        holding& operator=(const holding&) = delete;
        ~holding() {
            for (message& m : all) m.end(left_);
        }
        message& first() { return all.front(); }

        std::vector<message> all;

    private:
        const fate left_;
    };
    // The send of one that is destroyed is withdrawn.
    holding offer(std::size_t c) { return {fate::returned, make(c)}; }

    sluice::task<> one_operation() {
        const std::size_t c = any_channel();
        switch (below(7)) {
            case 0: co_await send(c); break;
            case 1: co_await recv(c); break;
            case 2: co_await move_many(c); break;
            case 3: co_await select(c, any_channel()); break;
            case 4: co_await receive_by_select(c); break;
            case 5: co_await pass_note(); break;
            default: co_await no_channel_of_others(); break;
        }
    }

    // Where all handles may be dropped, a wait without a limit would end by a stop alone.
    bool without_stop() { return !leaves_ && below(2) == 0; }
    std::stop_token either_stop() { return below(2) == 0 ? stop_ : group_; }

    sluice::task<> send(std::size_t c) {
        const channel& ch = channels_[c];
        holding held = offer(c);
        message& m = held.first();
        const auto p = patience();
        sluice::result<void> sent;
        switch (below(5)) {
            case 0: sent = co_await ch.tx.async_send_timeout(std::move(m), p); break;
            case 1: sent = co_await ch.tx.async_send_until(std::move(m), steady::now() + p); break;
            case 2: sent = co_await ch.tx.async_send_timeout(std::move(m), p, either_stop()); break;
            case 3: sent = ch.tx.try_send(std::move(m)); break;
            default:
                if (without_stop()) {
                    sent = co_await ch.tx.async_send(std::move(m));
                } else {
                    sent = co_await ch.tx.async_send(std::move(m), stop_);
                }
        }
        gave(m, sent.has_value());
    }

    sluice::task<> recv(std::size_t c) {
        const channel& ch = channels_[c];
        const auto p = patience();
        switch (below(5)) {
            case 0: got(c, co_await ch.rx.async_recv_timeout(p)); break;
            case 1: got(c, co_await ch.rx.async_recv_until(std::chrono::system_clock::now() + p)); break;
            case 2: got(c, co_await ch.rx.async_recv_timeout(p, either_stop())); break;
            case 3: got(c, ch.rx.try_recv()); break;
            default:
                if (without_stop()) {
                    got(c, co_await ch.rx.async_recv());
                } else {
                    got(c, co_await ch.rx.async_recv(stop_));
                }
        }
    }

    sluice::task<> move_many(std::size_t c) {
        const channel& ch = channels_[c];
        const std::size_t most = 1 + below(20);
        const int which = static_cast<int>(below(3));
        if (which == 0) {
            holding batch(fate::returned);
            for (std::size_t i = 0; i < most; ++i) batch.all.push_back(make(c));
            const given_up range(batch.all);
            const std::size_t sent = co_await ch.tx.async_send_many(range, stop_);
            for (std::size_t i = 0; i < most; ++i) gave(batch.all[i], i < sent);
            co_return;
        }
        holding batch(fate::received);
        const auto p = patience();
        std::size_t count = 0;
        if (which == 1) {
            count = co_await ch.rx.async_recv_many(std::back_inserter(batch.all), most, stop_);
        } else {
            count = co_await ch.rx.async_recv_batch(std::back_inserter(batch.all), most, p, stop_);
        }
        if (count != batch.all.size()) lost("a batch was counted wrong");
        for (message& m : batch.all) take(c, m);
    }

    sluice::task<> select(std::size_t c, std::size_t d) {
        const channel &first = channels_[c], &second = channels_[d];
        const auto p = patience();
        switch (below(3)) {
            case 0:
                (void)co_await sluice::async_select(sluice::on_recv(first.rx, [this, c](message m) { take(c, m); }),
                                                    sluice::on_recv(second.rx, [this, d](message m) { take(d, m); }),
                                                    sluice::on_timeout(p, [] {}));
                break;
            case 1: {
                holding m = offer(c), n = offer(d);
                bool first_sent = false, second_sent = false;
                (void)co_await sluice::async_select(
                    sluice::on_send(first.tx, std::move(m.first()), [&] { first_sent = true; }),
                    sluice::on_send(second.tx, std::move(n.first()), [&] { second_sent = true; }),
                    sluice::on_timeout(p, [] {}));
                gave(m.first(), first_sent);
                gave(n.first(), second_sent);
                break;
            }
            default: {
                holding m = offer(c);
                bool sent = false;
                (void)co_await sluice::async_select(
                    sluice::on_recv(second.rx, [this, d](sluice::result<message> r) { got(d, r); }),
                    sluice::on_send(first.tx, std::move(m.first()),
                                    [&](const sluice::result<void>& r) { sent = r.has_value(); }),
                    sluice::on_timeout(p, [] {}));
                gave(m.first(), sent);
            }
        }
    }

    sluice::task<> receive_by_select(std::size_t c) {
        const channel& ch = channels_[c];
        const auto p = patience();
        const auto take_it = [this, c](message m) { take(c, m); };
        switch (below(4)) {
            case 0:
                (void)co_await sluice::async_select_biased(sluice::on_recv(ch.rx, take_it), sluice::otherwise([] {}));
                break;
            case 1: {
                const sluice::timer t = sluice::after(p);
                (void)co_await sluice::async_select(sluice::on_recv(ch.rx, take_it),
                                                    sluice::on_recv(t, [](steady::time_point) {}),
                                                    sluice::on_stop(stop_, [] {}));
                break;
            }
            case 2: (void)co_await sluice::async_select(sluice::on_recv(ch.rx, take_it), sluice::on_stop(stop_)); break;
            default: {
                sluice::selector group;
                for (std::size_t i = 0; i < channels_.size(); ++i) {
                    group.add(sluice::on_recv(channels_[i].rx, [this, i](message m) { take(i, m); }));
                }
                if (below(2) == 0) {
                    (void)co_await group.async_wait_timeout(p);
                } else {
                    (void)co_await group.async_wait(stop_);
                }
            }
        }
    }

    sluice::task<> pass_note() {
        const auto p = patience();
        const auto take_it = [this](note n) { take(n); };
        switch (below(6)) {
            case 0: {
                const note n = make_note();
                const auto sent = co_await notes_.tx.async_send_timeout(n, p, either_stop());
                gave(n, sent.has_value());
                break;
            }
            case 1: {
                const note n = make_note();
                const auto sent = co_await notes_.tx.async_send(n, stop_);
                gave(n, sent.has_value());
                break;
            }
            case 2: got(co_await notes_.rx.async_recv_timeout(p, either_stop())); break;
            case 3:
                if (without_stop()) {
                    got(co_await notes_.rx.async_recv());
                } else {
                    got(co_await notes_.rx.async_recv(stop_));
                }
                break;
            case 4:
                (void)co_await sluice::async_select(sluice::on_recv(notes_.rx, take_it), sluice::on_stop(stop_));
                break;
            default: {
                const note n = make_note();
                bool sent = false;
                (void)co_await sluice::async_select(sluice::on_recv(notes_.rx, take_it), sluice::on_timeout(p),
                                                    sluice::on_send(notes_.tx, n, [&] { sent = true; }));
                gave(n, sent);
            }
        }
    }

    sluice::task<> no_channel_of_others() {
        const auto p = patience();
        switch (below(4)) {
            case 0: {
                const sluice::timer t = sluice::after(p);
                (void)co_await t.async_recv();
                break;
            }
            case 1: co_await send_to_child(p, below(4) == 0); break;
            default: co_await sluice::yield();
        }
    }

    // A channel of its own, whose other end another coroutine drops, which may end by an exception.
    sluice::task<> send_to_child(std::chrono::microseconds patient, bool child_quits) {
        auto [tx, rx] = sluice::bounded<message>(below(3));
        sluice::task_group children(co_await sluice::this_executor());
        children.spawn(receive_one(std::move(rx), patient, child_quits));
        holding held(fate::returned, make_private());
        const auto sent = co_await tx.async_send(std::move(held.first()));
        gave(held.first(), sent.has_value());
        tx = {};
        bool threw = false;
        try {
            co_await children.join();
        } catch (const quit&) {
            threw = true;
        }
        if (threw != child_quits) lost("a group's exception did not come, or came by itself");
    }
    static sluice::task<> receive_one(sluice::receiver<message> rx, std::chrono::microseconds patient, bool quits) {
        if (auto m = co_await rx.async_recv_timeout(patient)) m->end(fate::received);
        if (quits) throw quit();
    }

    const bool quits_;
    std::stop_token group_;
    unsigned operations_ = 0;
};

}  // namespace soak
