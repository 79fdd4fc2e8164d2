// Stop means stop: a stop that was requested before an operation begins wins over everything, one that comes later ends
// the wait, and a loop ends with the operation under way.
#include "catch.hpp"
#include "support/kinds.hpp"
#include "support/names.hpp"
#include "support/outcomes.hpp"
#include "support/task.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <iterator>
#include <memory>
#include <ranges>
#include <stop_token>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

using namespace test;
using namespace std::chrono_literals;

namespace {

/// One operation, under a stop token. Reports `errc{}` if it has done something, else why not.
struct operation {
    std::string name;
    std::function<errc(const std::stop_token&)> run;
    bool blocks = true;  // not if its deadline is in the past
};

// What an operation that does not say why it did nothing is taken to mean by it.
errc of_count(std::size_t count) { return count > 0 ? errc{} : errc::stopped; }

/// What a select or a group reports that has a case for stop at this place.
errc of_index(const sluice::result<std::size_t>& fired, std::size_t stop_case) {
    return !fired ? fired.error() : *fired == stop_case ? errc::stopped : errc{};
}

/// What no operation may report: it gave up its message, and did not send it.
constexpr errc gave_up_message = static_cast<errc>(99);

const std::string text = "a message that is too long for the string to hold it in itself";

/// Every operation that receives, except for those of a timer.
std::vector<operation> receives(const sluice::receiver<std::string>& rx) {
    const auto ignore = [](const std::string&) {};
    const auto ignore_result = [](const sluice::result<std::string>&) {};
    const auto group_of = [=](auto... others) {
        auto group = std::make_unique<sluice::selector>();
        (void)group->add(on_recv(rx, ignore));
        (void)group->add(on_recv(rx, ignore_result));
        ((void)group->add(std::move(others)), ...);
        return group;
    };
    return {
        {"recv", [=](auto& stop) { return error_in(rx.recv(stop)); }},
        {"recv_timeout", [=](auto& stop) { return error_in(rx.recv_timeout(10h, stop)); }},
        {"recv_timeout(-1)", [=](auto& stop) { return error_in(rx.recv_timeout(-1ms, stop)); }, false},
        {"recv_until", [=](auto& stop) { return error_in(rx.recv_until(steady::now() + 10h, stop)); }},
        {"recv_until(past)", [=](auto& stop) { return error_in(rx.recv_until(steady::now() - 10h, stop)); }, false},
        {"recv_until(system)",
         [=](auto& stop) { return error_in(rx.recv_until(std::chrono::system_clock::now() + 10h, stop)); }},
        {"recv_many to a container",
         [=](auto& stop) {
             std::vector<std::string> out;
             return of_count(rx.recv_many(std::back_inserter(out), 5, stop));
         }},
        {"recv_many to pointers",
         [=](auto& stop) {
             std::vector<std::string> out(5);
             return of_count(rx.recv_many(out.data(), 5, stop));
         }},
        {"iteration",
         [=](auto& stop) {
             for (auto&& message : rx.until(stop)) {
                 return message.empty() ? gave_up_message : errc{};
             }
             return errc::stopped;
         }},
        {"select",
         [=](auto& stop) { return of_index(sluice::select(on_recv(rx, ignore), on_stop(stop, nothing)), 1); }},
        {"select of results",
         [=](auto& stop) { return of_index(sluice::select(on_recv(rx, ignore_result), on_stop(stop, nothing)), 1); }},
        {"select with a timeout",
         [=](auto& stop) {
             return of_index(sluice::select(on_timeout(10h, nothing), on_recv(rx, ignore), on_stop(stop, nothing)), 2);
         }},
        {"select_biased",
         [=](auto& stop) { return of_index(sluice::select_biased(on_stop(stop, nothing), on_recv(rx, ignore)), 0); }},
        {"wait", [=](auto& stop) { return error_in(group_of()->wait(stop)); }},
        {"wait_timeout", [=](auto& stop) { return error_in(group_of()->wait_timeout(10h, stop)); }},
        {"wait_timeout(-1)", [=](auto& stop) { return error_in(group_of()->wait_timeout(-1ms, stop)); }, false},
        {"wait_until", [=](auto& stop) { return error_in(group_of()->wait_until(steady::now() + 10h, stop)); }},
        {"wait_until(past)", [=](auto& stop) { return error_in(group_of()->wait_until(steady::now() - 10h, stop)); },
         false},
        {"wait with a way out", [=](auto& stop) { return error_in(group_of(otherwise(nothing))->wait(stop)); }, false},
        {"wait with a case for stop",
         [=](auto& stop) { return of_index(group_of(on_stop(stop, nothing))->wait(), 2); }},
        {"wait with both", [=](auto& stop) { return error_in(group_of(on_stop(stop, nothing))->wait(stop)); }, false},
    };
}

/// Every operation that sends.
std::vector<operation> sends(const sluice::sender<std::string>& tx) {
    // Looks after the message: the one that is not sent is still there.
    const auto one = [](auto send) {
        return [send](const std::stop_token& stop) {
            std::string message = text;
            const errc outcome = send(message, stop);
            return outcome != errc{} && message != text ? gave_up_message : outcome;
        };
    };
    const auto group_of = [=](auto&&... others) {
        auto group = std::make_unique<sluice::selector>();
        (void)group->add(on_send(tx, text));
        (void)group->add(on_send(tx, text, [](sluice::result<void>) {}));
        ((void)group->add(std::move(others)), ...);
        return group;
    };
    return {
        {"send", one([=](auto& m, auto& stop) { return error_in(tx.send(std::move(m), stop)); })},
        {"send of a constant", one([=](const auto& m, auto& stop) { return error_in(tx.send(m, stop)); })},
        {"send_timeout", one([=](auto& m, auto& stop) { return error_in(tx.send_timeout(std::move(m), 10h, stop)); })},
        {"send_timeout(-1)",
         one([=](auto& m, auto& stop) { return error_in(tx.send_timeout(std::move(m), -1ms, stop)); }), false},
        {"send_until",
         one([=](auto& m, auto& stop) { return error_in(tx.send_until(std::move(m), steady::now() + 10h, stop)); })},
        {"send_until(past)",
         one([=](auto& m, auto& stop) { return error_in(tx.send_until(m, steady::now() - 10h, stop)); }), false},
        {"send_until(system)", one([=](auto& m, auto& stop) {
             return error_in(tx.send_until(std::move(m), std::chrono::system_clock::now() + 10h, stop));
         })},
        {"send_many", one([=](auto& m, auto& stop) {
             std::vector<std::string> batch{std::move(m)};
             const errc outcome = of_count(tx.send_many(std::move(batch), stop));
             m = std::move(batch.front());
             return outcome;
         })},
        {"send_many of constants",
         [=](auto& stop) {
             const std::vector<std::string> batch(3, text);
             return of_count(tx.send_many(batch, stop));
         }},
        {"send_many of a list",
         [=](auto& stop) {
             return of_count(tx.send_many({text, text}, stop));
         }},
        {"send_many of what is converted",
         [=](auto& stop) {
             const std::vector<const char*> batch(3, text.c_str());
             return of_count(tx.send_many(batch, stop));
         }},
        {"select", one([=](auto& m, auto& stop) {
             return of_index(sluice::select(on_send(tx, std::move(m)), on_stop(stop, nothing)), 1);
         })},
        {"select of a constant", one([=](const auto& m, auto& stop) {
             return of_index(sluice::select(on_send(tx, m), on_stop(stop, nothing)), 1);
         })},
        {"select_biased", one([=](auto& m, auto& stop) {
             return of_index(sluice::select_biased(on_stop(stop, nothing), on_send(tx, std::move(m))), 0);
         })},
        {"wait", [=](auto& stop) { return error_in(group_of()->wait(stop)); }},
        {"wait_timeout", [=](auto& stop) { return error_in(group_of()->wait_timeout(10h, stop)); }},
        {"wait_timeout(-1)", [=](auto& stop) { return error_in(group_of()->wait_timeout(-1ms, stop)); }, false},
        {"wait_until", [=](auto& stop) { return error_in(group_of()->wait_until(steady::now() + 10h, stop)); }},
        {"wait with a case for stop",
         [=](auto& stop) { return of_index(group_of(on_stop(stop, nothing))->wait(), 2); }},
    };
}

/// Every operation of a timer.
std::vector<operation> timer_receives(const sluice::timer& timer) {
    const auto ignore = [](steady::time_point) {};
    return {
        {"recv", [=](auto& stop) { return error_in(timer.recv(stop)); }},
        {"recv_timeout", [=](auto& stop) { return error_in(timer.recv_timeout(10h, stop)); }},
        {"recv_timeout(0)", [=](auto& stop) { return error_in(timer.recv_timeout(0ms, stop)); }, false},
        {"recv_until", [=](auto& stop) { return error_in(timer.recv_until(steady::now() + 10h, stop)); }},
        {"recv_until(past)", [=](auto& stop) { return error_in(timer.recv_until(steady::now() - 10h, stop)); }, false},
        {"recv_until(system)",
         [=](auto& stop) { return error_in(timer.recv_until(std::chrono::system_clock::now() + 10h, stop)); }},
        {"select",
         [=](auto& stop) { return of_index(sluice::select(on_recv(timer, ignore), on_stop(stop, nothing)), 1); }},
        {"wait",
         [=](auto& stop) {
             sluice::selector group;
             (void)group.add(on_recv(timer, ignore));
             return error_in(group.wait(stop));
         }},
    };
}

/// Runs each of them under a token whose stop was requested.
void check_all_stopped(const std::string& where, const std::vector<operation>& operations) {
    const auto stop = requested();
    for (const auto& each : operations) {
        CAPTURE(where, each.name);
        CHECK(each.run(stop) == errc::stopped);
    }
}

/// A std::jthread that can be seen to be asleep.
class stoppable : public thread_probe {
public:
    explicit stoppable(std::function<void(std::stop_token)> body)
        : thread_([this, body = std::move(body)](const std::stop_token& stop) {
              enter();
              body(stop);
              leave();
          }) {}

private:
    std::jthread thread_;
};

/// Blocks a std::jthread in each of them, one after the other, and ends it by its destructor.
void check_all_end_with_their_thread(const std::vector<operation>& operations) {
    for (const auto& each : operations) {
        if (!each.blocks) {
            continue;
        }
        CAPTURE(each.name);
        errc outcome{};
        {
            stoppable thread([&](const std::stop_token& stop) { outcome = each.run(stop); });
            REQUIRE(wait_until_asleep(thread));
        }
        CHECK(outcome == errc::stopped);
    }
}

/// Runs it over and over; after so many times requests the stop. Whether it ends there.
bool ends_at_the_stop(const operation& each) {
    constexpr int times = 100;
    std::stop_source source;
    int done = 0;
    while (done < 2 * times && each.run(source.get_token()) == errc{}) {
        if (++done == times) {
            source.request_stop();
        }
    }
    return done == times;
}

}  // namespace

