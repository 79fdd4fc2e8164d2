// Coroutines that are destroyed as they wait, on the thread where they run: nothing is lost but a message that was handed
// over already, and that is counted.
#include <model/async_operations.hpp>

#include <array>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace model {

namespace {

using M = number;

// One channel, a coroutine that waits at it, and what it came to, if it was resumed; and a channel on which nothing comes.
struct scene {
    explicit scene(std::optional<std::size_t> capacity)
        : ends(probe<M>::make(capacity, sluice::overflow::block)),
          other(probe<M>::make(capacity, sluice::overflow::block)) {}

    sluice::channel<M> ends, other;
    stop_source stop;
    int received = 0, sent = 0;
    small_loop loop;
};

// Counts what is written to it.
class counter {
public:
    using difference_type = std::ptrdiff_t;
    explicit counter(int& count) noexcept : count_(&count) {}
    counter& operator*() noexcept { return *this; }
    counter& operator++() noexcept { return *this; }
    counter& operator++(int) noexcept { return *this; }
    const counter& operator=(M&&) const noexcept {
        ++*count_;
        return *this;
    }

private:
    int* count_;
};

// What was sent by a thread was received, is still there, or was dropped.
void check_sent(scene& s, int sent) {
    int left = 0;
    while (s.ends.rx.try_recv()) ++left;
    expect(s.received + left + static_cast<int>(s.ends.rx.dropped()) == sent,
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
    const std::vector<receive> receives{
        {"recv",
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
        {"recv-many",
         [](scene& s) -> wait {
             return [&s](executor, small_loop&) -> coroutine {
                 (void)co_await s.ends.rx.async_recv_many(counter(s.received), 2);
             };
         }},
        {"batch-stop",
         [](scene& s) -> wait {
             return [&s](executor, small_loop&) -> coroutine {
                 const stop_token token = s.stop.get_token();
                 (void)co_await s.ends.rx.async_recv_batch(counter(s.received), 2, clock::duration::max(), token);
             };
         }},
        {"batch-linger",
         [](scene& s) -> wait {
             return [&s](executor, small_loop&) -> coroutine {
                 (void)co_await s.ends.rx.async_recv_batch(counter(s.received), 2, clock::tick);
             };
         }},
        {"group",
         [](scene& s) -> wait {
             return [&s](executor, small_loop&) -> coroutine {
                 const auto count = [&s](const M&) { ++s.received; };
                 sluice::selector group;
                 group.add(sluice::on_recv(s.ends.rx, count));
                 group.add(sluice::on_recv(s.other.rx, count));
                 (void)co_await group.async_wait(s.stop.get_token());
             };
         }},
        {"group-timeout",
         [](scene& s) -> wait {
             return [&s](executor, small_loop&) -> coroutine {
                 const auto count = [&s](const sluice::result<M>& r) {
                     if (r) ++s.received;
                 };
                 sluice::selector group(sluice::biased);
                 group.add(sluice::on_recv(s.ends.rx, count));
                 (void)co_await group.async_wait_timeout(clock::tick);
             };
         }},
        {"select-timeout", [](scene& s) -> wait {
             return [&s](executor, small_loop&) -> coroutine {
                 const auto count = [&s](const sluice::result<M>& r) {
                     if (r) ++s.received;
                 };
                 const auto nothing = [] {};
                 (void)co_await sluice::async_select(sluice::on_recv(s.ends.rx, count),
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
                destroy_meanwhile(s.loop, r.make(s), [&] { sent = s.ends.tx.try_send(M(1)).has_value(); });
                check_sent(s, sent ? 1 : 0);
            });
            add(name + "+try_send-two", property, limits, [r, capacity = capacity] {
                scene s(capacity);
                int sent = 0;
                destroy_meanwhile(s.loop, r.make(s), [&] {
                    for (int id = 1; id <= 2; ++id) sent += s.ends.tx.try_send(M(id)) ? 1 : 0;
                });
                check_sent(s, sent);
            });
            add(name + "+close", property, limits, [r, capacity = capacity] {
                scene s(capacity);
                destroy_meanwhile(s.loop, r.make(s), [&] { s.ends.tx.close(); });
                check_sent(s, 0);
            });
            add(name + "+stop", property, limits, [r, capacity = capacity] {
                scene s(capacity);
                destroy_meanwhile(s.loop, r.make(s), [&] { s.stop.request_stop(); });
                expect(s.ends.rx.dropped() == 0, "a stop has taken a message");
                check_sent(s, 0);
            });
            add(name + "+send-and-stop", property, limits, [r, capacity = capacity] {
                scene s(capacity);
                bool sent = false;
                thread b([&] { s.stop.request_stop(); });
                destroy_meanwhile(s.loop, r.make(s), [&] { sent = s.ends.tx.try_send(M(1)).has_value(); });
                b.join();
                check_sent(s, sent ? 1 : 0);
            });
        }
    }

    const std::vector<receive> sends{
        {"send",
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
        {"send-many",
         [](scene& s) -> wait {
             return [&s](executor, small_loop&) -> coroutine {
                 std::array<M, 2> pair{M(1), M(2)};
                 s.sent += static_cast<int>(co_await s.ends.tx.async_send_many(std::move(pair)));
             };
         }},
        {"send-many-stop",
         [](scene& s) -> wait {
             return [&s](executor, small_loop&) -> coroutine {
                 const stop_token token = s.stop.get_token();
                 const std::array<M, 2> pair{M(1), M(2)};
                 s.sent += static_cast<int>(co_await s.ends.tx.async_send_many(pair, token));
             };
         }},
        {"group",
         [](scene& s) -> wait {
             return [&s](executor, small_loop&) -> coroutine {
                 const auto count = [&s] { ++s.sent; };
                 sluice::selector group;
                 group.add(sluice::on_send(s.ends.tx, M(1), count));
                 (void)co_await group.async_wait();
             };
         }},
        {"send-timeout", [](scene& s) -> wait {
             return [&s](executor, small_loop&) -> coroutine {
                 const auto r = co_await s.ends.tx.async_send_timeout(M(1), clock::tick);
                 if (r) ++s.sent;
             };
         }}};
    for (const receive& r : sends) {
        for (const auto& [kind, capacity] : {std::pair("rendezvous", 0), std::pair("one", 1)}) {
            const std::string name = std::string("async-end/") + kind + "/" + r.name;
            const auto received_all = [](scene& s) {
                int got = 0;
                while (s.ends.rx.try_recv()) ++got;
                return got;
            };
            add(name + "+try_recv", "What a destroyed coroutine was sending is received or destroyed.", limits,
                [r, received_all, capacity = static_cast<std::size_t>(capacity)] {
                    scene s(capacity);
                    int received = 0;
                    destroy_meanwhile(s.loop, r.make(s), [&] { received = s.ends.rx.try_recv().has_value() ? 1 : 0; });
                    expect(received + received_all(s) >= s.sent, "a message is lost");
                    expect(s.ends.rx.dropped() == 0, "a message is counted as dropped that was never received");
                });
            add(name + "+stop", "So it is where a stop is requested.", limits,
                [r, received_all, capacity = static_cast<std::size_t>(capacity)] {
                    scene s(capacity);
                    destroy_meanwhile(s.loop, r.make(s), [&] { s.stop.request_stop(); });
                    expect(received_all(s) >= s.sent, "a message is lost");
                });
            add(name + "+close", "So it is where the channel closes.", limits,
                [r, received_all, capacity = static_cast<std::size_t>(capacity)] {
                    scene s(capacity);
                    destroy_meanwhile(s.loop, r.make(s), [&] { s.ends.tx.close(); });
                    expect(received_all(s) >= s.sent, "a message is lost");
                    expect(capacity > 0 || s.sent == 0, "nobody has received");
                });
        }
    }

    for (const bool cancels : {true, false}) {
        add(std::string("async-end/timer+") + (cancels ? "cancel" : "reset"),
            "A coroutine that is destroyed as its timer tells it leaves nothing behind.", limits, [cancels] {
                const sluice::timer t = sluice::after(clock::tick);
                scene s(0);
                destroy_meanwhile(
                    s.loop, [&](executor, small_loop&) -> coroutine { (void)co_await t.async_recv(); },
                    [&] { cancels ? t.cancel() : t.reset(2 * clock::tick); });
            });
        add(std::string("async-end/timer-in-select+") + (cancels ? "cancel" : "reset"), "So does one in a select.",
            limits, [cancels] {
                const sluice::timer t = sluice::after(clock::tick);
                scene s(0);
                destroy_meanwhile(
                    s.loop,
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
