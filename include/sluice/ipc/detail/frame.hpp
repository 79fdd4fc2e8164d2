// How messages lie in a stream of bytes: a greeting, then frames. Pure: bytes go in, messages and errors come out.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

namespace sluice::ipc::detail {

// All numbers are written as the machine has them: a peer of the other byte order shows by the magic number.
inline constexpr std::uint32_t magic = 0x6563'6c73;
inline constexpr std::uint16_t version = 1;

// The first bytes of a stream.
struct greeting {
    std::uint32_t magic_number = magic;
    std::uint16_t version_number = version;
    std::uint16_t reserved = 0;
    std::uint64_t forth = 0;  // the type of the messages that follow
    std::uint64_t back = 0;   // the type of those that may come in return; 0 for none
};
static_assert(sizeof(greeting) == 24 && std::is_trivially_copyable_v<greeting>);

// Each message follows its length. Two lengths that no message has say something else.
using frame_length = std::uint32_t;
inline constexpr frame_length end_of_stream = 0xffff'ffff;  // no message follows
inline constexpr frame_length nobody_reads = 0xffff'fffe;   // who sends this reads no more
inline constexpr std::size_t longest_message = 0xffff'fff0;

// Of a message in a queue of the system, which keeps its length.
struct queue_header {
    std::uint16_t magic_number = static_cast<std::uint16_t>(magic);
    std::uint16_t version_number = version;
    std::uint32_t type = 0;
};
static_assert(sizeof(queue_header) == 8 && std::is_trivially_copyable_v<queue_header>);

template <class Plain>
void append_plain(std::vector<std::byte>& out, const Plain& value) {
    const auto* const bytes = reinterpret_cast<const std::byte*>(&value);
    out.insert(out.end(), bytes, bytes + sizeof value);
}

inline std::error_code mismatch(const greeting& got) noexcept {
    if (got.magic_number != magic) return make_error_code(std::errc::bad_message);
    if (got.version_number != version) return make_error_code(std::errc::protocol_not_supported);
    return {};
}
inline std::error_code mismatch(const greeting& got, const greeting& wanted) noexcept {
    if (got.forth != wanted.forth || got.back != wanted.back) return make_error_code(std::errc::wrong_protocol_type);
    return {};
}

inline std::error_code mismatch(std::span<const std::byte> message, std::uint64_t type) noexcept {
    queue_header got;
    if (message.size() < sizeof got) return make_error_code(std::errc::bad_message);
    std::memcpy(&got, message.data(), sizeof got);
    if (got.magic_number != queue_header{}.magic_number) return make_error_code(std::errc::bad_message);
    if (got.version_number != version) return make_error_code(std::errc::protocol_not_supported);
    if (got.type != static_cast<std::uint32_t>(type)) return make_error_code(std::errc::wrong_protocol_type);
    return {};
}

// Bytes that have arrived and were not consumed yet. It grows only when what has arrived fills it, so that it is never
// larger than a small block or twice what was received.
class arrivals {
public:
    static constexpr std::size_t block = 64 * 1024;

    std::span<const std::byte> bytes() const noexcept { return {data_.get() + begin_, end_ - begin_}; }
    std::size_t capacity() const noexcept { return capacity_; }

    // Where the next bytes go; never empty. `wanted` is the size of what has begun to arrive.
    std::span<std::byte> space(std::size_t wanted) {
        if (begin_ == end_) {
            begin_ = end_ = 0;
            if (capacity_ > generous) release();
        }
        if (!data_) reallocate(block);
        if (end_ == capacity_ || (begin_ > 0 && begin_ + wanted > capacity_)) {
            const std::size_t held = end_ - begin_;
            if (wanted > capacity_ && 2 * held >= capacity_) {
                reallocate((std::min)(wanted, 2 * capacity_));
            } else {
                std::memmove(data_.get(), data_.get() + begin_, held);
                begin_ = 0;
                end_ = held;
            }
        }
        return {data_.get() + end_, capacity_ - end_};
    }
    void received(std::size_t size) noexcept { end_ += size; }
    void consume(std::size_t size) noexcept { begin_ += size; }

private:
    static constexpr std::size_t generous = 4 << 20;  // more than that is not kept

    void reallocate(std::size_t capacity) {
        auto larger = std::make_unique_for_overwrite<std::byte[]>(capacity);
        const std::size_t held = end_ - begin_;
        if (held > 0) std::memcpy(larger.get(), data_.get() + begin_, held);
        data_ = std::move(larger);
        capacity_ = capacity;
        begin_ = 0;
        end_ = held;
    }
    void release() noexcept {
        data_.reset();
        capacity_ = 0;
    }

