// decoder: takes a stream of bytes apart into a handshake and messages. Pure: it reads and writes no descriptor.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <system_error>
#include <utility>

#include <sluice/ipc/detail/frame.hpp>
#include <sluice/ipc/detail/read_buffer.hpp>
#include <sluice/ipc/error.hpp>

namespace sluice::ipc::detail {

class decoder {
public:
    enum class found : std::uint8_t {
        nothing,  // more bytes are needed
        handshake,
        message,
        large,  // a message that is still arriving: read_direct() says where to; otherwise it is found whole later
        direct_message,  // that message is complete
        stop_sending,    // the peer receives no more
        peer_error,      // the peer has ended the connection: error() says why
        end,             // no message follows
        error,           // error() says which; nothing else is found from then on
    };

    explicit decoder(std::size_t max_message) noexcept : max_message_(max_message) {}

    // Where to put the next bytes, which may be in `scratch`; received() says how many were put there.
    std::span<std::byte> space(std::span<std::byte> scratch) {
        return reading_direct_ ? direct_ : read_buffer_.space(wanted_, scratch);
    }
    // The scratch memory is about to be used for something else.
    void release_scratch() { read_buffer_.release_scratch(wanted_); }
    void received(std::size_t size) noexcept {
        if (reading_direct_) {
            direct_ = direct_.subspan(size);
        } else {
            read_buffer_.received(size);
        }
        received_ += size;
    }

    // The length of a message that was found `large`: half of it has arrived, or it has an early_allocation.
    std::size_t large_length() const noexcept { return wanted_ - sizeof(frame_length); }
    // The bytes of that message go to `storage`, which is as long, and which must stay until the message is complete,
    // abandon_direct() is called, or the decoder is gone.
    void read_direct(std::span<std::byte> storage) noexcept {
        const std::span<const std::byte> there = read_buffer_.bytes().subspan(sizeof(frame_length));
        std::memcpy(storage.data(), there.data(), there.size());
        direct_ = storage.subspan(there.size());
        reading_direct_ = true;
        read_buffer_.consume(sizeof(frame_length) + there.size());
        wanted_ = sizeof(frame_length);
    }
    // The storage goes away: the rest of the message is skipped.
    void abandon_direct() noexcept {
        early_.release();  // also of a message for which read_direct() was not called
        if (!std::exchange(reading_direct_, false)) return;
        offered_ = false;
        skip_ = direct_.size();
    }

    // Whether part of a message longer than 4 KiB has arrived: a thread with little scratch memory leaves it to the
    // loop.
    bool in_large_message() const noexcept { return reading_direct_ || skip_ > 0 || wanted_ > 4 * 1024; }

    // What comes next in the stream. The payload of a message is valid until the next call of space().
    found next(std::span<const std::byte>& payload) noexcept {
        if (error_) return found::error;
        if (reading_direct_) {
            if (!direct_.empty()) return found::nothing;
            reading_direct_ = offered_ = false;
            early_.release();
            return found::direct_message;
        }
        if (skip_ > 0) {
            const std::size_t size = (std::min)(skip_, read_buffer_.bytes().size());
            read_buffer_.consume(size);
            skip_ -= size;
            if (skip_ > 0) return found::nothing;
        }
        const std::span<const std::byte> there = read_buffer_.bytes();
        if (!handshake_) return next_handshake(there);
        frame_length length;
        wanted_ = sizeof length;
        if (there.size() < sizeof length) return found::nothing;
        std::memcpy(&length, there.data(), sizeof length);
        if (length == error_mark) return next_error(there);
        if (length == end_of_stream || length == stop_sending_mark) {
            read_buffer_.consume(sizeof length);
            if (length == stop_sending_mark) return found::stop_sending;
            ended_ = true;
            return found::end;
        }
        if (ended_) return fail(ipc_errc::not_sluice);
        if (length > max_message_) return fail(ipc_errc::too_large);
        wanted_ += length;
        if (there.size() < wanted_) return incomplete(length, there.size());
        offered_ = false;
        early_.release();
        payload = there.subspan(sizeof length, length);
        read_buffer_.consume(wanted_);
        wanted_ = sizeof length;
        return found::message;
    }

    const std::optional<handshake>& peer_handshake() const noexcept { return handshake_; }
    // Whether the first bytes are those of this protocol, in whichever version.
    bool speaks_protocol() const noexcept { return speaks_protocol_; }
    // Such a peer has only tried whether somebody listens.
    bool nothing_received() const noexcept { return received_ == 0; }
    std::error_code error() const noexcept { return error_; }
    std::size_t capacity() const noexcept { return read_buffer_.capacity(); }

private:
    found incomplete(std::size_t length, std::size_t arrived) noexcept {
        if (length < large_message_min) return found::nothing;
        if (offered_) {
            early_.release();  // read_direct() was not called
            return found::nothing;
        }
        if (2 * arrived < wanted_ && (length > received_ || !early_.reserve(length))) return found::nothing;
        offered_ = true;
        return found::large;
    }
    found next_error(std::span<const std::byte> there) noexcept {
        error_frame why;
        wanted_ = sizeof why;
        if (there.size() < sizeof why) return found::nothing;
        std::memcpy(&why, there.data(), sizeof why);
        error_ = reason_of(why);
        return found::peer_error;
    }
    // Or an error_frame, of a listener that refuses.
    found next_handshake(std::span<const std::byte> there) noexcept {
        handshake got;
        frame_length mark = 0;
        if (there.size() >= sizeof mark) std::memcpy(&mark, there.data(), sizeof mark);
        if (mark == error_mark) return next_error(there);
        // The first wrong byte is enough.
        const std::size_t begun = (std::min)(there.size(), sizeof magic);
        const auto may_be = [&](const std::uint32_t& word) { return std::memcmp(there.data(), &word, begun) == 0; };
        if (begun > 0 && !may_be(magic) && !may_be(error_mark)) return fail(ipc_errc::not_sluice);
        speaks_protocol_ = begun == sizeof magic;
        wanted_ = sizeof got;
        if (there.size() < sizeof got) return found::nothing;
        std::memcpy(&got, there.data(), sizeof got);
        if (const std::error_code e = mismatch(got)) {
            error_ = e;
            return found::error;
        }
        read_buffer_.consume(sizeof got);
        handshake_ = got;
        return found::handshake;
    }
    found fail(ipc_errc e) noexcept {
        error_ = e;
        return found::error;
    }

    static constexpr std::size_t large_message_min = 64 * 1024;

    std::size_t max_message_;
    std::uint64_t received_ = 0;  // bytes in all
    read_buffer read_buffer_;
    std::size_t wanted_ = sizeof(handshake);  // the size of what is arriving, as far as it is known
    std::optional<handshake> handshake_;
    bool speaks_protocol_ = false;
    bool ended_ = false;           // end_of_stream was found
    bool offered_ = false;         // the message that is arriving was found to be large
    bool reading_direct_ = false;  // what arrives goes to direct_, the rest of that message
    std::span<std::byte> direct_;
    early_allocation early_;
    std::size_t skip_ = 0;  // the bytes still to come of an abandoned message
    std::error_code error_;
};

}  // namespace sluice::ipc::detail
