// Hostile use: crowds of blocked threads, handles that come and go while others close, endless nesting, a fork, threads
// that are cancelled.
#include "catch.hpp"
#include "support/kinds.hpp"
#include "support/outcomes.hpp"
#include "support/task.hpp"

#include <pthread.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

using namespace test;
using namespace std::chrono_literals;
using sluice::errc;

namespace {

/// As many threads as the system lets us have, up to `most`, all blocked in `body(i)`; where the order matters, each one before
/// the next.
template <class Value, class Body>
void gather(std::list<task<Value>>& crowd, int most, bool in_order, Body body) {
    for (int i = 0; i < most; ++i) {
        try {
            crowd.emplace_back([body, i] { return body(i); });
        } catch (const std::system_error&) {
            break;
        }
        if (in_order) {
            REQUIRE(wait_until_asleep(crowd.back()));
        }
    }
    REQUIRE(crowd.size() >= 50);
    for (const auto& one : crowd) {
        REQUIRE(wait_until_asleep(one));
    }
}

template <class Value>
std::vector<Value> outcomes(std::list<task<Value>>& crowd) {
    std::vector<Value> all;
    for (auto& one : crowd) {
        all.push_back(one.get());
    }
    return all;
}

constexpr int a_crowd = scaled(2000);
constexpr int a_queue = scaled(500);

/// A message that holds the rest of a chain: a channel with one message, which holds a channel, and so on.
struct chain_link {
    chain_link(int id, sluice::receiver<chain_link> r) : mark(id), rest(std::move(r)) {}
    witness mark;
    sluice::receiver<chain_link> rest;
};

/// What a child process does with channels of its own, its one thread at both ends; 0 if all went well.
int child_that_uses_channels() {
    auto queue = sluice::unbounded<std::string>();
    for (int i = 0; i < 1000; ++i) {
        if (!queue.tx.send(std::to_string(i))) return 1;
    }
    for (int i = 0; i < 1000; ++i) {
        if (queue.rx.recv().value() != std::to_string(i)) return 2;
    }
    auto narrow = sluice::bounded<int>(1);
    if (!narrow.tx.try_send(7) || error_in(narrow.tx.send_timeout(8, 1ms)) != errc::timeout) return 3;
    int got = 0;
    if (!sluice::select(sluice::on_recv(narrow.rx, [&](int v) { got = v; }), sluice::on_timeout(1h, [] {}))) return 4;
    if (got != 7 || error_in(narrow.rx.recv_timeout(1ms)) != errc::timeout) return 5;
    if (!sluice::after(1ms).recv()) return 6;
    narrow.tx = {};
    if (error_in(narrow.rx.recv()) != errc::closed) return 7;
    return 0;
}

/// A thread that can be cancelled while it is blocked.
class cancellable : public thread_probe {
public:
    explicit cancellable(std::function<void()> body) : body_(std::move(body)) {
        const auto run = [](void* self) -> void* {
            auto& me = *static_cast<cancellable*>(self);
            me.enter();
            me.body_();
            me.leave();
            return nullptr;
        };
        REQUIRE(::pthread_create(&thread_, nullptr, run, this) == 0);
    }
    cancellable(const cancellable&) = delete;
    ~cancellable() { cancel(); }

    /// Whether it was cancelled where it was: not if it had ended by itself.
    bool cancel() {
        if (!joined_) {
            joined_ = true;
            ::pthread_cancel(thread_);
            void* outcome = nullptr;
            ::pthread_join(thread_, &outcome);
            cancelled_ = outcome == PTHREAD_CANCELED;
        }
        return cancelled_;
    }

private:
    std::function<void()> body_;
    pthread_t thread_{};
    bool joined_ = false;
    bool cancelled_ = false;
};

std::chrono::microseconds processor_time() {
    rusage used{};
    REQUIRE(::getrusage(RUSAGE_SELF, &used) == 0);
    const auto in_all = [](const timeval& t) {
        return std::chrono::seconds(t.tv_sec) + std::chrono::microseconds(t.tv_usec);
    };
    return in_all(used.ru_utime) + in_all(used.ru_stime);
}

}  // namespace

TEST_CASE("a crowd of receivers is served in the order in which it blocked", "[hostile]") {
    const auto which = GENERATE(kind::rendezvous, kind::unbounded);
    CAPTURE(which);
    std::list<task<int>> crowd;
    auto [tx, rx] = make_channel<int>(which);
    gather(crowd, a_queue, true, [rx = rx](int) { return rx.recv().value(); });
    const int count = static_cast<int>(crowd.size());
    for (int i = 0; i < count; ++i) {
        REQUIRE(tx.send(i).has_value());
    }
    CHECK(outcomes(crowd) == numbers(0, count));
}

