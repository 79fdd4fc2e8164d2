// When messages die: exactly once, in time, with no lock held, and wherever the program happens to be.
#include "catch.hpp"
#include "support/kinds.hpp"
#include "support/outcomes.hpp"
#include "support/task.hpp"

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

using namespace test;
using sluice::errc;

namespace {

/// A message that does something when it is destroyed with content.
struct farewell {
    explicit farewell(std::function<void()> what) : last_words(std::move(what)) {}
    farewell(farewell&& other) noexcept : last_words(std::exchange(other.last_words, nullptr)) {}
    farewell& operator=(farewell&&) = delete;
    ~farewell() {
        if (last_words) {
            last_words();
        }
    }
    std::function<void()> last_words;
};

/// Names its own channel type where it is itself incomplete.
struct node {
    int value = 0;
    sluice::sender<node> reply;
    sluice::receiver<node> source;
    sluice::channel<node> both;
    std::optional<sluice::result<sluice::sender<node>>> outcome;
};

/// A message that holds a receiver, in whose channel there are as many messages, one inside the other, as its number
/// says; and that sees whether they all go as that receiver does.
struct nested {
    nested(int id, sluice::receiver<nested> rest) : mark(id), inside(std::move(rest)) {}
    nested(nested&&) = default;
    nested& operator=(nested&&) = delete;
    ~nested() {
        if (inside) {
            const audit before;
            const auto to_go = static_cast<long>(mark.id());
            inside = {};
            all_at_once = all_at_once && before.alive() == -to_go;
        }
    }
    witness mark;
    sluice::receiver<nested> inside;
    static inline bool all_at_once = true;
};

struct declared_only;
struct holds_unknown {
    sluice::sender<declared_only> tx;
    sluice::receiver<declared_only> rx;
};
holds_unknown* never_made = nullptr;

}  // namespace

TEMPLATE_LIST_TEST_CASE("every message is destroyed once, whichever way it took", "[lifetime]", payloads) {
    const auto which = EACH_KIND();
    CAPTURE(which);
    const audit books;
    const std::string way =
        GENERATE("left behind by both halves, receiver last", "left behind by both halves, sender last",
                 "left behind in a closed channel", "received, refused and sent again",
                 "handed over between threads, and given back", "offered and taken by selects");
    CAPTURE(way);
    if (way.starts_with("left behind")) {
        auto [tx, rx] = make_channel<TestType>(which);
        fill(tx, which);
        if (way.ends_with("receiver last")) {
            tx = {};
        } else if (way.ends_with("sender last")) {
            rx = {};
        } else {
            tx.close();
        }
    } else if (way.starts_with("received")) {
        auto [tx, rx] = make_channel<TestType>(which);
        fill(tx, which);
        for (int i = 0; i < 50; ++i) {
            if (auto message = rx.try_recv()) {
                CHECK(tx.try_send(*std::move(message)).has_value());
            }
            (void)tx.try_send(TestType(100 + i));
        }
    } else if (way.starts_with("handed over")) {
        auto [tx, rx] = make_channel<TestType>(which);
        task receiver([&rx = rx] { return id_in(rx.recv()); });
        REQUIRE(wait_until_asleep(receiver));
        CHECK(tx.send(TestType(1)).has_value());
        CHECK(receiver.get() == 1);
        fill(tx, which);
        if (which != kind::unbounded) {
            task sender([&tx = tx] { return error_in(tx.send(TestType(2))); });
            REQUIRE(wait_until_asleep(sender));
            rx = {};
            CHECK(sender.get() == errc::closed);
        }
    } else {
        auto [tx, rx] = make_channel<TestType>(which);
        for (int i = 0; i < 5; ++i) {
            (void)sluice::select(sluice::on_send(tx, TestType(i)), sluice::otherwise([] {}));
        }
        (void)sluice::select(sluice::on_recv(rx, [](const TestType&) {}), sluice::otherwise([] {}));
        sluice::selector group;
        (void)group.add(sluice::on_send(tx, TestType(7)));
        (void)group.try_wait();
    }
    CHECK(books.balanced());
}

TEST_CASE("discarded messages may use any channel as they go, their own included", "[lifetime]") {
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<farewell>(which);
    auto other = sluice::unbounded<int>();
    std::vector<errc> answers;
    for (int i = 0; i < room(which); ++i) {
        const auto say = [&, &tx = tx] {
            farewell late([] {});
            answers.push_back(error_in(tx.try_send(std::move(late))));
            answers.push_back(error_in(tx.send(farewell(nullptr))));
            CHECK_FALSE(tx.close());
            CHECK(tx.is_closed());
            CHECK(tx.size() == 0);
            CHECK(tx.sender_count() == 1);
            CHECK(tx.receiver_count() == 0);
            const auto copy = tx;
            (void)sluice::select(sluice::on_send(copy, farewell(nullptr)), sluice::otherwise([] {}));
            CHECK(other.tx.send(1).has_value());
        };
        REQUIRE(tx.try_send(farewell(say)).has_value());
    }
    rx = {};
    CHECK(answers == std::vector<errc>(2 * static_cast<std::size_t>(room(which)), errc::closed));
    CHECK(other.rx.size() == static_cast<std::size_t>(room(which)));
}

