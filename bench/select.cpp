// What a select costs: over more and more ready channels, in a group of more and more idle ones, and when it is woken
// among others that wait on the same channels.
#include "harness.hpp"
#include "adapters/sluice.hpp"

#include <array>
#include <cstddef>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

namespace bench {
namespace {

std::vector<sluice::channel<number>> channels_with_one_message(number width) {
    std::vector<sluice::channel<number>> channels;
    for (number n = 1; n <= width; ++n) {
        channels.push_back(sluice::unbounded<number>());
        if (!channels.back().tx.send(n)) std::abort();
    }
    return channels;
}

// Every channel still holds the message that it held at first.
bool as_before(const std::vector<sluice::channel<number>>& channels) {
    for (std::size_t i = 0; i < channels.size(); ++i) {
        const auto m = channels[i].rx.try_recv();
        if (!m || *m != static_cast<number>(i + 1) || !channels[i].rx.empty()) return false;
    }
    return true;
}

// The handler of a channel's case: puts the message back, so that all channels stay ready.
auto put_back(const sluice::channel<number>& c, number& rounds) {
    return [&tx = c.tx, &rounds](number n) {
        if (!tx.send(n)) std::abort();
        ++rounds;
    };
}

template <std::size_t... I>
bool ready_select(benchmark::State& state, number messages, std::index_sequence<I...>) {
    const auto channels = channels_with_one_message(sizeof...(I));
    number rounds = 0;
    const std::array handlers{put_back(channels[I], rounds)...};
    state.ResumeTiming();
    for (number n = 0; n < messages; ++n) {
        if (!sluice::select(sluice::on_recv(channels[I].rx, handlers[I])...)) break;
    }
    state.PauseTiming();
    return rounds == messages && as_before(channels);
}

bool ready_selector(benchmark::State& state, number messages, number width) {
    const auto channels = channels_with_one_message(width);
    number rounds = 0;
    sluice::selector group;
    for (const auto& c : channels) group.add(sluice::on_recv(c.rx, put_back(c, rounds)));
    state.ResumeTiming();
    for (number n = 0; n < messages; ++n) {
        if (!group.wait()) break;
    }
    state.PauseTiming();
    return rounds == messages && as_before(channels);
}

// One channel of a group is active: its message is received by the group, and answered.
bool idle_selector(benchmark::State& state, number messages, number width) {
    std::vector<sluice::channel<number>> channels;
    for (number n = 0; n < width; ++n) channels.push_back(sluice::bounded<number>(16));
    const auto answers = sluice::bounded<number>(1);
    number sum = 0;
    sluice::selector group;
    for (const auto& c : channels) {
        group.add(sluice::on_recv(c.rx, [&](number n) {
            sum += n;
            if (!answers.tx.send(n)) std::abort();
        }));
    }
    start_line line(1);
    team threads(line);
    threads.add([tx = channels[static_cast<std::size_t>(width / 2)].tx, rx = answers.rx, messages] {
        for (number n = 1; n <= messages; ++n) {
            if (!tx.send(n) || !rx.recv()) std::abort();
        }
    });
    line.release(state);
    for (number n = 0; n < messages; ++n) {
        if (!group.wait()) break;
    }
    state.PauseTiming();
    threads.join();
    return sum == sum_to(messages);
}

// Many threads are blocked in selects over the same two channels; a message wakes one of them, which answers.
bool wake_up(benchmark::State& state, number messages, number waiters) {
    const std::array channels{sluice::unbounded<number>(), sluice::unbounded<number>()};
    const auto answers = sluice::unbounded<number>();
    start_line line(waiters);
    team threads(line);
    for (number w = 0; w < waiters; ++w) {
        threads.add([&channels, &answers] {
            const auto answer = [&answers](number n) {
                if (!answers.tx.send(n)) std::abort();
            };
            while (sluice::select(sluice::on_recv(channels[0].rx, answer), sluice::on_recv(channels[1].rx, answer))) {
            }
        });
    }
    number sum = 0;
    const auto round_trip = [&channels, &answers](number n) {
        if (!channels[static_cast<std::size_t>(n % 2)].tx.send(n)) std::abort();
        return *answers.rx.recv();
    };
    line.release(state);
    state.PauseTiming();
    // Who has answered waits behind all the others, so after these everyone has answered and is blocked again.
    for (number w = 0; w < 2 * waiters; ++w) round_trip(w);
    state.ResumeTiming();
    for (number n = 1; n <= messages; ++n) sum += round_trip(n);
    state.PauseTiming();
    for (const auto& c : channels) c.rx.close();
    threads.join();
    return sum == sum_to(messages);
}

template <std::size_t... Width>
void add_ready_selects(const effort& how) {
    (add("select ready", std::to_string(Width), "select", how,
         [](benchmark::State& state, number messages) {
             return ready_select(state, messages, std::make_index_sequence<Width>());
         }),
     ...);
}

const part selects([](const plan& p) {
    const effort how{.repetitions = p.few_repetitions(), .seconds = p.seconds()};
    add_ready_selects<1, 2, 4, 8, 16>(how);
    for (const number width : {1, 2, 4, 8, 16, 64, 256}) {
        add("select ready", std::to_string(width), "selector", how,
            [width](benchmark::State& state, number messages) { return ready_selector(state, messages, width); });
    }
    for (const number width : {1, 10, 100, 1000, 10'000}) {
        add("group round trip", std::to_string(width), "selector", how,
            [width](benchmark::State& state, number messages) { return idle_selector(state, messages, width); });
    }
    for (const number waiters : {1, 4, 16, 64, 256}) {
        add("select wake-up", std::to_string(waiters), "select", how,
            [waiters](benchmark::State& state, number messages) { return wake_up(state, messages, waiters); });
    }
});

}  // namespace
}  // namespace bench
