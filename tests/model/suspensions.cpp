// The protocol of a suspended coroutine by itself: several that notify it at once, a completion, a time that comes.
#include <sluice/detail/suspension.hpp>

#include <model/coroutines.hpp>
#include <model/models.hpp>

#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace model {

namespace {

using sluice::detail::deadline;
using sluice::detail::executor_ref;
using sluice::detail::progress;
using sluice::detail::stepped_suspension;

// What one thread notifies a suspension of. It knows that until it has left: the lock is held meanwhile.
class bell {
public:
    void ring() {
        const std::lock_guard lock(mutex_);
        rung_ = true;
        if (of_) of_->look_again();
    }
    // Whether it was rung before; if not, `s` is told.
    bool enter(stepped_suspension& s) {
        const std::lock_guard lock(mutex_);
        if (!rung_) of_ = &s;
        return rung_;
    }
    // Whether it was rung.
    bool leave() {
        const std::lock_guard lock(mutex_);
        of_ = nullptr;
        return rung_;
    }
    bool is_rung() {
        const std::lock_guard lock(mutex_);
        return rung_;
    }

protected:
    mutex mutex_;
    stepped_suspension* of_ = nullptr;
    bool rung_ = false;
};

// One that completes: it takes the suspension out under the lock, and tells it without.
class completion : public bell {
public:
    void complete() {
        stepped_suspension* told = nullptr;
        {
            const std::lock_guard lock(mutex_);
            rung_ = true;
            told = std::exchange(of_, nullptr);
        }
        if (told) told->complete();
    }
};

// Is over once all bells were rung and it was completed, as far as there are any, or at a time.
struct events {
    std::vector<std::unique_ptr<bell>> bells;
    std::unique_ptr<completion> completes;
    std::optional<clock::time_point> until;
    bool throws = false;

    explicit events(int count, bool with_completion = false) {
        for (int i = 0; i < count; ++i) bells.push_back(std::make_unique<bell>());
        if (with_completion) completes = std::make_unique<completion>();
    }
};

class wait_for : public stepped_suspension {
public:
    explicit wait_for(events& of) : of_(of) {}
    ~wait_for() { end(); }

    bool await_ready() const noexcept { return false; }
    template <class Promise>
    bool await_suspend(std::coroutine_handle<Promise> h) {
        return suspend(h, sluice::detail::executor_of<false>(h.promise()));
    }
    // How it ended: by its events, or by time.
    bool await_resume() {
        finish();
        expect(is_over_, "a coroutine is resumed before its operation is over");
        return by_events_;
    }

private:
    progress step() final {
        expect(!is_over_, "a step follows upon the last");
        ++steps_;  // a race, if two take steps at once
        bool all = true;
        if (!has_begun_) {
            has_begun_ = true;
            for (const auto& b : of_.bells) all &= b->enter(*this);
            if (of_.completes && !of_.completes->enter(*this)) in_line_ = true, all = false;
        } else {
            for (const auto& b : of_.bells) all &= b->is_rung();
            if (in_line_) {
                if (is_completed()) {
                    wait_for_completion();
                    in_line_ = false;
                } else {
                    all = false;
                }
            }
        }
        const bool late = of_.until && clock::now() >= *of_.until;
        if (!all && !late) return progress::wait(of_.until ? deadline::at_steady(*of_.until) : deadline::never());
        withdraw();
        by_events_ = all;
        is_over_ = true;
        if (of_.throws) throw injected_error();
        return progress::over();
    }
    void withdraw() noexcept final {
        for (const auto& b : of_.bells) b->leave();
        if (std::exchange(in_line_, false) && of_.completes->leave()) wait_for_completion();
    }

    events& of_;
    bool has_begun_ = false, in_line_ = false, is_over_ = false, by_events_ = false;
    int steps_ = 0;
};

template <class Executor>
basic_coroutine<Executor> await_events(Executor, small_loop&, events& of, bool& by_events) {
    by_events = co_await wait_for(of);
}

// A coroutine that waits for the events, on a loop with so many threads; each event comes from a thread of its own.
template <class Executor>
void run(events& of, int threads, bool always = true) {
    bool by_events = false;
    small_loop loop;
    std::optional<basic_coroutine<Executor>> c;
    {
        std::vector<std::unique_ptr<thread>> all;
        all.push_back(std::make_unique<thread>([&] {
            c.emplace(await_events(Executor(loop), loop, of, by_events));
            loop.run(1);
        }));
        for (int i = 1; i < threads; ++i) all.push_back(std::make_unique<thread>([&] { loop.run(1); }));
        for (const auto& b : of.bells) all.push_back(std::make_unique<thread>([&b] { b->ring(); }));
        if (of.completes) all.push_back(std::make_unique<thread>([&] { of.completes->complete(); }));
    }
    expect(!always || by_events, "it has ended without its events");
}

}  // namespace

