// A stream of bytes, a pipe or a connected socket, as the end of one channel or two: frames go out, frames come in.
#pragma once

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

#include <sys/socket.h>

#include <sluice/channel.hpp>
#include <sluice/ipc/codec.hpp>
#include <sluice/ipc/detail/descriptor.hpp>
#include <sluice/ipc/detail/ends.hpp>
#include <sluice/ipc/detail/frame.hpp>
#include <sluice/ipc/detail/io_loop.hpp>
#include <sluice/ipc/detail/lending.hpp>
#include <sluice/ipc/detail/outgoing.hpp>
#include <sluice/ipc/detail/sockets.hpp>
#include <sluice/ipc/error.hpp>
#include <sluice/ipc/options.hpp>

namespace sluice::ipc::detail {

// What a stream is made of.
struct stream_parts {
    descriptor fd;
    medium kind;
    bool remote = false;  // the peer may be on another machine: what was written may not have arrived yet
    std::shared_ptr<io_loop> loop;
    std::shared_ptr<fault> report;
    std::shared_ptr<station_group> group = nullptr;
    std::shared_ptr<void> place = nullptr;  // among the clients of a listener, of which there may be so many
};

// Sending and receiving are independent, as two streams that share a descriptor. It is over when both are:
//   - sending ends when the channel is closed and written out, with the word that it was the end; at once when nobody
//     reads at the other side, which the peer says (`deaf`) or the system does;
//   - receiving ends with the peer's last word; or when nobody receives here, which is then told to the peer, who may
//     go on sending until it hears of it: that is read and forgotten.
// An error on one of the two sides ends both, with a word that says why: the stream `parts` then, which is to write no
// more, and to read and forget, for a while, until the peer hangs up; for a socket that is closed while something
// arrives at it is reset, and that word would be lost.
class stream final : public lending_station, private outgoing {
public:
    explicit stream(stream_parts parts)
        : lending_station(std::move(parts.loop), std::move(parts.group)),
          outgoing(static_cast<station&>(*this), std::move(parts.report)),
          place_(std::move(parts.place)),
          fd_(std::move(parts.fd)),
          kind_(parts.kind),
          remote_(parts.remote) {
        if (remote_) alive_.emplace(fd_.get());
    }
    ~stream() override {
        retire([this] { inlet_.reset(); });
        if (closing_) closing_->leave([this](auto& w) { return unwatch_closing(w); });
    }

    // Sends what comes from the channel. `returning` is the type of the messages that the peer may send.
    template <class T>
    void send_from(receiver<T> from, const options& chosen, std::uint64_t returning) {
        sends_ = true;
        two_way_ = returning != 0;
        linger_ = chosen.linger;
        greeting hello;
        hello.forth = type_id<T>();
        hello.back = returning;
        append_plain(outbox_.bytes, hello);
        attach(std::move(from), {(std::min)(chosen.max_message, longest_message), hello.forth, false});
    }

    // Receives into the channel, which nobody else sends to.
    template <class T>
    void receive_into(sender<T> to, const options& chosen, std::uint64_t returning) {
        receive_into(std::move(to), chosen, returning, decoder((std::min)(chosen.max_message, longest_message)));
    }
    // Of a client, whose greeting was `read` already.
    template <class T>
    void receive_into(sender<T> to, const options& chosen, std::uint64_t returning, decoder read) {
        // An end with a thread of its own has it for a codec that takes its time.
        receive_into(std::move(to), chosen, returning, std::move(read),
                     chosen.own_thread ? nullptr : lend_to_receivers());
    }
    // Into one that others send to as well.
    template <class T>
    void receive_into_shared(sender<T> to, const options& chosen) {
        receive_into(std::move(to), chosen, 0, decoder((std::min)(chosen.max_message, longest_message)), nullptr);
    }
    // It is the listener's side: a client that does not greet in time is dropped, and a session ends in time.
    void serve_client(std::optional<time_point> greeted_by) {
        serves_ = true;
        deadline_ = greeted_by;
        if (!two_way_) return;
        // While the peer takes no more the loop has no other reason to look whether the session goes.
        closing_.emplace(*this);
        closing_->begin();
        if (!watch_closing(*closing_)) closing_->end();
    }

