// An unbounded channel: producers never wait, and the channel closes by itself when the last of them drops its sender.
#include "args.hpp"
#include "checked.hpp"

#include <sluice/sluice.hpp>

#include <cstdio>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

int main(int argc, char** argv) {
    example::args args(argc, argv, "Producers send lines of text through an unbounded channel to one consumer.");
    const auto producers = args.number("producers", 3, "threads that send", 1, 1000);
    const auto messages = args.number("messages", 4, "lines from each of them");
    args.finish();

    auto [tx, rx] = sluice::unbounded<std::string>();
    std::vector<std::jthread> threads;
    for (std::size_t id = 1; id <= producers; ++id) {
        threads.emplace_back([out = tx, id, messages] {
            for (std::size_t n = 1; n <= messages; ++n) {
                std::ostringstream line;
                line << "producer " << id << ": message " << n << " of " << messages;
                if (!out.send(line.str())) {
                    return;  // the consumer has gone
                }
            }
        });
    }
    tx = {};  // now the producers hold the only senders

    std::size_t received = 0;
    for (const std::string& line : rx) {
        std::printf("%s\n", line.c_str());
        ++received;
    }
    return example::checked(received == producers * messages, "every line arrived");
}
