// A program whose threads use static channels, timers, broadcasters and selectors all the time forks, again and again.
// Each child drops handles of before and ends by std::exit, in which statics are destroyed: it ends. The parent goes on.
#include "program.hpp"

#include <sluice/sluice.hpp>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;

namespace {

auto numbers = sluice::bounded<int>(4);
auto texts = sluice::unbounded<std::string>();
auto meeting = sluice::rendezvous<int>();
sluice::broadcaster<std::string> bus;
auto heard = bus.subscribe(8, sluice::overflow::drop_oldest);
auto heard_all = bus.subscribe();
sluice::timer ticking = sluice::tick(50us);
sluice::timer distant = sluice::after(1h);
auto for_group = sluice::bounded<int>(4);
auto for_group_too = sluice::rendezvous<int>();
std::optional<sluice::selector> group;  // of one of the threads

/// What a thread of the parent does all the time.
using work = std::function<void(const std::stop_token&)>;

const std::vector<work> works{
    [](const std::stop_token&) {
        (void)numbers.tx.try_send(1);
        (void)texts.tx.send("a text that is too long to lie in the string itself");
    },
    [](const std::stop_token&) {
        (void)numbers.rx.try_recv();
        (void)texts.rx.try_recv();
        (void)texts.rx.try_recv();
    },
    [](const std::stop_token& stop) { (void)numbers.tx.send(2, stop); },
    [](const std::stop_token& stop) { (void)numbers.rx.recv(stop); },
    [](const std::stop_token& stop) { (void)meeting.tx.send_timeout(1, 100us, stop); },
    [](const std::stop_token& stop) {
        (void)sluice::select(sluice::on_recv(meeting.rx, [](int) {}), sluice::on_recv(ticking, [](auto) {}),
                             sluice::on_stop(stop, [] {}));
    },
    [](const std::stop_token&) {
        (void)bus.send("a text that is too long to lie in the string itself");
        (void)heard.try_recv();
        while (heard_all.try_recv()) {
        }
    },
    [](const std::stop_token&) {
        const auto late = bus.subscribe(2, sluice::overflow::drop_newest);
        (void)late.recv_timeout(100us);
    },
    [](const std::stop_token&) {
        (void)ticking.recv();
        (void)distant.recv_timeout(10us);
    },
    [](const std::stop_token& stop) { (void)group->wait(stop); },
    [](const std::stop_token& stop) {
        (void)for_group.tx.send(1, stop);
        (void)for_group_too.tx.send(1, stop);
    },
    [](const std::stop_token&) {
        auto copy = std::pair(numbers, texts.tx);
        copy = {};
    },
};

std::vector<std::atomic<long>> rounds(works.size());

/// Whether each thread gets on with its work.
bool all_go_on() {
    std::vector<long> before(rounds.begin(), rounds.end());
    const auto limit = std::chrono::steady_clock::now() + 30s;
    for (std::size_t i = 0; i < rounds.size(); ++i) {
        while (rounds[i] < before[i] + 3) {
            if (std::chrono::steady_clock::now() > limit) {
                std::fprintf(stderr, "thread %zu stands still\n", i);
                return false;
            }
            std::this_thread::yield();
        }
    }
    return true;
}

/// What a child does before it ends.
void drop_some(int turn) {
    switch (turn % 4) {
        case 0: break;
        case 1:
            numbers = {};
            meeting = {};
            group.reset();
            for_group = {};
            for_group_too = {};
            break;
        case 2:
            heard = {};
            heard_all = {};
            bus = sluice::broadcaster<std::string>();
            ticking = {};
            distant = {};
            break;
        default:
            texts.rx = {};
            texts.tx = {};
            numbers.tx = {};
            break;
    }
}

}  // namespace

int main() {
    group.emplace();
    group->add(sluice::on_recv(for_group.rx, [](int) {}));
    group->add(sluice::on_recv(for_group_too.rx, [](int) {}));
    group->add(sluice::on_recv(ticking, [](auto) {}));
    {
        std::vector<std::jthread> threads;
        for (std::size_t i = 0; i < works.size(); ++i) {
            threads.emplace_back([i](const std::stop_token& stop) {
                while (!stop.stop_requested()) {
                    works[i](stop);
                    ++rounds[i];
                }
            });
        }
        program::check(all_go_on(), "the threads do not begin");
        const auto end = std::chrono::steady_clock::now() + 10s;
        for (int turn = 0; turn < 400 && std::chrono::steady_clock::now() < end; ++turn) {
            const int status = program::in_child(20, [turn] {
                drop_some(turn);
                std::exit(0);
            });
            if (status != 0) {
                std::fprintf(stderr, "child %d: status %d\n", turn, status);
                program::fail(status == -SIGALRM ? "a forked child does not end" : "a forked child fails");
            }
        }
        program::check(all_go_on(), "the parent does not go on");
    }
    // Nobody has closed anything, and everything works.
    while (numbers.rx.try_recv()) {
    }
    program::check(numbers.tx.send(7).has_value() && numbers.rx.recv() == 7, "a channel of the parent is broken");
    while (texts.rx.try_recv()) {
    }
    program::check(texts.tx.send("text").has_value() && texts.rx.recv() == std::string("text"),
                   "another channel of the parent is broken");
    program::check(bus.send("text") == 2, "a broadcaster of the parent is broken");
    program::check(ticking.recv().has_value(), "a timer of the parent is broken");
    program::check(numbers.tx.sender_count() == 1 && numbers.tx.receiver_count() == 1,
                   "handles of the parent are miscounted");
    return 0;
}