[[maybe_unused]] static const bool added = [] {
    constexpr budgets two{.preemptions = 3, .stale_reads = 1, .ticks = 0};
    constexpr budgets three{.preemptions = 2, .stale_reads = 0, .ticks = 0};
    constexpr budgets timed{.preemptions = 3, .stale_reads = 0, .ticks = 1};
    constexpr budgets fewer{.preemptions = 2, .stale_reads = 0, .ticks = 1};

    using node_executor = small_loop::executor;
    using timed_executor = small_loop::timed_executor;
    using handle_executor = small_loop::handle_executor;

    const char* const once = "A coroutine is posted once, and goes on when all that it waits for has happened.";
    add("suspension/bell", once, two, [] {
        events e(1);
        run<node_executor>(e, 1);
    });
    add("suspension/two-bells", once, two, [] {
        events e(2);
        run<node_executor>(e, 1);
    });
    add("suspension/two-bells-two-threads", once, three, [] {
        events e(2);
        run<node_executor>(e, 2);
    });
    add("suspension/completion", once, two, [] {
        events e(0, true);
        run<node_executor>(e, 1);
    });
    add("suspension/bell-and-completion", once, two, [] {
        events e(1, true);
        run<node_executor>(e, 1);
    });
    add("suspension/bell-and-completion-two-threads", once, three, [] {
        events e(1, true);
        run<node_executor>(e, 2);
    });
    add("suspension/two-bells-and-completion", once, three, [] {
        events e(2, true);
        run<node_executor>(e, 1);
    });
    add("suspension/handle", "So does one on an executor that takes handles alone.", two, [] {
        events e(1, true);
        run<handle_executor>(e, 1);
    });
    add("suspension/handle-two-threads", "So does one on an executor that takes handles alone.", three, [] {
        events e(2);
        run<handle_executor>(e, 2);
    });

    const char* const in_time = "A time that comes as the coroutine is notified leaves the step to one of the two.";
    for (const int threads : {1, 2}) {
        const std::string of = std::to_string(threads);
        add("suspension/time-" + of, in_time, timed, [threads] {
            events e(0, true);
            e.until = clock::now() + clock::tick;
            run<node_executor>(e, threads, false);
        });
        add("suspension/time-bell-" + of, in_time, timed, [threads] {
            events e(1);
            e.until = clock::now() + clock::tick;
            run<node_executor>(e, threads, false);
        });
        add("suspension/time-two-bells-" + of, in_time, fewer, [threads] {
            events e(2);
            e.until = clock::now() + clock::tick;
            run<node_executor>(e, threads, false);
        });
        add("suspension/time-bell-and-completion-" + of, in_time, fewer, [threads] {
            events e(1, true);
            e.until = clock::now() + clock::tick;
            run<node_executor>(e, threads, false);
        });
        add("suspension/time-handle-" + of, in_time, fewer, [threads] {
            events e(1, true);
            e.until = clock::now() + clock::tick;
            run<timed_executor>(e, threads, false);
        });
    }

    add("suspension/throws", "What a step throws leaves the co_await, and nothing is posted after it.", two, [] {
        events e(1, true);
        e.throws = true;
        small_loop loop;
        bool heard = false;
        const auto wait = [&](node_executor, small_loop&) -> coroutine {
            try {
                (void)co_await wait_for(e);
            } catch (const injected_error&) {
                heard = true;
            }
        };
        std::optional<coroutine> c;
        {
            thread a([&] {
                c.emplace(wait(node_executor(loop), loop));
                loop.run(1);
            });
            thread b([&] { e.bells[0]->ring(); });
            thread d([&] { e.completes->complete(); });
        }
        expect(heard, "what a step has thrown is lost");
    });

    // On the thread where coroutines run, which has run what was posted when it had begun, or has not.
    for (const bool is_timed : {false, true}) {
        add(std::string("suspension/destroyed") + (is_timed ? "-time" : ""),
            "A coroutine that is destroyed is not notified any more, and leaves nothing posted.",
            is_timed ? fewer : two, [is_timed] {
                events e(1, true);
                if (is_timed) e.until = clock::now() + clock::tick;
                small_loop loop;
                bool by_events = false;
                thread a([&] { e.bells[0]->ring(); });
                thread b([&] { e.completes->complete(); });
                auto c = await_events(node_executor(loop), loop, e, by_events);
                yield();
                c.destroy();
            });
    }
    return true;
}();

}  // namespace model
