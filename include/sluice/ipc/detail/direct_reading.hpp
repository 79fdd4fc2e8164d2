// direct_reading: the way of messages from a descriptor to a channel: read by the loop or, where a thread waits for the
// next one, by that thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>

#include <pthread.h>

#include <sluice/detail/feeder.hpp>
#include <sluice/detail/sync.hpp>
#include <sluice/detail/waiter.hpp>

namespace sluice::ipc::detail {

// While it lives, this thread is not cancelled: what reads and writes is noexcept, and system calls are cancellation
// points.
class uncancelled {
public:
    uncancelled() noexcept { ::pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before_); }
    uncancelled(const uncancelled&) = delete;
    uncancelled& operator=(const uncancelled&) = delete;
    ~uncancelled() { ::pthread_setcancelstate(before_, nullptr); }

    // Within an `uncancelled`: the thread may be cancelled if it could before that.
    class cancellable {
    public:
        explicit cancellable(const uncancelled& in) noexcept { ::pthread_setcancelstate(in.before_, &within_); }
        cancellable(const cancellable&) = delete;
        cancellable& operator=(const cancellable&) = delete;
        ~cancellable() { ::pthread_setcancelstate(within_, nullptr); }

    private:
        int within_ = PTHREAD_CANCEL_DISABLE;
    };

private:
    int before_ = PTHREAD_CANCEL_ENABLE;
};

// Who polls and reads the descriptor:
//
//   (1) The loop.
//   (2) A borrower: a thread that waits in the channel's line as a receiver. The loop does not poll for reading.
//
//   1 > 2  A thread that has to wait finds the descriptor neither lent nor being read.
//   2 > 2  The borrower sleeps until something arrives, and then does what the loop would do with it.
//   2 > 1  The borrower's own operation is completed, has failed or timed out, or fetch() leaves the rest to the loop.
//
// So a lone message goes from the system to its receiver without the loop, which reads what comes while nobody waits.
//
// No message is left unread. Bytes stay in the system until a thread reads them with work_mutex_ held. At any time the
// loop or a borrower polls, as the loop polls again before the borrower leaves; and poll reports bytes that arrived
// before it began. A borrower whose operation another thread completes, or which is to stop, is woken by its bell: see
// parker.
//
// `Reader` has, each called with work_mutex_ held:
//   bool lend();         has the loop not poll for reading; false if it cannot be lent
//   void take_back();    has the loop poll again
//   int fd();            -1 if there is nothing to poll
//   int spins();         how often to try to read before sleeping
//   bool fetch();        reads what there is and sends it to the channel; false if the rest is left to the loop
//   bool has_backlog();  whether more messages were sent than receivers waited for
// and `Reader::bell`, whose sleep(fd, until) returns when fd is readable, the bell was rung, or the deadline has
// passed.
//
// Locks: work_mutex_, those of the channel, inside_mutex_, in this order.
template <class Reader>
class direct_reading final : public sluice::detail::feeder {
public:
    explicit direct_reading(Reader& of) noexcept : of_(&of) {}

    // While it is held, no other thread reads.
    std::unique_lock<sluice::detail::sync::mutex> lock_work() {
        return std::unique_lock<sluice::detail::sync::mutex>(work_mutex_);
    }

    // Requires it: whether a thread polls in place of the loop.
    bool lent() const noexcept { return lent_; }
    // The reader goes: no thread works at it any more; calls `close`, which closes the channel, and waits until the
    // threads that have entered have left.
    template <class F>
    void retire(F&& close) {
        {
            const auto held = lock_work();
            of_ = nullptr;
        }
        close();
        std::unique_lock<sluice::detail::sync::mutex> held(inside_mutex_);
        while (inside_ > 0) left_.wait(held);
    }

    void enter() noexcept override {
        const std::lock_guard<sluice::detail::sync::mutex> held(inside_mutex_);
        ++inside_;
    }
    // Takes no work_mutex_, which this thread may hold: a codec may receive from this very channel.
    void leave() noexcept override {
        const std::lock_guard<sluice::detail::sync::mutex> held(inside_mutex_);
        if (--inside_ == 0) left_.notify_one();
    }
    bool fetches() const noexcept override { return loop_waits_left_.load(std::memory_order_relaxed) == 0; }
    bool wait(sluice::detail::parker& sleeper, const sluice::detail::deadline& until,
              sluice::detail::backoff& spin) override {
        const std::optional<bool> woken = read_for(sleeper, until);
        return woken ? *woken : sleeper.wait(until, spin);
    }

private:
    // After a thread has read several messages at once, so many calls of wait() leave reading to the loop, which reads
    // more at a time.
    static constexpr int waits_left_to_loop = 64;

    // Borrows the descriptor while it lives; fd is -1 if it is not to be had, or another thread is reading.
    struct loan {
        explicit loan(direct_reading& from) : of(from) {
            const std::unique_lock<sluice::detail::sync::mutex> held(of.work_mutex_, std::try_to_lock);
            if (!held || !of.of_ || of.lent_ || !of.make_bell()) return;
            if (const int left = of.loop_waits_left_.load(std::memory_order_relaxed); left > 0) {
                of.loop_waits_left_.store(left - 1, std::memory_order_relaxed);
                return;
            }
            of.lent_ = true;
            if (of.of_->lend()) fd = of.of_->fd();
            of.lent_ = fd >= 0;
            if (of.lent_) spins = of.of_->spins();
        }
        loan(const loan&) = delete;
        loan& operator=(const loan&) = delete;
        ~loan() {
            if (fd < 0) return;
            const auto held = of.lock_work();
            of.lent_ = false;
            if (of.of_) of.of_->take_back();
        }
        direct_reading& of;
        int fd = -1, spins = 0;
    };

    // What wait() returns; nothing if reading is left to the loop.
    std::optional<bool> read_for(sluice::detail::parker& sleeper, const sluice::detail::deadline& until) {
        const uncancelled here;
        const loan mine(*this);
        if (mine.fd < 0) return std::nullopt;
        int spins = sluice::detail::sync::multicore() ? mine.spins : 0;
        for (;;) {
            if (spins > 0) {
                --spins;
            } else {
                const auto e = sleeper.sleep_by(*bell_, [&] {
                    const uncancelled::cancellable asleep(here);
                    bell_->sleep(mine.fd, until);
                });
                if (e != sluice::detail::parker::event::passed) return e == sluice::detail::parker::event::woken;
            }
            const bool goes_on = fetch();
            if (sleeper.woken()) return true;
            if (!goes_on) return std::nullopt;
            if (spins == 0 && until.passed()) return false;
        }
    }
    bool fetch() {
        const auto held = lock_work();
        if (!of_) return false;
        const bool goes_on = of_->fetch();
        if (of_->has_backlog()) loop_waits_left_.store(waits_left_to_loop, std::memory_order_relaxed);
        return goes_on;
    }
    bool make_bell() noexcept {
        if (!bell_) bell_ = Reader::bell::make();
        return static_cast<bool>(bell_);
    }

    sluice::detail::sync::mutex work_mutex_;
    Reader* of_;  // null once it is gone
    bool lent_ = false;
    sluice::detail::sync::atomic<int> loop_waits_left_{0};
    std::unique_ptr<typename Reader::bell> bell_;
    sluice::detail::sync::mutex inside_mutex_;
    std::size_t inside_ = 0;  // threads between enter() and leave(); guarded by inside_mutex_
    sluice::detail::sync::condition_variable left_;
};

}  // namespace sluice::ipc::detail