TEST_CASE("a crowd of senders is served in the order in which it blocked", "[hostile]") {
    const auto which = GENERATE(kind::rendezvous, kind::three);
    CAPTURE(which);
    std::list<task<int>> crowd;
    auto [tx, rx] = make_channel<int>(which);
    fill(tx, which);
    const int there = room(which);
    gather(crowd, a_queue, true, [tx = tx, there](int i) { return tx.send(there + i) ? 1 : 0; });
    const int count = static_cast<int>(crowd.size());
    for (int i = 0; i < there + count; ++i) {
        REQUIRE(rx.recv().value() == i);
    }
    CHECK(outcomes(crowd) == std::vector<int>(crowd.size(), 1));
}

TEST_CASE("a crowd of receivers, senders and selects on one channel hears that it closes", "[hostile]") {
    const bool receiving = GENERATE(true, false);
    CAPTURE(receiving);
    std::list<task<errc>> crowd;
    auto ch = sluice::rendezvous<int>();
    gather(crowd, a_crowd, false, [ch, receiving](int i) {
        if (i % 3 == 0) {
            return error_in(receiving ? sluice::select(sluice::on_recv(ch.rx, [](int) {}))
                                      : sluice::select(sluice::on_send(ch.tx, 1)));
        }
        if (receiving) {
            return error_in(i % 3 == 1 ? ch.rx.recv() : ch.rx.recv_timeout(1h));
        }
        return error_in(i % 3 == 1 ? ch.tx.send(1) : ch.tx.send_timeout(1, 1h));
    });
    CHECK(ch.tx.close());
    CHECK(outcomes(crowd) == std::vector<errc>(crowd.size(), errc::closed));
}

TEST_CASE("handles are copied and dropped by many threads while others close", "[hostile]") {
    constexpr int threads = 8;
    const auto which = EACH_KIND();
    CAPTURE(which);
    const audit books;
    for (int round = 0; round < scaled(100); ++round) {
        std::atomic<int> closers{0};
        std::atomic<int> ready{0};
        {
            // One pair of handles for all: copying is a const operation, like any other.
            auto shared = std::make_shared<const sluice::channel<move_only>>(make_channel<move_only>(which));
            std::list<task<bool>> people;
            for (int i = 0; i < threads; ++i) {
                people.emplace_back([shared, i, round, &closers, &ready]() mutable {
                    const sluice::channel<move_only> mine = *shared;
                    ready.fetch_add(1);
                    while (ready.load() < threads) std::this_thread::yield();
                    bool right = true;
                    for (int step = 0; step < 50; ++step) {
                        auto copy = *shared;
                        auto moved = std::move(copy);
                        copy = mine;
                        right = right && copy.tx == moved.tx && copy.tx.sender_count() >= 2;
                        if (step == round % 50 && i % 2 == 0 && (step % 4 == 0 ? moved.tx.close() : moved.rx.close())) {
                            closers.fetch_add(1);
                        }
                        (void)moved.tx.try_send(move_only(step));
                        (void)copy.rx.try_recv();
                    }
                    shared.reset();
                    return right;
                });
            }
            for (auto& one : people) {
                CHECK(one.get());
            }
        }
        CHECK(closers.load() == 1);
    }
    CHECK(books.balanced());
}

TEST_CASE("a chain of a million channels in messages ends without a deep stack", "[hostile]") {
    constexpr int length = scaled(1'000'000);
    const audit books;
    sluice::receiver<chain_link> chain;
    for (int i = 0; i < length; ++i) {
        auto [tx, rx] = sluice::bounded<chain_link>(1);
        REQUIRE(tx.try_send(chain_link(i, std::move(chain))).has_value());
        chain = std::move(rx);
    }
    CHECK(books.alive() == length);
    SECTION("dropped with the handle that holds it") {
        chain = {};
        CHECK(books.alive() == 0);
    }
    SECTION("dropped with the message that was received from it") {
        CHECK(chain.recv().has_value());
        CHECK(books.alive() == 0);
    }
    SECTION("taken apart") {
        for (int i = length; i > 0; --i) {
            auto next = chain.recv();
            REQUIRE(next.value().mark.id() == i - 1);
            chain = std::move(next->rest);
        }
    }
    chain = {};
    CHECK(books.balanced());
}

