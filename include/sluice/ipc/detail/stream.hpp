// stream: a stream of bytes as the end of one channel or two: frames go out, frames come in.
#pragma once

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <system_error>
#include <utility>

#include <sluice/channel.hpp>
#include <sluice/ipc/codec.hpp>
#include <sluice/ipc/detail/byte_transport.hpp>
#include <sluice/ipc/detail/channel_writer.hpp>
#include <sluice/ipc/detail/decoder.hpp>
#include <sluice/ipc/detail/direct_read_handler.hpp>
#include <sluice/ipc/detail/errors.hpp>
#include <sluice/ipc/detail/frame.hpp>
#include <sluice/ipc/detail/handler_waiter.hpp>
#include <sluice/ipc/detail/io_loop.hpp>
#include <sluice/ipc/detail/outgoing.hpp>
#include <sluice/ipc/error.hpp>
#include <sluice/ipc/options.hpp>

namespace sluice::ipc::detail {

// What a stream is made of.
struct stream_parts {
    std::unique_ptr<byte_transport> transport;
    std::shared_ptr<io_loop> loop;
    std::shared_ptr<error_sink> errors;
    std::shared_ptr<handler_group> group = nullptr;
    std::shared_ptr<void> slot = nullptr;  // of a listener's client: see client_slots
};

// The two directions are independent, as two streams over one transport; the stream is over when both are:
//   - sending ends when the channel is closed and written out, with end_of_stream; at once when the peer has sent
//     stop_sending, or is gone;
//   - receiving ends with the peer's end_of_stream; or when nobody receives here: the peer is then sent stop_sending,
//     and what it sends until it reads that is dropped.
// An error in one direction ends both, with an error_frame that says why. The stream is then `draining`: it writes no
// more, and reads and drops bytes until the peer hangs up, or until `linger` has passed. A socket that is closed while
// bytes arrive would be reset, and the error_frame lost.
class stream final : public direct_read_handler, private outgoing {
public:
    explicit stream(stream_parts parts)
        : direct_read_handler(std::move(parts.loop), std::move(parts.group)),
          outgoing(static_cast<io_handler&>(*this), std::move(parts.errors)),
          slot_(std::move(parts.slot)),
          transport_(std::move(parts.transport)) {}
    ~stream() override {
        retire([this] { writer_.reset(); });
        if (closing_) closing_->cancel([this](auto& w) { return unobserve_close(w); });
    }

    // Adds a channel to send with. `returned_type` is that of the messages that the peer may send; 0 for none.
    template <class T>
    sender<T> open_sender(const options& chosen, std::uint64_t returned_type) {
        auto ends = bounded<T>(capacity_for<T>(chosen.capacity));
        sends_ = true;
        two_way_ = returned_type != 0;
        linger_ = chosen.linger;
        handshake ours;
        ours.sent_type = type_id<T>();
        ours.returned_type = returned_type;
        append_plain(write_buffer_.bytes, ours);
        attach(std::move(ends.rx), {(std::min)(chosen.max_message, longest_message), ours.sent_type, false});
        return std::move(ends.tx);
    }

    // Adds a channel to receive with. `returned_type` is that of the messages that this side may send; 0 for none. A
    // client's handshake may have been `read` already.
    template <class T>
    receiver<T> open_receiver(const options& chosen, std::uint64_t returned_type) {
        return open_receiver<T>(chosen, returned_type, decoder((std::min)(chosen.max_message, longest_message)));
    }
    template <class T>
    receiver<T> open_receiver(const options& chosen, std::uint64_t returned_type, decoder read) {
        auto ends = bounded<T>(capacity_for<T>(chosen.capacity));
        // An end has a thread of its own for a slow codec, which the receiving thread then does not call.
        receive_into(std::move(ends.tx), chosen, returned_type, std::move(read),
                     chosen.own_thread ? nullptr : enable_direct_reads());
        return std::move(ends.rx);
    }
    // Receives into a channel to which other streams send as well.
    template <class T>
    void receive_into_shared(sender<T> to, const options& chosen) {
        shares_ = true;
        receive_into(std::move(to), chosen, 0, decoder((std::min)(chosen.max_message, longest_message)), nullptr);
    }
    // This is the listener's side: a client that has sent no handshake by the deadline is dropped, and a session is
    // ended `linger` after its last handle has gone.
    void set_server_side(std::optional<time_point> handshake_deadline) {
        accepted_ = true;
        deadline_ = handshake_deadline;
        if (!two_way_) return;
        // While the peer takes no more, nothing else has the loop notice that the session goes.
        closing_.emplace(*this);
        closing_->arm();
        if (!observe_close(*closing_)) closing_->disarm();
    }