TEST_CASE("a receiver that goes in the destructor of a discarded message discards its messages then and there",
          "[lifetime]") {
    const auto which = EACH_BUFFERED_KIND();
    const bool outer_by_both = GENERATE(false, true);
    CAPTURE(which, outer_by_both);
    const audit books;
    long left = -1;
    {
        auto [tx, rx] = make_channel<farewell>(which);
        auto inner = make_channel<move_only>(which);
        fill(inner.tx, which);
        REQUIRE(tx.send(farewell([&] {
                      inner.rx = {};
                      left = books.alive();
                  }))
                    .has_value());
        if (outer_by_both) {
            tx = {};
        }
        rx = {};
    }
    CHECK(left == 0);
    CHECK(books.balanced());
}

TEST_CASE("the destructor of a discarded message may wait for another one to be discarded", "[lifetime]") {
    // Asks, and waits in a thread of its own for an answer that will not come.
    struct request {
        sluice::sender<int> reply;
    };
    struct client {
        explicit client(std::unique_ptr<client> another) : next(std::move(another)) {
            auto answers = sluice::unbounded<int>();
            (void)questions.tx.send(request{std::move(answers.tx)});
            asking.emplace([rx = std::move(answers.rx)] { return error_in(rx.recv()) == errc::closed; });
        }
        ~client() {
            questions.rx = {};
            next.reset();
            asking->get();
        }
        sluice::channel<request> questions = sluice::unbounded<request>();
        std::unique_ptr<client> next;
        std::optional<task<bool>> asking;
    };
    const auto which = EACH_BUFFERED_KIND();
    const int depth = GENERATE(1, 3);
    CAPTURE(which, depth);
    auto [tx, rx] = make_channel<std::unique_ptr<client>>(which);
    std::unique_ptr<client> all;
    for (int i = 0; i < depth; ++i) {
        all = std::make_unique<client>(std::move(all));
    }
    std::vector<sluice::sender<request>> askers;
    for (const client* each = all.get(); each; each = each->next.get()) {
        askers.push_back(each->questions.tx);
    }
    REQUIRE(tx.send(std::move(all)).has_value());
    rx = {};
    CHECK(askers.size() == static_cast<std::size_t>(depth));
    for (const auto& asker : askers) {
        CHECK(asker.is_closed());
    }
}

TEST_CASE("discarded messages that hold receivers discard theirs at once, some levels deep", "[lifetime]") {
    const audit books;
    // Each holds all that were made before it.
    sluice::receiver<nested> chain;
    for (int i = 0; i < 4; ++i) {
        auto [tx, rx] = sluice::bounded<nested>(1);
        REQUIRE(tx.try_send(nested(i, std::move(chain))).has_value());
        chain = std::move(rx);
    }
    CHECK(books.alive() == 4);
    chain = {};
    CHECK(nested::all_at_once);
    CHECK(books.balanced());
}

TEST_CASE("messages that are left when both halves go may use other channels as they go", "[lifetime]") {
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    auto other = sluice::unbounded<int>();
    {
        auto ch = make_channel<farewell>(which);
        for (int i = 0; i < room(which); ++i) {
            REQUIRE(ch.tx.try_send(farewell([&] { (void)other.tx.send(1); })).has_value());
        }
        ch.tx = {};
        CHECK(other.rx.empty());
        ch.rx = {};
        CHECK(other.rx.size() == static_cast<std::size_t>(room(which)));
    }
    CHECK(other.rx.size() == static_cast<std::size_t>(room(which)));
}

