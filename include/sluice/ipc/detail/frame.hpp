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

#include <sluice/ipc/detail/process.hpp>
#include <sluice/ipc/error.hpp>

namespace sluice::ipc::detail {

// All numbers are written as the machine has them: a peer of the other byte order shows by the magic number.
inline constexpr std::uint32_t magic = 0x6563'6c73;
inline constexpr std::uint16_t version = 2;

// The first bytes of a stream.
struct greeting {
    std::uint32_t magic_number = magic;
    std::uint16_t version_number = version;
    std::uint16_t reserved = 0;
    std::uint64_t forth = 0;  // the type of the messages that follow
    std::uint64_t back = 0;   // the type of those that may come in return; 0 for none
};
static_assert(sizeof(greeting) == 24 && std::is_trivially_copyable_v<greeting>);

// Each message follows its length. Three lengths that no message has say something else.
using frame_length = std::uint32_t;
inline constexpr frame_length end_of_stream = 0xffff'ffff;  // no message follows
inline constexpr frame_length nobody_reads = 0xffff'fffe;   // who sends this reads no more
inline constexpr frame_length broken_off = 0xffff'fffd;     // the connection ends, by an error: its number follows
inline constexpr std::size_t longest_message = 0xffff'fff0;

// What says why a connection ends, or that it was refused.
struct broken_frame {
    frame_length mark = broken_off;
    std::uint32_t reason = 0;
};
static_assert(sizeof(broken_frame) == 8 && std::is_trivially_copyable_v<broken_frame>);
inline broken_frame breaking_off(ipc_errc why) noexcept { return {broken_off, static_cast<std::uint32_t>(why)}; }
// What a peer has said; never 0.
inline ipc_errc reason_of(const broken_frame& said) noexcept {
    return said.mark == broken_off && said.reason != 0 ? static_cast<ipc_errc>(said.reason) : ipc_errc::not_sluice;
}

// Of a message in a queue of the system, which keeps its length.
struct queue_header {
    std::uint16_t magic_number = static_cast<std::uint16_t>(magic);
    std::uint16_t version_number = version;
    std::uint32_t type = 0;
};
static_assert(sizeof(queue_header) == 8 && std::is_trivially_copyable_v<queue_header>);

// What both halves of a type's number say of it.
constexpr std::uint32_t type_in_queue(std::uint64_t type) noexcept {
    return static_cast<std::uint32_t>(type ^ type >> 32);
}

template <class Plain>
void append_plain(std::vector<std::byte>& out, const Plain& value) {
    const auto* const bytes = reinterpret_cast<const std::byte*>(&value);
    out.insert(out.end(), bytes, bytes + sizeof value);
}

inline std::error_code mismatch(const greeting& got) noexcept {
    if (got.magic_number != magic) return ipc_errc::not_sluice;
    if (got.version_number != version) return ipc_errc::wrong_version;
    return {};
}
inline std::error_code mismatch(const greeting& got, const greeting& wanted) noexcept {
    if (got.forth != wanted.forth || got.back != wanted.back) return ipc_errc::wrong_type;
    return {};
}

inline std::error_code mismatch(std::span<const std::byte> message, std::uint64_t type) noexcept {
    queue_header got;
    if (message.size() < sizeof got) return ipc_errc::not_sluice;
    std::memcpy(&got, message.data(), sizeof got);
    if (got.magic_number != queue_header{}.magic_number) return ipc_errc::not_sluice;
    if (got.version_number != version) return ipc_errc::wrong_version;
    if (got.type != type_in_queue(type)) return ipc_errc::wrong_type;
    return {};
}

// Bytes that have arrived and were not consumed yet. They lie where they were read to, in storage that is lent by the
// one who reads, or else in storage of its own, which is no larger than a small block or twice what it holds.
class arrivals {
public:
    std::span<const std::byte> bytes() const noexcept { return {begin_, end_}; }
    std::size_t capacity() const noexcept { return capacity_; }

