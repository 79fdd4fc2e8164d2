// The same fast producer and slow consumer: an unbounded channel lets the queue grow until the consumer catches up, a
// bounded one keeps it short; either way the memory comes back when the messages have been received.
#include "args.hpp"
#include "checked.hpp"

#include <sluice/sluice.hpp>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <thread>
#include <vector>

#include <unistd.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

// Read by AddressSanitizer, which otherwise keeps for a while what was freed.
extern "C" const char* __asan_default_options() { return "quarantine_size_mb=0:thread_local_quarantine_size_kb=0"; }

using message = std::vector<char>;
constexpr double megabyte = 1024 * 1024;

// Resident memory of this process in MB, 0 where the system does not tell.
double resident() {
#if defined(__GLIBC__)
    malloc_trim(0);  // what the program has freed, the allocator now gives back
#endif
    std::ifstream statm("/proc/self/statm");
    double total = 0;
    double pages = 0;
    statm >> total >> pages;
    return pages * static_cast<double>(sysconf(_SC_PAGESIZE)) / megabyte;
}

struct course {
    std::size_t longest_queue;
    double most, after;  // resident memory in MB, above what it was before
};

course run(const char* name, sluice::channel<message> channel, std::size_t messages, std::size_t bytes,
           std::chrono::milliseconds delay) {
    std::printf("%s channel\n", name);
    const double before = resident();
    course seen{};
    {
        std::jthread producer([out = std::move(channel.tx), messages, bytes] {
            for (std::size_t n = 0; n < messages && out.send(message(bytes, 'x')); ++n) {
            }
        });
        std::size_t received = 0;
        while (channel.rx.recv()) {
            std::this_thread::sleep_for(delay);  // imitates work
            seen.longest_queue = std::max(seen.longest_queue, channel.rx.size());
            if (received++ % (messages / 8 + 1) == 0) {
                const double now = resident() - before;
                seen.most = std::max(seen.most, now);
                std::printf("  %4zu received, %4zu in the queue, %6.1f MB\n", received, channel.rx.size(), now);
            }
        }
    }
    seen.after = resident() - before;
    std::printf("  %4s received,    0 in the queue, %6.1f MB\n", "all", seen.after);
    return seen;
}

int main(int argc, char** argv) {
    example::args args(argc, argv, "A fast producer and a slow consumer, and what that means for memory.");
    const auto messages = args.number("messages", 200, "that are sent", 8);
    const auto kilobytes = args.number("kilobytes", 256, "in each message");
    const auto capacity = args.number("capacity", 8, "of the bounded channel", 0);
    const auto delay = args.delay("delay", 2, "what the consumer takes for a message");
    args.finish();

    const auto bytes = kilobytes * 1024;
    const course unbounded = run("unbounded", sluice::unbounded<message>(), messages, bytes, delay);
    const course bounded = run("bounded", sluice::bounded<message>(capacity), messages, bytes, delay);
    const bool came_back = unbounded.after <= unbounded.most / 2 + 1 && bounded.after <= unbounded.most / 2 + 1;
    return example::checked(came_back && bounded.longest_queue <= capacity,
                            "the bounded queue stayed short, and the memory came back");
}
