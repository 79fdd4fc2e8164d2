// The loop itself: threads that post, stop and share its work, and its end.
#include <model/models.hpp>

#include <sluice/async.hpp>

#include <optional>
#include <utility>

namespace model {

[[maybe_unused]] static const bool added = [] {
    constexpr budgets limits{.preemptions = 2, .stale_reads = 0, .ticks = 1, .detours = 1};
    constexpr budgets fewer{.preemptions = 1, .stale_reads = 0, .ticks = 1, .detours = 1};

    add("run-loop/post", "A loop that sleeps is woken by what is posted.", limits, [] {
        auto [tx, rx] = sluice::rendezvous<number>();
        int got = 0;
        sluice::run_loop loop;
        loop.spawn([&got, &rx = rx]() -> sluice::task<> {
            while (co_await rx.async_recv()) ++got;
        });
        thread a([&] { loop.run(); });
        expect(tx.send(number(1)).has_value(), "a send fails");
        tx.close();
        a.join();
        expect(got == 1, "a message is lost");
    });
    add("run-loop/between-loops", "Coroutines of two loops meet.", limits, [] {
        auto [tx, rx] = sluice::rendezvous<number>();
        int got = 0, sent = 0;
        const auto receive = [&got, &rx = rx]() -> sluice::task<> {
            if (co_await rx.async_recv()) ++got;
        };
        const auto send = [&sent, &tx = tx]() -> sluice::task<> {
            if (co_await tx.async_send(number(1))) ++sent;
        };
        {
            thread a([&] { sluice::sync_wait(receive()); });
            thread b([&] { sluice::sync_wait(send()); });
        }
        expect(got == 1 && sent == 1, "two coroutines have not met");
    });
    add("run-loop/spawn", "What is spawned as a loop runs, or after it has ended, begins once.", limits, [] {
        sluice::run_loop loop;
        int begun = 0;
        const auto body = [&begun]() -> sluice::task<> {
            ++begun;
            co_return;
        };
        loop.spawn(body);
        thread a([&] { loop.run(); });
        loop.spawn(body);
        a.join();
        loop.run();
        expect(begun == 2, "a task is lost");
    });
    add("run-loop/stop", "A stop ends the run() under way, or the next; the one after it ends the work.", limits, [] {
        sluice::run_loop loop;
        bool ended = false;
        loop.spawn([&ended]() -> sluice::task<> {
            co_await sluice::yield();
            ended = true;
        });
        thread a([&] { loop.run(); });
        loop.stop();
        a.join();
        loop.run();
        if (!ended) loop.run();  // the stop came when the first had ended
        expect(ended, "a task is lost");
    });
    add("run-loop/stop-asleep", "A stop wakes a run() that has nothing to do.", limits, [] {
        auto [tx, rx] = sluice::rendezvous<number>();
        sluice::run_loop loop;
        loop.spawn([&rx = rx]() -> sluice::task<> { (void)co_await rx.async_recv(); });
        thread a([&] { loop.run(); });
        loop.stop();
    });
    add("run-loop/two-threads", "Two threads share the work, and both end with it.", fewer, [] {
        sluice::run_loop loop;
        int first = 0, second = 0;
        const auto body = [](int& count) -> sluice::task<> {
            ++count;
            co_await sluice::yield();
            ++count;
        };
        loop.spawn(body(first));
        loop.spawn(body(second));
        {
            thread a([&] { loop.run(); });
            thread b([&] { loop.run(); });
        }
        expect(first == 2 && second == 2, "a task has not ended");
    });
    add("run-loop/two-threads-time", "A timer that comes in one thread as the other takes the message.", fewer, [] {
        auto [tx, rx] = sluice::unbounded<number>();
        sluice::run_loop loop;
        bool got = false;
        loop.spawn([&got, &rx = rx]() -> sluice::task<> {
            const auto r = co_await rx.async_recv_timeout(clock::tick);
            got = r.has_value();
        });
        {
            thread a([&] { loop.run(); });
            thread b([&] { loop.run(); });
            expect(tx.send(number(1)).has_value(), "a send fails");
        }
        expect(rx.try_recv().has_value() != got, "a message is lost, or came twice");
    });
    for (const bool is_limited : {false, true}) {
        add(std::string("run-loop/destroyed") + (is_limited ? "-stop" : ""),
            "A loop that ends withdraws what its tasks wait for, whatever others do meanwhile.", limits, [is_limited] {
                auto [tx, rx] = sluice::rendezvous<number>();
                stop_source stop;
                const stop_token token = stop.get_token();
                bool sent = false, got = false;
                std::optional<sluice::run_loop> loop(std::in_place);
                loop->spawn([&, &rx = rx]() -> sluice::task<> {
                    if (is_limited) {
                        const auto r = co_await rx.async_recv(token);
                        got = r.has_value();
                    } else {
                        const auto r = co_await rx.async_recv();
                        got = r.has_value();
                    }
                });
                loop->poll();
                thread a([&, &tx = tx] { sent = tx.try_send(number(1)).has_value(); });
                thread b([&] { stop.request_stop(); });
                yield();
                if (choose_below(2) == 1) loop->poll();
                loop.reset();
                a.join();
                b.join();
                expect((got ? 1 : 0) + static_cast<int>(rx.dropped()) == (sent ? 1 : 0),
                       "a message is lost and not counted, or counted twice");
            });
    }
    return true;
}();

}  // namespace model