TEST_CASE("a stop that was requested before wins over everything, and nothing is received", "[stop]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    check_all_stopped("an empty handle", receives({}));
    auto [tx, rx] = make_channel<std::string>(which);
    check_all_stopped("an empty channel", receives(rx));
    if (which == kind::rendezvous) {
        task sender([&tx = tx] { return error_in(tx.send(text)); });
        REQUIRE(wait_until_asleep(sender));
        check_all_stopped("a blocked sender", receives(rx));
        CHECK_FALSE(sender.finished());
        CHECK(rx.recv().value() == text);
        CHECK(sender.get() == errc{});
    }
    for (int i = 0; i < room(which); ++i) {
        REQUIRE(tx.try_send(text).has_value());
    }
    check_all_stopped("messages", receives(rx));
    CHECK(rx.size() == static_cast<std::size_t>(room(which)));
    tx.close();
    check_all_stopped("messages in a closed channel", receives(rx));
    CHECK(rx.size() == static_cast<std::size_t>(room(which)));
    while (rx.try_recv()) {
    }
    check_all_stopped("a closed channel", receives(rx));
}

TEST_CASE("a stop that was requested before wins over everything, and nothing is sent", "[stop]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    check_all_stopped("an empty handle", sends({}));
    auto [tx, rx] = make_channel<std::string>(which);
    check_all_stopped("an empty channel", sends(tx));
    CHECK(rx.empty());
    {
        task receiver([&rx = rx] { return error_in(rx.recv()); });
        REQUIRE(wait_until_asleep(receiver));
        check_all_stopped("a blocked receiver", sends(tx));
        CHECK_FALSE(receiver.finished());
        CHECK(tx.send(text).has_value());
        CHECK(receiver.get() == errc{});
    }
    for (int i = 0; i < room(which); ++i) {
        REQUIRE(tx.try_send(text).has_value());
    }
    check_all_stopped("a full channel", sends(tx));
    CHECK(rx.size() == static_cast<std::size_t>(room(which)));
    rx.close();
    check_all_stopped("a closed channel", sends(tx));
    CHECK(rx.size() == static_cast<std::size_t>(room(which)));
}

