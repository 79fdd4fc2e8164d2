// Several threads at each end: each message is delivered once, in its sender's order, or is back with its sender.
#include "catch.hpp"
#include "support/kinds.hpp"
#include "support/names.hpp"
#include "support/pages.hpp"
#include "support/task.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <iterator>
#include <list>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

using namespace test;
using namespace std::chrono_literals;

namespace {

constexpr int threads_a_side = 3;
constexpr int each = scaled(sanitized ? 2000 : 4000);
using message_types = std::tuple<tag, parcel, block>;

/// The threads of one test, and what they wrote down.
class crowd {
public:
    /// `body(page)` runs in a thread of its own.
    template <class Body>
    void sender(Body body) {
        start(sending_, std::move(body));
    }
    template <class Body>
    void receiver(Body body) {
        start(receiving_, std::move(body));
    }

    bool running() const {
        const auto busy = [](const thread_probe& thread) { return !thread.finished(); };
        return std::any_of(sending_.begin(), sending_.end(), busy) ||
               std::any_of(receiving_.begin(), receiving_.end(), busy);
    }

    std::string faults(bool discarded = false) {
        std::vector<sent_page> sent;
        std::vector<received_page> received;
        for (auto& thread : sending_) {
            sent.push_back(thread.get());
        }
        for (auto& thread : receiving_) {
            received.push_back(thread.get());
        }
        return test::faults(sent, received, discarded);
    }

private:
    template <class Page, class Body>
    static void start(std::list<task<Page>>& threads, Body body) {
        threads.emplace_back([body = std::move(body)]() mutable {
            Page page;
            body(page);
            return page;
        });
    }

    std::list<task<sent_page>> sending_;
    std::list<task<received_page>> receiving_;
};

/// One channel, a crowd at both ends. `send(tx, message, i)` and `receive(rx)` are one operation each; `meanwhile` runs
/// here, beside them. Senders give up when the channel is closed, receivers too.
template <class Message, class Send, class Receive, class Meanwhile>
std::string exchange(kind which, Send send, Receive receive, Meanwhile meanwhile) {
    auto ch = make_channel<Message>(which);
    crowd people;
    for (int s = 0; s < threads_a_side; ++s) {
        people.sender([tx = ch.tx, s, send](sent_page& page) {
            for (int i = 0; i < each; ++i) {
                Message message(tag{s, i});
                page.made = i + 1;
                const sluice::result<void> outcome = send(tx, message, i);
                if (!outcome) {
                    page.take_back(message);
                    if (outcome.error() == errc::closed) {
                        return;
                    }
                }
            }
        });
        people.receiver([rx = ch.rx, receive](received_page& page) {
            for (;;) {
                sluice::result<Message> message = receive(rx);
                if (message) {
                    page.push_back(tag(*message));
                } else if (message.error() == errc::closed) {
                    return;
                }
            }
        });
    }
    meanwhile(ch, people);
    ch = {};
    return people.faults();
}

template <class Message, class Send, class Receive>
std::string exchange(kind which, Send send, Receive receive) {
    return exchange<Message>(which, send, receive, [](auto&, const crowd&) {});
}

constexpr auto plain_send = [](const auto& tx, auto& message, int) { return tx.send(std::move(message)); };
constexpr auto plain_recv = [](const auto& rx) { return rx.recv(); };

/// Durations around the time that a hand-over takes, so that deadlines meet matches.
std::chrono::microseconds brief(int i) { return std::chrono::microseconds(i * 7 % 40 - 2); }

/// Stop tokens that are all triggered again and again.
class stop_pulse {
public:
    std::stop_token token() {
        const std::lock_guard lock(mutex_);
        return source_.get_token();
    }
    void beat() {
        std::stop_source old;
        {
            const std::lock_guard lock(mutex_);
            std::swap(old, source_);
        }
        old.request_stop();
    }

private:
    std::mutex mutex_;
    std::stop_source source_;
};

}  // namespace

TEMPLATE_LIST_TEST_CASE("contention: send and recv", "[contention]", message_types) {
    const auto which = EACH_KIND();
    CAPTURE(which);
    CHECK(exchange<TestType>(which, plain_send, plain_recv) == "");
}

