// How messages lie in a stream of bytes, and in a message of a message transport: a handshake, frames, headers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <system_error>
#include <type_traits>
#include <vector>

#include <sluice/ipc/error.hpp>

namespace sluice::ipc::detail {

// Numbers are written as the machine has them; the magic number tells a peer of the other byte order.
inline constexpr std::uint32_t magic = 0x6563'6c73;
inline constexpr std::uint16_t version = 2;

// The first bytes of a stream, from the side that sends messages.
struct handshake {
    std::uint32_t magic_number = magic;
    std::uint16_t version_number = version;
    std::uint16_t reserved = 0;
    std::uint64_t sent_type = 0;      // of the messages that follow
    std::uint64_t returned_type = 0;  // of those that the peer may send; 0 for none
};
static_assert(sizeof(handshake) == 24 && std::is_trivially_copyable_v<handshake>);

// Each message follows its length. Three lengths that no message has say something else.
using frame_length = std::uint32_t;
inline constexpr frame_length end_of_stream = 0xffff'ffff;      // no message follows
inline constexpr frame_length stop_sending_mark = 0xffff'fffe;  // the peer's messages are not received any more
inline constexpr frame_length error_mark = 0xffff'fffd;         // the connection ends by an error, whose number follows
inline constexpr std::size_t longest_message = 0xffff'fff0;

// Why a connection ends, or is refused.
struct error_frame {
    frame_length mark = error_mark;
    std::uint32_t reason = 0;
};
static_assert(sizeof(error_frame) == 8 && std::is_trivially_copyable_v<error_frame>);
inline error_frame make_error_frame(ipc_errc why) noexcept { return {error_mark, static_cast<std::uint32_t>(why)}; }
// What a peer has sent; never 0.
inline ipc_errc reason_of(const error_frame& got) noexcept {
    return got.mark == error_mark && got.reason != 0 ? static_cast<ipc_errc>(got.reason) : ipc_errc::not_sluice;
}

// Precedes a message in a transport that keeps the length of each.
struct message_header {
    std::uint16_t magic_number = static_cast<std::uint16_t>(magic);
    std::uint16_t version_number = version;
    std::uint32_t type = 0;
};
static_assert(sizeof(message_header) == 8 && std::is_trivially_copyable_v<message_header>);

// The type in that header: depends on both halves of a type's number.
constexpr std::uint32_t short_type(std::uint64_t type) noexcept {
    return static_cast<std::uint32_t>(type ^ type >> 32);
}

template <class Plain>
void append_plain(std::vector<std::byte>& out, const Plain& value) {
    const auto* const bytes = reinterpret_cast<const std::byte*>(&value);
    out.insert(out.end(), bytes, bytes + sizeof value);
}

inline std::error_code mismatch(const handshake& got) noexcept {
    if (got.magic_number != magic) return ipc_errc::not_sluice;
    if (got.version_number != version) return ipc_errc::wrong_version;
    return {};
}
inline std::error_code mismatch(const handshake& got, const handshake& wanted) noexcept {
    if (got.sent_type != wanted.sent_type || got.returned_type != wanted.returned_type) return ipc_errc::wrong_type;
    return {};
}

// Of a message that begins with a message_header.
inline std::error_code mismatch(std::span<const std::byte> message, std::uint64_t type) noexcept {
    message_header got;
    if (message.size() < sizeof got) return ipc_errc::not_sluice;
    std::memcpy(&got, message.data(), sizeof got);
    if (got.magic_number != message_header{}.magic_number) return ipc_errc::not_sluice;
    if (got.version_number != version) return ipc_errc::wrong_version;
    if (got.type != short_type(type)) return ipc_errc::wrong_type;
    return {};
}

}  // namespace sluice::ipc::detail
