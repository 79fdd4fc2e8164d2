// Coroutines that are destroyed as they wait, on the thread where they run: nothing is lost but a message that was handed
// over already, and that is counted.
#include <model/async_operations.hpp>

#include <functional>
#include <optional>
#include <string>
#include <utility>

namespace model {

namespace {

using M = number;

// One channel, a coroutine that waits at it, and what it came to, if it was resumed.
struct scene {
    explicit scene(std::optional<std::size_t> capacity) : ends(probe<M>::make(capacity, sluice::overflow::block)) {}

    sluice::channel<M> ends;
    stop_source stop;
    int received = 0, sent = 0;
    small_loop loop;
};
using wait = std::function<coroutine(executor, small_loop&)>;

// The coroutine is destroyed when others have done something, or nothing yet; the thread has run what was posted by then,
// or it has not.
void destroy_meanwhile(scene& s, const wait& waits, const std::function<void()>& acts) {
    {
        coroutine c = waits(executor(s.loop), s.loop);
        thread a(acts);
        yield();
        if (choose_below(2) == 1) s.loop.run_some();
        c.destroy();
    }
}

// What was sent by a thread was received, is still there, or was dropped.
void check_sent(scene& s, bool sent) {
    int left = 0;
    while (s.ends.rx.try_recv()) ++left;
    expect(s.received + left + static_cast<int>(s.ends.rx.dropped()) == (sent ? 1 : 0),
           "a message is lost and not counted, or it came twice");
}

}  // namespace

[[maybe_unused]] static const bool added = [] {
    constexpr budgets limits{.preemptions = 2, .stale_reads = 0, .ticks = 1, .detours = 2};
    const char* const property =
        "A coroutine that is destroyed takes at most what was handed to it, and that is counted.";

    struct receive {
        const char* name;
        std::function<wait(scene&)> make;
    };
    const std::vector<receive> receives{{"recv",
                                         [](scene& s) -> wait {
                                             return [&s](executor, small_loop&) -> coroutine {
                                                 const auto r = co_await s.ends.rx.async_recv();
                                                 if (r) ++s.received;
                                             };
                                         }},
                                        {"recv-stop",
                                         [](scene& s) -> wait {
                                             return [&s](executor, small_loop&) -> coroutine {
                                                 const stop_token token = s.stop.get_token();
                                                 const auto r = co_await s.ends.rx.async_recv(token);
                                                 if (r) ++s.received;
                                             };
                                         }},
                                        {"recv-timeout",
                                         [](scene& s) -> wait {
                                             return [&s](executor, small_loop&) -> coroutine {
                                                 const auto r = co_await s.ends.rx.async_recv_timeout(clock::tick);
                                                 if (r) ++s.received;
                                             };
                                         }},
                                        {"select",
                                         [](scene& s) -> wait {
                                             return [&s](executor, small_loop&) -> coroutine {
                                                 const auto count = [&s](const M&) { ++s.received; };
                                                 (void)co_await sluice::async_select(sluice::on_recv(s.ends.rx, count));
                                             };
                                         }},
                                        {"select-stop",
                                         [](scene& s) -> wait {
                                             return [&s](executor, small_loop&) -> coroutine {
                                                 const auto count = [&s](const sluice::result<M>& r) {
                                                     if (r) ++s.received;
                                                 };
                                                 const auto nothing = [] {};
                                                 const stop_token token = s.stop.get_token();
                                                 (void)co_await sluice::async_select(sluice::on_recv(s.ends.rx, count),
                                                                                     sluice::on_stop(token, nothing));
                                             };
                                         }},
                                        {"select-timeout", [](scene& s) -> wait {
                                             return [&s](executor, small_loop&) -> coroutine {
                                                 const auto count = [&s](const sluice::result<M>& r) {
                                                     if (r) ++s.received;
                                                 };
                                                 const auto nothing = [] {};
                                                 (void)co_await sluice::async_select(
                                                     sluice::on_recv(s.ends.rx, count),
                                                     sluice::on_timeout(clock::tick, nothing));
                                             };
                                         }}};
    for (const receive& r : receives) {
        for (const auto& [kind, capacity] : {std::pair("rendezvous", std::optional<std::size_t>(0)),
                                             std::pair("unbounded", std::optional<std::size_t>())}) {
            const std::string name = std::string("async-end/") + kind + "/" + r.name;
            add(name + "+try_send", property, limits, [r, capacity = capacity] {
                scene s(capacity);
                bool sent = false;
                destroy_meanwhile(s, r.make(s), [&] { sent = s.ends.tx.try_send(M(1)).has_value(); });
                check_sent(s, sent);
            });
            add(name + "+close", property, limits, [r, capacity = capacity] {
                scene s(capacity);
                destroy_meanwhile(s, r.make(s), [&] { s.ends.tx.close(); });
                check_sent(s, false);
            });
            add(name + "+stop", property, limits, [r, capacity = capacity] {
                scene s(capacity);
                destroy_meanwhile(s, r.make(s), [&] { s.stop.request_stop(); });
                expect(s.ends.rx.dropped() == 0, "a stop has taken a message");
                check_sent(s, false);
            });
            add(name + "+send-and-stop", property, limits, [r, capacity = capacity] {
                scene s(capacity);
                bool sent = false;
                thread b([&] { s.stop.request_stop(); });
                destroy_meanwhile(s, r.make(s), [&] { sent = s.ends.tx.try_send(M(1)).has_value(); });
                b.join();
                check_sent(s, sent);
            });
        }
    }

    const std::vector<receive> sends{{"send",
                                      [](scene& s) -> wait {
                                          return [&s](executor, small_loop&) -> coroutine {
                                              const auto r = co_await s.ends.tx.async_send(M(1));
                                              if (r) ++s.sent;
                                          };
                                      }},
                                     {"send-stop",
                                      [](scene& s) -> wait {
                                          return [&s](executor, small_loop&) -> coroutine {
                                              const stop_token token = s.stop.get_token();
                                              const auto r = co_await s.ends.tx.async_send(M(1), token);
                                              if (r) ++s.sent;
                                          };
                                      }},
                                     {"send-timeout", [](scene& s) -> wait {
                                          return [&s](executor, small_loop&) -> coroutine {
                                              const auto r = co_await s.ends.tx.async_send_timeout(M(1), clock::tick);
                                              if (r) ++s.sent;
                                          };
                                      }}};
    for (const receive& r : sends) {
        const std::string name = std::string("async-end/rendezvous/") + r.name;
        add(name + "+try_recv", "What a destroyed coroutine was sending is received or destroyed.", limits, [r] {
            scene s(0);
            bool received = false;
            destroy_meanwhile(s, r.make(s), [&] { received = s.ends.rx.try_recv().has_value(); });
            expect(received || s.sent == 0, "a message is lost");
            expect(s.ends.rx.dropped() == 0, "a message is counted as dropped that was never received");
        });
        add(name + "+close", "So it is where the channel closes.", limits, [r] {
            scene s(0);
            destroy_meanwhile(s, r.make(s), [&] { s.ends.tx.close(); });
            expect(s.sent == 0, "nobody has received");
        });
    }

    for (const bool cancels : {true, false}) {
        add(std::string("async-end/timer+") + (cancels ? "cancel" : "reset"),
            "A coroutine that is destroyed as its timer tells it leaves nothing behind.", limits, [cancels] {
                const sluice::timer t = sluice::after(clock::tick);
                scene s(0);
                destroy_meanwhile(
                    s, [&](executor, small_loop&) -> coroutine { (void)co_await t.async_recv(); },
                    [&] { cancels ? t.cancel() : t.reset(2 * clock::tick); });
            });
        add(std::string("async-end/timer-in-select+") + (cancels ? "cancel" : "reset"), "So does one in a select.",
            limits, [cancels] {
                const sluice::timer t = sluice::after(clock::tick);
                scene s(0);
                destroy_meanwhile(
                    s,
                    [&](executor, small_loop&) -> coroutine {
                        const auto nothing = [](clock::time_point) {};
                        (void)co_await sluice::async_select(sluice::on_recv(t, nothing));
                    },
                    [&] { cancels ? t.cancel() : t.reset(2 * clock::tick); });
            });
    }
    return true;
}();

}  // namespace model
