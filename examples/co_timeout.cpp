// A coroutine gives up after a time, or when it is told to, as a thread does: an answer that comes too late, work that has
// to be done by a deadline, and a stop token that another thread uses.
#include "args.hpp"
#include "checked.hpp"

#include <sluice/async.hpp>

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// Answers after `delay`, and gives up when nobody waits for the answer any more.
sluice::task<> answer(sluice::sender<int> out, milliseconds delay) {
    (void)co_await sluice::async_select(sluice::on_timeout(delay), sluice::on_closed(out));
    (void)co_await out.async_send(42);
}

sluice::task<sluice::result<int>> ask(milliseconds delay, milliseconds patience) {
    sluice::task_group group(co_await sluice::this_executor());
    auto [tx, rx] = sluice::bounded<int>(1);
    group.spawn(answer(std::move(tx), delay));
    const auto result = co_await rx.async_recv_timeout(patience);
    rx = {};
    co_await group.join();
    co_return result;
}

// Counts the ticks until the deadline.
sluice::task<std::size_t> count(milliseconds period, steady_clock::time_point deadline) {
    const auto beat = sluice::tick(period);
    std::size_t ticks = 0;
    while (co_await beat.async_recv_until(deadline)) ++ticks;
    co_return ticks;
}

// Waits for what never comes.
sluice::task<sluice::errc> listen(std::stop_token stop) {
    const auto silence = sluice::never<int>();
    co_return (co_await silence.async_recv(stop)).error();
}

int main(int argc, char** argv) {
    example::args args(argc, argv, "Coroutines that give up: after a time, at a deadline, and when told to.");
    const auto patience = args.delay("patience", 50, "for which it waits", 1);
    args.finish();

    const auto in_time = sluice::sync_wait(ask(milliseconds(0), 1000 * patience));
    const auto too_late = sluice::sync_wait(ask(1000 * patience, patience));
    std::printf("answers: %d in time, %s otherwise\n", in_time.value_or(0), to_string(too_late.error()).data());

    const auto start = steady_clock::now();
    const auto ticks = sluice::sync_wait(count(patience / 5 + milliseconds(1), start + patience));
    const bool until_deadline = steady_clock::now() >= start + patience;
    std::printf("%zu ticks until the deadline\n", ticks);

    std::stop_source stop;
    const std::jthread other([&stop] { stop.request_stop(); });
    const auto ended = sluice::sync_wait(listen(stop.get_token()));
    std::printf("ended by another thread: %s\n", to_string(ended).data());

    const bool right =
        in_time == 42 && too_late.error() == sluice::errc::timeout && until_deadline && ended == sluice::errc::stopped;
    return example::checked(right, "each wait has ended for its own reason");
}