TEST_CASE("a stop that was requested before wins over a timer", "[stop][timer]") {
    check_all_stopped("an empty handle", timer_receives({}));
    check_all_stopped("one that is not due", timer_receives(sluice::after(1h)));
    const auto due = sluice::after(0ms);
    check_all_stopped("one that is due", timer_receives(due));
    CHECK(due.try_recv().has_value());
    check_all_stopped("one that is over", timer_receives(due));
    const auto ticking = sluice::tick(1ns);
    check_all_stopped("one that ticks", timer_receives(ticking));
    CHECK(ticking.try_recv().has_value());
}

TEST_CASE("a stop that was requested before wins over a group that has nothing to wait for", "[stop][selector]") {
    sluice::selector group;
    const auto stop = requested();
    CHECK(ran(group.wait(stop)) == errc::stopped);
    CHECK(ran(group.wait_timeout(0ms, stop)) == errc::stopped);
    CHECK(ran(group.wait_until(steady::now(), stop)) == errc::stopped);
    CHECK(ran(group.wait(std::stop_token())) == errc::closed);
    (void)group.add(on_timeout(0ms, [] { FAIL_CHECK("a case ran"); }));
    (void)group.add(on_recv(sluice::after(0ms), [](steady::time_point) { FAIL_CHECK("a case ran"); }));
    CHECK(ran(group.wait(stop)) == errc::stopped);
    CHECK(group.size() == 2);
}

