// Selects that a coroutine awaits, against those of threads and of other coroutines; and timers that are reset or
// cancelled as coroutines wait for them.
#include <model/async_operations.hpp>
#include <model/two_channels.hpp>

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace model {

namespace {

using M = number;
using pair_of_channels = two_channels<M>;
using action = std::function<void(pair_of_channels&)>;

void await_either(probe<M>& first, probe<M>& second) {
    in_coroutine([&](executor, small_loop&) -> coroutine {
        operation op("async_select(recv, recv)");
        const auto r = co_await sluice::async_select(receiving(op, first.ends.rx, first.number),
                                                     receiving(op, second.ends.rx, second.number));
        chose(op, r);
    });
}
void await_send_either(probe<M>& first, probe<M>& second, int id) {
    in_coroutine([&](executor, small_loop&) -> coroutine {
        operation op("async_select(send, send)");
        M m(id), n(id + 1);
        const auto r = co_await sluice::async_select(sending(op, first.ends.tx, first.number, m),
                                                     sending(op, second.ends.tx, second.number, n));
        chose(op, r);
    });
}
void await_exchange(probe<M>& from, probe<M>& to, int id) {
    in_coroutine([&](executor, small_loop&) -> coroutine {
        operation op("async_select(recv, send)");
        M m(id);
        const auto r = co_await sluice::async_select(receiving(op, from.ends.rx, from.number),
                                                     sending(op, to.ends.tx, to.number, m));
        chose(op, r);
    });
}
void await_closing(probe<M>& closes, probe<M>& sends) {
    in_coroutine([&](executor, small_loop&) -> coroutine {
        operation op("async_select(closed, recv)");
        const auto r = co_await sluice::async_select(hearing_of_closing(op, closes.ends.tx, closes.number),
                                                     receiving(op, sends.ends.rx, sends.number));
        chose(op, r, false);
    });
}
void await_in_time(probe<M>& first, probe<M>& second) {
    in_coroutine([&](executor, small_loop&) -> coroutine {
        operation op("async_select_biased(recv, recv, timeout)");
        op.biased();
        const auto r = co_await sluice::async_select_biased(receiving(op, first.ends.rx, first.number, 0),
                                                            receiving(op, second.ends.rx, second.number, 1),
                                                            giving_up_after(op, clock::tick));
        chose(op, r, false);
    });
}

void add_meeting(const std::string& name, const std::string& property, budgets limits, std::vector<action> actions) {
    for (const auto& [kind, capacity] : {std::pair("rendezvous", 0), std::pair("one", 1)}) {
        add(std::string("async-select/") + kind + "/" + name, property, limits, [c = capacity, actions] {
            pair_of_channels t(static_cast<std::size_t>(c));
            run_at_once(t, actions);
        });
    }
}

// ---- Timers

void check_time(const sluice::result<clock::time_point>& t) {
    if (t) expect(*t <= clock::now(), "a timer is early");
}
void expect_tick(const sluice::timer& t) {
    in_coroutine([&](executor, small_loop&) -> coroutine {
        const auto r = co_await t.async_recv();
        expect(r.has_value(), "a timer that ticks has ended");
        check_time(r);
    });
}
void expect_end(const sluice::timer& t) {
    in_coroutine([&](executor, small_loop&) -> coroutine {
        const auto r = co_await t.async_recv();
        expect(!r, "a cancelled timer has ticked");
    });
}
// Beside a channel on which nothing comes.
void expect_tick_in_select(const sluice::timer& t, const sluice::receiver<int>& rx) {
    in_coroutine([&](executor, small_loop&) -> coroutine {
        bool ticked = false;
        const auto on_tick = [&ticked](clock::time_point due) {
            expect(due <= clock::now(), "a timer is early");
            ticked = true;
        };
        const auto on_message = [](int) {};
        const auto r = co_await sluice::async_select(sluice::on_recv(rx, on_message), sluice::on_recv(t, on_tick));
        expect(r && ticked, "a select has missed a tick");
    });
}
void expect_nothing_in_select(const sluice::timer& t) {
    in_coroutine([&](executor, small_loop&) -> coroutine {
        const auto on_tick = [](clock::time_point) {};
        const auto r = co_await sluice::async_select(sluice::on_recv(t, on_tick));
        expect(!r, "a cancelled timer has ticked");
    });
}

}  // namespace

[[maybe_unused]] static const bool added = [] {
    constexpr budgets two{.preemptions = 2, .stale_reads = 0, .ticks = 0, .detours = 2};
    constexpr budgets three{.preemptions = 1, .stale_reads = 0, .ticks = 0, .detours = 1};
    constexpr budgets timed{.preemptions = 2, .stale_reads = 0, .ticks = 2, .detours = 1};
    constexpr budgets fewer{.preemptions = 1, .stale_reads = 0, .ticks = 2, .detours = 1};

    const action sends = [](pair_of_channels& t) { send_either(t.a, t.b, 10); };
    const action sends_reversed = [](pair_of_channels& t) { send_either(t.b, t.a, 20); };
    const action receives_reversed = [](pair_of_channels& t) { receive_either(t.b, t.a); };
    const action back = [](pair_of_channels& t) { receive_or_send(t.b, t.a, 40); };
    const action both_of_a = [](pair_of_channels& t) { receive_or_send(t.a, t.a, 50); };
    const action awaits = [](pair_of_channels& t) { await_either(t.a, t.b); };
    const action awaits_send = [](pair_of_channels& t) { await_send_either(t.a, t.b, 12); };
    const action awaits_send_reversed = [](pair_of_channels& t) { await_send_either(t.b, t.a, 22); };
    const action awaits_forth = [](pair_of_channels& t) { await_exchange(t.a, t.b, 30); };
    const action awaits_both = [](pair_of_channels& t) { await_exchange(t.a, t.a, 32); };
    const action awaits_both_again = [](pair_of_channels& t) { await_exchange(t.a, t.a, 34); };
    const action awaits_closing = [](pair_of_channels& t) { await_closing(t.a, t.b); };
    const action awaits_in_time = [](pair_of_channels& t) { await_in_time(t.a, t.b); };
    const action send_a = [](pair_of_channels& t) { send(t.a.ends.tx, t.a.number, 1); };
    const action send_b = [](pair_of_channels& t) { send(t.b.ends.tx, t.b.number, 2); };
    const action recv_a = [](pair_of_channels& t) { recv(t.a.ends.rx, t.a.number); };
    const action recv_b = [](pair_of_channels& t) { recv(t.b.ends.rx, t.b.number); };
    const action awaits_send_a = [](pair_of_channels& t) { async_send(t.a.ends.tx, t.a.number, 3); };
    const action close_a = [](pair_of_channels& t) { close(t.a.ends.tx, t.a.number); };

    const std::string meet = "Selects that meet exchange exactly one message, whether threads or coroutines wait.";
    add_meeting("recv-send", meet, two, {awaits, sends});
    add_meeting("recv-send-reversed", meet, two, {awaits, sends_reversed});
    add_meeting("send-recv", meet, two, {awaits_send, receives_reversed});
    add_meeting("recv-send-coroutines", meet, two, {awaits, awaits_send_reversed});
    add_meeting("forth-back", meet, two, {awaits_forth, back});
    add_meeting("both-both", "A select does not serve itself, but another like it.", two, {awaits_both, both_of_a});
    add_meeting("both-both-coroutines", "A select does not serve itself, but another like it.", two,
                {awaits_both, awaits_both_again});
    add_meeting("both-send", "A select with both ends of a channel is served by a send.", two, {awaits_both, send_a});
    add_meeting("recv-send-a-send-b", "Of two sends at once a select takes one, and leaves the other.", three,
                {awaits, send_a, send_b});
    add_meeting("send-recv-a-recv-b", "Of two receives at once a select serves one, and leaves the other.", three,
                {awaits_send, recv_a, recv_b});
    add_meeting("closing-send", "A select hears that one channel closes, or takes the message of the other; not both.",
                three, {awaits_closing, close_a, send_b});
    add_meeting("close-one", "Closing one channel takes its case out; the other case goes on.", three,
                {awaits, close_a, send_b});
    add_meeting("in-time", "A deadline and a message: one of the two, and nothing lost.", timed,
                {awaits_in_time, send_a});
    add_meeting("line", "Threads and coroutines in one line are served once each.", three,
                {awaits, recv_a, awaits_send_a, send_a});

    add("async-timer/after", "The one tick goes to one of two coroutines; the other hears that it is over.", timed, [] {
        const sluice::timer t = sluice::after(clock::tick);
        int got = 0;
        mutex m;
        const auto receive = [&] {
            in_coroutine([&](executor, small_loop&) -> coroutine {
                const auto r = co_await t.async_recv();
                check_time(r);
                const std::lock_guard lock(m);
                got += r ? 1 : 0;
            });
        };
        { thread a(receive), b(receive); }
        expect(got == 1, "a tick was lost or doubled");
    });
    add("async-timer/cancel", "A cancel is heard by a coroutine, a select of one, and a thread.", fewer, [] {
        const sluice::timer t = sluice::after(clock::duration::max());
        thread a([&] { expect_end(t); });
        thread b([&] { expect_nothing_in_select(t); });
        thread c([&] { expect(!t.recv(), "a cancelled timer has ticked"); });
        t.cancel();
    });
    add("async-timer/cancel-one", "A cancel is heard by a coroutine.", timed, [] {
        const sluice::timer t = sluice::after(clock::duration::max());
        thread a([&] { expect_end(t); });
        t.cancel();
    });
    add("async-timer/reset", "A coroutine that waits for a time that is reset waits for the new one.", timed, [] {
        const sluice::timer t = sluice::after(clock::duration::max());
        thread a([&] { expect_tick(t); });
        t.reset(clock::tick);
    });
    add("async-timer/reset-twice", "So does one that is told twice, as it stands in line again.", timed, [] {
        const sluice::timer t = sluice::after(clock::duration::max());
        thread a([&] { expect_tick(t); });
        thread b([&] { t.reset(2 * clock::tick); });
        t.reset(clock::tick);
    });
    add("async-timer/reset-in-select", "A select of a coroutine follows the reset of its timer.", timed, [] {
        const sluice::timer t = sluice::after(clock::duration::max());
        auto [tx, rx] = sluice::rendezvous<int>();
        thread a([&, &rx = rx] { expect_tick_in_select(t, rx); });
        t.reset(clock::tick);
        a.join();
    });
    add("async-timer/reset-again-in-select", "So does one whose timer had ended.", timed, [] {
        const sluice::timer t = sluice::after(clock::duration::max());
        auto [tx, rx] = sluice::rendezvous<int>();
        thread a([&, &rx = rx] { expect_tick_in_select(t, rx); });
        t.cancel();
        t.reset(clock::tick);
        a.join();
    });
    add("async-timer/first-and-thread", "A thread behind a coroutine in the line watches the clock when that has left.",
        fewer, [] {
            const sluice::timer t = sluice::tick(clock::tick);
            const stop_source stop;
            thread a([&] { expect_tick(t); });
            thread b([&] {
                const auto r = t.recv();
                expect(r.has_value(), "a tick is lost");
                check_time(r);
            });
            t.reset(clock::tick);
        });
    add("async-timer/against-message", "A tick against a message: one is chosen, and the other is left.", timed, [] {
        const sluice::timer t = sluice::after(clock::tick);
        auto [tx, rx] = sluice::unbounded<int>();
        bool ticked = false, got = false;
        {
            thread a([&, &rx = rx] {
                in_coroutine([&](executor, small_loop&) -> coroutine {
                    const auto on_message = [&got](int) { got = true; };
                    const auto on_tick = [&ticked](clock::time_point) { ticked = true; };
                    const auto r =
                        co_await sluice::async_select(sluice::on_recv(rx, on_message), sluice::on_recv(t, on_tick));
                    expect(r.has_value(), "a select has chosen nothing");
                });
            });
            expect(tx.send(1).has_value(), "a send fails");
        }
        expect(ticked != got, "a select has chosen both, or none");
        expect(rx.try_recv().has_value() == ticked, "a message is lost, or came twice");
    });
    add("async-timer/stop", "A stop ends the wait for a timer.", timed, [] {
        const sluice::timer t = sluice::after(clock::duration::max());
        stop_source stop;
        thread a([&] {
            in_coroutine([&](executor, small_loop&) -> coroutine {
                const auto r = co_await t.async_recv(stop.get_token());
                expect(!r && r.error() == sluice::errc::stopped, "a stop is not heard");
            });
        });
        stop.request_stop();
    });
    return true;
}();

}  // namespace model
