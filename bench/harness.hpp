// How everything is measured: benchmarks by group, parameter and name; messages that prove themselves; threads that
// start together.
#pragma once

#include "adapter.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <initializer_list>
#include <latch>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace bench {

/// How long everything may take.
struct plan {
    bool quick = false;

    double seconds() const { return quick ? 0.05 : 0.1; }
    /// For what is compared with other libraries.
    int repetitions() const { return quick ? 3 : 7; }
    /// For what shows a trend.
    int few_repetitions() const { return quick ? 1 : 3; }
};

/// The kinds of channel, by the names that they have in the results.
struct kind {
    const char* name;
    limit capacity;
};
inline constexpr kind unb{"unb", unbounded};
inline constexpr kind b512{"b512", 512};
inline constexpr kind b16{"b16", 16};
inline constexpr kind b1{"b1", 1};
inline constexpr kind b0{"b0", rendezvous};

/// Set once any benchmark has received something else than what was sent.
inline bool wrong = false;

/// What a source file contributes: a function that adds its benchmarks. main() calls them all.
class part {
public:
    using adder = void (*)(const plan&);
    explicit part(adder add) { all().push_back(add); }

    static std::vector<adder>& all() {
        static std::vector<adder> parts;
        return parts;
    }
};

/// How often a benchmark runs, and how long: so many messages if those are given, else as many as take so many seconds.
struct effort {
    int repetitions = 1;
    double seconds = 0;
    number messages = 0;
};

/// Registers the benchmark "group/parameter/name". An iteration is one message, so the times that are reported are those
/// of a message.
template <class Function>
auto* add_function(const std::string& group, const std::string& parameter, const std::string& name, const effort& how,
                   Function function) {
    const std::string title = group + '/' + parameter + '/' + name;
    auto* const added = benchmark::RegisterBenchmark(title.c_str(), std::move(function));
    added->Repetitions(how.repetitions);
    return how.messages > 0 ? added->Iterations(how.messages) : added->MinTime(how.seconds);
}

/// A benchmark by the clock of Google Benchmark. `run(state, messages)` gets a paused clock, makes everything ready,
/// resumes the clock, moves the messages, pauses the clock, and returns whether each message arrived as it was sent.
template <class Run>
void add(const std::string& group, const std::string& parameter, const std::string& name, const effort& how, Run run) {
    const auto measure = [run](benchmark::State& state) {
        const number messages = state.max_iterations;
        while (state.KeepRunningBatch(messages)) {
            state.PauseTiming();
            const bool right = run(state, messages);
            state.ResumeTiming();
            if (!right) {
                wrong = true;
                state.SkipWithError("what was received is not what was sent");
            }
        }
    };
    add_function(group, parameter, name, how, measure)->UseRealTime()->MeasureProcessCPUTime();
}

/// A benchmark that times itself: `run(state, messages)` returns the seconds that the messages took.
template <class Run>
void add_timed(const std::string& group, const std::string& parameter, const std::string& name, const effort& how,
               Run run) {
    const auto measure = [run](benchmark::State& state) {
        const number messages = state.max_iterations;
        while (state.KeepRunningBatch(messages)) state.SetIterationTime(run(state, messages));
    };
    add_function(group, parameter, name, how, measure)->UseManualTime();
}

/// Adds a benchmark for each of these kinds of channel that A offers: `run(state, messages, capacity)` as for add().
template <described A, class Run>
void add_kinds(const std::string& group, std::initializer_list<kind> kinds, const effort& how, Run run) {
    for (const kind& k : kinds) {
        if (!A::can.open(k.capacity)) continue;
        add(group, k.name, A::name, how,
            [k, run](benchmark::State& state, number messages) { return run(state, messages, k.capacity); });
    }
}

/// Makes the message number n, and gets n back from it; the message must have come through whole.
template <class T>
struct message;

template <>
struct message<number> {
    static number write(number n) { return n; }
    static number read(number m) { return m; }
};

template <std::size_t Bytes>
struct block {
    std::array<number, Bytes / sizeof(number)> words;