TEST_CASE("a stop that was requested before keeps a broadcast from everybody", "[stop]") {
    const sluice::broadcaster<std::string> bus;
    const auto all = bus.subscribe();
    const auto one = bus.subscribe(1, sluice::overflow::block);
    const auto latest = bus.subscribe(1, sluice::overflow::drop_oldest);
    std::string message = text;
    CHECK(bus.send(std::move(message), requested()) == 0);
    CHECK(message == text);
    CHECK(bus.send(text, requested()) == 0);
    CHECK(all.empty());
    CHECK(one.empty());
    CHECK(latest.empty());
    CHECK(bus.send(text, std::stop_token()) == 3);
}

TEST_CASE("a std::jthread that is blocked in a receive ends with its destructor", "[stop]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<std::string>(which);
    check_all_end_with_their_thread(receives(rx));
    CHECK(rx.receiver_count() == 1);
    // Nobody was left behind in line.
    CHECK(tx.try_send(text).has_value() == (which != kind::rendezvous));
    task receiver([&rx = rx] { return error_in(rx.recv()); });
    CHECK(tx.send(text).has_value());
    CHECK(receiver.get() == errc{});
}

TEST_CASE("a std::jthread that is blocked in a send ends with its destructor", "[stop]") {
    const auto which = EACH_BOUNDED_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<std::string>(which);
    while (tx.try_send("there")) {
    }
    check_all_end_with_their_thread(sends(tx));
    CHECK(tx.sender_count() == 1);
    for (int i = 0; i < room(which); ++i) {
        CHECK(rx.try_recv() == std::string("there"));
    }
    CHECK(error_in(rx.try_recv()) == errc::empty);
}