    bool work(readiness ready, std::span<std::byte> scratch) override {
        scratch_ = scratch;
        const auto is_due = [this] { return deadline_ && std::chrono::steady_clock::now() >= *deadline_; };
        if (sends_ && transport_->is_dead()) abort(make_error_code(std::errc::timed_out));
        if (disconnected_) {
            // The transport is done with; a sender may still hold the write token.
        } else if (draining_) {
            if (ready.read) drain();
        } else if (reads_) {
            receive(ready.read || full_ || is_due());  // bytes that came in time count
            release_scratch();
        } else if (ready.read) {
            read_peer_error();
        }
        if (!disconnected_ && is_due()) on_deadline();
        if (sends_) {
            take_token_for_stop_sending();
            const flow f = write();
            blocked_ = f == flow::blocked;
            if (f == flow::done) {
                sends_ = false;
                if (is_ending_by_error() && !disconnected_) {
                    stop_receiving();
                    start_draining();
                }
            }
        }
        return goes_on();
    }

    int fd() const noexcept override {
        // A peer that is gone is reported also to one that waits for neither reading nor writing, as the writer of a
        // pipe.
        return disconnected_ || (reads_ && full_ && !draining_ && !blocked_) ? -1 : transport_->fd();
    }
    readiness interest() const noexcept override {
        return {draining_ || (reads_ ? !full_ && !lent() : transport_->is_duplex()), blocked_};
    }
    std::optional<time_point> alarm() const noexcept override {
        if (disconnected_) return std::nullopt;
        const auto probe = sends_ ? transport_->next_probe() : std::nullopt;
        return probe && deadline_ ? (std::min)(probe, deadline_) : probe ? probe : deadline_;
    }

    void finish() noexcept override {
        stop_receiving();
        if (sends_) outgoing::finish();
    }
    void abort(std::error_code why) noexcept override {
        note(why);
        stop_receiving();
        disconnect();
    }

private:
    template <class T>
    void receive_into(sender<T> to, const options& chosen, std::uint64_t returned_type, decoder read,
                      sluice::detail::feeder* source) {
        reads_ = true;
        linger_ = chosen.linger;
        wanted_.sent_type = type_id<T>();
        wanted_.returned_type = returned_type;
        writer_ = std::make_unique<typed_channel_writer<T>>(std::move(to), static_cast<io_handler&>(*this), source);
        decoder_.emplace(std::move(read));
    }

    bool may_lend() const noexcept override {
        return !draining_ && !disconnected_ && writer_ && !decoder_->in_large_message();
    }
    int spins() const noexcept override { return transport_->spins(); }
    bool has_backlog() const noexcept override { return writer_ && writer_->has_backlog(); }

    static constexpr std::size_t read_budget = 1 << 20;  // bytes read before the loop looks at other handlers

    bool goes_on() noexcept {
        if (!sends_ && !writer_ && !draining_) {
            if (!two_way_ || !transport_->is_remote() || ended_ || disconnected_) return false;
            // What was written is still on its way.
            start_draining();
        }
        if (draining_) return sends_ || !disconnected_;
        if (accepted_ && two_way_ && !writer_ && !disconnected_ && !deadline_ && closed()) linger();
        return true;
    }

    void linger() noexcept { deadline_ = std::chrono::steady_clock::now() + linger_; }

    void on_deadline() noexcept {
        deadline_.reset();
        if (reads_ && !decoder_->peer_handshake() && !draining_) return fail_connection(ipc_errc::too_late);
        stop_receiving();
        disconnect();
    }

    // ---- Receiving