    block() noexcept { words.front() = words.back() = 0; }  // zeroing all of it would be measured as well
    explicit block(number n) { words.fill(n); }
};
template <std::size_t Bytes>
struct message<block<Bytes>> {
    static block<Bytes> write(number n) { return block<Bytes>(n); }
    static number read(const block<Bytes>& m) { return m.words.front() == m.words.back() ? m.words.front() : 0; }
};

template <>
struct message<std::string> {
    static constexpr std::size_t size = 64;
    static std::string write(number n) {
        std::string m(size, '.');
        std::memcpy(m.data(), &n, sizeof n);
        return m;
    }
    static number read(const std::string& m) {
        number n = 0;
        if (m.size() == size) std::memcpy(&n, m.data(), sizeof n);
        return n;
    }
};

/// The sum of 1 to n: what the messages 1 to n must come to.
constexpr number sum_to(number n) { return n % 2 == 0 ? n / 2 * (n + 1) : (n + 1) / 2 * n; }

/// The seconds that a function takes.
template <class Work>
double seconds_of(Work work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Threads that were created before the clock starts, and go together.
class start_line {
public:
    explicit start_line(number threads) : ready_(static_cast<std::ptrdiff_t>(threads)) {}
    void wait() {
        ready_.count_down();
        go_.wait();
    }
    void release(benchmark::State& state) {
        ready_.wait();
        state.ResumeTiming();
        go_.count_down();
    }

private:
    std::latch ready_;
    std::latch go_{1};
};

class team {
public:
    explicit team(start_line& line) : line_(line) {}
    template <class Work>
    void add(Work work) {
        threads_.emplace_back([this, work = std::move(work)]() mutable {
            line_.wait();
            work();
        });
    }
    void join() {
        for (std::thread& t : threads_) t.join();
    }
    /// Lets all begin, and measures until all are done.
    void run(benchmark::State& state) {
        line_.release(state);
        join();
        state.PauseTiming();
    }

private:
    start_line& line_;
    std::vector<std::thread> threads_;
};

/// Of n messages, the share of member i among k: those after `first`, `count` of them.
struct share {
    number first;
    number count;

    share(number n, number i, number k) : first(n / k * i + std::min(i, n % k)), count(n / k + (i < n % k)) {}
};

/// One thread, and a channel that already holds `depth` messages: send one, receive one.
template <adapter A>
bool in_one_thread(benchmark::State& state, number messages, const limit& capacity, number depth) {
    auto channel = A::template open<number>(capacity);
    for (number n = 1; n <= depth; ++n) channel.tx.send(number(n));
    number sum = 0;
    state.ResumeTiming();
    for (number n = 1; n <= messages; ++n) {
        channel.tx.send(depth + n);
        sum += *channel.rx.recv();
    }
    state.PauseTiming();
    for (number n = 1; n <= depth; ++n) sum += *channel.rx.recv();
    return sum == sum_to(depth + messages);
}

/// Senders and receivers of T on one channel, a thread each. A receiver goes on until the channel is closed; where the
/// library has no close, it takes an equal share.
template <adapter A, class T>
bool stream(benchmark::State& state, number messages, const limit& capacity, number senders, number receivers) {
    auto channel = A::template open<T>(capacity);
    start_line line(senders + receivers);
    team sending(line);
    team receiving(line);
    std::atomic<number> total = 0;
    for (number r = 0; r < receivers; ++r) {
        receiving.add([rx = channel.rx, mine = share(messages, r, receivers), &total]() mutable {
            number sum = 0;
            if constexpr (A::closes) {
                while (auto m = rx.recv()) sum += message<T>::read(*m);
            } else {
                for (number n = 0; n < mine.count; ++n) sum += message<T>::read(*rx.recv());
            }
            total += sum;
        });
    }
    for (number s = 0; s < senders; ++s) {
        sending.add([tx = channel.tx, mine = share(messages, s, senders)]() mutable {
            for (number n = 1; n <= mine.count; ++n) tx.send(message<T>::write(mine.first + n));
        });
    }
    line.release(state);
    sending.join();
    if constexpr (A::closes) channel.tx.close();
    receiving.join();
    state.PauseTiming();
    return total == sum_to(messages);
}

}  // namespace bench
