// A stream of bytes, a pipe or a connected socket, as the end of one channel or two: frames go out, frames come in.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <system_error>
#include <utility>

#include <poll.h>
#include <sys/socket.h>

#include <sluice/channel.hpp>
#include <sluice/ipc/codec.hpp>
#include <sluice/ipc/detail/descriptor.hpp>
#include <sluice/ipc/detail/ends.hpp>
#include <sluice/ipc/detail/frame.hpp>
#include <sluice/ipc/detail/outgoing.hpp>
#include <sluice/ipc/detail/pump.hpp>
#include <sluice/ipc/options.hpp>

namespace sluice::ipc::detail {

// What a stream is made of.
struct stream_parts {
    descriptor fd;  // it does not block
    medium kind;
    bool remote = false;  // the peer may be on another machine: what was written may not have arrived yet
    std::shared_ptr<wake_up> wake;
    std::shared_ptr<fault> report;
};

// Sending and receiving are independent, as two streams that share a descriptor. It is over when both are:
//   - sending ends when the channel is closed and written out, with the word that it was the end; at once when nobody
//     reads at the other side, which the peer says (`deaf`) or the system does;
//   - receiving ends with the peer's last word; or when nobody receives here, which is then told to the peer, who may
//     go on sending until he hears of it: that is read and forgotten.
class stream final : public station, private outgoing {
public:
    explicit stream(stream_parts parts)
        : outgoing(std::move(parts.wake), std::move(parts.report)),
          fd_(std::move(parts.fd)),
          kind_(parts.kind),
          remote_(parts.remote) {}

    // Sends what comes from the channel. `returning` is the type of the messages that the peer may send.
    template <class T>
    void send_from(receiver<T> from, const options& chosen, std::uint64_t returning) {
        sends_ = true;
        two_way_ = returning != 0;
        greeting hello;
        hello.forth = type_id<T>();
        hello.back = returning;
        append_plain(outbox_.bytes, hello);
        attach(std::move(from), {(std::min)(chosen.max_message, longest_message), hello.forth, false});
    }

    // Receives into the channel. `read` is what was read of the stream already.
    template <class T>
    void receive_into(sender<T> to, const options& chosen, std::uint64_t returning) {
        receive_into(std::move(to), returning, decoder((std::min)(chosen.max_message, longest_message)));
    }
    template <class T>
    void receive_into(sender<T> to, std::uint64_t returning, decoder read) {
        reads_ = true;
        wanted_.forth = type_id<T>();
        wanted_.back = returning;
        inlet_ = std::make_unique<channel_inlet<T>>(std::move(to), wake_);
        decoder_.emplace(std::move(read));
    }

    bool work(short events) override {
        const bool readable = (events & (POLLIN | POLLHUP | POLLERR)) != 0;
        if (lost_) {
            // The descriptor is done with; what remains is to get the turn back.
        } else if (reads_) {
            receive(readable);
        } else if (readable) {
            watch_peer(events);
        }
        if (sends_) {
            take_turn_for_deaf();
            const flow f = write();
            blocked_ = f == flow::blocked;
            if (f == flow::over) sends_ = false;
        }
        if (sends_ || inlet_) return true;
        if (!two_way_ || !remote_ || ended_ || lost_) return false;
        // Closing a socket that something arrives at resets the connection, and what is still on its way out would be
        // lost.
        if (!std::exchange(shut_, true)) ::shutdown(fd_.get(), SHUT_WR);
        return true;
    }

    pollfd interest() const noexcept override {
        short events = 0;
        if (reads_ ? !full_ : kind_ == medium::socket) events = POLLIN;
        if (blocked_) events |= POLLOUT;
        // Without events poll() still tells of a peer that is gone: to a pipe that is idle, that is all there is to
        // tell.
        const bool ignored = lost_ || (events == 0 && reads_);
        return {ignored ? -1 : fd_.get(), events, 0};
    }

    void finish() noexcept override {
        stop_receiving();
        if (sends_) outgoing::finish();
    }
    void abort(std::error_code why) noexcept override {
        report_->note(why);
        stop_receiving();
        lost();
    }

private:
    static constexpr std::size_t turn = 1 << 20;  // how many bytes are read before others get their turn

    // ---- Receiving

    void receive(bool readable) noexcept {
        std::size_t budget = turn;
        for (;;) {
            // First what was taken before: the channel may wait for it where it lies.
            if (inlet_ && !hand_over()) return;
            if (!verdict_ && take_messages()) continue;
            if (inlet_ && !hand_over()) return;
            if (verdict_) return conclude(*verdict_);
            if (!readable || lost_) return;
            readable = read(budget);
        }
    }

