// What can be seen of a thread from outside: whether it is asleep, or has ended.
#pragma once

#include "scale.hpp"

#include <unistd.h>

#include <sys/syscall.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <optional>
#include <string>
#include <thread>

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

/// Whether the thread ends within that time.
[[nodiscard]] inline bool finishes(const thread_probe& probe, std::chrono::steady_clock::duration within = patience) {
    const auto limit = std::chrono::steady_clock::now() + within;
    while (!probe.finished() && std::chrono::steady_clock::now() < limit) {
        std::this_thread::yield();
    }
    return probe.finished();
}

}  // namespace test