TEMPLATE_LIST_TEST_CASE("contention: tries at one end", "[contention]", message_types) {
    const auto which = EACH_KIND();
    CAPTURE(which);
    const auto try_until_sent = [](const auto& tx, auto& message, int) {
        for (;;) {
            auto outcome = tx.try_send(std::move(message));
            if (outcome || outcome.error() != errc::full) {
                return outcome;
            }
            std::this_thread::yield();
        }
    };
    const auto try_recv = [](const auto& rx) {
        auto message = rx.try_recv();
        if (!message) {
            std::this_thread::yield();
        }
        return message;
    };
    CHECK(exchange<TestType>(which, try_until_sent, plain_recv) == "");
    CHECK(exchange<TestType>(which, plain_send, try_recv) == "");
}

TEMPLATE_LIST_TEST_CASE("contention: deadlines race with matches", "[contention]", message_types) {
    const auto which = EACH_KIND();
    CAPTURE(which);
    const auto send = [](const auto& tx, auto& message, int i) {
        return tx.send_timeout(std::move(message), brief(i));
    };
    const auto recv = [](const auto& rx) { return rx.recv_timeout(brief(static_cast<int>(rx.size()) + 1)); };
    CHECK(exchange<TestType>(which, send, recv) == "");
}

TEMPLATE_LIST_TEST_CASE("contention: stop requests race with matches", "[contention]", message_types) {
    const auto which = EACH_KIND();
    CAPTURE(which);
    stop_pulse pulse;
    const auto send = [&pulse](const auto& tx, auto& message, int i) {
        return i % 2 == 0 ? tx.send(std::move(message), pulse.token())
                          : tx.send_timeout(std::move(message), brief(i), pulse.token());
    };
    const auto recv = [&pulse](const auto& rx) { return rx.recv(pulse.token()); };
    CHECK(exchange<TestType>(which, send, recv, [&pulse](auto& ch, const crowd& people) {
              ch = {};
              while (people.running()) {
                  pulse.beat();
                  std::this_thread::yield();
              }
          }) == "");
}

TEMPLATE_LIST_TEST_CASE("contention: close races with everything", "[contention]", message_types) {
    const auto which = EACH_KIND();
    const int round = GENERATE(0, 1, 2, 3);
    CAPTURE(which, round);
    const int limit = round * round * 100;
    std::atomic<int> received = 0;
    const auto recv = [&](const auto& rx) {
        auto message = rx.recv();
        if (round % 2 == 0 && ++received > limit) {
            (void)rx.close();
        }
        return message;
    };
    const auto send = [&](const auto& tx, auto& message, int i) {
        if (round % 2 == 1 && i == limit) {
            (void)tx.close();
        }
        return i % 2 == 0 ? tx.send(std::move(message)) : tx.send_timeout(std::move(message), brief(i));
    };
    CHECK(exchange<TestType>(which, send, recv) == "");
}

TEMPLATE_LIST_TEST_CASE("contention: the last receiver leaves while others send", "[contention]", message_types) {
    const auto which = EACH_KIND();
    CAPTURE(which);
    for (int round = 0; round < scaled(20) + 3; ++round) {
        auto ch = make_channel<TestType>(which);
        crowd people;
        for (int s = 0; s < threads_a_side; ++s) {
            people.sender([tx = ch.tx, s](sent_page& page) {
                for (int i = 0;; ++i) {
                    TestType message(tag{s, i});
                    page.made = i + 1;
                    if (!tx.send(std::move(message))) {
                        page.take_back(message);
                        return;
                    }
                }
            });
            people.receiver([rx = ch.rx, round](received_page& page) {
                for (int i = 0; i < round * 10; ++i) {
                    page.push_back(tag(rx.recv().value()));
                }
            });
        }
        ch = {};
        REQUIRE(people.faults(which != kind::rendezvous) == "");
    }
}

