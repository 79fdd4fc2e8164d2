// Random programs of all operations over channels of all kinds, with a ledger of every message, for a given time.
#include <sluice/sluice.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <ranges>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

[[noreturn]] void lost(const std::string& what);

// ---- The ledger: what became of each message of a round.
//
// All threads write to it, in relaxed order, and a message that ends settles its own entry, in whatever thread that is.
// So one that ends twice, or is destroyed though it may not vanish, stops the program at once, with the seed of its
// round. The contention tests keep pages instead (../support/pages.hpp), which share nothing between threads and tell
// several faults, once all threads have ended.

enum class fate : std::uint8_t { made, received, returned, discarded };

struct message_record {
    std::atomic<fate> end{fate::made};
};

class ledger {
public:
    explicit ledger(std::size_t most) : records_(std::make_unique<message_record[]>(most)), most_(most) {}

    std::uint32_t make() {
        const std::uint32_t id = next_.fetch_add(1, std::memory_order_relaxed);
        if (id >= most_) lost("the ledger is too small");
        return id;
    }
    void settle(std::uint32_t id, fate f) {
        if (id >= next_.load(std::memory_order_relaxed)) lost("a message that nobody made");
        if (records_[id].end.exchange(f, std::memory_order_relaxed) != fate::made) lost("a message has ended twice");
    }
    void check() const {
        for (std::uint32_t id = 0; id < next_.load(); ++id) {
            if (records_[id].end.load() == fate::made) lost("a message is lost");
        }
    }
    std::uint32_t made() const { return next_.load(); }

private:
    std::unique_ptr<message_record[]> records_;
    std::size_t most_;
    std::atomic<std::uint32_t> next_{0};
};

// ---- Messages: each owns its number, and is settled when it ends.

class message {
public:
    message(ledger& book, std::uint32_t sender, std::uint32_t sequence, bool may_vanish)
        : sender_(sender),
          sequence_(sequence),
          may_vanish_(may_vanish),
          book_(&book),
          id_(std::make_unique<std::uint32_t>(book.make())) {}
    message(message&& other) noexcept = default;
    message& operator=(message&& other) noexcept {
        vanish();
        sender_ = other.sender_;
        sequence_ = other.sequence_;
        may_vanish_ = other.may_vanish_;
        book_ = other.book_;
        id_ = std::move(other.id_);
        return *this;
    }
    ~message() { vanish(); }

    void end(fate f) {
        if (id_) book_->settle(*std::exchange(id_, nullptr), f);
    }
    bool whole() const { return id_ != nullptr; }
    std::uint32_t sender() const { return sender_; }
    std::uint32_t sequence() const { return sequence_; }

private:
    void vanish() {
        if (!id_) return;
        if (!may_vanish_) lost("a message was destroyed that nobody received");
        end(fate::discarded);
    }

    std::uint32_t sender_, sequence_;
    bool may_vanish_;  // its channel may lose all receivers
    ledger* book_;
    std::unique_ptr<std::uint32_t> id_;
};

// ---- A round: some channels, and threads that work on all of them until each has done its share; then everything is drained.

struct settings {
    double seconds = 10;
    std::uint64_t seed = 1;
    unsigned threads = 8;
};

std::atomic<std::uint64_t> operations{0};
std::atomic<std::uint64_t> seed_of_round{0};
std::atomic<std::uint64_t> rounds{0};

void lost(const std::string& what) {
    std::fprintf(stderr, "\nFAILED: %s, in round %llu; --seed %llu --rounds 1 runs its program again\n", what.c_str(),
                 static_cast<unsigned long long>(rounds.load()), static_cast<unsigned long long>(seed_of_round.load()));
    std::fflush(stderr);
    std::_Exit(1);
}

struct channel {
    sluice::sender<message> tx;
    sluice::receiver<message> rx;
};

class worker {
public:
    worker(std::vector<channel> channels, ledger& book, std::stop_token stop, std::uint32_t number, std::uint64_t seed,
           unsigned senders, bool may_vanish)
        : channels_(std::move(channels)),
          book_(book),
          stop_(std::move(stop)),
          number_(number),
          random_(seed),
          may_vanish_(may_vanish) {
        last_.assign(channels_.size(), std::vector<std::int64_t>(senders, -1));
        sequence_.assign(channels_.size(), 0);
    }

    void run(unsigned share) {
        for (unsigned i = 0; i < share; ++i) one_operation();
        operations.fetch_add(share, std::memory_order_relaxed);
    }

