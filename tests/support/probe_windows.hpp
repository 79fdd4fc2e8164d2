// What Windows tells of a thread.
#pragma once

#include <windows.h>

#include <atomic>
#include <chrono>
#include <optional>

namespace test {

/// How long a thread has run, which Windows counts in ticks of its clock. The thread calls `enter` and `leave`; any other
/// thread may look.
class thread_probe {
public:
    struct sighting {
        char state;
        long switches;
    };

    thread_probe() = default;
    thread_probe(const thread_probe&) = delete;
    thread_probe& operator=(const thread_probe&) = delete;
    ~thread_probe() {
        if (thread_ != nullptr) {
            ::CloseHandle(thread_);
        }
    }

    /// Whether it has run meanwhile shows after so long, a few ticks.
    static constexpr std::chrono::microseconds stretch{60'000};

    /// Between two looks, of which each asks the system: long enough to leave the processor to others.
    static void pause() { ::Sleep(1); }

    bool finished() const { return finished_.load(); }

    /// Nothing before `enter`.
    std::optional<sighting> look() const {
        FILETIME begin, end, kernel, user;
        if (!entered_.load() || !::GetThreadTimes(thread_, &begin, &end, &kernel, &user)) {
            return std::nullopt;
        }
        return sighting{'S', static_cast<long>(kernel.dwLowDateTime + user.dwLowDateTime)};
    }

protected:
    void enter() {
        ::DuplicateHandle(::GetCurrentProcess(), ::GetCurrentThread(), ::GetCurrentProcess(), &thread_, 0, FALSE,
                          DUPLICATE_SAME_ACCESS);
        entered_.store(true);
    }
    void leave() { finished_.store(true); }

private:
    HANDLE thread_ = nullptr;
    std::atomic<bool> entered_{false};
    std::atomic<bool> finished_{false};
};

}  // namespace test