TEST_CASE("a message may carry handles of the channel that carries it", "[lifetime]") {
    const auto which = EACH_BUFFERED_KIND();
    CAPTURE(which);
    auto [tx, rx] = make_channel<node>(which);

    SECTION("a sender, which keeps the channel open") {
        CHECK(tx.send(node{1, tx, {}, {}, {}}).has_value());
        tx = {};
        CHECK_FALSE(rx.is_closed());
        CHECK(rx.sender_count() == 1);
        auto message = rx.recv();
        REQUIRE(message.has_value());
        CHECK(message->reply.try_send(node{2, {}, {}, {}, {}}).has_value());
        message->reply = {};
        CHECK(rx.is_closed());
        CHECK(rx.recv().value().value == 2);
    }
    SECTION("a receiver, which is all that is left of the receiving half") {
        CHECK(tx.send(node{1, {}, rx, {}, {}}).has_value());
        auto message = rx.recv();
        rx = {};
        REQUIRE(message.has_value());
        CHECK_FALSE(tx.is_closed());
        CHECK(tx.send(node{2, {}, {}, {}, {}}).has_value());
        CHECK(message->source.recv().value().value == 2);
        message->source = {};
        CHECK(tx.is_closed());
    }
    SECTION("senders that go with the messages that nobody will receive") {
        for (int i = 0; i < room(which); ++i) {
            CHECK(tx.try_send(node{i, tx, {}, {}, {}}).has_value());
        }
        CHECK(tx.sender_count() == static_cast<std::size_t>(room(which)) + 1);
        rx = {};
        CHECK(tx.sender_count() == 1);
    }
    SECTION("both halves of another channel of the type") {
        auto inner = make_channel<node>(which);
        CHECK(inner.tx.try_send(node{5, tx, {}, {}, {}}).has_value());
        CHECK(tx.send(node{1, {}, {}, std::move(inner), {}}).has_value());
        auto message = rx.recv();
        REQUIRE(message.has_value());
        CHECK(message->both.rx.recv().value().reply == tx);
    }
    SECTION("the last sender, which nobody will receive") {
        CHECK(tx.send(node{1, tx, {}, {}, {}}).has_value());
        tx = {};
        CHECK(rx.sender_count() == 1);
        auto watch = rx;
        rx = {};
        CHECK_FALSE(watch.is_closed());
        watch.close();
        watch = {};
    }
}

TEST_CASE("handles may be named where the message type is incomplete", "[lifetime]") {
    static_assert(std::is_copy_constructible_v<node> || std::is_move_constructible_v<node>);
    CHECK(never_made == nullptr);
    const node empty;
    CHECK_FALSE(static_cast<bool>(empty.reply));
    auto [tx, rx] = sluice::unbounded<node>();
    auto got = tx.send(node{4, {}, {}, {}, {}});
    CHECK(got.has_value());
    CHECK(rx.recv()->value == 4);
}

// MinGW frees the memory of thread_local objects before their destructors run, with or without the library.
#if !defined(__MINGW32__)
TEST_CASE("operations work in the destructors of thread-local objects", "[lifetime]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    auto request = make_channel<int>(which);
    auto reply = sluice::unbounded<int>();
    struct on_exit {
        std::function<void()> work;
        ~on_exit() { work(); }
    };
    std::thread thread([&] {
        // Made before the thread first uses the library, so that it outlives whatever the library keeps for the thread.
        thread_local on_exit last{nullptr};
        last.work = [&] {
            (void)reply.tx.send(request.rx.recv().value());
            (void)sluice::select(sluice::on_recv(request.rx, [&](int id) { (void)reply.tx.send(id); }),
                                 sluice::on_timeout(patience, [] {}));
            sluice::selector group;
            group.add(sluice::on_recv(request.rx, [&](int id) { (void)reply.tx.send(id); }));
            (void)group.wait();
            (void)sluice::after(std::chrono::milliseconds(1)).recv();
            (void)reply.tx.send(100);
        };
        (void)reply.tx.try_send(-1);
    });
    bool sent = true;
    for (int id = 0; id < 3; ++id) {
        sent = sent && request.tx.send_timeout(id, patience).has_value();
    }
    CHECK(sent);
    std::vector<int> replies;
    while (replies.size() < 5) {
        const auto answer = reply.rx.recv_timeout(patience);
        REQUIRE(answer.has_value());
        replies.push_back(*answer);
    }
    thread.join();
    CHECK(replies == std::vector<int>{-1, 0, 1, 2, 100});
}
#endif

TEST_CASE("a channel outlives its factory's aggregate through any copy of a handle", "[lifetime]") {
    const auto which = EACH_KIND();
    CAPTURE(which);
    const audit books;
    {
        std::optional<sluice::receiver<move_only>> late;
        std::optional<sluice::sender<move_only>> early;
        {
            auto ch = make_channel<move_only>(which);
            fill(ch.tx, which);
            late = ch.rx;
            early = ch.tx;
        }
        CHECK(late->sender_count() == 1);
        CHECK(late->receiver_count() == 1);
        early.reset();
        CHECK(drain(*late) == numbers(0, room(which)));
        CHECK(error_in(late->recv()) == errc::closed);
    }
    CHECK(books.balanced());
}
