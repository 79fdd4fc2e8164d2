// The way of messages from a channel to a descriptor: written by the pump or, when that is idle, by who sends.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <system_error>
#include <utility>

#include <sluice/channel.hpp>
#include <sluice/detail/sync.hpp>
#include <sluice/ipc/detail/descriptor.hpp>
#include <sluice/ipc/detail/ends.hpp>
#include <sluice/ipc/detail/frame.hpp>
#include <sluice/ipc/detail/process.hpp>
#include <sluice/ipc/detail/pump.hpp>
#include <sluice/ipc/fault.hpp>

namespace sluice::ipc::detail {

// At any time one thread has the turn: it alone touches the outbox and takes from the channel. The pump has it at
// first. When there is nothing to write, whoever has it puts it down by standing in line for the next message; the
// thread that sends that message picks it up, inside its send. It writes the message itself and puts the turn down
// again, which saves the pump a wake-up; or, if it comes soon after the last write, so that more messages may follow,
// if the system takes no more, or if the channel was closed, it passes the turn to the pump. So a lone message is on
// its way when send() returns, and a flood of them goes out in large writes.
class outgoing : public outlet_listener {
public:
    enum class flow : std::uint8_t {
        idle,     // the turn lies in the channel
        blocked,  // the system takes no more now, or has taken much: to be called again when it takes more
        over,
    };

    outgoing(const outgoing&) = delete;
    outgoing& operator=(const outgoing&) = delete;

    // For the pump's thread: writes what there is, if it is its turn. After `over`, nobody else has to do with this
    // object any more.
    flow write() noexcept { return pumps_turn_.load(std::memory_order_acquire) ? write_out(true) : flow::idle; }

    // For the pump's thread: nothing can be written any more.
    void abandon() noexcept {
        abandoned_.store(true, std::memory_order_release);
        outlet_->close();
    }
    // For the pump's thread: writes out what was sent, and no more.
    void finish() noexcept { outlet_->close(); }

    // For the pump's thread: has the peer told that nobody reads here any more.
    void tell_deaf() noexcept {
        deaf_.store(true, std::memory_order_release);
        wake_->curious.store(true, std::memory_order_release);
        take_turn_for_deaf();
    }
    // Also whenever the pump was woken: whoever had the turn then may have looked for deafness just before.
    void take_turn_for_deaf() noexcept {
        if (deaf_.load(std::memory_order_acquire) && !pumps_turn_.load(std::memory_order_acquire) &&
            outlet_->withdraw()) {
            pumps_turn_.store(true, std::memory_order_relaxed);
        }
    }

protected:
    enum class flushed : std::uint8_t { all, blocked, gone };

    outgoing(std::shared_ptr<wake_up> wake, std::shared_ptr<fault> report)
        : wake_(std::move(wake)), report_(std::move(report)) {}
    virtual ~outgoing() = default;

    template <class T>
    void attach(receiver<T> from, const framing& how) {
        outlet_ = std::make_unique<channel_outlet<T>>(std::move(from), how, *this);
    }
    bool attached() const noexcept { return outlet_ != nullptr; }

    // Writes as much of the outbox as the system takes.
    virtual flushed flush(outbox& box) noexcept = 0;
    // Says, after the last message, that it was the last.
    virtual void say_end(outbox& box) = 0;

    const std::shared_ptr<wake_up> wake_;
    const std::shared_ptr<fault> report_;
    outbox outbox_;

private:
    using clock = std::chrono::steady_clock;

    // Messages that follow each other faster than this are left to the pump, which collects them meanwhile.
    static constexpr clock::duration pause = std::chrono::microseconds(10);

    flow write_out(bool pumping) noexcept {
        int looks = sluice::detail::sync::several_cpus() ? 50 : 0;
        int writes = pumping ? 16 : 1;  // then others get their turn: who sends goes on, the pump looks for orders
        for (;;) {
            if (abandoned_.load(std::memory_order_acquire)) over_ = true;
            if (over_) {
                outbox_.discard();
                return flow::over;
            }
            if (!outbox_.empty()) {
                if (writes-- == 0) return flow::blocked;
                const flushed f = flush(outbox_);
                if (f == flushed::blocked) return flow::blocked;
                if (f == flushed::gone) {
                    outlet_->close();
                    over_ = true;
                }
                continue;
            }
            if (last_words_) {
                over_ = true;
                continue;
            }
            try {
                if (deaf_.exchange(false, std::memory_order_acq_rel)) append_plain(outbox_.bytes, nobody_reads);
                outlet_->fill(outbox_);
                if (!outbox_.empty() || (pumping && more_comes(looks))) continue;
                last_write_ = clock::now();
                pumps_turn_.store(false, std::memory_order_relaxed);
                const outlet::line where = outlet_->wait();
                if (where == outlet::line::waiting) return flow::idle;
                pumps_turn_.store(pumping, std::memory_order_relaxed);
                if (where == outlet::line::closed) {
                    last_words_ = true;
                    say_end(outbox_);
                }
            } catch (...) {
                pumps_turn_.store(pumping, std::memory_order_relaxed);
                report_->note(current_error());
                outlet_->close();
                last_words_ = true;
            }
        }
    }

    // Whether a message comes, or the channel closes, while `looks` are left: for a microsecond or so, which is less
    // than it takes to wake the pump again. Does not yield: others might keep the processor for long.
    bool more_comes(int& looks) const noexcept {
        while (looks-- > 0) {
            if (outlet_->may_have()) return true;
            sluice::detail::sync::pause();
        }
        looks = 0;
        return false;
    }

    // In the thread that sends or closes. Once the turn is put down or passed on, this object may be gone.
    void told(bool message) noexcept override {
        const std::shared_ptr<wake_up> wake = wake_;
        if (generation_ != process::generation()) {  // a forked child's copy of its parent's end
            outlet_->close();
            return;
        }
        if (message && clock::now() - last_write_ >= pause && write_out(false) == flow::idle) {
            if (wake->curious.load(std::memory_order_acquire)) wake->signal();
            return;
        }
        pumps_turn_.store(true, std::memory_order_release);
        wake->signal();
    }

    const unsigned generation_ = process::generation();
    std::unique_ptr<outlet> outlet_;
    std::atomic<bool> pumps_turn_{true};
    std::atomic<bool> abandoned_{false};
    std::atomic<bool> deaf_{false};

    // For the one whose turn it is.
    clock::time_point last_write_{};
    bool last_words_ = false, over_ = false;
};

}  // namespace sluice::ipc::detail