TEST_CASE("a std::jthread that waits for a timer ends with its destructor", "[stop][timer]") {
    const auto timer = GENERATE(0, 1) == 0 ? sluice::after(10h) : sluice::tick(10h);
    check_all_end_with_their_thread(timer_receives(timer));
    CHECK(error_in(timer.try_recv()) == errc::empty);
}

TEST_CASE("a std::jthread that is blocked in a broadcast ends with its destructor", "[stop]") {
    const auto which = GENERATE(kind::rendezvous, kind::one, kind::three);
    CAPTURE(which);
    const sluice::broadcaster<std::string> bus;
    const auto slow = bus.subscribe(*capacity_of(which), sluice::overflow::block);
    const auto behind = bus.subscribe();
    for (int i = 0; i < room(which); ++i) {
        REQUIRE(bus.send("there") == 2);
    }
    std::size_t reached = 99;
    {
        stoppable thread([&](const std::stop_token& stop) { reached = bus.send(text, stop); });
        REQUIRE(wait_until_asleep(thread));
    }
    CHECK(reached == 1);  // those that need no wait
    CHECK(slow.size() == static_cast<std::size_t>(room(which)));
    CHECK(behind.size() == static_cast<std::size_t>(room(which)) + 1);
}

TEST_CASE("a stop in the midst of a batch leaves what was sent, and the rest with its owner", "[stop][batch]") {
    const auto which = EACH_BOUNDED_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<std::string>(which);
    std::vector<std::string> batch(20, text);
    std::size_t sent = 0;
    {
        stoppable thread([&, &tx = tx](const std::stop_token& stop) { sent = tx.send_many(std::move(batch), stop); });
        REQUIRE(wait_until_asleep(thread));
        CHECK(rx.recv().value() == text);
        CHECK(rx.recv().value() == text);
        REQUIRE(wait_until_asleep(thread));
    }
    CHECK(sent == static_cast<std::size_t>(2 + room(which)));
    CHECK(rx.size() == static_cast<std::size_t>(room(which)));
    for (std::size_t i = 0; i < batch.size(); ++i) {
        CAPTURE(i);
        CHECK(batch[i] == (i < sent ? "" : text));
    }
}

TEST_CASE("a loop over a receive ends with the stop, however many messages there are", "[stop]") {
    auto [tx, rx] = sluice::unbounded<std::string>();
    constexpr int messages = 3000;
    for (int i = 0; i < messages; ++i) {
        REQUIRE(tx.send("there").has_value());
    }
    for (const auto& each : receives(rx)) {
        CAPTURE(each.name);
        const auto before = rx.size();
        CHECK(ends_at_the_stop(each));
        while (rx.size() < before) {
            REQUIRE(tx.send("there").has_value());
        }
    }
}

TEST_CASE("a loop over a send ends with the stop, however much room there is", "[stop]") {
    auto [tx, rx] = sluice::unbounded<std::string>();
    for (const auto& each : sends(tx)) {
        CAPTURE(each.name);
        CHECK(ends_at_the_stop(each));
    }
}

TEST_CASE("a loop over a timer ends with the stop, however often it ticks", "[stop][timer]") {
    for (const auto& each : timer_receives(sluice::tick(1ns))) {
        CAPTURE(each.name);
        CHECK(ends_at_the_stop({each.name, [&](const std::stop_token& stop) {
                                    for (const auto now = steady::now(); steady::now() == now;) {
                                    }
                                    return each.run(stop);
                                }}));
    }
}

TEST_CASE("a loop over one group ends with the stop", "[stop][selector]") {
    const bool biased = GENERATE(false, true);
    CAPTURE(biased);
    auto [tx, rx] = sluice::unbounded<int>();
    for (int i = 0; i < 1000; ++i) {
        REQUIRE(tx.send(i).has_value());
    }
    auto group = biased ? sluice::selector(sluice::biased) : sluice::selector();
    std::stop_source source;
    int got = 0;
    (void)group.add(on_recv(rx, [&](int) {
        if (++got == 100) {
            source.request_stop();
        }
    }));
    (void)group.add(otherwise(nothing));
    sluice::result<std::size_t> last = group.wait(source.get_token());
    while (last && got < 1000) {
        last = group.wait(source.get_token());
    }
    CHECK(ran(last) == errc::stopped);
    CHECK(got == 100);
    CHECK(rx.size() == 900);
}

