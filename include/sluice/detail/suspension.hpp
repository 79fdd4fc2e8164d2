// suspension: what a coroutine that awaits an operation has in place of a thread's parker.
#pragma once

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <sluice/detail/compiler.hpp>
#include <sluice/detail/deadline.hpp>
#include <sluice/detail/sync.hpp>
#include <sluice/detail/throw.hpp>
#include <sluice/executor.hpp>

namespace sluice::detail {

class suspension;

// ---- The executor of a coroutine, whatever its type: how it is used, and where it is found.

struct executor_ref {
    struct functions {
        void (*post)(const void* context, suspension& s) noexcept;
        bool (*revoke)(const void* context, suspension& s) noexcept;  // null where it cannot
        void (*post_at)(const void* context, sync::clock::time_point when, timer_node& node) noexcept;  // likewise
        bool (*cancel)(const void* context, timer_node& node) noexcept;
        bool takes_nodes;
        void (*go_on)(const void* context) noexcept;  // null for a coroutine, which is resumed
    };

    const functions* use = nullptr;
    const void* context = nullptr;
};

template <class Promise>
concept knows_executor = requires(const Promise& p) {
    { p.sluice_executor() } -> executor;
};

// Where the executor is found: in the promise, or where `via` keeps it.
template <class Promise>
struct executor_of_promise {
    static auto get(const void* context) noexcept { return static_cast<const Promise*>(context)->sluice_executor(); }
};
template <class Executor>
struct executor_in_place {
    static Executor get(const void* context) noexcept { return *static_cast<const Executor*>(context); }
};

template <class Found>
struct executor_functions;

// ---- A coroutine that is resumed as a plain executor resumes one, by its handle, where a step of the library is to
// run. Only operations of several steps, on an executor that takes no nodes, have one: it is allocated.

class relay {
public:
    struct promise_type {
        relay get_return_object() noexcept { return relay(std::coroutine_handle<promise_type>::from_promise(*this)); }
        std::suspend_always initial_suspend() noexcept { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() noexcept {}
        [[noreturn]] void unhandled_exception() noexcept { std::terminate(); }
    };

    relay() = default;
    relay(relay&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    relay& operator=(relay&& other) noexcept {
        std::swap(handle_, other.handle_);
        return *this;
    }
    ~relay() {
        if (handle_) handle_.destroy();
    }
    explicit operator bool() const noexcept { return handle_ != nullptr; }
    std::coroutine_handle<> handle() const noexcept { return handle_; }

    static relay to(resumption& node) {
        for (;;) {
            const step next(node);
            co_await next;
        }
    }

private:
    // Runs the step while the relay is suspended, so that the step may destroy it.
    class step {
    public:
        explicit step(resumption& node) noexcept : node_(node) {}
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<>) const noexcept { node_.resume(); }
        void await_resume() const noexcept {}

    private:
        resumption& node_;
    };

    explicit relay(std::coroutine_handle<promise_type> h) noexcept : handle_(h) {}
    std::coroutine_handle<promise_type> handle_;
};

// ---- The suspension

// How many operations in a row may complete without suspending their coroutine.
inline constexpr unsigned max_in_a_row = 128;

// One coroutine that awaits an operation, from its suspension until it is resumed. It lies in the awaiter, which is in
// the frame of the coroutine. Who completes the operation posts it, as the last access: the coroutine may go on at once
// on another thread, and the awaiter is gone then.
class suspension : public resumption {
public:
    // Counts an operation that may complete at once; false if it is to let other coroutines run before it begins. Not to
    // be inlined into a coroutine: see sync::this_thread().
    SLUICE_NOINLINE static bool takes_turn() noexcept {
        unsigned& in_a_row = sync::this_thread().completed_in_a_row;
        return in_a_row < max_in_a_row && ++in_a_row > 0;
    }
    // The coroutine was suspended, and counts anew. Likewise not to be inlined.
    SLUICE_NOINLINE static void begin_turn() noexcept { sync::this_thread().completed_in_a_row = 0; }

    std::coroutine_handle<> posted() const noexcept { return relay_ ? relay_.handle() : coroutine_; }

protected:
    explicit suspension(void (*run)(resumption&)) noexcept : resumption(run) {}

    // The coroutine that awaits, and where it goes on. One whose operation takes `several_steps` may need a relay;
    // throws std::bad_alloc.
    void attach(std::coroutine_handle<> coroutine, executor_ref executor, bool several_steps) {
        coroutine_ = coroutine;
        executor_ = executor;
        if (several_steps && !executor.use->takes_nodes && !relay_) relay_ = relay::to(*this);
    }

