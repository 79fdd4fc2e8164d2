// What can be seen of a thread from outside: whether it is asleep, or has ended.
#pragma once

#include "scale.hpp"

#if defined(_WIN32)
#include "probe_windows.hpp"
#else
#include "probe_linux.hpp"
#endif

#include <chrono>
#include <thread>

namespace test {

/// How a thread comes to rest: `awake` if it does not, in longer than any machine needs.
enum class rest { asleep, finished, awake };

/// Waits until the thread has ended or is parked: the kernel shows it sleeping, and it has not been switched in even
/// once over a stretch far longer than any wait for a lock that nobody else is using. A thread that runs, spins, yields
/// or polls never looks like that.
[[nodiscard]] inline rest come_to_rest(const thread_probe& probe) {
    using clock = std::chrono::steady_clock;
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
        } else if (before - since >= thread_probe::stretch) {
            return rest::asleep;
        }
        thread_probe::pause();
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