    // Decodes as many messages as the inlet likes; false when the bytes are used up.
    bool take_messages() noexcept {
        for (;;) {
            std::span<const std::byte> message;
            switch (decoder_->next(message)) {
                case decoder::found::message:
                    try {
                        if (inlet_ && !inlet_->take(message)) return true;
                    } catch (...) {
                        verdict_ = current_error();
                        return false;
                    }
                    break;
                case decoder::found::large:
                    try {
                        if (!inlet_) break;
                        if (const std::span<std::byte> storage = inlet_->prepare(decoder_->large_length());
                            !storage.empty()) {
                            decoder_->divert(storage);
                        }
                    } catch (...) {
                        verdict_ = current_error();
                        return false;
                    }
                    break;
                case decoder::found::diverted:
                    if (!inlet_) break;
                    inlet_->take_prepared();
                    return true;
                case decoder::found::greeting:
                    if (const std::error_code e = mismatch(*decoder_->greeted(), wanted_)) {
                        verdict_ = e;
                        return false;
                    }
                    break;
                case decoder::found::deaf:
                    if (sends_) abandon();
                    break;
                case decoder::found::end:
                    ended_ = true;
                    verdict_ = std::error_code();
                    return false;
                case decoder::found::error: verdict_ = decoder_->error(); return false;
                case decoder::found::nothing: return false;
            }
        }
    }

    // False when the channel is full.
    bool hand_over() noexcept {
        try {
            const inlet::outcome o = inlet_->pass_on();
            full_ = o == inlet::outcome::full;
            if (o == inlet::outcome::closed) nobody_receives();
        } catch (...) {
            verdict_ = current_error();
        }
        return !full_;
    }

    void nobody_receives() noexcept {
        stop_receiving();
        if (sends_) tell_deaf();
    }

    void stop_receiving() noexcept {
        if (decoder_) decoder_->stop_diverting();
        inlet_.reset();
        full_ = false;
    }

    // The stream has ended, well or not.
    void conclude(std::error_code e) noexcept {
        verdict_.reset();
        report_->note(e);
        stop_receiving();
        if (e) lost();
    }

    void lost() noexcept {
        lost_ = true;
        if (sends_) abandon();
    }

    // True if there may be more to read.
    bool read(std::size_t& budget) noexcept {
        std::span<std::byte> space;
        try {
            space = decoder_->space();
        } catch (...) {
            verdict_ = current_error();
            return false;
        }
        const ssize_t size = read_some(fd_.get(), kind_, space.data(), space.size());
        if (size > 0) {
            const auto got = static_cast<std::size_t>(size);
            decoder_->received(got);
            budget -= (std::min)(budget, got);
            return got == space.size() && budget > 0;
        }
        if (size == -1 && would_block(errno)) return false;
        // The peer is gone. If it did not say that it would go, it died; a client that has said nothing at all has only
        // looked whether anybody listens.
        const int error = size == 0 ? ECONNRESET : errno;
        const bool only_looked = kind_ == medium::socket && !two_way_ && decoder_->silent();
        if (inlet_ && !ended_ && !only_looked) report_->note(from_errno(error));
        stop_receiving();
        lost();
        return false;
    }

    // ---- Sending

    flushed flush(outbox& box) noexcept override {
        while (!box.empty()) {
            iovec parts[2];
            const int count = box.parts(parts);
            const ssize_t written = write_some(fd_.get(), kind_, parts, count);
            if (written < 0) {
                if (would_block(errno)) return flushed::blocked;
                reader_gone(errno);
                return flushed::gone;
            }
            process::self().progressed();
            box.wrote(static_cast<std::size_t>(written));
        }
        return flushed::all;
    }

    // Who only reads may go at any time; but a network may fail.
    void reader_gone(int error) noexcept {
        if (error != EPIPE && error != ECONNRESET) report_->note(from_errno(error));
    }

    void say_end(outbox& box) override { append_plain(box.bytes, end_of_stream); }

    // Nothing is expected from the peer but that it goes.
    void watch_peer(short events) noexcept {
        if (kind_ == medium::socket && (events & POLLIN) != 0) {
            std::byte scratch[64];
            const ssize_t size = read_some(fd_.get(), kind_, scratch, sizeof scratch);
            if (size == -1 && would_block(errno)) return;
            if (size == -1) reader_gone(errno);
            if (size > 0) report_->note(make_error_code(std::errc::bad_message));
        }
        lost();
    }

    const descriptor fd_;
    const medium kind_;
    const bool remote_;

    bool two_way_ = false;
    bool sends_ = false, reads_ = false;
    greeting wanted_;
    std::unique_ptr<inlet> inlet_;  // while messages are received
    std::optional<decoder> decoder_;
    std::optional<std::error_code> verdict_;  // how the stream has ended, once all its messages are handed over
    bool full_ = false;                       // the channel of the inlet
    bool blocked_ = false;                    // the system takes no more
    bool ended_ = false;                      // the peer has said so
    bool shut_ = false;                       // nothing more is sent, but the peer's end is waited for
    bool lost_ = false;                       // the connection is of no use any more
};

}  // namespace sluice::ipc::detail
