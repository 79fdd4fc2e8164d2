// The way of messages from a channel to a descriptor: written by the loop or, when that is idle, by who sends.
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
#include <sluice/ipc/detail/io_loop.hpp>
#include <sluice/ipc/fault.hpp>

namespace sluice::ipc::detail {

// At any time one thread has the turn: it alone touches the outbox and takes from the channel. The loop has it at
// first. When there is nothing to write, whoever has it puts it down by standing in line for the next message; the
// thread that sends that message picks it up, inside its send. It writes the message itself and puts the turn down
// again, which saves the loop a wake-up; or, if it comes soon after the last write, so that more messages may follow,
// if the system takes no more, or if the channel was closed, it passes the turn to the loop. So a lone message is on
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

    // For the loop's thread: writes what there is, if it is its turn. After `over`, nobody else has to do with this
    // object any more.
    flow write() noexcept { return loops_turn_.load(std::memory_order_acquire) ? write_out(true) : flow::idle; }

    // For the loop's thread: nothing can be written any more.
    void abandon() noexcept {
        abandoned_.store(true, std::memory_order_release);
        outlet_->close();
    }
    // For the loop's thread: writes out what was sent, and no more.
    void finish() noexcept { outlet_->close(); }
    // For the loop's thread: after the frame that is under way the peer is told that this ends by an error, and no more.
    void break_off(ipc_errc why) noexcept {
        broken_.store(why, std::memory_order_release);
        outlet_->close();
    }
    bool is_broken_off() const noexcept { return broken_.load(std::memory_order_acquire) != ipc_errc{}; }
    // Nothing more is sent.
    bool closed() const noexcept { return outlet_->closed(); }

    // For the loop's thread: has the peer told that nobody reads here any more.
    void tell_deaf() noexcept {
        deaf_.store(true, std::memory_order_release);
        station_.reach()->curious.store(true, std::memory_order_release);
        take_turn_for_deaf();
    }
    // Also whenever the loop was woken: whoever had the turn then may have looked for deafness just before.
    void take_turn_for_deaf() noexcept {
        if (deaf_.load(std::memory_order_acquire) && !loops_turn_.load(std::memory_order_acquire) &&
            outlet_->withdraw()) {
            loops_turn_.store(true, std::memory_order_relaxed);
        }
    }

protected:
    enum class flushed : std::uint8_t { all, blocked, gone };

    outgoing(station& of, std::shared_ptr<fault> report) : station_(of), report_(std::move(report)) {}
    virtual ~outgoing() = default;

    template <class T>
    void attach(receiver<T> from, const framing& how) {
        outlet_ = std::make_unique<channel_outlet<T>>(std::move(from), how, *this);
    }

    // Has the waiter told when nothing more is sent; false if that is so already.
    bool watch_closing(sluice::detail::waiter& w) { return outlet_->watch_closing(w); }
    bool unwatch_closing(sluice::detail::waiter& w) { return outlet_->unwatch_closing(w); }

    // Writes as much of the outbox as the system takes.
    virtual flushed flush(outbox& box) noexcept = 0;
    // Says, after the last message, that it was the last; or that an error has ended the connection.
    virtual void say_end(outbox& box) = 0;
    virtual void say_broken(outbox& box, ipc_errc why) = 0;
    // Nothing can be written any more, as the last flush() has found; its reason is to be noted.
    virtual void note_gone() noexcept = 0;

    station& station_;
    const std::shared_ptr<fault> report_;
    outbox outbox_;

private:
    using clock = sluice::detail::sync::clock;

    // Messages that follow each other faster than this are left to the loop, which collects them meanwhile.
    static constexpr clock::duration pause = std::chrono::microseconds(10);

    flow write_out(bool looping) noexcept {
        int looks = sluice::detail::sync::multicore() ? 50 : 0;
        int writes = looping ? 16 : 1;  // then others get their turn: who sends goes on, the loop looks for orders
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
                    if (!looping) return flow::blocked;  // the loop finds out why
                    note_gone();
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
                if (is_broken_off()) {
                    say_last_words();
                    continue;
                }
                if (deaf_.exchange(false, std::memory_order_acq_rel)) append_plain(outbox_.bytes, nobody_reads);
                outlet_->fill(outbox_);
                if (!outbox_.empty() || (looping && more_comes(looks))) continue;
                last_write_ = clock::now();
                outbox_.rest();
                loops_turn_.store(false, std::memory_order_relaxed);
                const outlet::line where = outlet_->wait();
                if (where == outlet::line::waiting) return flow::idle;
                loops_turn_.store(looping, std::memory_order_relaxed);
                if (where == outlet::line::closed) say_last_words();
            } catch (...) {
                loops_turn_.store(looping, std::memory_order_relaxed);
                const std::error_code why = current_error(ipc_errc::not_encoded);
                report_->note(why);
                break_off(told_as(why, ipc_errc::not_encoded));
            }
        }
    }

    // Whether a message comes, or the channel closes, while `looks` are left: for a microsecond or so, which is less
    // than it takes to wake the loop again. Does not yield: others might keep the processor for long.
    bool more_comes(int& looks) const noexcept {
        while (looks-- > 0) {
            if (outlet_->may_have()) return true;
            sluice::detail::sync::pause();
        }
        looks = 0;
        return false;
    }

    // Looks again: the channel may have been closed by break_off(), just now.
    void say_last_words() {
        last_words_ = true;
        const ipc_errc why = broken_.load(std::memory_order_acquire);
        why == ipc_errc{} ? say_end(outbox_) : say_broken(outbox_, why);
    }

    // In the thread that sends or closes. Once the turn is put down or passed on, this object may be gone.
    void told(bool message) noexcept override {
        const std::shared_ptr<contact> reach = station_.reach();
        if (generation_ != process::generation()) {  // a forked child's copy of its parent's end
            outlet_->close();
            return;
        }
        if (message && clock::now() - last_write_ >= pause && write_out(false) == flow::idle) {
            if (reach->curious.load(std::memory_order_acquire)) reach->loop->post(*reach);
            return;
        }
        reach->loop->post(station_, [this] { loops_turn_.store(true, std::memory_order_release); });
    }

    const unsigned generation_ = process::generation();
    std::unique_ptr<outlet> outlet_;
    sluice::detail::sync::atomic<bool> loops_turn_{true};
    sluice::detail::sync::atomic<bool> abandoned_{false};
    sluice::detail::sync::atomic<bool> deaf_{false};
    sluice::detail::sync::atomic<ipc_errc> broken_{};

    // For the one whose turn it is.
    clock::time_point last_write_{};
    bool last_words_ = false, over_ = false;
};

}  // namespace sluice::ipc::detail
