// A chat: `nats_chat URL ROOM NAME` says what you type, and prints what others say in the room. Rooms and names are words of a
// subject, so that one receiver hears a room, and another all rooms. Without arguments, tries that out with a server of its
// own.
#include "args.hpp"
#include "checked.hpp"
#include "nats_server.hpp"

#include <sluice/nats.hpp>
#include <sluice/sluice.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <map>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
namespace nats = sluice::nats;
using line = nats::message<std::string>;

std::string speaker(const line& l) { return l.subject.substr(l.subject.rfind('.') + 1); }

int chat(const std::string& url, const std::string& room, const std::string& name) {
    const nats::connection bus(url, {.name = name});
    const auto heard = bus.receiver<line>("chat." + room + ".*");
    std::jthread prints([heard, &name] {
        for (const line& l : heard) {
            if (speaker(l) != name) std::printf("%s: %s\n", speaker(l).c_str(), l.value.c_str());
            std::fflush(stdout);
        }
    });
    const auto says = bus.sender<std::string>("chat." + room + "." + name);
    for (std::string text; std::getline(std::cin, text);) {
        if (!says.send(text)) break;
    }
    heard.close();
    return 0;
}

// Each guest says lines in a room, and listens until all guests of that room have said theirs.
bool try_out(std::size_t guests, std::size_t lines) {
    const example::nats_server server;
    const nats::connection bus(server.url(), {.connect_timeout = 10s, .retry_first_connect = true});
    const auto host = bus.receiver<line>("chat.>");
    const std::vector<std::string> rooms{"kitchen", "garden"};
    std::vector<nats::connection> theirs;
    std::vector<sluice::receiver<line>> ears;
    for (std::size_t g = 0; g < guests; ++g) {
        theirs.emplace_back(server.url());
        ears.push_back(theirs.back().receiver<line>("chat." + rooms[g % 2] + ".*"));
    }
    // What each guest has heard of each other, in order; false if anything is missing.
    const auto hears_all = [&](std::size_t g) {
        std::map<std::string, std::size_t> count;
        const std::size_t in_room = (guests + 1 - g % 2) / 2;
        for (std::size_t i = 0; i < in_room * lines; ++i) {
            const auto l = ears[g].recv_timeout(20s);
            if (!l || l->value != "line " + std::to_string(count[speaker(*l)]++)) return false;
        }
        return count.size() == in_room;
    };
    std::vector<char> well(guests, 0);
    {
        std::vector<std::jthread> threads;
        for (std::size_t g = 0; g < guests; ++g) {
            threads.emplace_back([&, g] {
                const auto says = theirs[g].sender<std::string>("chat." + rooms[g % 2] + ".guest" + std::to_string(g));
                for (std::size_t i = 0; i < lines; ++i) (void)says.send("line " + std::to_string(i));
                well[g] = hears_all(g);
            });
        }
    }
    std::size_t heard = 0;
    while (heard < guests * lines && host.recv_timeout(20s)) ++heard;
    std::printf("%zu guests in two rooms, %zu lines\n", guests, heard);
    return heard == guests * lines && std::count(well.begin(), well.end(), 1) == static_cast<std::ptrdiff_t>(guests);
}

int main(int argc, char** argv) {
    example::args args(argc, argv, "People who know a NATS server talk in rooms.");
    const auto guests = args.number("guests", 5, "who try it out", 2, 50);
    const auto lines = args.number("lines", 200, "that each of them says", 1, 10000);
    const auto who = args.operands("[URL ROOM NAME]", "whom to talk as, and where", 0, 3);
    args.finish();
    if (who.size() == 3) return chat(who[0], who[1], who[2]);
    return example::checked(try_out(guests, lines),
                            "each guest heard every line of its room, and the host those of all rooms");
}