TEMPLATE_LIST_TEST_CASE("contention: handles are copied and dropped all the time", "[contention]", message_types) {
    const auto which = EACH_KIND();
    CAPTURE(which);
    const auto send = [](const auto& tx, auto& message, int i) {
        const auto copy = tx;
        auto moved = copy;
        const auto last = std::move(moved);
        return i % 2 == 0 ? last.send(std::move(message)) : copy.send(std::move(message));
    };
    const auto recv = [](const auto& rx) {
        auto copy = rx;
        return copy.recv();
    };
    CHECK(exchange<TestType>(which, send, recv, [](auto& ch, const crowd& people) {
              bool counted = true;
              for (int i = 0; i < 100; ++i) {
                  counted = counted && ch.tx.sender_count() >= 1 && ch.rx.receiver_count() >= 1;
              }
              CHECK(counted);
              ch = {};
              while (people.running()) {
                  std::this_thread::yield();
              }
          }) == "");
}

TEMPLATE_LIST_TEST_CASE("contention: batches", "[contention]", message_types) {
    const auto which = EACH_KIND();
    CAPTURE(which);
    struct given_away {
        std::vector<TestType>& from;
        auto begin() const { return std::make_move_iterator(from.begin()); }
        auto end() const { return std::make_move_iterator(from.end()); }
    };
    auto ch = make_channel<TestType>(which);
    crowd people;
    for (int s = 0; s < threads_a_side; ++s) {
        people.sender([tx = ch.tx, s](sent_page& page) {
            while (page.made < each) {
                std::vector<TestType> batch;
                for (int i = 0; i < 17; ++i) {
                    batch.emplace_back(tag{s, page.made++});
                }
                const auto sent =
                    page.made % 2 == 0 ? tx.send_many(given_away{batch}) : tx.try_send_many(given_away{batch});
                for (auto i = sent; i < batch.size(); ++i) {
                    page.take_back(batch[i]);
                }
            }
        });
        people.receiver([rx = ch.rx, s](received_page& page) {
            std::vector<TestType> batch;
            while (rx.recv_many(std::back_inserter(batch), static_cast<std::size_t>(1 + 5 * s)) > 0) {
                for (const auto& message : batch) {
                    page.push_back(tag(message));
                }
                batch.clear();
            }
        });
    }
    ch = {};
    CHECK(people.faults() == "");
}

// ---- select

namespace {

/// Two channels, a crowd at each end that selects over both. Every sender offers a message to each channel; those that
/// go into one channel are numbered on their own. `extra(round)` makes the last case of each select; it must not make
/// tries of all of them for ever, since tries never meet.
template <class Message, class Extra>
std::string exchange_by_select(kind first, kind second, Extra extra, stop_pulse* pulse = nullptr) {
    std::array<sluice::channel<Message>, 2> ch{make_channel<Message>(first), make_channel<Message>(second)};
    std::vector<std::unique_ptr<task<std::array<sent_page, 2>>>> sending;
    std::vector<std::unique_ptr<task<received_page>>> receiving;
    for (int s = 0; s < threads_a_side; ++s) {
        sending.push_back(
            std::make_unique<task<std::array<sent_page, 2>>>([tx = std::array{ch[0].tx, ch[1].tx}, s, extra] {
                std::array<sent_page, 2> pages;
                for (int round = 0; pages[0].made + pages[1].made < each; ++round) {
                    Message to_first(tag{2 * s, pages[0].made});
                    Message to_second(tag{2 * s + 1, pages[1].made});
                    const int before = pages[0].made + pages[1].made;
                    (void)select(on_send(tx[0], std::move(to_first), [&] { ++pages[0].made; }),
                                 on_send(tx[1], std::move(to_second), [&] { ++pages[1].made; }), extra(round));
                    // What was not chosen must be whole; one that is not goes down as come back damaged.
                    const bool whole =
                        (pages[0].made + pages[1].made == before + 1) ||
                        (tag(to_first).sequence == pages[0].made && tag(to_second).sequence == pages[1].made);
                    if (!whole) {
                        pages[0].returned.push_back(-1);
                    }
                }
                return pages;
            }));
        receiving.push_back(std::make_unique<task<received_page>>([rx = std::array{ch[0].rx, ch[1].rx}, extra] {
            received_page page;
            const auto keep = [&page](const Message& message) { page.push_back(tag(message)); };
            const auto drained = [](const auto& each_rx) { return each_rx.is_closed() && each_rx.empty(); };
            for (int round = 0;; ++round) {
                // A case for time or stop stays in the race for ever, so the end has to be looked for.
                const auto fired = select(on_recv(rx[0], keep), on_recv(rx[1], keep), extra(round));
                if (!fired || (fired.value() == 2 && drained(rx[0]) && drained(rx[1]))) {
                    return page;
                }
            }
        }));
    }
    ch = {};
    const auto busy = [](const auto& thread) { return !thread->finished(); };
    while (pulse && (std::any_of(sending.begin(), sending.end(), busy) ||
                     std::any_of(receiving.begin(), receiving.end(), busy))) {
        pulse->beat();
        std::this_thread::yield();
    }
    std::vector<sent_page> sent;
    for (auto& thread : sending) {
        for (auto& page : thread->get()) {
            sent.push_back(std::move(page));
        }
    }
    std::vector<received_page> received;
    for (auto& thread : receiving) {
        received.push_back(thread->get());
    }
    return faults(sent, received);
}

/// A case that is never ready.
auto idle_case(int) {
    return on_recv(sluice::receiver<int>(), [](int) {});
}

}  // namespace

