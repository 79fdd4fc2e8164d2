// The other process of the tests over NATS. Each command writes a line when the test may go on.
#include "../support/scale.hpp"

#include <sluice/nats.hpp>
#include <sluice/sluice.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <thread>
#include <vector>

#include <unistd.h>

namespace {

using namespace std::chrono_literals;

void say(const std::string& line) {
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
}

// Receives one delivery, and neither acknowledges it nor ends.
void hold(const std::string& url, const std::string& stream, const std::string& durable) {
    const sluice::nats::connection bus(url);
    const auto rx = bus.stream(stream).receiver<int>({.durable = durable, .ack_wait = 500ms, .capacity = 1});
    const auto d = rx.recv();
    say(d ? std::to_string(**d) : "closed");
    std::getchar();
}

// Receives one of `count` deliveries, says which when the others have come, and ends by exit() with everything alive.
void keep(const std::string& url, const std::string& stream, const std::string& durable, std::size_t count) {
    static const sluice::nats::connection bus(url);
    static const auto rx = bus.stream(stream).receiver<int>({.durable = durable, .ack_wait = 1h, .capacity = count});
    static const auto d = rx.recv();
    while (d && rx.size() < count - 1) std::this_thread::yield();
    say(d ? std::to_string(**d) : "closed");
    std::getchar();
    std::exit(0);
}

// Sends numbers, says so, and ends the program by exit() with everything alive.
void leave(const std::string& url, const std::string& subject, int count) {
    static const sluice::nats::connection bus(url);
    static const auto tx = bus.sender<int>(subject);
    for (int i = 0; i < count; ++i) {
        if (!tx.send(i)) say("closed");
    }
    std::exit(0);
}

// In a child that was forked, a connection throws, and handles may be dropped; the parent's goes on.
void fork_here(const std::string& url) {
    // AddressSanitizer looks for leaks at the very end, and takes the lock of its allocator for that, which another thread
    // may have held when the process forked. Before that, all else that exit() calls has been called: this comes first.
    static bool skips_leak_check = false;
    std::atexit([] {
        if (skips_leak_check) ::_exit(0);
    });
    sluice::nats::connection bus(url);
    auto rx = bus.receiver<int>("fork.here");
    auto tx = bus.sender<int>("fork.here");
    const pid_t child = ::fork();
    if (child == 0) {
        skips_leak_check = test::sanitized;
        bool threw = false;
        try {
            (void)bus.receiver<int>("fork.child");
        } catch (const std::system_error& e) {
            threw = e.code() == std::errc::operation_not_permitted;
        }
        rx = {};
        tx = {};
        say(threw ? "child refused" : "child was let in");
        std::exit(0);
    }
    if (!tx.send(5)) say("closed");
    const auto m = rx.recv_timeout(10s);
    say(m ? "parent " + std::to_string(*m) : "parent has nothing");
}

}  // namespace

int main(int argc, char** argv) try {
    const std::vector<std::string> words(argv + 1, argv + argc);
    if (words.size() == 4 && words[0] == "hold")
        hold(words[1], words[2], words[3]);
    else if (words.size() == 5 && words[0] == "keep")
        keep(words[1], words[2], words[3], std::stoul(words[4]));
    else if (words.size() == 4 && words[0] == "leave")
        leave(words[1], words[2], std::stoi(words[3]));
    else if (words.size() == 2 && words[0] == "fork")
        fork_here(words[1]);
    else
        return 2;
} catch (const std::exception& e) {
    say(e.what());
    return 1;
}
