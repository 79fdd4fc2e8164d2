// What else than the library's own a task may await: awaiters of users, in every form, made and destroyed once.
#include "catch.hpp"

#include <sluice/async.hpp>

#include <chrono>
#include <coroutine>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

struct count {
    int made = 0, ended = 0;
};

enum class form { ready, bool_false, bool_true, nothing, handle };

// An awaiter that stays where it is made. One that suspends has its coroutine go on by the executor.
template <form F, class Handle = std::coroutine_handle<>>
class awaiter {
public:
    awaiter(count& c, std::string what) : count_(c), what_(std::move(what)) { ++count_.made; }
    awaiter(const awaiter&) = delete;
    awaiter& operator=(const awaiter&) = delete;
    ~awaiter() { ++count_.ended; }

    bool await_ready() const noexcept { return F == form::ready; }
    auto await_suspend(Handle h) {
        if constexpr (F == form::handle) {
            return std::coroutine_handle<>(h);
        } else if constexpr (F == form::nothing) {
            loop->executor().post(std::coroutine_handle<>(h));
        } else {
            if (F == form::bool_true) loop->executor().post(std::coroutine_handle<>(h));
            return F == form::bool_true;
        }
    }
    std::string& await_resume() {
        if (what_.empty()) throw std::runtime_error("nothing");
        return what_;
    }

    sluice::run_loop* loop = nullptr;

private:
    count& count_;
    std::string what_;
};

using plain = awaiter<form::ready>;

struct by_member {
    count& c;
    plain operator co_await() const { return plain(c, "member"); }
};
struct by_function {
    count& c;
};
plain operator co_await(const by_function& f) { return plain(f.c, "function"); }
struct by_qualifier {
    count& c;
    plain operator co_await() & { return plain(c, "lvalue"); }
    plain operator co_await() && { return plain(c, "rvalue"); }
};

by_qualifier give(count& c) { return by_qualifier{c}; }
plain make(count& c, const std::string& what) { return plain(c, what); }

// What a task notes.
template <class Task>
std::vector<std::string> words_of(Task&& awaits) {
    std::vector<std::string> words;
    sluice::run_loop loop;
    loop.spawn([&]() -> sluice::task<> { co_await awaits(loop, words); });
    loop.run();
    return words;
}

template <form F, class Handle = std::coroutine_handle<>>
void check_form() {
    count c;
    const auto words = words_of([&c](sluice::run_loop& loop, std::vector<std::string>& w) -> sluice::task<> {
        awaiter<F, Handle> named(c, "named");
        named.loop = &loop;
        w.push_back(co_await named);
        named.loop = &loop;
        w.push_back(co_await std::move(named));
        std::string& inside = co_await named;  // lies in the awaiter
        inside += "!";
        w.push_back(co_await named);
    });
    CHECK(words == std::vector<std::string>{"named", "named", "named!"});
    CHECK(c.made == 1);
    CHECK(c.ended == 1);
}

}  // namespace

// Of a type of the standard library: found from where the coroutine stands, by no argument.
std::suspend_never operator co_await(std::chrono::milliseconds) { return {}; }

TEST_CASE("a task finds the operator of its user for a type of somebody else") {
    using namespace std::chrono_literals;
    bool ended = false;
    sluice::run_loop loop;
    loop.spawn([&]() -> sluice::task<> {
        co_await 20ms;
        ended = true;
    });
    loop.run();
    CHECK(ended);
}

TEST_CASE("a task awaits awaiters of every form, where they lie") {
    check_form<form::ready>();
    check_form<form::bool_false>();
    check_form<form::bool_true>();
    check_form<form::nothing>();
    check_form<form::handle>();
    check_form<form::bool_true, std::coroutine_handle<sluice::task<>::promise_type>>();
    check_form<form::nothing, std::coroutine_handle<sluice::task<>::promise_type>>();
}

TEST_CASE("a task awaits what a co_await operator gives") {
    count c;
    const auto words = words_of([&c](sluice::run_loop&, std::vector<std::string>& w) -> sluice::task<> {
        const by_member member{c};
        w.push_back(co_await member);
        const by_function function{c};
        w.push_back(co_await function);
        by_qualifier either{c};
        w.push_back(co_await either);
        w.push_back(co_await std::move(either));
        w.push_back(co_await give(c));
        w.push_back(co_await make(c, "made"));
        w.push_back(co_await plain(c, "temporary"));
        co_await std::suspend_never();
    });
    CHECK(words == std::vector<std::string>{"member", "function", "lvalue", "rvalue", "rvalue", "made", "temporary"});
    CHECK(c.made == 7);
    CHECK(c.ended == 7);
}

TEST_CASE("several awaits may stand in one expression of a task, beside operations of channels") {
    count c;
    std::vector<std::string> words;
    auto [tx, rx] = sluice::bounded<std::string>(1);
    auto [back, answers] = sluice::rendezvous<std::string>();
    sluice::run_loop loop;
    loop.spawn([&, in = answers, out = tx]() -> sluice::task<> {
        const std::string first = "first", second = "second";
        // Both operations suspend, one after the other, and have all they need until the expression ends.
        words.push_back(*(co_await in.async_recv()) + *(co_await in.async_recv()) + (co_await make(c, "+")));
        if (co_await out.async_send(first) && co_await out.async_send(second)) (void)co_await out.async_send(second);
    });
    loop.spawn([&, in = rx, out = back]() -> sluice::task<> {
        const std::string one = "1";
        if (!co_await out.async_send(one) || !co_await out.async_send(one)) co_return;
        for (int i = 0; i < 3; ++i) words.push_back(*co_await in.async_recv());
    });
    loop.run();
    CHECK(words == std::vector<std::string>{"11+", "first", "second", "second"});
    CHECK(c.made == 1);
    CHECK(c.ended == 1);
}

TEST_CASE("what an awaiter throws in a task leaves its co_await") {
    count c;
    bool thrown = false;
    sluice::run_loop loop;
    loop.spawn([&]() -> sluice::task<> {
        try {
            (void)co_await make(c, "");
        } catch (const std::runtime_error&) {
            thrown = true;
        }
    });
    loop.run();
    CHECK(thrown);
    CHECK(c.made == c.ended);
}

TEST_CASE("a task that is destroyed in the midst of an expression destroys what it has made") {
    count c;
    auto [tx, rx] = sluice::rendezvous<std::string>();
    {
        sluice::run_loop loop;
        loop.spawn([&c, in = rx]() -> sluice::task<> {
            if ((co_await make(c, "before")).empty() || *co_await in.async_recv() == *co_await in.async_recv())
                co_return;
        });
        loop.poll();
        CHECK(tx.try_send("one"));  // to the first of the two; the loop has not heard of it
    }
    CHECK(rx.dropped() == 1);
    CHECK(tx.try_send("two") == sluice::errc::full);
    CHECK(c.made == 1);
    CHECK(c.ended == 1);
}
