// Runs the test cases under a watchdog: one that makes no progress for too long is named, and the program aborted.
#define CATCH_CONFIG_RUNNER
#include "catch.hpp"
#include "support/scale.hpp"

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

// Knows the sections that are open, the test case as the first of them, and when one was last entered or left.
class watchdog {
public:
    watchdog() : watcher_([this] { watch(); }) {}
    watchdog(const watchdog&) = delete;

    ~watchdog() {
        change([&] { finished_ = true; });
        watcher_.join();
    }

    void enter(std::string section) {
        change([&] { sections_.push_back(std::move(section)); });
    }

    void leave() {
        change([&] { sections_.pop_back(); });
    }

private:
    // Longer than any single wait of a test, which says more of itself when it is given up.
    static constexpr std::chrono::seconds limit = 2 * test::patience;

    template <class Change>
    void change(Change apply) {
        {
            const std::lock_guard hold(mutex_);
            apply();
            ++progress_;
        }
        changed_.notify_one();
    }

    void watch() {
        std::unique_lock hold(mutex_);
        while (!finished_) {
            const auto seen = progress_;
            if (!changed_.wait_for(hold, limit, [&] { return progress_ != seen; }) && !sections_.empty()) {
                give_up();
            }
        }
    }

    [[noreturn]] void give_up() const {
        std::fprintf(stderr, "\nNo progress for %d s in\n", static_cast<int>(limit.count()));
        for (const auto& section : sections_) {
            std::fprintf(stderr, "  %s\n", section.c_str());
        }
        // Catch2's handler would read what the hanging thread may be writing.
        std::signal(SIGABRT, SIG_DFL);
        std::abort();
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::string> sections_;
    unsigned long progress_ = 0;
    bool finished_ = false;
    std::thread watcher_;
};

watchdog* guard = nullptr;

#if defined(CATCH_VERSION_MAJOR) && CATCH_VERSION_MAJOR >= 3
using listener_base = Catch::EventListenerBase;
constexpr auto no_tests = Catch::WarnAbout::UnmatchedTestSpec;
#else
using listener_base = Catch::TestEventListenerBase;
constexpr auto no_tests = Catch::WarnAbout::NoTests;
#endif

struct progress_listener : listener_base {
    using listener_base::listener_base;
    void sectionStarting(const Catch::SectionInfo& section) override { guard->enter(section.name); }
    void sectionEnded(const Catch::SectionStats&) override { guard->leave(); }
};

CATCH_REGISTER_LISTENER(progress_listener)

}  // namespace

int main(int argc, char** argv) {
    Catch::Session session;
    // A test case that asserts nothing fails, and so does a run without any test case.
    session.configData().warnings = static_cast<Catch::WarnAbout::What>(Catch::WarnAbout::NoAssertions | no_tests);
    if (const int status = session.applyCommandLine(argc, argv)) {
        return status;
    }
    watchdog running;
    guard = &running;
    return session.run();
}