    bool work(readiness what, std::span<std::byte> scratch) override {
        scratch_ = scratch;
        const auto is_due = [this] { return deadline_ && std::chrono::steady_clock::now() >= *deadline_; };
        if (sends_ && alive_ && alive_->finds_dead(fd_.get())) abort(make_error_code(std::errc::timed_out));
        if (lost_) {
            // The descriptor is done with; what remains is to get the turn back.
        } else if (parts_) {
            if (what.read) read_and_forget();
        } else if (reads_) {
            receive(what.read || full_ || is_due());  // what has come by then counts
            keep();
        } else if (what.read) {
            watch_peer();
        }
        if (!lost_ && is_due()) too_late();
        if (sends_) {
            take_turn_for_deaf();
            const flow f = write();
            blocked_ = f == flow::blocked;
            if (f == flow::over) {
                sends_ = false;
                if (is_broken_off() && !lost_) {
                    stop_receiving();
                    part();
                }
            }
        }
        return goes_on();
    }

    int fd() const noexcept override {
        // Without interest the system still tells of a peer that is gone: to a pipe that is idle, that is all there is
        // to tell.
        return lost_ || (reads_ && full_ && !parts_ && !blocked_) ? -1 : fd_.get();
    }
    readiness interest() const noexcept override {
        return {parts_ || (reads_ ? !full_ && !lent() : kind_ == medium::socket), blocked_};
    }
    std::optional<time_point> alarm() const noexcept override {
        if (lost_) return std::nullopt;
        const auto look = sends_ && alive_ ? alive_->next() : std::nullopt;
        return look && deadline_ ? (std::min)(look, deadline_) : look ? look : deadline_;
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
    template <class T>
    void receive_into(sender<T> to, const options& chosen, std::uint64_t returning, decoder read,
                      sluice::detail::feeder* source) {
        reads_ = true;
        linger_ = chosen.linger;
        wanted_.forth = type_id<T>();
        wanted_.back = returning;
        inlet_ = std::make_unique<channel_inlet<T>>(std::move(to), static_cast<station&>(*this), source);
        decoder_.emplace(std::move(read));
    }

    bool may_lend() const noexcept override { return !parts_ && !lost_ && inlet_ && !decoder_->in_large(); }
    int looks() const noexcept override { return kind_ == medium::socket ? 24 : 0; }
    bool has_more() const noexcept override { return inlet_ && inlet_->has_more(); }

    static constexpr std::size_t turn = 1 << 20;  // how many bytes are read before others get their turn

    bool goes_on() noexcept {
        if (!sends_ && !inlet_ && !parts_) {
            if (!two_way_ || !remote_ || ended_ || lost_) return false;
            // As for one that parts: what was written is still on its way.
            part();
        }
        if (parts_) return sends_ || !lost_;
        if (serves_ && two_way_ && !inlet_ && !lost_ && !deadline_ && closed()) linger();
        return true;
    }

    void linger() noexcept { deadline_ = std::chrono::steady_clock::now() + linger_; }

    void too_late() noexcept {
        deadline_.reset();
        if (reads_ && !decoder_->greeted() && !parts_) return break_connection(ipc_errc::too_late);
        stop_receiving();
        lost();
    }

    // ---- Receiving

    void receive(bool readable) noexcept {
        std::size_t budget = turn;
        for (;;) {
            // First what was taken before: the channel may wait for it where it lies.
            if (inlet_ && !hand_over()) return;
            if (!verdict_ && take_messages()) continue;
            if (inlet_ && !hand_over()) return;
            if (verdict_) return conclude();
            if (!readable || lost_ || parts_) return;
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
                        return fails(current_error(ipc_errc::not_decoded));
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
                        return fails(current_error(ipc_errc::not_decoded));
                    }
                    break;
                case decoder::found::diverted:
                    if (!inlet_) break;
                    inlet_->take_prepared();
                    return true;
                case decoder::found::greeting:
                    if (const std::error_code e = mismatch(*decoder_->greeted(), wanted_)) return fails(e);
                    if (serves_) deadline_.reset();
                    break;
                case decoder::found::deaf:
                    if (sends_) abandon();
                    break;
                case decoder::found::end:
                    ended_ = true;
                    verdict_ = std::error_code();
                    return false;
                case decoder::found::broken:
                    ended_ = true;
                    verdict_ = decoder_->error();
                    return false;
                case decoder::found::error: return fails(decoder_->error());
                case decoder::found::nothing: return false;
            }
        }
    }
    bool fails(std::error_code e) noexcept {
        verdict_ = e;
        ours_ = true;
        return false;
    }

