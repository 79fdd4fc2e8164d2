// Executors: the concepts, by one that is written from scratch.
#include "catch.hpp"
#include "support/payload.hpp"

#include <sluice/async.hpp>

#include <algorithm>
#include <chrono>
#include <coroutine>
#include <deque>
#include <exception>
#include <map>
#include <utility>
#include <vector>

namespace {

using steady = std::chrono::steady_clock;

/// The least that is one: for coroutines of one thread.
class least {
public:
    explicit least(std::deque<std::coroutine_handle<>>& line) : line_(&line) {}
    void post(std::coroutine_handle<> h) const noexcept { line_->push_back(h); }

private:
    std::deque<std::coroutine_handle<>>* line_;
};

/// All three, for a loop of the simplest kind, in one thread: what is ready is linked through `next` and `previous`.
class simple_loop {
public:
    class executor_type {
    public:
        explicit executor_type(simple_loop& l) noexcept : loop_(&l) {}
        void post(std::coroutine_handle<> h) const noexcept { loop_->handles_.push_back(h); }
        void post(sluice::resumption& node) const noexcept {
            node.next = nullptr;
            node.previous = loop_->last_;
            (loop_->last_ ? loop_->last_->next : loop_->first_) = &node;
            loop_->last_ = &node;
        }
        bool revoke(sluice::resumption& node) const noexcept {
            if (!node.previous && loop_->first_ != &node) return false;
            loop_->unlink(node);
            return true;
        }
        void post_at(steady::time_point t, sluice::timer_node& node) const noexcept {
            loop_->timers_.emplace(t, &node);
        }
        bool cancel(sluice::timer_node& node) const noexcept {
            for (auto i = loop_->timers_.begin(); i != loop_->timers_.end(); ++i) {
                if (i->second != &node) continue;
                loop_->timers_.erase(i);
                return true;
            }
            return false;
        }

    private:
        simple_loop* loop_;
    };

    executor_type executor() noexcept { return executor_type(*this); }
    void run_until(steady::time_point now) {
        while (!timers_.empty() && timers_.begin()->first <= now) {
            sluice::timer_node* const due = timers_.begin()->second;
            timers_.erase(timers_.begin());
            due->expire();
        }
        while (first_) {
            sluice::resumption& node = *first_;
            unlink(node);
            node.resume();
        }
        while (!handles_.empty()) {
            const std::coroutine_handle<> h = handles_.front();
            handles_.pop_front();
            h.resume();
        }
    }

private:
    void unlink(sluice::resumption& node) noexcept {
        (node.previous ? node.previous->next : first_) = node.next;
        (node.next ? node.next->previous : last_) = node.previous;
        node.next = node.previous = nullptr;
    }

    sluice::resumption* first_ = nullptr;
    sluice::resumption* last_ = nullptr;
    std::multimap<steady::time_point, sluice::timer_node*> timers_;
    std::deque<std::coroutine_handle<>> handles_;
};

struct not_noexcept {
    void post(std::coroutine_handle<>) const {}
};

/// Notes what is called.
class noted : public sluice::resumption, public sluice::timer_node {
public:
    explicit noted(std::vector<int>& log, int what) : resumption(run), timer_node(ring), log_(log), what_(what) {}

private:
    static void run(sluice::resumption& node) {
        auto& self = static_cast<noted&>(node);
        self.log_.push_back(self.what_);
    }
    static void ring(sluice::timer_node& node) {
        auto& self = static_cast<noted&>(node);
        self.log_.push_back(-self.what_);
    }
    std::vector<int>& log_;
    int what_;
};

template <class Executor>
void use(Executor executor, auto run) {
    std::vector<int> log;
    noted a(log, 1), b(log, 2), c(log, 3);
    executor.post(a);
    executor.post(b);
    executor.post(c);
    executor.post_at(steady::now() - std::chrono::hours(1), a);
    executor.post_at(steady::now() + std::chrono::hours(1), b);
    CHECK(log.empty());
    CHECK(executor.revoke(b));
    CHECK(!executor.revoke(b));
    run();
    std::sort(log.begin(), log.end());  // timers have no place in the line of what is ready
    CHECK(log == std::vector{-1, 1, 3});
    CHECK(!executor.revoke(a));
    CHECK(!executor.cancel(a));
    CHECK(executor.cancel(b));
    CHECK(!executor.cancel(c));
}

}  // namespace

TEST_CASE("The concepts tell executors by what they have") {
    STATIC_REQUIRE(sluice::executor<least>);
    STATIC_REQUIRE(!sluice::timed_executor<least>);
    STATIC_REQUIRE(!sluice::revoking_executor<least>);
    STATIC_REQUIRE(!sluice::executor<not_noexcept>);
    STATIC_REQUIRE(!sluice::executor<int>);
    STATIC_REQUIRE(sluice::timed_executor<simple_loop::executor_type>);
    STATIC_REQUIRE(sluice::revoking_executor<simple_loop::executor_type>);
    STATIC_REQUIRE(sluice::executor<sluice::run_loop::executor_type>);
    STATIC_REQUIRE(sluice::timed_executor<sluice::run_loop::executor_type>);
    STATIC_REQUIRE(sluice::revoking_executor<sluice::run_loop::executor_type>);
}

TEST_CASE("An executor written from scratch and that of a run_loop do the same with nodes") {
    simple_loop simple;
    use(simple.executor(), [&] { simple.run_until(steady::now()); });
    sluice::run_loop loop;
    use(loop.executor(), [&] { loop.run(); });
}