TEST_CASE("a process forks while its threads are blocked: both it and the child go on", "[hostile]") {
    auto [tx, rx] = sluice::rendezvous<int>();
    auto full = sluice::bounded<int>(1);
    REQUIRE(full.tx.try_send(1).has_value());
    // One after the other: they are served in this order.
    task receiver([rx = rx] { return id_in(rx.recv()); });
    REQUIRE(wait_until_asleep(receiver));
    task sender([to = full.tx] { return to.send(2).has_value(); });
    REQUIRE(wait_until_asleep(sender));
    task selecting([rx = rx, to = full.tx] {
        return static_cast<int>(sluice::select(sluice::on_recv(rx, [](int) {}), sluice::on_send(to, 3)).value());
    });
    REQUIRE(wait_until_asleep(selecting));

    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        ::_exit(child_that_uses_channels());
    }
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);

    CHECK(tx.send(10).has_value());
    CHECK(receiver.get() == 10);
    CHECK(full.rx.recv().value() == 1);
    CHECK(sender.get());
    CHECK(tx.send(11).has_value());
    CHECK(selecting.get() == 0);
    CHECK(full.rx.recv().value() == 2);
}

// ---- threads that are cancelled

TEST_CASE("a thread that is cancelled in a receive leaves its place in the line", "[hostile]") {
    const auto which = EACH_KIND();
    const int way = GENERATE(0, 1, 2, 3, 4, 5, 6, 7);
    CAPTURE(which, way);
    auto ch = make_channel<int>(which);
    auto other = make_channel<int>(which);
    const auto ignore = [](int) {};
    const std::stop_source stop;
    cancellable first([&] {
        switch (way) {
            case 0: (void)ch.rx.recv(); break;
            case 1: (void)ch.rx.recv(stop.get_token()); break;
            case 2: (void)ch.rx.recv_timeout(1h); break;
            case 3: (void)ch.rx.recv_until(std::chrono::system_clock::now() + 1h); break;
            case 4: {
                std::array<int, 4> out{};
                (void)ch.rx.recv_many(out.data(), out.size());
                break;
            }
            case 5: (void)sluice::select(sluice::on_recv(other.rx, ignore), sluice::on_recv(ch.rx, ignore)); break;
            case 6:
                (void)sluice::select(sluice::on_recv(ch.rx, ignore), sluice::on_timeout(1h, [] {}),
                                     sluice::on_stop(stop.get_token(), [] {}));
                break;
            default: {
                sluice::selector group;
                group.add(sluice::on_recv(ch.rx, ignore));
                group.add(sluice::on_recv(other.rx, ignore));
                (void)group.wait();
                break;
            }
        }
    });
    REQUIRE(wait_until_asleep(first));
    task second([&] { return id_in(ch.rx.recv()); });
    REQUIRE(wait_until_asleep(second));
    REQUIRE(first.cancel());
    CHECK(ch.tx.try_send(1).has_value());
    CHECK(second.get() == 1);
    // Nobody is left in line.
    CHECK(ch.tx.try_send(2).has_value() == (which != kind::rendezvous));
    CHECK(drain(ch.rx) == (which == kind::rendezvous ? std::vector<int>() : std::vector<int>{2}));
    CHECK(other.tx.try_send(3).has_value() == (which != kind::rendezvous));
    CHECK(ch.tx.receiver_count() == 1);
    ch.tx.close();
    CHECK(error_in(ch.rx.recv()) == errc::closed);
}

TEST_CASE("a thread that is cancelled in a send leaves its place in the line", "[hostile]") {
    const auto which = EACH_BOUNDED_KIND();
    const int way = GENERATE(0, 1, 2, 3, 4, 5, 6);
    CAPTURE(which, way);
    const audit books;
    {
        auto ch = make_channel<no_default>(which);
        auto quiet = make_channel<int>(which);
        fill(ch.tx, which);
        const auto ignore = [](int) {};
        const std::stop_source stop;
        cancellable first([&] {
            switch (way) {
                case 0: (void)ch.tx.send(no_default(50)); break;
                case 1: (void)ch.tx.send(no_default(50), stop.get_token()); break;
                case 2: (void)ch.tx.send_timeout(no_default(50), 1h); break;
                case 3: (void)ch.tx.send_until(no_default(50), std::chrono::system_clock::now() + 1h); break;
                case 4: {
                    std::vector<no_default> batch(3, no_default(50));
                    (void)ch.tx.send_many(std::move(batch));
                    break;
                }
                case 5:
                    (void)sluice::select(sluice::on_send(ch.tx, no_default(50)), sluice::on_recv(quiet.rx, ignore));
                    break;
                default: {
                    sluice::selector group;
                    group.add(sluice::on_recv(quiet.rx, ignore));
                    group.add(sluice::on_send(ch.tx, no_default(50)));
                    (void)group.wait();
                    break;
                }
            }
        });
        REQUIRE(wait_until_asleep(first));
        const int next = room(which);
        task second([&] { return error_in(ch.tx.send(no_default(next))); });
        REQUIRE(wait_until_asleep(second));
        REQUIRE(first.cancel());
        for (int id = 0; id <= next; ++id) {
            CHECK(id_in(ch.rx.recv()) == id);
        }
        CHECK(second.get() == errc{});
        CHECK(error_in(ch.rx.try_recv()) == errc::empty);
        CHECK(quiet.tx.try_send(3).has_value() == (which != kind::rendezvous));
        CHECK(ch.tx.sender_count() == 1);
    }
    CHECK(books.balanced());
}