TEMPLATE_LIST_TEST_CASE("contention: select at both ends", "[contention][select]", message_types) {
    const auto which = EACH_KIND();
    CAPTURE(which);
    CHECK(exchange_by_select<TestType>(which, which, idle_case) == "");
    CHECK(exchange_by_select<TestType>(which, kind::rendezvous, idle_case) == "");
}

TEMPLATE_LIST_TEST_CASE("contention: select with deadlines at both ends", "[contention][select]", message_types) {
    const auto which = EACH_KIND();
    CAPTURE(which);
    CHECK(exchange_by_select<TestType>(which, which, [](int i) { return on_timeout(brief(i), [] {}); }) == "");
}

TEMPLATE_LIST_TEST_CASE("contention: select with stop requests at both ends", "[contention][select]", message_types) {
    const auto which = EACH_KIND();
    CAPTURE(which);
    stop_pulse pulse;
    CHECK(exchange_by_select<TestType>(
              which, which, [&](int) { return on_stop(pulse.token(), [] {}); }, &pulse) == "");
}

TEMPLATE_LIST_TEST_CASE("contention: selects meet plain operations and tries", "[contention][select]", message_types) {
    const auto which = EACH_KIND();
    CAPTURE(which);
    const auto by_select_or_not = [](const auto& tx, auto& message, int i) -> sluice::result<void> {
        if (i % 3 == 0) {
            return tx.send(std::move(message));
        }
        if (i % 3 == 1) {
            return tx.try_send(std::move(message));
        }
        sluice::result<void> outcome;
        (void)select(on_send(tx, std::move(message), [&](sluice::result<void> r) { outcome = r; }));
        return outcome;
    };
    const auto receive_by_select = [](const auto& rx) {
        using message_type = typename std::remove_cvref_t<decltype(rx)>::value_type;
        auto outcome = rx.try_recv();
        if (!outcome && outcome.error() == errc::empty) {
            (void)select(on_recv(rx, [&](sluice::result<message_type> r) { outcome = std::move(r); }));
        }
        return outcome;
    };
    CHECK(exchange<TestType>(which, by_select_or_not, plain_recv) == "");
    CHECK(exchange<TestType>(which, by_select_or_not, receive_by_select) == "");
    CHECK(exchange<TestType>(which, plain_send, receive_by_select) == "");
}