    // False when the channel is full.
    bool hand_over() noexcept {
        try {
            const inlet::outcome o = inlet_->pass_on();
            full_ = o == inlet::outcome::full;
            if (o == inlet::outcome::closed) nobody_receives();
        } catch (...) {
            fails(current_error(ipc_errc::not_decoded));
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
    void conclude() noexcept {
        const std::error_code e = *std::exchange(verdict_, std::nullopt);
        if (std::exchange(ours_, false)) return break_connection(e);
        report_->note(e);
        stop_receiving();
        if (e) lost();
    }

    void lost() noexcept {
        lost_ = true;
        if (sends_) abandon();
    }

    // Ends both ways, and tells the peer why.
    void break_connection(std::error_code why) noexcept {
        report_->note(why);
        stop_receiving();
        // Who does not speak the protocol gets no answer.
        if (kind_ != medium::socket || ended_ || (decoder_ && !decoder_->speaks())) return lost();
        const ipc_errc said = told_as(why, ipc_errc::not_decoded);
        if (sends_) return break_off(said);
        tell_broken(fd_.get(), said);
        part();
    }
    void break_connection(ipc_errc why) noexcept { break_connection(make_error_code(why)); }

    void part() noexcept {
        parts_ = true;
        linger();
        if (::shutdown(fd_.get(), SHUT_WR) != 0) lost();
    }
    void read_and_forget() noexcept {
        for (std::size_t budget = turn; budget > 0;) {
            const ssize_t size = read_some(fd_.get(), kind_, scratch_.data(), (std::min)(scratch_.size(), budget));
            if (size <= 0) {
                if (size == 0 || !would_block(errno)) lost();
                return;
            }
            budget -= static_cast<std::size_t>(size);
        }
    }

    // What was read to the loop's memory and is not used up.
    void keep() noexcept {
        try {
            decoder_->keep();
        } catch (...) {
            break_connection(ipc_errc::no_memory);
        }
    }

    // True if there may be more to read.
    bool read(std::size_t& budget) noexcept {
        std::span<std::byte> space;
        try {
            space = decoder_->space(scratch_);
        } catch (...) {
            fails(ipc_errc::no_memory);
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
        // The peer is gone. If it did not say that it would go, nor was told to, it died; a client that has said nothing at
        // all has only looked whether anybody listens.
        const int error = size == 0 ? ECONNRESET : errno;
        const bool only_looked = kind_ == medium::socket && !two_way_ && decoder_->silent();
        if (inlet_ && !ended_ && !only_looked && !is_broken_off()) report_->note(from_errno(error));
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
                if (write_error_ == 0) write_error_ = errno;
                return flushed::gone;
            }
            box.wrote(static_cast<std::size_t>(written));
        }
        return flushed::all;
    }

    // Who only reads may go at any time, and may say why; but a network may fail.
    void note_gone() noexcept override {
        if (!reads_ && kind_ == medium::socket && !lost_) watch_peer();
        reader_gone(write_error_);
    }
    void reader_gone(int error) noexcept {
        if (error != EPIPE && error != ECONNRESET) report_->note(from_errno(error));
    }

    void say_end(outbox& box) override { append_plain(box.bytes, end_of_stream); }
    void say_broken(outbox& box, ipc_errc why) override { append_plain(box.bytes, breaking_off(why)); }

    // Nothing is expected from the peer but that it goes, and perhaps says why.
    void watch_peer() noexcept {
        if (kind_ == medium::socket) {
            const ssize_t size = read_some(fd_.get(), kind_, heard_.data() + heard_size_, heard_.size() - heard_size_);
            if (size == -1 && would_block(errno)) return;
            if (size == -1) reader_gone(errno);
            if (size > 0) {
                heard_size_ += static_cast<std::size_t>(size);
                broken_frame said;
                std::memcpy(&said, heard_.data(), heard_.size());
                if (heard_size_ < heard_.size()) return;
                report_->note(reason_of(said));
            }
        }
        lost();
    }

    const std::shared_ptr<void> place_;
    const descriptor fd_;
    const medium kind_;
    const bool remote_;
    std::chrono::steady_clock::duration linger_{};
    std::span<std::byte> scratch_;  // while at work
    std::optional<life_watch> alive_;
    std::optional<station_waiter<sluice::detail::waiter>> closing_;

    bool serves_ = false, two_way_ = false;
    bool sends_ = false, reads_ = false;
    greeting wanted_;
    std::unique_ptr<inlet> inlet_;  // while messages are received
    std::optional<decoder> decoder_;
    std::optional<std::error_code> verdict_;  // how the stream has ended, once all its messages are handed over
    bool ours_ = false;                       // that was found here, so that the peer is to be told
    std::array<std::byte, sizeof(broken_frame)> heard_{};
    std::size_t heard_size_ = 0;
    int write_error_ = 0;
    std::optional<time_point> deadline_;
    bool full_ = false;     // the channel of the inlet
    bool blocked_ = false;  // the system takes no more
    bool ended_ = false;    // the peer has said so
    bool parts_ = false;    // nothing more is sent, but the peer's end is waited for
    bool lost_ = false;     // the connection is of no use any more
};

}  // namespace sluice::ipc::detail