TEST_CASE("a loop over a broadcast ends with the stop", "[stop]") {
    const sluice::broadcaster<std::string> bus;
    const auto all = bus.subscribe();
    const auto latest = bus.subscribe(1, sluice::overflow::drop_oldest);
    CHECK(ends_at_the_stop({"send", [&](const std::stop_token& stop) { return of_count(bus.send(text, stop)); }}));
    CHECK(all.size() == 100);
    CHECK(latest.size() == 1);
}

TEST_CASE("a loop ends with the stop while the other side keeps it going", "[stop]") {
    const auto which = EACH_KIND();
    const bool receiving = GENERATE(true, false);
    CAPTURE(which, receiving);
    // Rounds of one operation until it reports a stop; whether one that began after the stop did something.
    const auto goes_on = [](const operation& each, const std::stop_token& stop, std::atomic<int>& rounds) {
        for (;;) {
            const bool late = stop.stop_requested();
            const errc outcome = each.run(stop);
            if (outcome == errc::stopped) {
                return false;
            }
            if (outcome != errc{} || late) {
                return true;
            }
            ++rounds;
        }
    };
    const auto count = receives({}).size();
    for (std::size_t i = 0; i < (receiving ? count : sends({}).size()); ++i) {
        auto [tx, rx] = make_channel<std::string>(which);
        const operation each = receiving ? receives(rx)[i] : sends(tx)[i];
        CAPTURE(each.name);
        if (!each.blocks) {
            continue;
        }
        std::atomic<bool> over{false};
        task other([&, &tx = tx, &rx = rx] {
            while (!over) {
                if (receiving) {
                    (void)tx.send_timeout(text, 1ms);
                } else {
                    (void)rx.recv_timeout(1ms);
                }
                while (rx.size() > 1000 && receiving && !over) {
                    std::this_thread::yield();
                }
            }
            return true;
        });
        std::atomic<int> rounds{0};
        std::stop_source source;
        task looping([&] { return goes_on(each, source.get_token(), rounds); });
        CHECK(eventually([&] { return rounds > 50; }));
        source.request_stop();
        CHECK_FALSE(looping.get());
        over = true;
        CHECK(other.get());
    }
}

TEST_CASE("operations end in the midst of requests to stop", "[stop]") {
    auto [tx, rx] = sluice::rendezvous<int>();
    for (int i = 0; i < 300; ++i) {
        CAPTURE(i);
        std::stop_source source;
        task stopping([&] { return source.request_stop(); });
        const std::stop_token token = source.get_token();
        CHECK((i % 2 == 0 ? error_in(rx.recv(token)) : error_in(tx.send_timeout(i, 1h, token))) == errc::stopped);
        CHECK(stopping.get());
    }
}