    void drop() { channels_.clear(); }

private:
    std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(random_() % n); }
    std::chrono::microseconds patience() { return std::chrono::microseconds(below(40) * below(10)); }

    message make(std::size_t c) { return message(book_, number_, sequence_[c]++, may_vanish_); }

    // A send that came to nothing gives its message back.
    static void gave(message& m, bool sent) {
        if (sent == m.whole())
            lost(sent ? "a send that succeeded left its message" : "a send that failed took its message");
        if (sent) return;
        m.end(fate::returned);
    }
    void take(std::size_t c, message& m) {
        if (!m.whole()) lost("an empty message");
        std::int64_t& last = last_[c].at(m.sender());
        if (m.sequence() <= last) lost("the messages of a sender are out of order");
        last = m.sequence();
        m.end(fate::received);
    }
    template <class R>
    void got(std::size_t c, R&& r) {
        if (r) take(c, *r);
    }

    void one_operation() {
        const std::size_t c = below(static_cast<std::uint32_t>(channels_.size()));
        const std::size_t d = below(static_cast<std::uint32_t>(channels_.size()));
        channel& ch = channels_[c];
        const auto p = patience();
        switch (below(24)) {
            case 0: {
                message m = make(c);
                gave(m, ch.tx.send_timeout(std::move(m), p).has_value());
                break;
            }
            case 1: {
                message m = make(c);
                gave(m, ch.tx.try_send(std::move(m)).has_value());
                break;
            }
            case 2: {
                message m = make(c);
                gave(m, ch.tx.send_until(std::move(m), steady::now() + p).has_value());
                break;
            }
            case 3: {
                message m = make(c);
                gave(m, ch.tx.send_timeout(std::move(m), p, stop_).has_value());
                break;
            }
            case 4:
            case 5: {
                std::vector<message> batch;
                const std::uint32_t n = 1 + below(20);
                for (std::uint32_t i = 0; i < n; ++i) batch.push_back(make(c));
                const std::size_t sent = ch.tx.try_send_many(std::ranges::subrange(
                    std::make_move_iterator(batch.begin()), std::make_move_iterator(batch.end())));
                for (std::size_t i = 0; i < batch.size(); ++i) gave(batch[i], i < sent);
                break;
            }
            case 6:
            case 7: got(c, ch.rx.recv_timeout(p)); break;
            case 8:
            case 9: got(c, ch.rx.try_recv()); break;
            case 10: got(c, ch.rx.recv_until(std::chrono::system_clock::now() + p)); break;
            case 11: got(c, ch.rx.recv_timeout(p, stop_)); break;
            case 12:
            case 13: {
                std::vector<message> some;
                const std::size_t n = ch.rx.try_recv_many(std::back_inserter(some), 1 + below(20));
                if (n != some.size()) lost("try_recv_many counted wrong");
                for (message& m : some) take(c, m);
                break;
            }
            case 14:
            case 15:
                (void)(sluice::select(sluice::on_recv(ch.rx, [&](message m) { take(c, m); }),
                                      sluice::on_recv(channels_[d].rx, [&](message m) { take(d, m); }),
                                      sluice::on_timeout(p, [] {})));
                break;
            case 16:
            case 17: {
                message m = make(c), n = make(d);
                bool first = false, second = false;
                (void)(sluice::select(sluice::on_send(ch.tx, std::move(m), [&] { first = true; }),
                                      sluice::on_send(channels_[d].tx, std::move(n), [&] { second = true; }),
                                      sluice::on_timeout(p, [] {})));
                gave(m, first);
                gave(n, second);
                break;
            }
            case 18:
            case 19: {
                message m = make(c);
                bool sent = false;
                (void)(sluice::select(
                    sluice::on_recv(channels_[d].rx, [&](sluice::result<message> r) { got(d, r); }),
                    sluice::on_send(ch.tx, std::move(m), [&](const sluice::result<void>& r) { sent = r.has_value(); }),
                    sluice::on_timeout(p, [] {})));
                gave(m, sent);
                break;
            }
            case 20:
                (void)(sluice::select_biased(sluice::on_recv(ch.rx, [&](message m) { take(c, m); }),
                                             sluice::otherwise([] {})));
                break;
            case 21: {
                const sluice::timer t = sluice::after(p);
                (void)(sluice::select(sluice::on_recv(ch.rx, [&](message m) { take(c, m); }),
                                      sluice::on_recv(t, [](steady::time_point) {}), sluice::on_stop(stop_, [] {})));
                break;
            }
            case 22: {
                sluice::selector group;
                for (std::size_t i = 0; i < channels_.size(); ++i) {
                    group.add(sluice::on_recv(channels_[i].rx, [this, i](message m) { take(i, m); }));
                }
                (void)group.wait_timeout(p);
                break;
            }
            default: {
                // A channel of its own, whose other end another thread drops.
                auto [tx, rx] = sluice::bounded<message>(below(3));
                std::thread other([rx = std::move(rx), patient = p] {
                    if (auto m = rx.recv_timeout(patient)) m->end(fate::received);
                });
                message m(book_, number_, 0, true);
                gave(m, tx.send(std::move(m)).has_value());
                tx = {};
                other.join();
            }
        }
    }

    std::vector<channel> channels_;
    ledger& book_;
    std::stop_token stop_;
    std::uint32_t number_;
    std::mt19937_64 random_;
    bool may_vanish_;
    std::vector<std::vector<std::int64_t>> last_;  // by channel and sender
    std::vector<std::uint32_t> sequence_;          // by channel
};

