// Groups of tasks: joined, joined again, ended early by the first exception, and destroyed by their loop.
#include "catch.hpp"
#include "support/gate.hpp"
#include "support/payload.hpp"
#include "support/scale.hpp"
#include "support/task.hpp"

#include <sluice/async.hpp>

#include <atomic>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

using namespace test;

namespace {

sluice::task<> pass(gate& g, std::atomic<int>& passed) {
    co_await g.pass();
    ++passed;
}
sluice::task<> count_after(int yields, std::atomic<int>& ended) {
    for (int i = 0; i < yields; ++i) co_await sluice::yield();
    ++ended;
}
sluice::task<> fail_after(int yields, const char* words) {
    for (int i = 0; i < yields; ++i) co_await sluice::yield();
    throw std::runtime_error(words);
}
/// What join() throws, or nothing.
sluice::task<std::string> joined(sluice::task_group& g) {
    std::string words;
    try {
        co_await g.join();
    } catch (const std::runtime_error& e) {
        words = e.what();
    }
    co_return words;
}

}  // namespace

TEST_CASE("join() waits for all tasks and callables of the group, and at once for none") {
    std::atomic<int> ended{0};
    sluice::sync_wait([](std::atomic<int>& n) -> sluice::task<> {
        sluice::task_group g(co_await sluice::this_executor());
        co_await g.join();
        for (int i = 0; i < 5; ++i) g.spawn(count_after(i, n));
        g.spawn([&n]() -> sluice::task<int> {
            co_await sluice::yield();
            co_return ++n;
        });
        CHECK(n == 0);
        co_await g.join();
        CHECK(n == 6);
        co_await g.join();
    }(ended));
    CHECK(ended == 6);
}

TEST_CASE("A group can be used again after join()") {
    std::atomic<int> ended{0};
    sluice::sync_wait([](std::atomic<int>& n) -> sluice::task<> {
        sluice::task_group g(co_await sluice::this_executor());
        for (int round = 1; round <= 3; ++round) {
            for (int i = 0; i < 4; ++i) g.spawn(count_after(i, n));
            co_await g.join();
            CHECK(n == 4 * round);
        }
    }(ended));
}

TEST_CASE("join() waits for what the tasks of the group spawn in it meanwhile") {
    std::atomic<int> ended{0};
    sluice::sync_wait([](std::atomic<int>& n) -> sluice::task<> {
        sluice::task_group g(co_await sluice::this_executor());
        g.spawn([&]() -> sluice::task<> {
            co_await sluice::yield();
            g.spawn(count_after(5, n));
        });
        co_await g.join();
        CHECK(n == 1);
    }(ended));
}

TEST_CASE("The first exception requests a stop, and join() throws it when all have ended") {
    std::atomic<int> ended{0};
    sluice::sync_wait([](std::atomic<int>& n) -> sluice::task<> {
        sluice::task_group g(co_await sluice::this_executor());
        bool stopped_before = true;
        g.spawn([&]() -> sluice::task<> {
            const auto stop = g.stop_token();
            stopped_before = stop.stop_requested();
            while (!stop.stop_requested()) co_await sluice::yield();
            co_await sluice::yield();
            ++n;
        });
        g.spawn(fail_after(3, "first"));
        g.spawn(fail_after(4, "second"));
        g.spawn(count_after(20, n));
        const std::string words = co_await joined(g);
        CHECK(words == "first");
        CHECK(!stopped_before);
        CHECK(n == 2);
        // And again, with a token of which no stop is requested.
        CHECK(!g.stop_token().stop_requested());
        g.spawn(count_after(1, n));
        const std::string nothing = co_await joined(g);
        CHECK(nothing.empty());
        g.spawn(fail_after(0, "third"));
        const std::string third = co_await joined(g);
        CHECK(third == "third");
    }(ended));
}

TEST_CASE("An exception of a group's task does not leave run()") {
    std::atomic<int> ended{0};
    sluice::run_loop loop;
    sluice::task_group g(loop.executor());
    g.spawn(fail_after(1, "kept"));
    loop.spawn(count_after(5, ended));
    loop.run();
    CHECK(ended == 1);
    std::string words;
    loop.spawn([&]() -> sluice::task<> { words = co_await joined(g); });
    loop.run();
    CHECK(words == "kept");
}

