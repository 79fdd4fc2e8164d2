// What Linux tells of a thread.
#pragma once

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

    /// Whether it has been switched in meanwhile shows after so long.
    static constexpr std::chrono::microseconds stretch{200};

    /// Between two looks.
    static void pause() { std::this_thread::yield(); }

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

}  // namespace test
