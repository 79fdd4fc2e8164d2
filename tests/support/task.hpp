// Threads for tests: they can be seen to be asleep, and waiting for them has an upper bound.
#pragma once

#include "../catch.hpp"
#include "probe.hpp"
#include "scale.hpp"

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>

namespace test {

/// Polls until `condition()` holds; false, which fails the test, when that takes longer than any machine needs.
template <class Condition>
[[nodiscard]] bool eventually(Condition condition) {
    const auto limit = std::chrono::steady_clock::now() + patience;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > limit) {
            UNSCOPED_INFO("the condition did not come true within " << patience.count() << " s");
            return false;
        }
        std::this_thread::yield();
    }
    return true;
}

/// True once the thread is parked. False, which fails the test, when it ends instead or stays awake.
[[nodiscard]] inline bool wait_until_asleep(const thread_probe& probe) {
    const rest seen = come_to_rest(probe);
    if (seen == rest::finished) {
        UNSCOPED_INFO("the thread finished where it should have blocked");
    } else if (seen == rest::awake) {
        UNSCOPED_INFO("the thread did not fall asleep within " << patience.count() << " s");
    }
    return seen == rest::asleep;
}

/// A thread that does one job. Waiting for one that never ends stops the whole test program with a message: the stuck
/// thread refers to objects of the test, so that nothing could be unwound.
class background : public thread_probe {
public:
    background(const background&) = delete;
    background& operator=(const background&) = delete;
    ~background() { join(); }

protected:
    // The body of a task with its type erased at once: the machinery of threads is compiled a single time.
    struct job {
        virtual ~job() = default;
        virtual void run() = 0;
    };

    background() = default;

    void start(std::unique_ptr<job> what) {
        job_ = std::move(what);
        thread_ = std::thread([this] { work(); });
    }

    void join() {
        if (!thread_.joinable()) {
            return;
        }
        {
            std::unique_lock lock(mutex_);
            if (!ended_.wait_for(lock, patience, [this] { return finished(); })) {
                std::fprintf(stderr, "\na thread of the test is still blocked after %d s\n",
                             static_cast<int>(patience.count()));
                std::abort();
            }
        }
        thread_.join();
    }

    void join_and_rethrow() {
        join();
        if (error_) {
            std::rethrow_exception(std::exchange(error_, nullptr));
        }
    }

private:
    void work() {
        enter();
        try {
            job_->run();
        } catch (...) {
            error_ = std::current_exception();
        }
        job_.reset();
        const std::lock_guard lock(mutex_);
        leave();
        ended_.notify_all();
    }

    std::unique_ptr<job> job_;
    std::exception_ptr error_;
    std::mutex mutex_;
    std::condition_variable ended_;
    std::thread thread_;
};

/// A thread with an outcome. What the body captured is destroyed by the thread, as the last thing that it does.
template <class Value>
class task : public background {
public:
    template <class Body>
    explicit task(Body body) {
        struct made final : job {
            made(Body&& what, std::optional<Value>& where) : body(std::move(what)), outcome(where) {}
            void run() override { outcome.emplace(body()); }
            Body body;
            std::optional<Value>& outcome;
        };
        start(std::make_unique<made>(std::move(body), outcome_));
    }
    ~task() { join(); }

    /// The value of the body, or its exception.
    Value get() {
        join_and_rethrow();
        return *std::move(outcome_);
    }

private:
    std::optional<Value> outcome_;
};

template <class Body>
task(Body) -> task<std::invoke_result_t<Body&>>;

}  // namespace test
