// Channels whose counters pass their limits, in a program whose std::size_t has 32 bits. With an argument: rings that
// are as old as that, which takes minutes.
#include "../support/crossing.hpp"

#include <cstddef>
#include <cstdio>
#include <exception>
#include <optional>
#include <stdexcept>
#include <vector>

static_assert(sizeof(std::size_t) == 4);

namespace {

template <class... Messages>
void cross_all() {
    for (const std::size_t limit : test::counter_limits()) {
        for (const auto capacity : test::crossing_capacities()) (test::cross<Messages>(capacity, limit), ...);
    }
}

// As many messages go through one ring as `age` says; then comes a burst that does not fit into what is left of it.
void grow_old(std::optional<std::size_t> capacity, std::size_t age) {
    const auto ends = capacity ? sluice::bounded<std::size_t>(*capacity) : sluice::unbounded<std::size_t>();
    std::vector<std::size_t> messages;
    std::size_t sent = 0, received = 0;
    bool right = true;
    const auto send = [&](std::size_t count) {
        messages.resize(count);
        for (std::size_t& message : messages) message = sent++;
        right = right && ends.tx.try_send_many(messages) == count;
    };
    const auto receive = [&](std::size_t count) {
        messages.resize(count);
        right = right && ends.rx.try_recv_many(messages.begin(), count) == count;
        for (const std::size_t message : messages) right = right && message == received++;
    };
    send(3);
    while (right && sent < age) {
        send(4);
        receive(4);
    }
    send(1000);
    receive(1003);
    if (!right || !ends.rx.empty()) throw std::logic_error("an old ring loses a message");
}

}  // namespace

int main(int count, char**) try {
    if (count == 1) {
        cross_all<int, test::move_only, test::over_aligned, test::throwing_move, test::roomy>();
    } else {
        grow_old(std::nullopt, std::size_t{1} << 31);
        grow_old(2000, static_cast<std::size_t>(-2000));
    }
    std::puts("no message is lost");
} catch (const std::exception& e) {
    std::fprintf(stderr, "not so: %s\n", e.what());
    return 1;
}
