// message_writer, message_reader: the ends of channels over a message_transport.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include <sluice/channel.hpp>
#include <sluice/ipc/codec.hpp>
#include <sluice/ipc/detail/channel_writer.hpp>
#include <sluice/ipc/detail/direct_read_handler.hpp>
#include <sluice/ipc/detail/errors.hpp>
#include <sluice/ipc/detail/frame.hpp>
#include <sluice/ipc/detail/io_loop.hpp>
#include <sluice/ipc/detail/message_transport.hpp>
#include <sluice/ipc/detail/outgoing.hpp>
#include <sluice/ipc/error_sink.hpp>

namespace sluice::ipc::detail {

// Sends the messages of a channel, of which none is encoded larger than max_message.
class message_writer final : public io_handler, private outgoing {
public:
    template <class T>
    message_writer(std::unique_ptr<message_transport> to, receiver<T> from, std::size_t max_message,
                   std::shared_ptr<io_loop> loop, std::shared_ptr<error_sink> errors)
        : io_handler(std::move(loop), nullptr),
          outgoing(static_cast<io_handler&>(*this), std::move(errors)),
          transport_(std::move(to)) {
        attach(std::move(from), {max_message, type_id<T>(), true});
    }

    bool work(readiness, std::span<std::byte>) override {
        const flow f = write();
        blocked_ = f == flow::blocked;
        return f != flow::done;
    }
    int fd() const noexcept override { return blocked_ ? transport_->fd() : -1; }
    readiness interest() const noexcept override { return {false, blocked_}; }
    void finish() noexcept override { outgoing::finish(); }
    void abort(std::error_code why) noexcept override {
        note(why);
        abandon();
    }

private:
    flushed flush(write_buffer& buffer) noexcept override {
        if (transport_->send(buffer.bytes)) {
            buffer.discard();
            return flushed::all;
        }
        if (would_block(errno)) return flushed::blocked;
        write_error_ = errno;
        return flushed::failed;
    }
    // Other senders may go on.
    void append_end(write_buffer&) override {}
    void append_error(write_buffer&, ipc_errc) override {}
    void note_write_error() noexcept override { note(from_errno(write_error_)); }

    const std::unique_ptr<message_transport> transport_;
    int write_error_ = 0;
    bool blocked_ = false;
};

// Receives messages into a channel, of which none is larger than max_size with its header.
class message_reader final : public direct_read_handler {
public:
    template <class T>
    message_reader(std::unique_ptr<message_transport> from, sender<T> to, std::size_t max_size,
                   std::shared_ptr<io_loop> loop, std::shared_ptr<error_sink> errors)
        : direct_read_handler(std::move(loop), nullptr),
          transport_(std::move(from)),
          errors_(std::move(errors)),
          type_(type_id<T>()),
          buffer_(max_size) {
        writer_ = std::make_unique<typed_channel_writer<T>>(std::move(to), static_cast<io_handler&>(*this),
                                                            enable_direct_reads());
    }
    ~message_reader() override {
        retire([this] { writer_.reset(); });
    }

    bool work(readiness ready, std::span<std::byte>) override {
        bool readable = ready.read || full_;
        for (;;) {
            // First the messages that were decoded before: one of them may wait for room in the channel.
            const channel_writer::status delivered = deliver();
            full_ = delivered == channel_writer::status::full;
            if (full_) return true;
            if (delivered == channel_writer::status::closed) return false;
            if (error_) {
                end_by(error_);
                return false;
            }
            if (!readable) return true;
            receive(readable);
        }
    }
    int fd() const noexcept override { return full_ ? -1 : transport_->fd(); }
    readiness interest() const noexcept override { return {!lent(), false}; }
    void finish() noexcept override { writer_.reset(); }
    void abort(std::error_code why) noexcept override {
        end_by(why);
        writer_.reset();
    }

private:
    bool may_lend() const noexcept override { return writer_ && !error_; }
    int spins() const noexcept override { return transport_->spins(); }
    bool has_backlog() const noexcept override { return false; }  // the loop reads no more at a time

    // The error is noted before the channel closes.
    void end_by(const std::error_code& why) noexcept {
        errors_->note(why);
        if (why && writer_) writer_->close(why);
    }

    // Decodes a batch; clears `readable` when there are no more.
    void receive(bool& readable) noexcept {
        try {
            for (;;) {
                const ssize_t size = transport_->receive(buffer_);
                if (size < 0) {
                    readable = false;
                    if (!would_block(errno)) error_ = from_errno(errno);
                    return;
                }
                const std::span<const std::byte> got(buffer_.data(), static_cast<std::size_t>(size));
                if ((error_ = mismatch(got, type_))) return;
                if (!writer_->decode(got.subspan(sizeof(message_header)))) return;
            }
        } catch (...) {
            error_ = current_error(ipc_errc::not_decoded);
        }
    }

    channel_writer::status deliver() noexcept {
        if (!writer_) return channel_writer::status::closed;
        try {
            return writer_->deliver();
        } catch (...) {
            error_ = current_error(ipc_errc::not_decoded);
            return channel_writer::status::ready;
        }
    }

    const std::unique_ptr<message_transport> transport_;
    const std::shared_ptr<error_sink> errors_;
    const std::uint64_t type_;
    std::vector<std::byte> buffer_;
    std::unique_ptr<channel_writer> writer_;  // while messages are received
    std::error_code error_;                   // ends it, once what was decoded before is delivered
    bool full_ = false;                       // the channel
};

}  // namespace sluice::ipc::detail