TEST_CASE("Threads may spawn into a group and run its loop at once; join() sees all that its tasks did") {
    sluice::run_loop loop;
    int sum = 0;  // guarded by nothing but the tasks' ends
    const int each = scaled(1000);
    for (int round = 0; round < 10; ++round) {
        std::atomic<int> ended{0};
        sluice::task_group g(loop.executor());
        {
            task a([&] {
                for (int i = 0; i < each; ++i) g.spawn(count_after(i % 3, ended));
                loop.run();
                return 0;
            });
            task b([&] {
                for (int i = 0; i < each; ++i) g.spawn(count_after(i % 3, ended));
                loop.run();
                return 0;
            });
        }
        loop.spawn([&]() -> sluice::task<> {
            g.spawn([&]() -> sluice::task<> {
                co_await sluice::yield();
                ++sum;
            });
            co_await g.join();
            ++sum;
        });
        {
            task a([&] { return loop.run(), 0; });
            task b([&] { return loop.run(), 0; });
        }
        CHECK(ended == 2 * each);
    }
    CHECK(sum == 20);
}

TEST_CASE(
    "A group may be destroyed as soon as join() goes on, though the thread that ended its last task has hardly left") {
    sluice::run_loop loop;
    std::atomic<int> ended{0};
    const int count = scaled(2000);
    for (int i = 0; i < count; ++i) {
        loop.spawn([](std::atomic<int>& n) -> sluice::task<> {
            sluice::task_group g(co_await sluice::this_executor());
            g.spawn(count_after(0, n));
            g.spawn(count_after(1, n));
            co_await g.join();
        }(ended));
    }
    {
        task a([&] { return loop.run(), 0; });
        task b([&] { return loop.run(), 0; });
    }
    CHECK(ended == 2 * count);
}

TEST_CASE("The join of a task on another loop goes on there") {
    sluice::run_loop workers, home;
    std::atomic<int> ended{0};
    sluice::task_group g(workers.executor());
    for (int i = 0; i < 5; ++i) g.spawn(count_after(i, ended));
    int seen = 0;
    home.spawn([&]() -> sluice::task<> {
        co_await g.join();
        seen = ended;
    });
    CHECK(home.poll() == 1);
    workers.run();
    CHECK(seen == 0);
    home.run();
    CHECK(seen == 5);
}

TEST_CASE("The destructor of the loop destroys a group's tasks before the task that has the group") {
    const audit books;
    std::atomic<int> ended{0};
    gate closed;
    {
        sluice::run_loop loop;
        loop.spawn([](gate& door, std::atomic<int>& n) -> sluice::task<> {
            const witness refers_to_this(1);
            sluice::task_group g(co_await sluice::this_executor());
            for (int i = 0; i < 3; ++i) {
                g.spawn([&, own = witness(2)]() -> sluice::task<> {
                    // Its destructor looks at what the other has.
                    const auto look = [&](const witness* w) { witness::blame(refers_to_this.id() != w->id() - 2); };
                    const witness local(3);
                    const std::unique_ptr<const witness, decltype(look)> looks(&local, look);
                    co_await sluice::yield();
                    if (own.id() == 2) co_await pass(door, n);
                });
            }
            co_await g.join();
        }(closed, ended));
        loop.poll();
        loop.poll();
        loop.poll();
    }
    CHECK(books.balanced());
    CHECK(ended == 0);
    CHECK(!closed.has_waiting());
}

TEST_CASE("A loop is destroyed with a group that is held by one of its own tasks, or by nobody on the loop") {
    const audit books;
    std::atomic<int> ended{0};
    gate closed;
    std::optional<sluice::run_loop> loop(std::in_place);
    sluice::task_group outside(loop->executor());
    outside.spawn(count_after(1000, ended));
    auto shared = std::make_shared<sluice::task_group>(loop->executor());
    for (int i = 0; i < 3; ++i) {
        shared->spawn([held = shared, w = witness(1), &closed, &ended]() -> sluice::task<> {
            co_await pass(closed, ended);
            (void)held;
        });
    }
    loop->poll();
    for (int i = 0; i < 3; ++i) shared->spawn([w = witness(1)]() -> sluice::task<> { co_return; });
    shared.reset();
    loop.reset();
    CHECK(books.balanced());
    CHECK(ended == 0);
}