    void post() noexcept { executor_.use->post(executor_.context, *this); }
    // What was posted, or is about to be, is taken back. For the thread where coroutines run.
    void revoke() noexcept {
        if (!executor_.use->revoke) std::terminate();  // see executor: request a stop, and let the coroutine end
        while (!executor_.use->revoke(executor_.context, *this)) sync::yield();
    }
    // As its last access: the coroutine, and with it this, may end. Without a coroutine, what stands for one goes on.
    void resume_coroutine() {
        if (!coroutine_) return executor_.use->go_on(executor_.context);
        begin_turn();
        coroutine_.resume();
    }
    const executor_ref& where() const noexcept { return executor_; }

private:
    executor_ref executor_;
    std::coroutine_handle<> coroutine_;
    relay relay_;
};

template <class Found>
struct executor_functions {
    using executor_type = decltype(Found::get(nullptr));

    static void post(const void* context, suspension& s) noexcept {
        const executor_type e = Found::get(context);
        if constexpr (revoking_executor<executor_type>) {
            e.post(static_cast<resumption&>(s));
        } else {
            e.post(s.posted());
        }
    }
    static bool revoke(const void* context, suspension& s) noexcept {
        return Found::get(context).revoke(static_cast<resumption&>(s));
    }
    static void post_at(const void* context, sync::clock::time_point when, timer_node& node) noexcept {
        const executor_type e = Found::get(context);
        e.post_at(when, node);
    }
    static bool cancel(const void* context, timer_node& node) noexcept { return Found::get(context).cancel(node); }

    static constexpr executor_ref::functions make() noexcept {
        executor_ref::functions found{&executor_functions::post, nullptr, nullptr, nullptr, false, nullptr};
        if constexpr (revoking_executor<executor_type>) {
            found.revoke = &executor_functions::revoke;
            found.takes_nodes = true;
        }
        if constexpr (timed_executor<executor_type>) {
            found.post_at = &executor_functions::post_at;
            found.cancel = &executor_functions::cancel;
        }
        return found;
    }
    static constexpr executor_ref::functions all = make();
};

// Where a coroutine goes on that says so by its promise. What is awaited `needs_time` if it waits for a time.
template <bool needs_time, class Promise>
executor_ref executor_of(const Promise& promise) noexcept {
    static_assert(knows_executor<Promise>,
                  "sluice: this coroutine has no executor: await sluice::via(executor, operation), or have its promise "
                  "offer sluice_executor()");
    if constexpr (knows_executor<Promise>) {
        using found = executor_of_promise<Promise>;
        static_assert(!needs_time || timed_executor<typename executor_functions<found>::executor_type>,
                      "sluice: a timeout, a deadline or a timer needs an executor with post_at and cancel, a "
                      "sluice::timed_executor");
        return {&executor_functions<found>::all, std::addressof(promise)};
    } else {
        return {};
    }
}

// ---- A wait of several steps

// What a step came to.
class progress {
public:
    static progress over() noexcept { return progress(); }
    static progress wait(const deadline& until) noexcept { return progress(until); }
    bool is_over() const noexcept { return over_; }
    const deadline& until() const noexcept { return until_; }

private:
    progress() noexcept = default;
    explicit progress(const deadline& until) noexcept : over_(false), until_(until) {}
    bool over_ = true;
    deadline until_ = deadline::never();
};

// A suspension that several may end: who completes the operation, a stop, a timer. Each of them notifies it; the first
// has it posted, and then its step() looks at what has happened, on the thread where coroutines run. `state_`:
//   - `notified`: there is something to look at. Who sets it finds `armed`, and posts, or does not, and then the thread
//     that is about to suspend the coroutine sees `notified` as it arms, and takes the step itself.
//   - `completed`: set with it by complete(), of which there is at most one for each registration; who has left the lines and
//     knows that it was completed waits for that, since it is the last access of the thread that has completed it.
//   - `expired`: the timer has come. A timer that can't be cancelled any more is about to come or just coming; then the
//     step is left to it, which `left_to_timer` tells, and the second of the two takes the step.
// Before the coroutine is resumed, or this ends, all who may notify are gone: step() and withdraw() see to that.
class stepped_suspension : public suspension {
public:
    // By whom it was completed; the last access.
    void complete() noexcept { notify(notified | completed); }
    // The caller makes sure that this still exists, until it returns.
    void look_again() noexcept { notify(notified); }
    bool is_completed() const noexcept { return (state_.load(std::memory_order_acquire) & completed) != 0; }
    // Until the complete() that is certain to come.
    void wait_for_completion() noexcept {
        while (!(state_.load(std::memory_order_acquire) & completed)) sync::yield();
        state_.fetch_and(static_cast<std::uint8_t>(~completed), std::memory_order_relaxed);
    }

protected:
    stepped_suspension() noexcept : suspension(&stepped_suspension::on_resume) {}
    stepped_suspension(const stepped_suspension&) = delete;
    stepped_suspension& operator=(const stepped_suspension&) = delete;
    ~stepped_suspension() = default;