    std::unique_ptr<std::byte[]> data_;
    std::size_t capacity_ = 0, begin_ = 0, end_ = 0;
};

// Takes a stream apart as it arrives.
class decoder {
public:
    enum class found : std::uint8_t {
        nothing,  // more bytes are needed
        greeting,
        message,
        large,     // a message that is still arriving: divert() says where its bytes may go, or it is found whole later
        diverted,  // that message is complete
        deaf,      // the peer reads no more
        end,       // no message follows
        error,     // and nothing but that from now on
    };

    explicit decoder(std::size_t max_message) noexcept : max_message_(max_message) {}

    // Where to put the next bytes; received() says how many were put there.
    std::span<std::byte> space() { return diverting_ ? diverted_ : arrivals_.space(wanted_); }
    void received(std::size_t size) noexcept {
        if (diverting_) {
            diverted_ = diverted_.subspan(size);
        } else {
            arrivals_.received(size);
        }
        received_ += size;
    }

    // Of a message that was found `large`, its length. Not more than has been received until now: who promises much has
    // sent much.
    std::size_t large_length() const noexcept { return wanted_ - sizeof(frame_length); }
    // `storage` is as long as the message, and stays where it is until the message is complete, or the decoder is gone.
    void divert(std::span<std::byte> storage) noexcept {
        const std::span<const std::byte> there = arrivals_.bytes().subspan(sizeof(frame_length));
        std::memcpy(storage.data(), there.data(), there.size());
        diverted_ = storage.subspan(there.size());
        diverting_ = true;
        arrivals_.consume(sizeof(frame_length) + there.size());
        wanted_ = sizeof(frame_length);
    }
    // The storage goes away: what is left of the message is forgotten.
    void stop_diverting() noexcept {
        if (!std::exchange(diverting_, false)) return;
        offered_ = false;
        forgotten_ = diverted_.size();
    }

    // What comes next in the stream. Of a message, `payload` is valid until the next call of space().
    found next(std::span<const std::byte>& payload) noexcept {
        if (error_) return found::error;
        if (diverting_) {
            if (!diverted_.empty()) return found::nothing;
            diverting_ = offered_ = false;
            return found::diverted;
        }
        if (forgotten_ > 0) {
            const std::size_t size = (std::min)(forgotten_, arrivals_.bytes().size());
            arrivals_.consume(size);
            forgotten_ -= size;
            if (forgotten_ > 0) return found::nothing;
        }
        const std::span<const std::byte> there = arrivals_.bytes();
        if (!greeting_) return next_greeting(there);
        frame_length length;
        wanted_ = sizeof length;
        if (there.size() < sizeof length) return found::nothing;
        std::memcpy(&length, there.data(), sizeof length);
        if (length == end_of_stream || length == nobody_reads) {
            arrivals_.consume(sizeof length);
            if (length == nobody_reads) return found::deaf;
            ended_ = true;
            return found::end;
        }
        if (ended_) return fail(std::errc::bad_message);
        if (length > max_message_) return fail(std::errc::message_size);
        wanted_ += length;
        if (there.size() < wanted_) {
            if (length < large_from || length > received_ || std::exchange(offered_, true)) return found::nothing;
            return found::large;
        }
        offered_ = false;
        payload = there.subspan(sizeof length, length);
        arrivals_.consume(wanted_);
        wanted_ = sizeof length;
        return found::message;
    }

    const std::optional<greeting>& greeted() const noexcept { return greeting_; }
    // Whether nothing at all has arrived: somebody has only looked whether anyone is there.
    bool silent() const noexcept { return received_ == 0; }
    std::error_code error() const noexcept { return error_; }
    std::size_t capacity() const noexcept { return arrivals_.capacity(); }

private:
    found next_greeting(std::span<const std::byte> there) noexcept {
        greeting got;
        // What cannot become a greeting is not waited for to be complete.
        const std::size_t begun = (std::min)(there.size(), sizeof magic);
        if (begun > 0 && std::memcmp(there.data(), &magic, begun) != 0) return fail(std::errc::bad_message);
        wanted_ = sizeof got;
        if (there.size() < sizeof got) return found::nothing;
        std::memcpy(&got, there.data(), sizeof got);
        if (const std::error_code e = mismatch(got)) {
            error_ = e;
            return found::error;
        }
        arrivals_.consume(sizeof got);
        greeting_ = got;
        return found::greeting;
    }
    found fail(std::errc e) noexcept {
        error_ = make_error_code(e);
        return found::error;
    }

    static constexpr std::size_t large_from = arrivals::block;

    std::size_t max_message_;
    arrivals arrivals_;
    std::size_t wanted_ = sizeof(greeting);
    std::optional<greeting> greeting_;
    std::uint64_t received_ = 0;
    bool ended_ = false;
    bool offered_ = false;    // the message that is arriving was found to be large
    bool diverting_ = false;  // what arrives goes to diverted_, the rest of that message
    std::span<std::byte> diverted_;
    std::size_t forgotten_ = 0;  // how much of a message that was diverted is still to come, and to be left out
    std::error_code error_;
};

}  // namespace sluice::ipc::detail
