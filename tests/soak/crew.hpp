// A loop, its coroutines, and the threads that run it.
#pragma once

#include "coroutine_worker.hpp"

#include <sluice/async.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

namespace soak {

class crew {
public:
    crew() = default;
    crew(const crew&) = delete;
    crew& operator=(const crew&) = delete;

    void hire(const workplace& place, std::uint32_t number, std::uint64_t seed, bool quits) {
        workers_.push_back(std::make_unique<coroutine_worker>(place, number, seed, quits));
    }

    /// Has each of them do its share: by itself, or all in a group.
    void spawn(unsigned share, bool as_group) {
        if (as_group) {
            loop_->spawn(lead(share));
            return;
        }
        for (const auto& w : workers_) loop_->spawn(w->run(share, {}));
    }

    /// Has so many threads run the loop until all has ended.
    void run(std::size_t threads) {
        running_ = threads;
        for (std::size_t i = 0; i < threads; ++i) {
            threads_.emplace_back([this] {
                while (!has_run()) {
                }
                --running_;
            });
        }
    }

    /// Has the threads leave the loop, wherever they are.
    void halt() {
        while (running_ > 0) {
            loop_->stop();
            std::this_thread::yield();
        }
        wait();
        // A stop that came too late for them ends the next run(), which is this one.
        loop_->stop();
        loop_->run();
    }

    /// Destroys the loop with all that has not ended. No thread may run it.
    void destroy() {
        loop_.reset();
        done.loops_destroyed.fetch_add(1, std::memory_order_relaxed);
    }

    void wait() {
        for (std::thread& t : threads_) t.join();
        threads_.clear();
    }

private:
    bool has_run() {
        try {
            loop_->run();
        } catch (const quit&) {
            return false;
        }
        return true;
    }

    // The first that quits stops what the others wait for by the group's token.
    sluice::task<> lead(unsigned share) {
        sluice::task_group group(co_await sluice::this_executor());
        for (const auto& w : workers_) group.spawn(w->run(share, group.stop_token()));
        try {
            co_await group.join();
        } catch (const quit&) {
            co_return;
        }
    }

    std::vector<std::unique_ptr<coroutine_worker>> workers_;  // outlive the loop, whose tasks refer to them
    std::optional<sluice::run_loop> loop_{std::in_place};
    std::vector<std::thread> threads_;
    std::atomic<std::size_t> running_{0};
};

}  // namespace soak
