// outgoing: the way of messages from a channel to a transport: written by the loop or, when that is idle, by the thread
// that sends.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <system_error>
#include <utility>

#include <sluice/channel.hpp>
#include <sluice/detail/sync.hpp>
#include <sluice/ipc/detail/channel_reader.hpp>
#include <sluice/ipc/detail/errors.hpp>
#include <sluice/ipc/detail/frame.hpp>
#include <sluice/ipc/detail/io_loop.hpp>
#include <sluice/ipc/detail/process.hpp>
#include <sluice/ipc/detail/write_buffer.hpp>
#include <sluice/ipc/error_sink.hpp>

namespace sluice::ipc::detail {

// The write token. The thread that holds it, one at a time, may take messages from the channel and touch write_buffer_.
//
//   (1) The loop holds it: loop_has_token_ is true. So it begins. The loop writes; where the system takes no more, it
//       waits until it does.
//   (2) It is parked in the channel, as a waiting receiver: nothing is to be written.
//   (3) A sender holds it: it has completed that receiver, inside its send. (Or a thread that closes the channel.)
//   (4) Done: nothing is written any more, and no other thread comes here.
//
//   1 > 2  The loop finds no message, also after it has spun for a moment.
//   2 > 3  A message is sent, or the channel is closed.
//   3 > 2  The sender has written its message, and no other has come: the message is on its way when send() returns,
//          and the loop was not woken. If the handler asks for it (always_signal), the loop is then posted.
//   3 > 1  Passed on by a post: the last write was less than direct_write_gap ago, so that more messages may follow,
//          which the loop writes at once; or the system takes no more; or the channel was closed.
//   2 > 1  The loop withdraws the receiver, as it has something to write that is no message.
//   1 > 4  The end is written, or nothing can be.
//
// Memory order: parking and completing the receiver happen under the channel's locks, which order what (2) connects.
// The step 3 > 1 is a release store of loop_has_token_, under the lock of the loop, which the loop loads with acquire.
// The other stores may be relaxed. Only the loop's thread, which reads its own stores in order, changes the flag from
// true to false, before it parks; in a sender the flag is false from (2) on, and it stores nothing but that value.
class outgoing : public message_listener {
public:
    enum class flow : std::uint8_t {
        idle,     // (2) or (3)
        blocked,  // the system takes no more now, or has taken much: to be called again when it takes more
        done,     // (4)
    };

    outgoing(const outgoing&) = delete;
    outgoing& operator=(const outgoing&) = delete;

    // ---- For the loop's thread

    // Writes what there is, if the loop has the token. After `done` no other thread uses this object.
    flow write() noexcept { return loop_has_token_.load(std::memory_order_acquire) ? write_out(true) : flow::idle; }

    // Nothing can be written any more.
    void abandon() noexcept {
        abandoned_.store(true, std::memory_order_release);
        reader_->close(ended_by_);
    }
    // Writes out what was sent, and ends.
    void finish() noexcept { reader_->close({}); }
    // Writes the frame that is under way and an error frame, and ends. The cause is what this side is told; by any
    // thread.
    void end_with_error(ipc_errc why, const std::error_code& cause) noexcept {
        end_error_.store(why, std::memory_order_release);
        reader_->close(cause);
    }
    bool is_ending_by_error() const noexcept { return end_error() != ipc_errc{}; }
    // Whether nothing more is sent.
    bool closed() const noexcept { return reader_->closed(); }

    // Asks the peer to stop sending.
    void request_stop_sending() noexcept {
        stop_sending_.store(true, std::memory_order_release);
        handler_.ref()->always_signal.store(true, std::memory_order_release);
        take_token_for_stop_sending();
    }
    // Also whenever the loop was woken: a sender that held the token may have looked at stop_sending_ just before.
    void take_token_for_stop_sending() noexcept {
        if (stop_sending_.load(std::memory_order_acquire) && !loop_has_token_.load(std::memory_order_acquire) &&
            reader_->unregister()) {
            loop_has_token_.store(true, std::memory_order_relaxed);
        }
    }

protected:
    enum class flushed : std::uint8_t { all, blocked, failed };

    outgoing(io_handler& of, std::shared_ptr<error_sink> errors) : handler_(of), errors_(std::move(errors)) {}
    virtual ~outgoing() = default;

    template <class T>
    void attach(receiver<T> from, const framing& how) {
        reader_ = std::make_unique<typed_channel_reader<T>>(std::move(from), how, *this);
    }

    // Has the waiter completed when nothing more is sent; false if that is so already.
    bool observe_close(sluice::detail::waiter& w) { return reader_->observe_close(w); }
    bool unobserve_close(sluice::detail::waiter& w) { return reader_->unobserve_close(w); }

    // ---- What the transport does, for the thread that holds the token

    // Writes as much of the buffer as the system takes.
    virtual flushed flush(write_buffer& buffer) noexcept = 0;
    // Appends what says that the last message was the last, or that an error has ended the connection.
    virtual void append_end(write_buffer& buffer) = 0;
    virtual void append_error(write_buffer& buffer, ipc_errc why) = 0;
    // The last flush() has failed: notes why. By the loop alone.
    virtual void note_write_error() noexcept = 0;