    // Where the next bytes go; never empty. `wanted` is the size of what has begun to arrive.
    std::span<std::byte> space(std::size_t wanted, std::span<std::byte> lent) {
        const auto held = static_cast<std::size_t>(end_ - begin_);
        if (held <= lent.size() / 2) {
            if (held > 0) std::memmove(lent.data(), begin_, held);
            begin_ = lent.data();
            end_ = begin_ + held;
            lent_ = true;
            release();
            return lent.subspan(held);
        }
        if (lent_ || end_ == own_.get() + capacity_) own(wanted);
        return {end_, static_cast<std::size_t>(own_.get() + capacity_ - end_)};
    }
    void received(std::size_t size) noexcept { end_ += size; }
    void consume(std::size_t size) noexcept { begin_ += size; }

    // What is lent goes back.
    void keep(std::size_t wanted) {
        if (!lent_) return;
        try {
            if (begin_ != end_) return own(wanted);
        } catch (...) {
            forget();
            throw;
        }
        forget();
    }

private:
    static constexpr std::size_t least = 1024;

    void own(std::size_t wanted) {
        const auto held = static_cast<std::size_t>(end_ - begin_);
        const std::size_t capacity = (std::max)((std::min)(wanted, (std::max)(least, 2 * held)), held + 1);
        auto storage = std::make_unique_for_overwrite<std::byte[]>(capacity);
        std::memcpy(storage.get(), begin_, held);
        own_ = std::move(storage);
        capacity_ = capacity;
        begin_ = own_.get();
        end_ = begin_ + held;
        lent_ = false;
    }
    void forget() noexcept {
        begin_ = end_ = nullptr;
        lent_ = false;
    }
    void release() noexcept {
        own_.reset();
        capacity_ = 0;
    }

    std::unique_ptr<std::byte[]> own_;
    std::size_t capacity_ = 0;  // of own_
    std::byte *begin_ = nullptr, *end_ = nullptr;
    bool lent_ = false;
};

// Memory that is taken for messages before half of them has arrived: for peers that have sent as much before, and so
// much in all of this process that those who then announce and do not send can't hold more.
class [[gnu::visibility("default")]] advance;  // one count for all shared objects
class advance {
public:
    advance() = default;
    advance(advance&& other) noexcept : bytes_(std::exchange(other.bytes_, 0)), generation_(other.generation_) {}
    advance& operator=(advance&& other) noexcept {
        std::swap(bytes_, other.bytes_);
        std::swap(generation_, other.generation_);
        return *this;
    }
    ~advance() { give_back(); }

    bool take(std::size_t bytes) noexcept {
        give_back();
        auto& total = process::self().advanced();
        if (total.fetch_add(bytes, std::memory_order_relaxed) + bytes > most) {
            total.fetch_sub(bytes, std::memory_order_relaxed);
            return false;
        }
        bytes_ = bytes;
        generation_ = process::generation();
        return true;
    }
    void give_back() noexcept {
        if (const std::size_t bytes = std::exchange(bytes_, 0); bytes > 0 && generation_ == process::generation())
            process::self().advanced().fetch_sub(bytes, std::memory_order_relaxed);
    }

    static constexpr std::size_t most = 4 << 20;

private:
    std::size_t bytes_ = 0;
    unsigned generation_ = 0;
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
        broken,    // the peer has ended the connection: error() says why
        end,       // no message follows
        error,     // and nothing but that from now on
    };

    explicit decoder(std::size_t max_message) noexcept : max_message_(max_message) {}

    // Where to put the next bytes, which may be in `lent`; received() says how many were put there.
    std::span<std::byte> space(std::span<std::byte> lent) {
        return diverting_ ? diverted_ : arrivals_.space(wanted_, lent);
    }
    // What was lent is about to be used for something else.
    void keep() { arrivals_.keep(wanted_); }
    void received(std::size_t size) noexcept {
        if (diverting_) {
            diverted_ = diverted_.subspan(size);
        } else {
            arrivals_.received(size);
        }
        received_ += size;
    }