TEST_CASE("an operation on many messages looks at its token at least once every 64 of them", "[stop][batch]") {
    auto [tx, rx] = sluice::unbounded<int>();
    const int stop_at = GENERATE(1, 10, 500);
    CAPTURE(stop_at);
    std::stop_source source;

    SECTION("as it sends") {
        struct numbers_from_zero {
            struct iterator {
                using value_type = int;
                using difference_type = std::ptrdiff_t;
                using iterator_concept = std::input_iterator_tag;
                std::stop_source* source;
                int stop_at;
                int at = 0;
                int operator*() const {
                    if (at == stop_at) {
                        source->request_stop();
                    }
                    return at;
                }
                iterator& operator++() {
                    ++at;
                    return *this;
                }
                void operator++(int) { ++at; }
                bool operator==(int end) const { return at == end; }
            };
            std::stop_source* source;
            int stop_at;
            iterator begin() const { return {source, stop_at}; }
            int end() const { return 1'000'000; }
        };
        const numbers_from_zero endless{&source, stop_at};
        const auto sent = tx.send_many(endless, source.get_token());
        CHECK(sent <= static_cast<std::size_t>(stop_at) + 64);
        CHECK(rx.size() == sent);
    }
    SECTION("as it receives") {
        for (int i = 0; i < 10'000; ++i) {
            REQUIRE(tx.send(i).has_value());
        }
        struct sink {
            using difference_type = std::ptrdiff_t;
            std::stop_source* source;
            int stop_at;
            std::size_t* written;
            sink& operator*() { return *this; }
            sink& operator++() { return *this; }
            sink operator++(int) { return *this; }
            sink& operator=(int number) {
                ++*written;
                if (number == stop_at) {
                    source->request_stop();
                }
                return *this;
            }
        };
        std::size_t written = 0;
        const auto got = rx.recv_many(sink{&source, stop_at, &written}, 10'000, source.get_token());
        CHECK(got == written);
        CHECK(got > static_cast<std::size_t>(stop_at));
        CHECK(got <= static_cast<std::size_t>(stop_at) + 65);
        CHECK(rx.size() == 10'000 - got);
    }
}

TEST_CASE("an iteration until a stop is a range that holds the channel", "[stop]") {
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    auto ch = make_channel<int>(which);
    fill(ch.tx, which);
    std::stop_source source;
    auto messages = ch.rx.until(source.get_token());
    static_assert(std::ranges::input_range<decltype(messages)>);
    CHECK(ch.tx.receiver_count() == 2);
    ch.rx = {};
    CHECK_FALSE(ch.tx.is_closed());
    std::vector<int> got;
    for (auto&& message : messages) {
        got.push_back(message);
        if (got.size() == static_cast<std::size_t>(room(which))) {
            source.request_stop();
        }
    }
    CHECK(got == numbers(0, room(which)));
    CHECK(messages.begin() == messages.end());
}

TEST_CASE("an iteration until a stop ends with its channel too", "[stop]") {
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    auto ch = make_channel<int>(which);
    fill(ch.tx, which);
    ch.tx.close();
    const std::stop_source never;
    for (const auto& stop : {never.get_token(), std::stop_token()}) {
        std::vector<int> got;
        for (const int message : ch.rx.until(stop)) {
            got.push_back(message);
        }
        CHECK(got == (stop.stop_possible() ? numbers(0, room(which)) : std::vector<int>()));
    }
    int none = 0;
    for ([[maybe_unused]] auto&& message : sluice::receiver<int>().until(never.get_token())) {
        ++none;
    }
    CHECK(none == 0);
}

TEST_CASE("a stop that is requested after a message came does not hide it", "[stop]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<int>(which);
    for (int i = 0; i < scaled(50); ++i) {
        std::stop_source source;
        task receiver([&rx = rx, token = source.get_token()] { return id_in(rx.recv(token)); });
        REQUIRE(wait_until_asleep(receiver));
        CHECK(tx.send(i).has_value());
        source.request_stop();
        CHECK(receiver.get() == i);
    }
}

TEST_CASE("a group that was stopped loses nothing and stands in no line", "[stop][selector]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto ch = make_channel<int>(which);
    sluice::selector group;
    int got = 0;
    const auto id = group.add(on_recv(ch.rx, [&](int message) { got = message; }));
    std::size_t stopped = 0;
    {
        stoppable thread([&](const std::stop_token& stop) { stopped += error_in(group.wait(stop)) == errc::stopped; });
        REQUIRE(wait_until_asleep(thread));
    }
    CHECK(stopped == 1);
    CHECK(ch.tx.try_send(1).has_value() == (which != kind::rendezvous));
    task sender([&] { return error_in(ch.tx.send(2)); });
    CHECK(group.wait(std::stop_token()).value() == id);
    CHECK(got == (which == kind::rendezvous ? 2 : 1));
    if (which != kind::rendezvous) {
        CHECK(group.wait().value() == id);
        CHECK(got == 2);
    }
    CHECK(sender.get() == errc{});
}
