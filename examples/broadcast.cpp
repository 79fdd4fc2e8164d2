// One publisher, many subscribers: each gets every message, or as many as its overflow policy leaves to one that is
// slow. Subscribers join at any time and leave by dropping their receiver.
#include "args.hpp"
#include "checked.hpp"

#include <sluice/sluice.hpp>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <optional>
#include <string>
#include <thread>
#include <vector>

using numbers = std::vector<std::size_t>;

// What a slow subscriber with room for `room` messages (or any number) received of the messages 1 to `count`.
numbers listen(std::size_t count, std::size_t room, std::optional<sluice::overflow> policy,
               std::chrono::milliseconds delay) {
    sluice::broadcaster<std::size_t> bus;
    auto feed = policy ? bus.subscribe(room, *policy) : bus.subscribe();
    std::jthread publisher([out = std::move(bus), count] {
        for (std::size_t n = 1; n <= count; ++n) (void)out.send(n);  // whoever listens
    });
    numbers received;
    for (std::size_t n : feed) {
        std::this_thread::sleep_for(delay);  // imitates work
        received.push_back(n);
    }
    return received;
}

void print(const char* name, const numbers& received, std::size_t count) {
    std::string missed;
    auto next = received.begin();
    for (std::size_t n = 1; n <= count; ++n) {
        if (next != received.end() && *next == n) {
            ++next;
        } else {
            missed += " " + std::to_string(n);
        }
    }
    std::printf("%s: received %zu, missed%s\n", name, received.size(), missed.empty() ? " nothing" : missed.c_str());
}

int main(int argc, char** argv) {
    example::args args(argc, argv,
                       "A slow subscriber under each overflow policy; then subscribers that join and leave.");
    const auto count = args.number("messages", 20, "that are published", 4, 1000);
    const auto room = args.number("room", 4, "messages that wait for a subscriber");
    const auto delay = args.delay("delay", 2, "what a subscriber takes for a message");
    args.finish();

    const auto unbounded = listen(count, room, std::nullopt, delay);
    const auto block = listen(count, room, sluice::overflow::block, delay);
    const auto oldest = listen(count, room, sluice::overflow::drop_oldest, delay);
    const auto newest = listen(count, room, sluice::overflow::drop_newest, delay);
    const auto cut_off = listen(count, room, sluice::overflow::disconnect, delay);
    print("unbounded", unbounded, count);
    print("block", block, count);
    print("drop_oldest", oldest, count);
    print("drop_newest", newest, count);
    print("disconnect", cut_off, count);

    sluice::broadcaster<std::size_t> bus;
    auto early = bus.subscribe();
    auto brief = bus.subscribe();
    std::size_t reached = 0;
    for (std::size_t n = 1; n <= 2; ++n) reached += bus.send(n);
    brief = {};
    auto late = bus.subscribe();
    for (std::size_t n = 3; n <= 4; ++n) reached += bus.send(n);
    bus = {};  // closes the subscribers that are left
    numbers early_heard;
    numbers late_heard;
    std::ranges::copy(early, std::back_inserter(early_heard));
    std::ranges::copy(late, std::back_inserter(late_heard));
    print("joined early", early_heard, 4);
    print("joined late", late_heard, 4);

    const bool policies = unbounded.size() == count && block.size() == count && oldest.back() == count &&
                          newest.front() == 1 && cut_off.size() == cut_off.back();
    const bool joining = reached == 8 && early_heard == numbers{1, 2, 3, 4} && late_heard == numbers{3, 4};
    return example::checked(policies && joining, "every subscriber missed only what its policy lets it miss");
}