    // Notes an error, if it is one, and that this end closes its channels because of it, if it is the first. By the loop
    // alone.
    void note(const std::error_code& e) noexcept {
        errors_->note(e);
        if (!ended_by_) ended_by_ = e;
    }
    // What was noted; or what a sender has noted, as the peer is told of it.
    std::error_code ended_by() const noexcept { return ended_by_ ? ended_by_ : make_error_code(end_error()); }
    ipc_errc end_error() const noexcept { return end_error_.load(std::memory_order_acquire); }

    io_handler& handler_;
    const std::shared_ptr<error_sink> errors_;
    write_buffer write_buffer_;
    std::error_code ended_by_;  // for the loop

private:
    using clock = sluice::detail::sync::clock;

    // Messages that follow each other faster than this are left to the loop, which writes several at a time.
    static constexpr clock::duration direct_write_gap = std::chrono::microseconds(10);
    // After so many writes the loop looks at other handlers; a sender writes once.
    static constexpr int loop_writes = 16;

    // Requires the token. When it returns `idle`, this object may be gone, unless `looping`.
    flow write_out(bool looping) noexcept {
        int spins = sluice::detail::sync::multicore() ? 50 : 0;
        int writes = looping ? loop_writes : 1;
        for (;;) {
            if (abandoned_.load(std::memory_order_acquire)) done_ = true;
            if (done_) {
                write_buffer_.discard();
                return flow::done;
            }
            if (!write_buffer_.empty()) {
                if (writes-- == 0) return flow::blocked;
                const flushed f = flush(write_buffer_);
                if (f == flushed::blocked) return flow::blocked;
                if (f == flushed::failed) {
                    if (!looping) return flow::blocked;  // the loop notes why
                    note_write_error();
                    reader_->close(ended_by_);
                    done_ = true;
                }
                continue;
            }
            if (end_queued_) {
                done_ = true;
                continue;
            }
            try {
                if (is_ending_by_error()) {
                    queue_end();
                    continue;
                }
                if (stop_sending_.exchange(false, std::memory_order_acq_rel))
                    append_plain(write_buffer_.bytes, stop_sending_mark);
                reader_->fill(write_buffer_);
                if (!write_buffer_.empty() || (looping && spin_for_message(spins))) continue;
                last_write_ = clock::now();
                write_buffer_.shrink();
                loop_has_token_.store(false, std::memory_order_relaxed);
                const channel_reader::wait_result waited = reader_->wait();
                if (waited == channel_reader::wait_result::waiting) return flow::idle;
                loop_has_token_.store(looping, std::memory_order_relaxed);
                if (waited == channel_reader::wait_result::closed) queue_end();
            } catch (...) {
                loop_has_token_.store(looping, std::memory_order_relaxed);
                const std::error_code why = current_error(ipc_errc::not_encoded);
                errors_->note(why);
                end_with_error(as_ipc_errc(why, ipc_errc::not_encoded), why);
            }
        }
    }

    // Whether a message comes, or the channel closes, while `spins` are left. Does not yield: other threads might keep
    // the processor for long.
    bool spin_for_message(int& spins) const noexcept {
        while (spins-- > 0) {
            if (reader_->may_have_message()) return true;
            sluice::detail::sync::pause();
        }
        spins = 0;
        return false;
    }

    // Reads end_error_ again: end_with_error() may be what has closed the channel.
    void queue_end() {
        end_queued_ = true;
        const ipc_errc why = end_error();
        why == ipc_errc{} ? append_end(write_buffer_) : append_error(write_buffer_, why);
    }

    // Step 2 > 3, in the thread that sends or closes. When the token is parked or passed on, this object may be gone.
    void notified(bool message) noexcept override {
        const std::shared_ptr<handler_ref> ref = handler_.ref();
        if (fork_epoch_ != process::fork_epoch()) {  // a forked child's copy of its parent's end
            reader_->close({});
            return;
        }
        if (message && clock::now() - last_write_ >= direct_write_gap && write_out(false) == flow::idle) {
            if (ref->always_signal.load(std::memory_order_acquire)) ref->loop->post(*ref);
            return;
        }
        ref->loop->post(handler_, [this] { loop_has_token_.store(true, std::memory_order_release); });
    }

    const unsigned fork_epoch_ = process::fork_epoch();
    std::unique_ptr<channel_reader> reader_;
    sluice::detail::sync::atomic<bool> loop_has_token_{true};
    sluice::detail::sync::atomic<bool> abandoned_{false};
    sluice::detail::sync::atomic<bool> stop_sending_{false};
    sluice::detail::sync::atomic<ipc_errc> end_error_{};

    // For the thread that holds the token.
    clock::time_point last_write_{};
    bool end_queued_ = false, done_ = false;
};

}  // namespace sluice::ipc::detail