    // Of a message that was found `large`, its length; half of it has arrived, or it has got an advance.
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
        advance_.give_back();  // also of one that could not be made
        if (!std::exchange(diverting_, false)) return;
        offered_ = false;
        forgotten_ = diverted_.size();
    }

    // Whether a part has arrived of a message that is longer than it is worth to read without much memory.
    bool in_large() const noexcept { return diverting_ || forgotten_ > 0 || wanted_ > 4 * 1024; }

    // What comes next in the stream. Of a message, `payload` is valid until the next call of space().
    found next(std::span<const std::byte>& payload) noexcept {
        if (error_) return found::error;
        if (diverting_) {
            if (!diverted_.empty()) return found::nothing;
            diverting_ = offered_ = false;
            advance_.give_back();
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
        if (length == broken_off) return next_broken(there);
        if (length == end_of_stream || length == nobody_reads) {
            arrivals_.consume(sizeof length);
            if (length == nobody_reads) return found::deaf;
            ended_ = true;
            return found::end;
        }
        if (ended_) return fail(ipc_errc::not_sluice);
        if (length > max_message_) return fail(ipc_errc::too_large);
        wanted_ += length;
        if (there.size() < wanted_) {
            if (length < large_from) return found::nothing;
            if (offered_) {
                advance_.give_back();  // it was not diverted
                return found::nothing;
            }
            if (2 * there.size() < wanted_ && (length > received_ || !advance_.take(length))) return found::nothing;
            offered_ = true;
            return found::large;
        }
        offered_ = false;
        advance_.give_back();
        payload = there.subspan(sizeof length, length);
        arrivals_.consume(wanted_);
        wanted_ = sizeof length;
        return found::message;
    }

    const std::optional<greeting>& greeted() const noexcept { return greeting_; }
    // Whether the peer has begun as one that speaks this protocol does, perhaps in another version.
    bool speaks() const noexcept { return speaks_; }
    // Whether nothing at all has arrived: somebody has only looked whether anyone is there.
    bool silent() const noexcept { return received_ == 0; }
    std::error_code error() const noexcept { return error_; }
    std::size_t capacity() const noexcept { return arrivals_.capacity(); }

private:
    found next_broken(std::span<const std::byte> there) noexcept {
        broken_frame why;
        wanted_ = sizeof why;
        if (there.size() < sizeof why) return found::nothing;
        std::memcpy(&why, there.data(), sizeof why);
        error_ = reason_of(why);
        return found::broken;
    }
    // Or the refusal of one.
    found next_greeting(std::span<const std::byte> there) noexcept {
        greeting got;
        frame_length mark = 0;
        if (there.size() >= sizeof mark) std::memcpy(&mark, there.data(), sizeof mark);
        if (mark == broken_off) return next_broken(there);
        // What cannot become a greeting is not waited for to be complete.
        const std::size_t begun = (std::min)(there.size(), sizeof magic);
        const auto may_be = [&](const std::uint32_t& word) { return std::memcmp(there.data(), &word, begun) == 0; };
        if (begun > 0 && !may_be(magic) && !may_be(broken_off)) return fail(ipc_errc::not_sluice);
        speaks_ = begun == sizeof magic;
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
    found fail(ipc_errc e) noexcept {
        error_ = e;
        return found::error;
    }

    static constexpr std::size_t large_from = 64 * 1024;

    std::size_t max_message_;
    std::uint64_t received_ = 0;  // in all
    arrivals arrivals_;
    std::size_t wanted_ = sizeof(greeting);
    std::optional<greeting> greeting_;
    bool speaks_ = false;
    bool ended_ = false;
    bool offered_ = false;    // the message that is arriving was found to be large
    bool diverting_ = false;  // what arrives goes to diverted_, the rest of that message
    std::span<std::byte> diverted_;
    advance advance_;
    std::size_t forgotten_ = 0;  // how much of a message that was diverted is still to come, and to be left out
    std::error_code error_;
};

}  // namespace sluice::ipc::detail
