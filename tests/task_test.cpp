// Tasks: lazy, what they hand on, how they end, and that no number of them makes the stack grow.
#include "catch.hpp"
#include "support/gate.hpp"
#include "support/payload.hpp"
#include "support/scale.hpp"
#include "support/task.hpp"

#include <sluice/async.hpp>

#include <pthread.h>

#include <algorithm>
#include <coroutine>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

using namespace test;

namespace {

template <class T>
sluice::task<T> give(T value) {
    co_return value;
}
template <>
sluice::task<std::unique_ptr<int>> give(std::unique_ptr<int> value) {
    co_return std::move(value);
}
sluice::task<int&> refer(int& variable) { co_return variable; }
sluice::task<const std::string&> refer(const std::string& variable) { co_return variable; }
sluice::task<> note(std::vector<int>& log, int what) {
    log.push_back(what);
    co_return;
}
sluice::task<int> fail(const char* words) {
    if (words) throw std::runtime_error(words);
    co_return 0;
}
sluice::task<int> id_of(witness w) { co_return w.id(); }

/// Runs `body` in a thread whose stack is small.
template <class Body>
void with_small_stack(Body body) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, std::size_t{256} * 1024);
    pthread_t thread;
    const auto run = [](void* b) -> void* {
        (*static_cast<Body*>(b))();
        return nullptr;
    };
    const int started = pthread_create(&thread, &attributes, run, &body);
    pthread_attr_destroy(&attributes);
    REQUIRE(started == 0);
    pthread_join(thread, nullptr);
}

/// Suspends, and is resumed by a thread of its own.
class hop_to_thread {
public:
    explicit hop_to_thread(std::thread& t) noexcept : thread_(t) {}
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> h) const {
        thread_ = std::thread([h] { h.resume(); });
    }
    void await_resume() const noexcept {}

private:
    std::thread& thread_;
};

}  // namespace

TEST_CASE("a task without a coroutine is refused, and one that has ended") {
    sluice::run_loop loop;
    std::vector<int> log;
    auto once = note(log, 1);
    loop.spawn(std::move(once));
    CHECK_THROWS_AS(loop.spawn(std::move(once)), std::invalid_argument);
    CHECK_THROWS_AS(sluice::sync_wait(sluice::task<>()), std::invalid_argument);
    CHECK_THROWS_AS(sluice::sync_wait(sluice::task<int>()), std::invalid_argument);
    bool refused = false, refused_again = false, group_refused = false;
    loop.spawn([&]() -> sluice::task<> {
        try {
            co_await sluice::task<>();
        } catch (const std::invalid_argument&) {
            refused = true;
        }
        auto number = give(7);
        if (co_await std::move(number) != 7) co_return;
        try {
            (void)co_await std::move(number);
        } catch (const std::invalid_argument&) {
            refused_again = true;
        }
        sluice::task_group group(co_await sluice::this_executor());
        try {
            group.spawn(sluice::task<>());
        } catch (const std::invalid_argument&) {
            group_refused = true;
        }
        co_await group.join();  // of nothing
    });
    loop.run();
    CHECK(log == std::vector{1});
    CHECK(refused);
    CHECK(refused_again);
    CHECK(group_refused);
}

TEST_CASE("A task begins when it is awaited, and not before") {
    sluice::sync_wait([]() -> sluice::task<> {
        std::vector<int> log;
        sluice::task<> later = note(log, 2);
        CHECK(log.empty());
        co_await note(log, 1);
        CHECK(log == std::vector{1});
        co_await std::move(later);
        CHECK(log == std::vector{1, 2});
    }());
}

TEST_CASE("A task hands on its value: an object, a move-only one, one that is not default constructible") {
    CHECK(sluice::sync_wait(give(42)) == 42);
    CHECK(sluice::sync_wait(give(std::string(100, 'x'))) == std::string(100, 'x'));
    CHECK(*sluice::sync_wait(give(std::make_unique<int>(7))) == 7);
    CHECK(sluice::sync_wait(give(no_default(5))).id() == 5);
    sluice::sync_wait([]() -> sluice::task<> {
        auto p = co_await give(std::make_unique<int>(8));
        CHECK(*p == 8);
    }());
}

TEST_CASE("A task hands on a reference to the very object") {
    int variable = 1;
    const std::string text = "text";
    CHECK(&sluice::sync_wait(refer(variable)) == &variable);
    CHECK(&sluice::sync_wait(refer(text)) == &text);
    sluice::sync_wait([](int& v) -> sluice::task<> {
        int& seen = co_await refer(v);
        seen = 2;
    }(variable));
    CHECK(variable == 2);
}

TEST_CASE("A task hands on its exception to who awaits it, through any number of tasks") {
    CHECK_THROWS_WITH(sluice::sync_wait(fail("thrown")), "thrown");
    sluice::sync_wait([]() -> sluice::task<> {
        const auto through = []() -> sluice::task<int> { co_return co_await fail("deep") + 1; };
        std::string words;
        try {
            (void)co_await through();
        } catch (const std::runtime_error& e) {
            words = e.what();
        }
        CHECK(words == "deep");
        const int value = co_await fail(nullptr);  // and goes on
        CHECK(value == 0);
    }());
}

