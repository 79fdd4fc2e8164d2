// The way of messages from a descriptor to a channel: read by the loop or, where a thread waits for the next one, by
// that thread.
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

// While it lives this thread is not cancelled: what reads and writes is noexcept, and calls of the system are points at
// which a thread may be cancelled.
class uncancelled {
public:
    uncancelled() noexcept { ::pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before_); }
    uncancelled(const uncancelled&) = delete;
    uncancelled& operator=(const uncancelled&) = delete;
    ~uncancelled() { ::pthread_setcancelstate(before_, nullptr); }

    // In the midst of it the thread may be cancelled, if it might before.
    class but_here {
    public:
        explicit but_here(const uncancelled& in) noexcept { ::pthread_setcancelstate(in.before_, &within_); }
        but_here(const but_here&) = delete;
        but_here& operator=(const but_here&) = delete;
        ~but_here() { ::pthread_setcancelstate(within_, nullptr); }

    private:
        int within_ = PTHREAD_CANCEL_DISABLE;
    };

private:
    int before_ = PTHREAD_CANCEL_ENABLE;
};

// Whose turn it is to read. It is the loop's, until a thread that waits in the channel's line finds that no other one
// reads: that thread borrows the descriptor, has the loop not wait for it, sleeps until something arrives, and does at
// the reader what the loop would do, until its own operation is completed. Then it gives the descriptor back. So a lone
// message goes from the system to its receiver without the loop; what comes while nobody waits, the loop reads.
//
// Why nothing is left lying. What has arrived is in the system until someone reads it with `at_work_` held. At any time
// the loop waits for it, or a borrower does: the loop waits again before the borrower leaves; and the system tells also
// of what arrived before somebody began to wait. A borrower whose operation is completed by another thread, or which is
// to stop, is woken by its bell: see parker.
//
// `Reader` has, each called with at_work_ held:
//   bool lend();       the loop does not wait for it any more; false if it can't be lent
//   void take_back();  the loop waits for it again
//   int fd();          -1 if there is nothing to wait for
//   int looks();       how often to look before going to sleep
//   bool fetch();      reads what there is and hands it over; false if the rest is left to the loop
//   bool has_more();   whether more messages were handed over than there were receivers
// and `Reader::bell`, whose sleep(fd, until) returns when there is something to read, it was rung, or it is late.
template <class Reader>
class direct_reading final : public sluice::detail::feeder {
public:
    explicit direct_reading(Reader& of) noexcept : of_(&of) {}

    // While it is held nobody else is at work.
    std::unique_lock<sluice::detail::sync::mutex> exclude() {
        return std::unique_lock<sluice::detail::sync::mutex>(at_work_);
    }

    // With that: whether a thread waits for the descriptor in place of the loop.
    bool lent() const noexcept { return lent_; }
    // The reader goes: nobody works at it any more, `close` closes the channel, and those who were here have left.
    template <class F>
    void retire(F&& close) {
        {
            const auto held = exclude();
            of_ = nullptr;
        }
        close();
        std::unique_lock<sluice::detail::sync::mutex> held(door_);
        while (inside_ > 0) left_.wait(held);
    }

    void enter() noexcept override {
        const std::lock_guard<sluice::detail::sync::mutex> held(door_);
        ++inside_;
    }
    // Also by one that is at work: a codec may receive from this very channel.
    void leave() noexcept override {
        const std::lock_guard<sluice::detail::sync::mutex> held(door_);
        if (--inside_ == 0) left_.notify_one();
    }
    bool fetches() const noexcept override { return left_to_loop_.load(std::memory_order_relaxed) == 0; }
    bool wait(sluice::detail::parker& sleeper, const sluice::detail::deadline& until,
              sluice::detail::backoff& spin) override {
        const std::optional<bool> woken = read_for(sleeper, until);
        return woken ? *woken : sleeper.wait(until, spin);
    }

private:
    // So often a thread that has to wait leaves it to the loop, after one has got several messages at once: they are a
    // stream, of which the loop reads more at a time.
    static constexpr int long_enough = 64;

    // The descriptor while it is borrowed; -1 if it is not to be had, or somebody is at work: who is in the midst of
    // reading goes on.
    struct loan {
        explicit loan(direct_reading& from) : of(from) {
            const std::unique_lock<sluice::detail::sync::mutex> held(of.at_work_, std::try_to_lock);
            if (!held || !of.of_ || of.lent_ || !of.make_bell()) return;
            if (const int left = of.left_to_loop_.load(std::memory_order_relaxed); left > 0) {
                of.left_to_loop_.store(left - 1, std::memory_order_relaxed);
                return;
            }
            of.lent_ = true;
            if (of.of_->lend()) fd = of.of_->fd();
            of.lent_ = fd >= 0;
            if (of.lent_) looks = of.of_->looks();
        }
        loan(const loan&) = delete;
        loan& operator=(const loan&) = delete;
        ~loan() {
            if (fd < 0) return;
            const auto held = of.exclude();
            of.lent_ = false;
            if (of.of_) of.of_->take_back();
        }
        direct_reading& of;
        int fd = -1, looks = 0;
    };

    // Whether it was woken; nothing if it is left to the loop to read.
    std::optional<bool> read_for(sluice::detail::parker& sleeper, const sluice::detail::deadline& until) {
        const uncancelled here;
        const loan mine(*this);
        if (mine.fd < 0) return std::nullopt;
        int looks = sluice::detail::sync::multicore() ? mine.looks : 0;
        for (;;) {
            if (looks > 0) {
                --looks;
            } else {
                const auto e = sleeper.sleep_by(*bell_, [&] {
                    const uncancelled::but_here asleep(here);
                    bell_->sleep(mine.fd, until);
                });
                if (e != sluice::detail::parker::event::passed) return e == sluice::detail::parker::event::woken;
            }
            const bool goes_on = fetch();
            if (sleeper.woken()) return true;
            if (!goes_on) return std::nullopt;
            if (looks == 0 && until.passed()) return false;
        }
    }
    bool fetch() {
        const auto held = exclude();
        if (!of_) return false;
        const bool goes_on = of_->fetch();
        if (of_->has_more()) left_to_loop_.store(long_enough, std::memory_order_relaxed);
        return goes_on;
    }
    bool make_bell() noexcept {
        if (!bell_) bell_ = Reader::bell::make();
        return static_cast<bool>(bell_);
    }

    sluice::detail::sync::mutex at_work_;
    Reader* of_;  // none once it is gone
    bool lent_ = false;
    sluice::detail::sync::atomic<int> left_to_loop_{0};
    std::unique_ptr<typename Reader::bell> bell_;
    sluice::detail::sync::mutex door_;  // after the locks of the channel, which at_work_ comes before
    std::size_t inside_ = 0;            // how many threads are here; under door_
    sluice::detail::sync::condition_variable left_;
};

}  // namespace sluice::ipc::detail
