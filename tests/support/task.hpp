// Threads for tests: they can be seen to be asleep, and waiting for them has an upper bound.
#pragma once

#include "../catch.hpp"
#include "scale.hpp"

#include <unistd.h>

#include <sys/syscall.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>

namespace test {

/// What the kernel says of one thread. The thread calls `enter` and `leave`; any other thread may look.
class thread_probe {
public:
    struct sighting {
        char state;
        long switches;
    };

    bool finished() const { return finished_.load(); }

    /// Nothing before `enter` and after the thread has ended.
    std::optional<sighting> look() const {
        const long id = id_.load();
        if (id == 0) {
            return std::nullopt;
        }
        std::ifstream status("/proc/self/task/" + std::to_string(id) + "/status");
        sighting seen{'?', -1};
        for (std::string line; std::getline(status, line);) {
            if (line.starts_with("State:")) {
                seen.state = line.at(line.find_first_not_of(" \t", 6));
            } else if (line.starts_with("voluntary_ctxt_switches:")) {
                seen.switches = std::stol(line.substr(24));
            }
        }
        return seen.switches < 0 ? std::nullopt : std::optional(seen);
    }

protected:
    void enter() { id_.store(::syscall(SYS_gettid)); }
    void leave() { finished_.store(true); }

private:
    std::atomic<long> id_{0};
    std::atomic<bool> finished_{false};
};

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

/// How a thread comes to rest: `awake` if it does not, in longer than any machine needs.
enum class rest { asleep, finished, awake };

/// Waits until the thread has ended or is parked: the kernel shows it sleeping, and it has not been switched in even
/// once over a stretch far longer than any wait for a lock that nobody else is using. A thread that runs, spins, yields
/// or polls never looks like that.
[[nodiscard]] inline rest come_to_rest(const thread_probe& probe) {
    using clock = std::chrono::steady_clock;
    constexpr std::chrono::microseconds stretch{200};
    const auto limit = clock::now() + patience;
    long switches = -1;
    clock::time_point since;
    while (clock::now() < limit) {
        const auto before = clock::now();
        const auto seen = probe.look();
        if (probe.finished()) {
            return rest::finished;
        }
        if (!seen || seen->state != 'S') {
            switches = -1;
        } else if (seen->switches != switches) {
            switches = seen->switches;
            since = clock::now();
        } else if (before - since >= stretch) {
            return rest::asleep;
        }
        std::this_thread::yield();
    }
    return rest::awake;
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

/// Whether the thread ends within that time.
[[nodiscard]] inline bool finishes(const thread_probe& probe, std::chrono::steady_clock::duration within = patience) {
    const auto limit = std::chrono::steady_clock::now() + within;
    while (!probe.finished() && std::chrono::steady_clock::now() < limit) {
        std::this_thread::yield();
    }
    return probe.finished();
}

}  // namespace test