    void receive(bool readable) noexcept {
        std::size_t budget = read_budget;
        for (;;) {
            // First the messages that were decoded before: one of them may wait for room in the channel.
            if (writer_ && !hand_over()) return;
            if (!end_status_ && take_messages()) continue;
            if (writer_ && !hand_over()) return;
            if (end_status_) return apply_end_status();
            if (!readable || disconnected_ || draining_) return;
            readable = read(budget);
        }
    }

    // Decodes a batch of messages; false when the bytes are used up.
    bool take_messages() noexcept {
        for (;;) {
            std::span<const std::byte> message;
            switch (decoder_->next(message)) {
                case decoder::found::message:
                    try {
                        if (writer_ && !writer_->decode(message)) return true;
                    } catch (...) {
                        return set_failure(current_error(ipc_errc::not_decoded));
                    }
                    break;
                case decoder::found::large:
                    try {
                        if (!writer_) break;
                        if (const std::span<std::byte> storage = writer_->storage_for(decoder_->large_length());
                            !storage.empty()) {
                            decoder_->read_direct(storage);
                        }
                    } catch (...) {
                        return set_failure(current_error(ipc_errc::not_decoded));
                    }
                    break;
                case decoder::found::direct_message:
                    if (!writer_) break;
                    writer_->commit_storage();
                    return true;
                case decoder::found::handshake:
                    if (const std::error_code e = mismatch(*decoder_->peer_handshake(), wanted_)) return set_failure(e);
                    if (accepted_) deadline_.reset();
                    break;
                case decoder::found::stop_sending:
                    if (sends_) abandon();
                    break;
                case decoder::found::end:
                    ended_ = true;
                    end_status_ = std::error_code();
                    return false;
                case decoder::found::peer_error:
                    ended_ = true;
                    end_status_ = decoder_->error();
                    return false;
                case decoder::found::error: return set_failure(decoder_->error());
                case decoder::found::nothing: return false;
            }
        }
    }
    bool set_failure(std::error_code e) noexcept {
        end_status_ = e;
        failed_here_ = true;
        return false;
    }

    // False if the channel is full.
    bool hand_over() noexcept {
        try {
            const channel_writer::status o = writer_->deliver();
            full_ = o == channel_writer::status::full;
            if (o == channel_writer::status::closed) on_receiver_gone();
        } catch (...) {
            set_failure(current_error(ipc_errc::not_decoded));
        }
        return !full_;
    }

    void on_receiver_gone() noexcept {
        stop_receiving();
        if (sends_) request_stop_sending();
    }

    void stop_receiving() noexcept {
        if (decoder_) decoder_->abandon_direct();
        if (writer_ && !shares_ && (ended_by_ || is_ending_by_error())) writer_->close(ended_by());
        writer_.reset();
        full_ = false;
    }

    // The stream has ended, well or not.
    void apply_end_status() noexcept {
        const std::error_code e = *std::exchange(end_status_, std::nullopt);
        if (std::exchange(failed_here_, false)) return fail_connection(e);
        note(e);
        stop_receiving();
        if (e) disconnect();
    }

    void disconnect() noexcept {
        disconnected_ = true;
        if (sends_) abandon();
    }

    // Ends both directions, and tells the peer why.
    void fail_connection(std::error_code why) noexcept {
        note(why);
        stop_receiving();
        // A peer that does not speak the protocol gets no answer.
        if (!transport_->is_duplex() || ended_ || (decoder_ && !decoder_->speaks_protocol())) return disconnect();
        const ipc_errc reason = as_ipc_errc(why, ipc_errc::not_decoded);
        if (sends_) return end_with_error(reason, why);
        error_frame last = make_error_frame(reason);
        const iovec bytes{&last, sizeof last};
        (void)transport_->write(&bytes, 1);
        start_draining();
    }
    void fail_connection(ipc_errc why) noexcept { fail_connection(make_error_code(why)); }

    void start_draining() noexcept {
        draining_ = true;
        linger();
        if (!transport_->shut_down_writing()) disconnect();
    }
    void drain() noexcept {
        for (std::size_t budget = read_budget; budget > 0;) {
            const ssize_t size = transport_->read(scratch_.first((std::min)(scratch_.size(), budget)));
            if (size <= 0) {
                if (size == 0 || !would_block(errno)) disconnect();
                return;
            }
            budget -= static_cast<std::size_t>(size);
        }
    }

