// The ends of channels: the last handles go at the same time, messages carry handles, memory comes back.
#include <model/models.hpp>
#include <model/operations.hpp>

#include <array>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace model {

namespace {

// A message that carries a sender of the channel that carries it.
struct nested : number {
    nested(int id, sluice::sender<nested> s) : number(id), back(std::move(s)) {}
    nested(nested&&) = default;
    sluice::sender<nested> back;
};

template <class M>
void close_and_drain(probe<M>& p) {
    close(p.ends.tx, p.number);
    while (try_recv(p.ends.rx, p.number) == sluice::errc{}) {
    }
}

// One thread sends so many messages while another receives three of them.
template <class M>
void stream(std::optional<std::size_t> capacity, int count) {
    probe<M> p(capacity);
    {
        thread a([&] {
            for (int i = 0; i < count; ++i) send(p.ends.tx, p.number, i);
        });
        thread b([&] {
            for (int i = 0; i < 3; ++i) recv(p.ends.rx, p.number);
        });
    }
    close_and_drain(p);
}

}  // namespace

[[maybe_unused]] static const bool added = [] {
    constexpr budgets limits{.preemptions = 3, .stale_reads = 2, .ticks = 0};
    constexpr budgets less_stale{.preemptions = 3, .stale_reads = 0, .ticks = 0};

    for (const int handles : {1, 2}) {
        const std::string n = std::to_string(handles);
        add("life/last-handles-" + n,
            "The last sender and the last receiver go at once: the channel is freed once, with what is in it.", limits,
            [handles] {
                auto [tx, rx] = sluice::bounded<number>(2);
                expect(tx.try_send(number(1)).has_value(), "a send failed");
                std::vector<std::unique_ptr<thread>> threads;
                for (int i = 1; i < handles; ++i)
                    threads.push_back(std::make_unique<thread>([copy = tx]() mutable { copy = {}; }));
                threads.push_back(std::make_unique<thread>([last = std::move(tx)]() mutable { last = {}; }));
                threads.push_back(std::make_unique<thread>([last = std::move(rx)]() mutable { last = {}; }));
            });
        add("life/senders-go-" + n,
            "A receiver hears of the end when the last of the senders has gone, and not before.",
            handles == 1 ? limits : less_stale, [handles] {
                auto [tx, rx] = sluice::bounded<number>(2);
                std::vector<std::unique_ptr<thread>> threads;
                for (int i = 0; i < handles; ++i) {
                    threads.push_back(std::make_unique<thread>([mine = tx, i]() mutable {
                        expect(mine.send(number(i)).has_value(), "a send failed though a receiver is there");
                        mine = {};
                    }));
                }
                tx = {};
                int got = 0;
                while (rx.recv()) ++got;
                expect(got == handles, "a message is lost");
            });
    }

    add("life/copy-while-drop", "A handle is copied while another copy goes.", limits, [] {
        auto [tx, rx] = sluice::rendezvous<number>();
        thread a([mine = tx]() mutable { mine = {}; });
        thread b([mine = std::move(tx)]() mutable {
            sluice::sender<number> copy = mine;
            mine = {};
            expect(!copy.is_closed(), "a channel is closed that has a sender");
        });
        expect(!rx.recv().has_value(), "a message that nobody sent");
    });

    add("life/nested",
        "A message that carries a sender of its own channel is destroyed with it, with no lock held, when the last "
        "receiver goes.",
        limits, [] {
            auto [tx, rx] = sluice::unbounded<nested>();
            thread a([mine = std::move(tx)]() mutable {
                sluice::sender<nested> copy = mine;
                (void)mine.try_send(nested(1, std::move(copy)));
                mine = {};
            });
            thread b([mine = std::move(rx)]() mutable {
                (void)mine.try_recv();
                mine = {};
            });
        });
    add("life/nested-sender",
        "A message that carries a sender of its own channel keeps the channel open until it is received.", limits, [] {
            auto [tx, rx] = sluice::unbounded<nested>();
            thread a([mine = std::move(tx)]() mutable {
                sluice::sender<nested> copy = mine;
                (void)mine.send(nested(1, std::move(copy)));
                mine = {};
            });
            int got = 0;
            while (auto m = rx.recv()) ++got;
            expect(got == 1, "a message is lost");
        });

    add("life/watch-closing", "Who watches for a channel to close hears of it once, or stops watching in time.", limits,
        [] {
            auto [tx, rx] = sluice::rendezvous<number>();
            thread a([mine = std::move(tx)]() mutable { mine = {}; });
            thread b([mine = rx] { mine.close(); });
            auto& channel = *core_of(rx);
            sluice::detail::parker sleeper;
            sluice::detail::waiter watcher;
            watcher.sleeper = &sleeper;
            if (!channel.observe_close(watcher)) {
                expect(rx.is_closed(), "an open channel passes for closed");
            } else if (choose_below(2) == 0 || !channel.unobserve_close(watcher)) {
                sleeper.wait_for_wake();
                expect(watcher.state == sluice::detail::waiter::status::closed,
                       "a watcher is woken for another reason");
            }
        });

    add("life/sleep-again", "Of two that are woken by one call and sleep again elsewhere, neither is touched any more.",
        limits, [] {
            probe<number> first(0), second(0);
            const auto receive_both = [&] {
                recv(first.ends.rx, first.number);
                recv(second.ends.rx, second.number);
            };
            thread a(receive_both), b(receive_both);
            close(first.ends.tx, first.number);
            close(second.ends.tx, second.number);
        });

    constexpr budgets wide{.preemptions = 2, .stale_reads = 1, .ticks = 0};
    add("life/growth", "A queue grows by segments of one and two slots while it is emptied, and keeps the order.", wide,
        [] { stream<bulky>(std::nullopt, 5); });
    add("life/growth-plain",
        "A queue goes on from the slots beside its counters to a segment of its own, and keeps the order.", wide,
        [] { stream<plain>(std::nullopt, 4); });
    add("life/plain-ring",
        "The few slots beside the counters go round, and a slot is filled again only when it is free.", wide,
        [] { stream<plain>(2, 4); });
    constexpr budgets few{.preemptions = 2, .stale_reads = 0, .ticks = 0};
    add("life/patient", "A sender that waits a little for more room loses nothing by it.", few, [] {
        several_cpus = true;
        stream<bulky>(3, 4);
    });
    add("life/odd-capacity", "Three messages fit where the capacity is three, and not four.", wide, [] {
        probe<number> p(3);
        const auto send_three = [&](int id) {
            for (int i = id; i < id + 3; ++i) try_send(p.ends.tx, p.number, i);
        };
        {
            thread a([&] { send_three(0); });
            thread b([&] { send_three(3); });
            try_recv(p.ends.rx, p.number);
        }
        close_and_drain(p);
    });
    add("life/burst", "After a burst the memory comes back, and the queue goes on.", wide, [] {
        probe<bulky> p(std::nullopt);
        for (int i = 0; i < 6; ++i) send(p.ends.tx, p.number, i);
        {
            thread a([&] {
                for (int i = 6; i < 8; ++i) send(p.ends.tx, p.number, i);
            });
            thread b([&] {
                for (int i = 0; i < 7; ++i) try_recv(p.ends.rx, p.number);
            });
        }
        close_and_drain(p);
    });
    add("life/idle",
        "The memory of an empty channel of numbers, which begins inside the channel, comes back while others send.",
        wide, [] {
            auto [tx, rx] = sluice::unbounded<int>();
            expect(tx.try_send(1).has_value() && rx.try_recv() == 1, "a message is lost");
            {
                thread a([core = core_of(rx)] { core->give_back_memory(); });
                thread b([tx] {
                    for (const int i : {2, 3}) expect(tx.try_send(i).has_value(), "a send failed");
                });
            }
            for (const int i : {2, 3}) expect(rx.try_recv() == i, "a message is lost or out of order");
        });
    add("life/discard",
        "The last receiver goes while a sender fills a queue of several segments: all is destroyed once.", wide, [] {
            auto [tx, rx] = sluice::unbounded<bulky>();
            for (int i = 0; i < 3; ++i) expect(tx.try_send(bulky(i)).has_value(), "a send failed");
            thread a([mine = std::move(tx)]() mutable {
                for (int i = 3; i < 6; ++i) (void)mine.send(bulky(i));
                mine = {};
            });
            thread b([mine = std::move(rx)]() mutable {
                (void)mine.try_recv();
                mine = {};
            });
        });
    return true;
}();

}  // namespace model