TEST_CASE("contention: selects over the same channels in opposite orders, each at both ends of all",
          "[contention][select]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    constexpr int threads = 4;
    constexpr int channels = 3;
    std::array<sluice::channel<parcel>, channels> ch;
    for (auto& each_channel : ch) {
        each_channel = make_channel<parcel>(which);
    }
    std::atomic<int> total = 0;
    struct books {
        std::array<sent_page, channels> sent;
        received_page received;
    };
    const auto work = [&](int self) {
        books own;
        const auto offer = [&](std::size_t c) {
            return parcel(tag{self * channels + static_cast<int>(c), own.sent[c].made});
        };
        const auto keep = [&](const parcel& message) {
            own.received.push_back(tag(message));
            if (++total == each) {
                for (auto& each_channel : ch) {
                    each_channel.tx.close();
                }
            }
        };
        const auto sent = [&](std::size_t c) { return [&own, c] { ++own.sent[c].made; }; };
        bool open = true;
        while (open) {
            auto first = offer(0);
            auto second = offer(1);
            auto third = offer(2);
            if (self % 2 == 0) {
                open = select(on_recv(ch[0].rx, keep), on_send(ch[0].tx, std::move(first), sent(0)),
                              on_recv(ch[1].rx, keep), on_send(ch[1].tx, std::move(second), sent(1)),
                              on_recv(ch[2].rx, keep), on_send(ch[2].tx, std::move(third), sent(2)))
                           .has_value();
            } else {
                open = select(on_send(ch[2].tx, std::move(third), sent(2)), on_recv(ch[2].rx, keep),
                              on_send(ch[1].tx, std::move(second), sent(1)), on_recv(ch[1].rx, keep),
                              on_send(ch[0].tx, std::move(first), sent(0)), on_recv(ch[0].rx, keep))
                           .has_value();
            }
        }
        return own;
    };
    std::list<task<books>> people;
    for (int self = 0; self < threads; ++self) {
        people.emplace_back([&work, self] { return work(self); });
    }
    std::vector<sent_page> sent;
    std::vector<received_page> received;
    for (auto& person : people) {
        auto own = person.get();
        for (auto& page : own.sent) {
            sent.push_back(std::move(page));
        }
        received.push_back(std::move(own.received));
    }
    CHECK(total >= each);
    CHECK(faults(sent, received) == "");
}

TEST_CASE("contention: close races with selects that wait", "[contention][select]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    for (int round = 0; round < scaled(100) + 5; ++round) {
        auto a = make_channel<parcel>(which);
        auto b = make_channel<parcel>(which);
        std::atomic<int> received = 0;
        crowd people;
        for (int s = 0; s < 2; ++s) {
            people.sender([&a, &b, s](sent_page& page) {
                const auto& tx = s == 0 ? a.tx : b.tx;
                for (int i = 0;; ++i) {
                    parcel message(tag{s, i});
                    page.made = i + 1;
                    if (!select(on_send(tx, std::move(message)))) {
                        page.take_back(message);
                        return;
                    }
                }
            });
            people.receiver([&](received_page& page) {
                const auto keep = [&](const parcel& message) {
                    page.push_back(tag(message));
                    if (++received == round) {
                        a.tx.close();
                        b.rx.close();
                    }
                };
                while (select(on_recv(a.rx, keep), on_recv(b.rx, keep))) {
                }
            });
        }
        if (round == 0) {
            a.tx.close();
            b.rx.close();
        }
        REQUIRE(people.faults() == "");
    }
}

TEST_CASE("contention: groups at both ends", "[contention][selector]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto a = make_channel<parcel>(which);
    auto b = make_channel<parcel>(which);
    crowd people;
    for (int s = 0; s < threads_a_side; ++s) {
        people.sender([tx = s % 2 == 0 ? a.tx : b.tx, s](sent_page& page) {
            sluice::selector group;
            for (; page.made < each; ++page.made) {
                (void)group.add(on_send(tx, parcel(tag{s, page.made})));
                if (!group.wait()) {
                    return;
                }
            }
        });
        people.receiver([first = a.rx, second = b.rx](received_page& page) {
            sluice::selector group;
            const auto keep = [&](const parcel& message) { page.push_back(tag(message)); };
            (void)group.add(on_recv(first, keep));
            (void)group.add(on_recv(second, keep));
            for (;;) {
                const auto fired =
                    page.size() % 2 == 0 ? group.wait() : group.wait_timeout(brief(static_cast<int>(page.size())));
                if (!fired && fired.error() == errc::closed) {
                    return;
                }
            }
        });
    }
    a = {};
    b = {};
    CHECK(people.faults() == "");
}