    // Keeps the bytes in scratch memory that are not used up.
    void release_scratch() noexcept {
        try {
            decoder_->release_scratch();
        } catch (...) {
            fail_connection(ipc_errc::no_memory);
        }
    }

    // True if there may be more to read.
    bool read(std::size_t& budget) noexcept {
        std::span<std::byte> space;
        try {
            space = decoder_->space(scratch_);
        } catch (...) {
            set_failure(ipc_errc::no_memory);
            return false;
        }
        const ssize_t size = transport_->read(space);
        if (size > 0) {
            const auto got = static_cast<std::size_t>(size);
            decoder_->received(got);
            budget -= (std::min)(budget, got);
            return got == space.size() && budget > 0;
        }
        if (size == -1 && would_block(errno)) return false;
        // The peer is gone. If it did not announce that, nor was told to go, it died; a client that has sent nothing
        // at all has only tried whether somebody listens.
        const int error = size == 0 ? ECONNRESET : errno;
        const bool only_tried = transport_->is_duplex() && !two_way_ && decoder_->nothing_received();
        if (writer_ && !ended_ && !only_tried && !is_ending_by_error()) note(from_errno(error));
        stop_receiving();
        disconnect();
        return false;
    }

    // ---- Sending

    flushed flush(write_buffer& box) noexcept override {
        while (!box.empty()) {
            iovec parts[2];
            const int count = box.parts(parts);
            const ssize_t written = transport_->write(parts, count);
            if (written < 0) {
                if (would_block(errno)) return flushed::blocked;
                if (write_error_ == 0) write_error_ = errno;
                return flushed::failed;
            }
            box.wrote(static_cast<std::size_t>(written));
        }
        return flushed::all;
    }

    // A peer that only receives may go at any time, and may have sent why.
    void note_write_error() noexcept override {
        if (!reads_ && transport_->is_duplex() && !disconnected_) read_peer_error();
        note_reader_gone(write_error_);
    }
    void note_reader_gone(int error) noexcept {
        if (error != EPIPE && error != ECONNRESET) note(from_errno(error));
    }

    void append_end(write_buffer& box) override { append_plain(box.bytes, end_of_stream); }
    void append_error(write_buffer& box, ipc_errc why) override { append_plain(box.bytes, make_error_frame(why)); }

    // Of a peer that sends no messages: all that can come is an error_frame, and its end.
    void read_peer_error() noexcept {
        if (transport_->is_duplex()) {
            const ssize_t size = transport_->read(std::span(peer_error_).subspan(peer_error_size_));
            if (size == -1 && would_block(errno)) return;
            if (size == -1) note_reader_gone(errno);
            if (size > 0) {
                peer_error_size_ += static_cast<std::size_t>(size);
                error_frame got;
                std::memcpy(&got, peer_error_.data(), peer_error_.size());
                if (peer_error_size_ < peer_error_.size()) return;
                note(reason_of(got));
            }
        }
        disconnect();
    }

    const std::shared_ptr<void> slot_;
    const std::unique_ptr<byte_transport> transport_;
    std::chrono::steady_clock::duration linger_{};
    std::span<std::byte> scratch_;  // during work()
    std::optional<handler_waiter<sluice::detail::waiter>> closing_;

    bool accepted_ = false, two_way_ = false;
    bool shares_ = false;  // the channel that is received into
    bool sends_ = false, reads_ = false;
    handshake wanted_;
    std::unique_ptr<channel_writer> writer_;  // while messages are received
    std::optional<decoder> decoder_;
    std::optional<std::error_code> end_status_;  // how the stream has ended; applied when its messages are delivered
    bool failed_here_ = false;                   // by an error found here, of which the peer is told
    std::array<std::byte, sizeof(error_frame)> peer_error_{};
    std::size_t peer_error_size_ = 0;
    int write_error_ = 0;
    std::optional<time_point> deadline_;
    bool full_ = false;          // the channel that is received into
    bool blocked_ = false;       // the system takes no more
    bool ended_ = false;         // the peer has sent end_of_stream or an error_frame
    bool draining_ = false;      // nothing more is sent; the peer's end is waited for
    bool disconnected_ = false;  // nothing more is read or written
};

}  // namespace sluice::ipc::detail
