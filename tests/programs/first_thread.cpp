// The first thread of a process beside its main one is started in the midst of an operation, by the move of a message or
// by the allocator, and waits for what the operation is about to do: it is woken.
#include "program.hpp"

#include "../support/probe.hpp"

#include <sluice/sluice.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iterator>
#include <new>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

/// Runs once, where it is asked for next.
std::function<void()> meanwhile;
bool at_allocation = false;

void now() {
    if (meanwhile) {
        std::exchange(meanwhile, nullptr)();
    }
}

}  // namespace

void* operator new(std::size_t size) {
    if (std::exchange(at_allocation, false)) {
        now();
    }
    if (void* const block = std::malloc(size)) {
        return block;
    }
    throw std::bad_alloc();
}
void operator delete(void* block) noexcept { std::free(block); }
void operator delete(void* block, std::size_t) noexcept { std::free(block); }

namespace {

/// A message whose move calls now() if it is told to, and which finds no place without an allocation for long.
struct message {
    explicit message(bool calls = false) : calls_now(calls) {}
    message(message&& other) noexcept : calls_now(std::exchange(other.calls_now, false)) {
        if (calls_now) {
            now();
        }
    }
    message& operator=(message&&) = delete;
    ~message() = default;
    bool calls_now;
    std::byte bulk[1000];
};

/// One whose move is nobody's code: the channel may do without its locks as long as there is one thread, but not as it
/// allocates.
struct plain_message {
    explicit plain_message(bool = false) noexcept {}
    std::byte bulk[1000];
};
static_assert(std::is_trivially_copyable_v<plain_message>);

/// One that only seems so: a constructor template takes its moves.
struct greedy_message {
    explicit greedy_message(bool calls = false) noexcept : calls_now(calls) {}
    greedy_message(const greedy_message&) = default;
    template <std::same_as<greedy_message> Self>
    greedy_message(Self&& other) noexcept : calls_now(std::exchange(other.calls_now, false)) {
        if (calls_now) {
            now();
        }
    }
    bool calls_now;
};
static_assert(std::is_trivially_copyable_v<greedy_message> && std::is_trivially_copy_constructible_v<greedy_message>);

/// A thread whose work is one operation, and which can be seen to sleep in it.
class other_thread : public test::thread_probe {
public:
    /// Returns once it sleeps, or has ended.
    void start(std::function<bool()> operation) {
        thread_ = std::thread([this, operation = std::move(operation)] {
            enter();
            right_ = operation();
            leave();
        });
        (void)test::come_to_rest(*this);
    }
    /// Its operation succeeds. Not joined otherwise: it would be waited for in vain.
    void check_success(const char* what) {
        program::check(thread_.joinable(), "no other thread was started");
        program::check(test::finishes(*this, std::chrono::seconds(10)), what);
        thread_.join();
        program::check(right_, what);
    }

private:
    bool right_ = false;
    std::thread thread_;
};

/// A range of one message, which is given away.
struct only {
    message* what;
    auto begin() const { return std::move_iterator(what); }
    auto end() const { return std::move_iterator(what + 1); }
};

/// `send` is under way as the other thread begins to receive.
template <class Message>
void receiver_starts(sluice::channel<Message> ch, bool by_allocation, const std::function<void(Message&&)>& send) {
    other_thread other;
    meanwhile = [&] { other.start([&] { return ch.rx.recv().has_value(); }); };
    for (int i = 0; i < 10'000 && meanwhile; ++i) {
        at_allocation = by_allocation;
        send(Message(!by_allocation));
        at_allocation = false;
        if (meanwhile) {
            (void)ch.rx.try_recv();
        }
    }
    other.check_success("a receiver that was started in the midst of a send is not woken");
}

/// `receive` is under way as the other thread begins to send into a channel that is full.
template <class Message>
void sender_starts(const std::function<void(const sluice::channel<Message>&)>& receive) {
    const auto ch = sluice::bounded<Message>(1);
    other_thread other;
    (void)ch.tx.send(Message());
    (void)ch.rx.recv();
    (void)ch.tx.send(Message(true));
    meanwhile = [&] { other.start([&] { return ch.tx.send(Message()).has_value(); }); };
    receive(ch);
    other.check_success("a sender that was started in the midst of a receive is not woken");
}

struct scenario {
    std::string name;
    std::function<void()> run;
};

std::vector<scenario> scenarios() {
    std::vector<scenario> all;
    for (const bool by_allocation : {false, true}) {
        for (const bool limited : {false, true}) {
            const auto sends = [&](const char* name, auto send) {
                all.push_back({std::string(name) + (limited ? ", bounded" : ", unbounded") +
                                   (by_allocation ? ", by an allocation" : ", by a move"),
                               [=] {
                                   const auto ch = limited ? sluice::bounded<message>(4) : sluice::unbounded<message>();
                                   receiver_starts<message>(ch, by_allocation,
                                                            [&](message&& m) { send(ch.tx, std::move(m)); });
                               }});
            };
            sends("send", [](const auto& tx, message&& m) { (void)tx.send(std::move(m)); });
            sends("try_send", [](const auto& tx, message&& m) { (void)tx.try_send(std::move(m)); });
            sends("send_timeout",
                  [](const auto& tx, message&& m) { (void)tx.send_timeout(std::move(m), std::chrono::seconds(1)); });
            sends("send_many", [](const auto& tx, message&& m) { (void)tx.send_many(only{&m}); });
            sends("select",
                  [](const auto& tx, message&& m) { (void)sluice::select(sluice::on_send(tx, std::move(m))); });
        }
    }
    const auto sends_plain = [&](const char* name, const sluice::channel<plain_message>& ch) {
        all.push_back({name, [ch] {
                           receiver_starts<plain_message>(ch, true,
                                                          [&](plain_message&& m) { (void)ch.tx.send(std::move(m)); });
                       }});
    };
    sends_plain("send of a plain message, bounded", sluice::bounded<plain_message>(4));
    sends_plain("send of a plain message, unbounded", sluice::unbounded<plain_message>());
    const auto receives = [&](const char* name, auto receive) {
        const auto of = [&]<class Message>(std::type_identity<Message>, const std::string& of_what) {
            all.push_back({name + of_what, [=] {
                               sender_starts<Message>([&](const sluice::channel<Message>& ch) { receive(ch.rx); });
                           }});
        };
        of(std::type_identity<message>(), "");
        of(std::type_identity<greedy_message>(), " of a message whose moves are taken by a template");
    };
    receives("recv", [](const auto& rx) { (void)rx.recv(); });
    receives("try_recv", [](const auto& rx) { (void)rx.try_recv(); });
    receives("recv_many", [](const auto& rx) {
        std::vector<typename std::remove_cvref_t<decltype(rx)>::value_type> out;
        (void)rx.recv_many(std::back_inserter(out), 1);
    });
    receives("select of a receive",
             [](const auto& rx) { (void)sluice::select(sluice::on_recv(rx, [](const auto&) {})); });
    receives("group", [](const auto& rx) {
        sluice::selector group;
        group.add(sluice::on_recv(rx, [](const auto&) {}));
        (void)group.wait();
    });
    return all;
}

}  // namespace

int main() {
    int failed = 0;
    for (const auto& each : scenarios()) {
        // In a process that has one thread.
        if (const int status = program::in_child(60, each.run); status != 0) {
            std::fprintf(stderr, "%s: status %d\n", each.name.c_str(), status);
            ++failed;
        }
    }
    return failed == 0 ? 0 : 1;
}