// How a round ends.
enum class ending : std::uint8_t { drained, closed_early, dropped };

void run_round(std::uint64_t seed, unsigned threads) {
    std::mt19937_64 random(seed);
    const unsigned share = 200 + static_cast<unsigned>(random() % 800);
    const auto how = static_cast<ending>(random() % 3);
    ledger book(std::size_t{threads} * share * 21 + 1);
    std::vector<channel> channels;
    const std::size_t count = 1 + random() % 4;
    for (std::size_t i = 0; i < count; ++i) {
        constexpr std::array<int, 6> capacities{0, 0, 1, 2, 16, -1};
        const int capacity = capacities[random() % capacities.size()];
        const std::optional<std::size_t> limit =
            capacity < 0 ? std::nullopt : std::optional(static_cast<std::size_t>(capacity));
        auto made = limit ? sluice::bounded<message>(*limit) : sluice::unbounded<message>();
        channels.push_back({std::move(made.tx), std::move(made.rx)});
    }
    std::stop_source stop;
    std::vector<std::unique_ptr<worker>> workers;
    for (unsigned i = 0; i < threads; ++i) {
        workers.push_back(
            std::make_unique<worker>(channels, book, stop.get_token(), i, random(), threads, how == ending::dropped));
    }
    if (how == ending::dropped) channels.clear();
    {
        std::vector<std::thread> running;
        for (auto& w : workers) {
            running.emplace_back([&w, share, how] {
                w->run(share);
                if (how == ending::dropped) w->drop();
            });
        }
        if (how == ending::closed_early) {
            for (auto turns = random() % 2000; turns > 0; --turns) std::this_thread::yield();
            channels[random() % channels.size()].tx.close();
            stop.request_stop();
        }
        for (auto& t : running) t.join();
    }
    for (const channel& c : channels) c.tx.close();
    if (how != ending::dropped) {
        for (const channel& c : channels) {
            while (auto m = c.rx.recv()) m->end(fate::received);
        }
    }
    workers.clear();
    channels.clear();
    book.check();
}

// Reports a round that does not end: somebody sleeps who should not.
class watchdog {
public:
    watchdog() : thread_([this](const std::stop_token& stop) { watch(stop); }) {}

    void fed() {
        const std::lock_guard lock(mutex_);
        ++meals_;
    }

private:
    // A round that gets no processor is slow as well; but one in which somebody sleeps for ever uses none.
    void watch(const std::stop_token& stop) {
        std::unique_lock lock(mutex_);
        while (!stop.stop_requested()) {
            const std::uint64_t before = meals_;
            const std::clock_t used = std::clock();
            const bool ate = wake_.wait_for(lock, stop, 120s, [&] { return meals_ != before; });
            const bool idle = std::clock() - used < CLOCKS_PER_SEC / 100;
            if (!ate && idle && !stop.stop_requested()) lost("a round does not end: a thread sleeps for ever");
        }
    }

    std::mutex mutex_;
    std::condition_variable_any wake_;
    std::uint64_t meals_ = 0;
    std::jthread thread_;
};

}  // namespace

int main(int argc, char** argv) {
    settings s;
    std::uint64_t most_rounds = ~std::uint64_t{0};
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string option = argv[i];
        if (option == "--seconds")
            s.seconds = std::atof(argv[i + 1]);
        else if (option == "--seed")
            s.seed = std::strtoull(argv[i + 1], nullptr, 10);
        else if (option == "--threads")
            s.threads = static_cast<unsigned>(std::max(1, std::atoi(argv[i + 1])));
        else if (option == "--rounds")
            most_rounds = std::strtoull(argv[i + 1], nullptr, 10);
        else
            argc = 0;
    }
    if (argc % 2 == 0) {
        std::fputs("Usage: sluice_soak [--seconds S] [--seed N] [--threads N] [--rounds N]\n", stderr);
        return 2;
    }
    const auto begun = steady::now();
    const auto elapsed = [&] { return std::chrono::duration<double>(steady::now() - begun).count(); };
    watchdog dog;
    std::mt19937_64 random(s.seed);
    seed_of_round = s.seed;
    while (elapsed() < s.seconds && rounds < most_rounds) {
        ++rounds;
        run_round(seed_of_round, s.threads);
        seed_of_round = random();
        dog.fed();
    }
    const double took = elapsed();
    std::printf("%llu operations in %llu rounds, %.1f s: %.0f operations a second, seed %llu; nothing lost\n",
                static_cast<unsigned long long>(operations.load()), static_cast<unsigned long long>(rounds), took,
                static_cast<double>(operations.load()) / took, static_cast<unsigned long long>(s.seed));
}
