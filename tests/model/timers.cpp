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

    add("timer/reset-recv",
        "A reset to a sooner time wakes all who wait: one gets the tick, the other hears of the end.", limits, [] {
            const sluice::timer t = sluice::after(clock::duration::max());
            int got = 0, closed = 0;
            mutex m;
            const auto receive = [&] {
                const ticks r = t.recv();
                check_time(r);
                const std::lock_guard lock(m);
                ++(r ? got : closed);
            };
            thread a(receive), b(receive);
            t.reset(clock::tick);
            a.join();
            b.join();
            expect(got == 1 && closed == 1, "a tick was lost or doubled");
        });

    add("timer/reset-drops", "After a reset, or a cancel, nobody gets the tick that was due.", limits, [] {
        for (const bool cancels : {false, true}) {
            const sluice::timer t = sluice::after(clock::duration::zero());
            const auto old = clock::now();
            bool got = false;
            thread a([&] { got = t.try_recv().has_value(); });
            thread b([&] {
                cancels ? t.cancel() : t.reset(clock::tick);
                const ticks r = t.try_recv();
                expect(!r || (!cancels && *r > old), "a tick outlives its reset");
                check_time(r);
            });
        }
    });

    add("timer/reset-over", "A timer whose tick was received is waited for again after a reset.", limits, [] {
        const sluice::timer t = sluice::after(clock::duration::zero());
        expect(t.recv().has_value() && !t.recv(), "a timer does not tick once");
        t.reset(clock::tick);
        const ticks r = t.recv();
        expect(r.has_value(), "a reset leaves a timer over");
        check_time(r);
    });

    add("timer/reset-later", "Who waits for a time that is reset to a later one waits for that.", limits, [] {
        const sluice::timer t = sluice::after(clock::tick);
        thread a([&] {
            const ticks r = t.recv();
            expect(r.has_value(), "a timer has ended");
            check_time(r);
        });
        t.reset(2 * clock::tick);
    });

    add("timer/cancel", "A cancel is heard by all who wait, in receives and selects.", narrow, [] {
        const sluice::timer t = sluice::after(clock::duration::max());
        const auto receive = [&] { expect(!t.recv(), "a cancelled timer has ticked"); };
        thread a(receive), b(receive);
        thread c([&] {
            expect(!sluice::select(sluice::on_recv(t, [](clock::time_point) {})), "a cancelled timer has ticked");
        });
        t.cancel();
    });

    add("timer/cancel-against-reset", "Of a cancel and a reset the later counts, for one who waits too.", limits, [] {
        const sluice::timer t = sluice::after(clock::duration::max());
        thread a([&] { check_time(t.recv()); });
        thread b([&] { t.cancel(); });
        thread c([&] { t.reset(clock::tick); });
    });

    add("timer/reset-in-selects", "A select that goes on without a timer that has ended follows its reset.", limits,
        [] {
            const sluice::timer t = sluice::after(clock::duration::max());
            auto [tx, rx] = sluice::rendezvous<int>();
            thread a([&, &rx = rx] {
                bool ticked = false;
                const auto r =
                    sluice::select(sluice::on_recv(rx, [](int) {}), sluice::on_recv(t, [&](clock::time_point due) {
                                       expect(due <= clock::now(), "a timer is early");
                                       ticked = true;
                                   }));
                expect(r && ticked, "a select has missed a tick");
            });
            t.cancel();
            t.reset(clock::tick);
            a.join();
        });

    add("timer/reset-in-group", "So does a group, whose case stays when its tick was received.", fewer, [] {
        const sluice::timer t = sluice::after(clock::duration::zero());
        auto [tx, rx] = sluice::rendezvous<int>();
        int count = 0;
        thread a([&, &rx = rx] {
            sluice::selector group;
            group.add(sluice::on_recv(rx, [](int) {}));
            group.add(sluice::on_recv(t, [&](clock::time_point) { ++count; }));
            expect(group.wait().has_value() && group.wait().has_value(), "a group has missed a tick");
        });
        wait_until_quiet();
        expect(count == 1, "a tick was lost or doubled");
        t.reset(clock::duration::zero());
        a.join();
        expect(count == 2, "a tick was lost or doubled");
    });

    add("timer/reset-biased", "A timer that was reset to be due comes before a message that was sent after that.",
        limits, [] {
            const sluice::timer t = sluice::after(clock::duration::max());
            auto [tx, rx] = sluice::unbounded<int>();
            thread a([&, &rx = rx] {
                const auto r = sluice::select_biased(sluice::on_recv(t, [](clock::time_point) {}),
                                                     sluice::on_recv(rx, [](int) {}));
                expect(r && *r == 0, "a message was preferred to a tick");
            });
            t.reset(clock::duration::zero());
            expect(tx.send(1).has_value(), "a send fails");
        });

    add("timer/reset-exact", "A timer, or a channel, is ready at every moment: a select says so.", limits, [] {
        const auto due = clock::now() + clock::tick;
        const sluice::timer t = sluice::at(due);
        auto [tx, rx] = sluice::unbounded<int>();
        expect(tx.send(1).has_value(), "a send fails");
        thread a([&, &rx = rx] {
            bool none = false;
            sluice::select_biased(sluice::on_recv(t, [](clock::time_point) {}), sluice::on_recv(rx, [](int) {}),
                                  sluice::otherwise([&] { none = true; }));
            expect(!none, "nothing is ready, says a select, though something always is");
        });
        thread b([&, &rx = rx, &tx = tx] {
            t.reset(clock::duration::zero());
            (void)rx.try_recv();
            expect(tx.send(2).has_value(), "a send fails");
            t.reset(clock::tick);
        });
    });

    add("timer/over-exact", "A channel, or a timer that was over, is ready at every moment: a select says so.", limits,
        [] {
            const sluice::timer t = sluice::after(clock::duration::zero());
            expect(t.recv().has_value(), "a timer is not due");
            auto [tx, rx] = sluice::unbounded<int>();
            expect(tx.send(1).has_value(), "a send fails");
            thread a([&, &rx = rx] {
                bool none = false;
                sluice::select(sluice::on_recv(t, [](clock::time_point) {}), sluice::on_recv(rx, [](int) {}),
                               sluice::otherwise([&] { none = true; }));
                expect(!none, "nothing is ready, says a select, though something always is");
            });
            thread b([&, &rx = rx] {
                t.reset(clock::duration::zero());
                (void)rx.try_recv();
            });
        });

    add("timer/pending-in-turn", "One of two timers is pending at every moment: a wait does not report that none is.",
        limits, [] {
            const sluice::timer first = sluice::after(clock::duration::zero());
            const sluice::timer second = sluice::after(clock::duration::max());
            expect(first.recv().has_value(), "a timer is not due");
            thread a([&] {
                sluice::selector group;
                group.add(sluice::on_recv(first, [](clock::time_point) {}));
                group.add(sluice::on_recv(second, [](clock::time_point) {}));
                const auto r = group.wait_timeout(clock::tick);
                expect(r.error() == sluice::errc::timeout, "a group says that its timers are over");
            });
            thread b([&] {
                first.reset(clock::duration::max());
                second.cancel();
            });
        });
    return true;
}();

}  // namespace model
