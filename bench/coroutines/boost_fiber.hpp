// Boost.Fiber's fibers and channels, with its default scheduler and stacks.
//
// A fiber blocks on a stack of its own. So a task is a coroutine that a fiber runs from end to end: what it awaits has
// been done already, on the fiber's stack.
#pragma once

#include "adapter.hpp"

#include <boost/fiber/buffered_channel.hpp>
#include <boost/fiber/condition_variable.hpp>
#include <boost/fiber/fiber.hpp>
#include <boost/fiber/mutex.hpp>
#include <boost/fiber/operations.hpp>
#include <boost/fiber/unbuffered_channel.hpp>

#include <algorithm>
#include <bit>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <type_traits>
#include <utility>

namespace bench {

class fiber_task {
public:
    struct promise_type {
        fiber_task get_return_object() { return fiber_task(std::coroutine_handle<promise_type>::from_promise(*this)); }
        std::suspend_always initial_suspend() const noexcept { return {}; }
        std::suspend_always final_suspend() const noexcept { return {}; }
        void return_void() const noexcept {}
        void unhandled_exception() const noexcept { std::terminate(); }
    };

    fiber_task(fiber_task&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
    ~fiber_task() {
        if (frame_) frame_.destroy();
    }
    void run() { frame_.resume(); }

private:
    explicit fiber_task(std::coroutine_handle<promise_type> frame) : frame_(frame) {}

    std::coroutine_handle<promise_type> frame_;
};

/// The fibers of the thread that makes it.
class fiber_loop {
public:
    fiber_loop() = default;
    fiber_loop(const fiber_loop&) = delete;
    fiber_loop& operator=(const fiber_loop&) = delete;
    /// Lets the scheduler free the stacks of fibers that have ended.
    ~fiber_loop() { boost::this_fiber::yield(); }

    void spawn(fiber_task t) {
        ++running_;
        boost::fibers::fiber([this, task = std::move(t)]() mutable {
            task.run();
            if (--running_ == 0) ended_.notify_one();
        }).detach();
    }
    void run() {
        std::unique_lock lock(mutex_);
        ended_.wait(lock, [this] { return running_ == 0; });
    }

private:
    boost::fibers::mutex mutex_;
    boost::fibers::condition_variable ended_;
    number running_ = 0;
};

/// For boost::fibers::buffered_channel and unbuffered_channel.
template <template <class> class Channel>
struct boost_fiber_tasks {
    static constexpr bool buffers = std::is_constructible_v<Channel<number>, std::size_t>;
    static constexpr const char* name = "Boost.Fiber";
    static constexpr abilities can{.bounded = buffers, .rendezvous = !buffers};
    static constexpr bool sends_at_once = false;
    static constexpr bool selects = false;
    static constexpr number most_blocked = 100'000;  // each has 128 KiB of addresses

    using task = fiber_task;
    using loop = fiber_loop;
    using sender = std::shared_ptr<Channel<number>>;
    using receiver = sender;
    using status = boost::fibers::channel_op_status;

    struct outcome {
        status what;
        number message;
    };
    /// What is done already.
    class ready {
    public:
        explicit ready(const outcome& o) : outcome_(o) {}
        bool await_ready() const noexcept { return true; }
        void await_suspend(std::coroutine_handle<>) const noexcept {}
        outcome await_resume() const noexcept { return outcome_; }

    private:
        outcome outcome_;
    };

    static ends<sender, receiver> open(loop&, [[maybe_unused]] const limit& capacity) {
        sender made;
        if constexpr (buffers) {
            // It takes powers of two only, and buffers one message less.
            const std::size_t size = std::max<std::size_t>(2, std::bit_ceil(capacity.value_or(0)));
            made = std::make_shared<Channel<number>>(size);
        } else {
            made = std::make_shared<Channel<number>>();
        }
        return {made, made};
    }

    static ready send(sender& tx, const number& n) { return ready({tx->push(n), n}); }
    static ready recv(receiver& rx) {
        number n = 0;
        const status s = rx->pop(n);
        return ready({s, n});
    }
    static void check(const outcome& sent) { demand(sent.what == status::success); }
    static number value(const outcome& received) {
        check(received);
        return received.message;
    }
    static void send_from_thread(sender& tx, number n) { demand(tx->push(n) == status::success); }
};

}  // namespace bench