TEST_CASE("A task is move-only, and one that was not begun is destroyed with its arguments") {
    STATIC_REQUIRE(!std::is_copy_constructible_v<sluice::task<int>>);
    STATIC_REQUIRE(!std::is_copy_assignable_v<sluice::task<int>>);
    STATIC_REQUIRE(std::is_nothrow_move_constructible_v<sluice::task<int>>);
    const long before = witness::alive();
    {
        sluice::task<int> a = id_of(witness(1));
        CHECK(witness::alive() == before + 1);
        sluice::task<int> b = std::move(a);
        CHECK(b);
        CHECK(!a);
        CHECK(witness::alive() == before + 1);
        a = id_of(witness(2));
        CHECK(witness::alive() == before + 2);
        a = std::move(b);
        CHECK(witness::alive() == before + 1);
        CHECK(sluice::sync_wait(std::move(a)) == 1);
        CHECK(witness::alive() == before);
        b = id_of(witness(3));
    }
    CHECK(witness::alive() == before);
    CHECK(witness::faults() == 0);
}

TEST_CASE("Arguments and values of awaited tasks are destroyed exactly once") {
    const long before = witness::alive();
    sluice::sync_wait([]() -> sluice::task<> {
        for (int i = 0; i < 100; ++i) {
            const int id = co_await id_of(witness(i));
            CHECK(id == i);
            const witness w = co_await give(witness(i));
            CHECK(w.id() == i);
            (void)co_await give(witness(i));
        }
    }());
    CHECK(witness::alive() == before);
    CHECK(witness::faults() == 0);
}

TEST_CASE("Millions of tasks that end at once, awaited one after the other, need no more stack than one") {
    const int count = scaled(3'000'000);
    long sum = 0;
    with_small_stack([&] {
        sluice::sync_wait([](int n, long& s) -> sluice::task<> {
            for (int i = 0; i < n; ++i) s += co_await give(1);
        }(count, sum));
    });
    CHECK(sum == count);
}

TEST_CASE("A hundred thousand tasks inside one another need no more stack than one") {
    struct nest {
        static sluice::task<int> of(int depth) {
            if (depth == 0) co_return 0;
            co_return 1 + co_await of(depth - 1);
        }
        static sluice::task<int> failing(int depth) {
            if (depth == 0) throw std::runtime_error("bottom");
            co_return co_await failing(depth - 1);
        }
    };
    int depth = 0;
    bool thrown = false;
    with_small_stack([&] {
        depth = sluice::sync_wait(nest::of(100'000));
        try {
            sluice::sync_wait(nest::failing(scaled(10'000)));
        } catch (const std::runtime_error&) {
            thrown = true;
        }
    });
    CHECK(depth == 100'000);
    CHECK(thrown);
}

TEST_CASE("Spawned tasks that end at once, in any number, need no more stack than one") {
    int ended = 0;
    const int count = scaled(100'000);
    with_small_stack([&] {
        sluice::run_loop loop;
        for (int i = 0; i < count; ++i) {
            loop.spawn([](int& n) -> sluice::task<> {
                ++n;
                co_return;
            }(ended));
        }
        loop.run();
    });
    CHECK(ended == count);
}

TEST_CASE(
    "A task that something else has resumed on a foreign thread comes back to its loop with what it awaits next") {
    std::thread foreign;
    sluice::sync_wait([](std::thread& t) -> sluice::task<> {
        const auto home = std::this_thread::get_id();
        co_await hop_to_thread(t);
        CHECK(std::this_thread::get_id() != home);
        const int value = co_await give(3);
        CHECK(value == 3);
        CHECK(std::this_thread::get_id() == home);
    }(foreign));
    foreign.join();
}

TEST_CASE("A task may end on a foreign thread: who awaits it, and the loop, go on where the loop runs") {
    std::thread first, second;
    const auto away = [](std::thread& t) -> sluice::task<int> {
        co_await hop_to_thread(t);
        co_return 5;
    };
    sluice::sync_wait([](auto awaited, std::thread& t) -> sluice::task<> {
        const auto home = std::this_thread::get_id();
        const int value = co_await awaited(t);
        CHECK(value == 5);
        CHECK(std::this_thread::get_id() == home);
    }(away, first));
    first.join();
    const auto failing = [](std::thread& t) -> sluice::task<> {
        co_await hop_to_thread(t);
        throw std::runtime_error("away");
    };
    CHECK_THROWS_WITH(sluice::sync_wait(failing(second)), "away");
    second.join();
}

TEST_CASE("A task that is resumed inside another may await a task, and the other too") {
    std::vector<int> log;
    std::coroutine_handle<> left;
    sluice::run_loop loop;
    loop.spawn([](std::vector<int>& l, std::coroutine_handle<>& h) -> sluice::task<> {
        co_await leave_handle(h);
        co_await note(l, 1);
        l.push_back(2);
    }(log, left));
    loop.spawn([](std::vector<int>& l, std::coroutine_handle<>& h) -> sluice::task<> {
        h.resume();  // which has somebody to go on with; nothing of it may be forgotten
        co_await note(l, 10);
        l.push_back(20);
    }(log, left));
    loop.run();
    REQUIRE(log.size() == 4);
    CHECK(std::count(log.begin(), log.end(), 2) == 1);
    CHECK(std::count(log.begin(), log.end(), 20) == 1);
}