    // Looks at the operation, and goes on with it: what is over leaves nobody behind who may notify. May throw, also in
    // the midst of entering lines; then withdraw() is called, and it is over.
    virtual progress step() = 0;
    // The coroutine is being destroyed, or a step has thrown: leaves all lines, and nobody behind who may notify.
    virtual void withdraw() noexcept = 0;

    // Before a first look at the operation, which stands in no line: whether it may look now, or is to let other coroutines
    // run before.
    bool may_look() noexcept { return has_turn_ = takes_turn(); }
    // For the awaiter. False if the operation was over at once.
    bool suspend(std::coroutine_handle<> coroutine, executor_ref executor) {
        attach(coroutine, executor, true);
        if (!has_turn_ && !takes_turn()) {
            phase_ = phase::begins;
            post();
            return true;
        }
        return !advance();
    }
    // Rethrows what a step has thrown.
    void finish() {
        if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
    }
    // The destructor of the most derived class calls this first, if nobody has before.
    void end() noexcept {
        const phase was = std::exchange(phase_, phase::idle);
        if (was == phase::idle) return;
        if (was == phase::begins) return revoke();
        withdraw();
        const std::uint8_t state = state_.load(std::memory_order_acquire);
        if (timer_ && !(state & expired) && !where().use->cancel(where().context, *timer_)) std::terminate();
        if ((state & (notified | left_to_timer)) == notified) revoke();
    }

private:
    enum : std::uint8_t { armed = 1, notified = 2, completed = 4, expired = 8, left_to_timer = 16 };
    enum class phase : std::uint8_t { idle, begins, waits };

    struct alarm : timer_node {
        explicit alarm(stepped_suspension& s) noexcept
            : timer_node([](timer_node& n) { static_cast<alarm&>(n).of.on_expiry(); }), of(s) {}
        stepped_suspension& of;
    };

    void notify(std::uint8_t what) noexcept {
        const std::uint8_t before = state_.fetch_or(what, std::memory_order_acq_rel);
        if ((before & (armed | notified)) == armed) post();
    }

    // Takes steps until the operation is over, or the coroutine is to stay suspended: false then, and this may be gone.
    bool advance() {
        for (;;) {
            if (phase_ == phase::waits) state_.fetch_and(completed, std::memory_order_acq_rel);
            phase_ = phase::waits;
            progress made = progress::over();
            sync::clock::time_point wake_time;
            try_step(made, wake_time);
            if (made.is_over()) {
                phase_ = phase::idle;
                return true;
            }
            // Where the executor has no time, a step only wants to give back memory.
            if (!made.until().is_never() && where().use->post_at) {
                timer_.emplace(*this);
                where().use->post_at(where().context, wake_time, *timer_);
            }
            if (!(state_.fetch_or(armed, std::memory_order_acq_rel) & notified)) return false;
            if (!take_timer()) return false;
        }
    }
    // `wake_time` may be asked of a clock of the user's, which may throw as well.
    void try_step(progress& made, sync::clock::time_point& wake_time) noexcept {
        error_ = thrown_by([&] {
            made = step();
            wake_time = made.until().wake_time();
        });
        if (!error_) return;
        withdraw();  // before the members of derived classes end, which stand in the lines
        made = progress::over();
    }

    // False if the timer is about to come, to which the step is left.
    bool take_timer() noexcept {
        if (timer_ && !(state_.load(std::memory_order_acquire) & expired) &&
            !where().use->cancel(where().context, *timer_) &&
            !(state_.fetch_or(left_to_timer, std::memory_order_acq_rel) & expired))
            return false;
        timer_.reset();
        return true;
    }

    static void on_resume(resumption& r) {
        auto& self = static_cast<stepped_suspension&>(r);
        if (self.phase_ != phase::begins && !self.take_timer()) return;
        if (self.advance()) self.resume_coroutine();
    }
    void on_expiry() {
        const std::uint8_t before =
            state_.fetch_or(static_cast<std::uint8_t>(notified | expired), std::memory_order_acq_rel);
        if (!(before & left_to_timer) && (before & (armed | notified)) != armed) return;
        timer_.reset();
        if (advance()) resume_coroutine();
    }

    sync::atomic<std::uint8_t> state_{0};
    phase phase_ = phase::idle;
    bool has_turn_ = false;
    std::optional<alarm> timer_;  // while it is set
    std::exception_ptr error_;
};

}  // namespace sluice::detail