TEST_CASE("a thread that is cancelled as it waits for a timer leaves it to the others", "[hostile][timer]") {
    const int way = GENERATE(0, 1, 2, 3);
    const bool first_of_all = GENERATE(true, false);
    CAPTURE(way, first_of_all);
    // Due when the threads have met and one of them has gone; if that takes longer, it shows less, but not wrongly.
    const auto timer = sluice::after(200ms);
    const auto ignore = [](std::chrono::steady_clock::time_point) {};
    std::optional<cancellable> cancelled;
    const auto begin = [&] {
        cancelled.emplace([&] {
            switch (way) {
                case 0: (void)timer.recv(); break;
                case 1: (void)timer.recv_timeout(1h); break;
                case 2: (void)sluice::select(sluice::on_recv(timer, ignore)); break;
                default: {
                    sluice::selector group;
                    group.add(sluice::on_recv(timer, ignore));
                    (void)group.wait();
                    break;
                }
            }
        });
        (void)come_to_rest(*cancelled);
    };
    if (first_of_all) {
        begin();
    }
    task second([&] { return timer.recv().has_value(); });
    (void)come_to_rest(second);
    if (!first_of_all) {
        begin();
    }
    const bool gone = cancelled->cancel();
    CHECK((second.get() || !gone));  // else either of them has the tick
    CHECK(error_in(timer.try_recv()) == errc::closed);
}

// ---- crowds that wait by the clock

TEST_CASE("a crowd that waits by the clock uses little of a processor", "[hostile]") {
    const std::string way = GENERATE("one tick", "one distant timer", "the system's clock", "a timer each",
                                     "selects on one tick", "groups on one tick");
    CAPTURE(way);
    constexpr std::chrono::milliseconds watched = 1s;
    const sluice::timer ticking = sluice::tick(5ms);
    const sluice::timer distant = sluice::after(1h);
    auto [tx, rx] = sluice::unbounded<int>();
    std::stop_source source;
    const auto stop = source.get_token();
    const auto ignore = [](std::chrono::steady_clock::time_point) {};
    std::list<task<int>> crowd;
    gather(crowd, sanitized ? 100 : 400, false, [&, rx = rx](int) {
        if (way == "one tick") {
            while (ticking.recv(stop)) {
            }
        } else if (way == "one distant timer") {
            (void)distant.recv(stop);
        } else if (way == "the system's clock") {
            (void)rx.recv_until(std::chrono::system_clock::now() + 1h, stop);
        } else if (way == "a timer each") {
            (void)sluice::after(1h).recv(stop);
        } else if (way == "selects on one tick") {
            while (sluice::select(sluice::on_recv(ticking, ignore), sluice::on_stop(stop, [] {})).value() == 0) {
            }
        } else {
            sluice::selector group;
            group.add(sluice::on_recv(ticking, ignore));
            while (group.wait(stop)) {
            }
        }
        return 1;
    });
    const auto before = processor_time();
    CHECK(sluice::after(watched).recv().has_value());
    const auto used = processor_time() - before;
    source.request_stop();
    CHECK(outcomes(crowd) == std::vector<int>(crowd.size(), 1));
    CAPTURE(used);
    CHECK(used < watched / (sanitized || emulated ? 2 : 20));
}

// Functions that take everything, with names that the library uses: none of its calls may find them.
namespace greedy {

struct message {
    int value = 0;
};
template <auto K, class... X>
void call(X&&...) = delete;
template <class... X>
void core_of(X&&...) = delete;
template <class... X>
void holds(X&&...) = delete;
template <class... X>
void thrown_by(X&&...) = delete;
template <class X>
void operator&(X&&) = delete;

}  // namespace greedy

TEST_CASE("A namespace of greedy functions takes no call of the library's") {
    const auto [tx, rx] = sluice::bounded<greedy::message>(4);
    CHECK(tx.send(greedy::message{1}));
    CHECK(rx.recv()->value == 1);
    CHECK(tx.send_many(std::vector<greedy::message>(2)) == 2);
    std::vector<greedy::message> received;
    CHECK(rx.recv_many(std::back_inserter(received), 2) == 2);

    sluice::selector both;
    both.add(sluice::on_recv(rx, [&](sluice::result<greedy::message> m) { received.push_back(*m); }));
    both.add(sluice::on_send(tx, greedy::message{2}));
    CHECK(both.wait());
    CHECK(both.wait());
    CHECK(received.back().value == 2);
}
