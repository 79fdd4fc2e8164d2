// A round: a random program of threads, loops and coroutines on the same channels, and what must hold in the end.
#pragma once

#include "crew.hpp"
#include "thread_worker.hpp"

#include <sluice/sluice.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

namespace soak {

/// The most that a program has.
struct limits {
    unsigned threads = 8;
    unsigned loops = 3;
};

class round {
public:
    round(std::uint64_t seed, const limits& most)
        : random_(seed), share_(200 + below(800)), ending_(static_cast<ending>(below(3))), threads_(most.threads) {
        std::uint32_t crews = below(most.loops + 1);
        const auto kind = below(8);
        if (kind < 2) {
            crews = 0;
        } else if (kind == 2 && crews > 0) {
            threads_ = 0;
        }
        for (std::uint32_t i = 0; i < crews; ++i) {
            crew_fates_.push_back(static_cast<crew_fate>(below(4)));
            coroutines_.push_back(1 + below(6));
        }
    }

    /// Runs it to its end, and checks the ledger.
    void run() {
        unsigned workers = threads_;
        for (const unsigned c : coroutines_) workers += c;
        const std::size_t count = 1 + below(4);
        ledger book(std::size_t{workers} * share_ * 21 + 1, count + 1), note_book(std::size_t{workers} * share_ + 1, 1);
        open_channels(count);
        std::stop_source stop;
        {
            const workplace place{
                channels_, book, notes_, note_book, stop.get_token(), workers, ending_ == ending::dropped};
            hire(place);
        }
        if (ending_ == ending::dropped) {
            channels_.clear();
            notes_ = {};
        }

        work(stop);

        for (const channel& c : channels_) {
            while (auto m = c.rx.recv()) m->end(fate::received);
        }
        while (auto n = notes_.rx.recv()) note_book.settle(n->id, 0, fate::received);
        thread_workers_.clear();
        crews_.clear();
        for (std::size_t c = 0; c < channels_.size(); ++c) {
            if (channels_[c].rx.dropped() != book.discarded(c)) lost("dropped() counted wrong");
        }
        channels_.clear();
        book.check();
        // What is discarded with a note, or with a coroutine that offers it, tells nobody.
        if (!may_vanish()) note_book.check();
    }

private:
    // How a round ends: all messages are received; a channel is closed in the midst of it; all handles are dropped.
    enum class ending : std::uint8_t { drained, closed_early, dropped };
    // What becomes of a loop: it runs until all has ended; it is stopped on the way, and run again by other threads; or
    // destroyed.
    enum class crew_fate : std::uint8_t { ends, pauses, is_destroyed, ends_in_a_group };

    std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(random_() % n); }
    // Not so many yields: where other programs take the processors, each may last for a while.
    void pass_time() {
        const auto end = steady::now() + std::chrono::microseconds(below(2000));
        while (steady::now() < end) std::this_thread::yield();
    }

    // Whether each channel may discard messages.
    bool may_vanish() const {
        return ending_ == ending::dropped ||
               std::ranges::find(crew_fates_, crew_fate::is_destroyed) != crew_fates_.end();
    }

    void open_channels(std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
            constexpr std::array<int, 7> capacities{0, 0, 1, 2, 16, -1, -2};
            const int capacity = capacities[below(capacities.size())];
            const auto rule = below(2) == 0 ? sluice::overflow::drop_oldest : sluice::overflow::drop_newest;
            auto made = capacity >= 0    ? sluice::bounded<message>(static_cast<std::size_t>(capacity))
                        : capacity == -1 ? sluice::unbounded<message>()
                                         : sluice::bounded<message>(1 + below(3), rule);
            channels_.push_back({std::move(made.tx), std::move(made.rx), may_vanish() || capacity == -2});
        }
        const auto room = below(4);
        notes_ = room == 3 ? sluice::unbounded<note>() : sluice::bounded<note>(room);
    }

    void hire(const workplace& place) {
        std::uint32_t number = 0;
        for (unsigned i = 0; i < threads_; ++i) {
            thread_workers_.push_back(std::make_unique<thread_worker>(place, number++, random_()));
        }
        for (std::size_t i = 0; i < crew_fates_.size(); ++i) {
            crews_.push_back(std::make_unique<crew>());
            for (unsigned c = 0; c < coroutines_[i]; ++c) {
                const std::uint64_t seed = random_();
                crews_.back()->hire(place, number++, seed, below(8) == 0);
            }
        }
    }

    void work(std::stop_source& stop) {
        std::vector<std::thread> running;
        std::vector<std::function<void()>> events;
        for (auto& w : thread_workers_) running.emplace_back([&w, share = share_] { w->run(share); });
        for (std::size_t i = 0; i < crews_.size(); ++i) {
            crew& c = *crews_[i];
            c.spawn(share_, crew_fates_[i] == crew_fate::ends_in_a_group || below(4) == 0);
            c.run(1 + below(2));
            if (crew_fates_[i] == crew_fate::pauses) {
                events.emplace_back([this, &c] {
                    c.halt();
                    pass_time();
                    c.run(1 + below(2));
                });
            } else if (crew_fates_[i] == crew_fate::is_destroyed) {
                events.emplace_back([this, &c] {
                    c.halt();
                    pass_time();  // others complete what its coroutines wait for
                    c.destroy();
                });
            }
        }
        if (ending_ == ending::closed_early) {
            events.emplace_back([this, &stop] {
                channels_[below(static_cast<std::uint32_t>(channels_.size()))].tx.close();
                stop.request_stop();
            });
        }
        std::ranges::shuffle(events, random_);
        for (const auto& event : events) {
            pass_time();
            event();
        }
        for (std::thread& t : running) t.join();
        // Coroutines may wait without a limit.
        pass_time();
        for (const channel& c : channels_) c.tx.close();
        notes_.tx.close();
        stop.request_stop();
        for (const auto& c : crews_) c->wait();
    }

    std::mt19937_64 random_;
    const unsigned share_;
    const ending ending_;
    unsigned threads_;
    std::vector<crew_fate> crew_fates_;
    std::vector<unsigned> coroutines_;  // by crew
    std::vector<channel> channels_;
    sluice::channel<note> notes_;
    std::vector<std::unique_ptr<thread_worker>> thread_workers_;
    std::vector<std::unique_ptr<crew>> crews_;
};

}  // namespace soak
