// Timers, alone and in selects: each tick goes to one receiver, none is early.
#include <model/models.hpp>
#include <model/operations.hpp>

#include <memory>

namespace model {

namespace {

using ticks = sluice::result<clock::time_point>;

void check_time(const ticks& t) {
    if (t) expect(*t <= clock::now(), "a timer is early");
}

}  // namespace

[[maybe_unused]] static const bool added = [] {
    constexpr budgets limits{.preemptions = 3, .stale_reads = 0, .ticks = 2, .detours = 2};
    constexpr budgets fewer{.preemptions = 2, .stale_reads = 0, .ticks = 2, .detours = 2};
    constexpr budgets narrow{.preemptions = 1, .stale_reads = 0, .ticks = 1, .detours = 2};

    add("timer/after-once", "The one tick of after() goes to one of two receivers; the other hears that it is over.",
        limits, [] {
            const sluice::timer t = sluice::after(clock::tick);
            const auto start = clock::time_point{};
            int got = 0, closed = 0;
            mutex m;
            const auto receive = [&] {
                const ticks r = t.recv();
                check_time(r);
                if (r) expect(*r > start, "a timer is early");
                const std::lock_guard lock(m);
                ++(r ? got : closed);
            };
            { thread a(receive), b(receive); }
            expect(got == 1 && closed == 1, "a tick was lost or doubled");
        });

    add("timer/after-in-selects",
        "The one tick of after() decides one of two selects; the other goes on to its channel.", fewer, [] {
            const sluice::timer t = sluice::after(clock::tick);
            auto [tx, rx] = sluice::rendezvous<int>();
            int got = 0, closed = 0;
            mutex m;
            const auto receive = [&] {
                const auto count = [&](int& what) {
                    expect_unlocked("a handler runs");
                    const std::lock_guard lock(m);
                    ++what;
                };
                const auto r = sluice::select(sluice::on_recv(t, [&](clock::time_point) { count(got); }),
                                              sluice::on_recv(rx, [&](const sluice::result<int>& v) {
                                                  if (!v) count(closed);
                                              }));
                expect(r.has_value(), "a select chose nothing");
            };
            thread a(receive), b(receive);
            wait_until_quiet();
            tx.close();
            a.join();
            b.join();
            expect(got == 1 && closed == 1, "a tick was lost or doubled");
        });

    add("timer/after-alone",
        "Of two selects that wait for the one tick alone, one gets it and the other hears that none can come.", narrow,
        [] {
            const sluice::timer t = sluice::after(clock::tick);
            int got = 0, closed = 0;
            mutex m;
            const auto receive = [&] {
                const auto r = sluice::select(sluice::on_recv(t, [](clock::time_point) {}));
                const std::lock_guard lock(m);
                ++(r ? got : closed);
            };
            { thread a(receive), b(receive); }
            expect(got == 1 && closed == 1, "a tick was lost or doubled");
        });

    add("timer/tick-grid", "The ticks of tick() are those of its grid, in order.", limits, [] {
        const sluice::timer t = sluice::tick(clock::tick);
        const auto start = clock::now();
        clock::time_point last = start - clock::tick;
        for (int i = 0; i < 2; ++i) {
            const ticks r = t.recv();
            expect(r.has_value(), "a tick has ended");
            expect(*r > last && (*r - start) % clock::tick == clock::duration::zero(), "a tick is not on the grid");
            check_time(r);
            last = *r;
        }
    });

    add("timer/against-message", "A timer and a message for one select: one of the two, and the other is still there.",
        limits, [] {
            const timer_probe t(clock::tick);
            probe<number> p(1);
            {
                thread a([&] {
                    operation op("select(recv, timer)");
                    chose(op, sluice::select(receiving(op, p.ends.rx, p.number), receiving(op, t)), false);
                });
                thread b([&] { send(p.ends.tx, p.number, 1); });
            }
            try_recv(p.ends.rx, p.number);
            recv(t.timer, t.number);
        });

    add("timer/stop", "A stop request wakes one who waits for a timer that is never due.", limits, [] {
        const sluice::timer t = sluice::after(clock::duration::max());
        stop_source stop;
        thread a([&] {
            const ticks r = t.recv(stop.get_token());
            expect(!r && r.error() == sluice::errc::stopped, "a wait was not stopped");
        });
        thread b([&] { stop.request_stop(); });
    });

    add("timer/watch", "Who watches the clock for others, and leaves, hands the watch on.", limits, [] {
        const sluice::timer t = sluice::after(2 * clock::tick);
        thread a([&] { check_time(t.recv_timeout(clock::tick)); });
        thread b([&] { check_time(t.recv()); });
    });

    add("timer/recv-timeout", "A wait for a timer ends at its own deadline if that is first.", limits, [] {
        const sluice::timer t = sluice::after(3 * clock::tick);
        thread a([&] {
            const ticks r = t.recv_timeout(clock::tick);
            expect(r ? *r == clock::time_point{} + 3 * clock::tick || *r > clock::time_point{}
                     : r.error() == sluice::errc::timeout,
                   "a wait ended as it must not");
            check_time(r);
        });
        a.join();
    });
    return true;
}();

}  // namespace model
