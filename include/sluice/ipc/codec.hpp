// codec<T>: how a message becomes bytes and a message again; given for plain types, strings and vectors.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <typeinfo>
#include <vector>

namespace sluice {

namespace ipc::detail {

// Trivially copyable views: their bytes are addresses, which mean nothing in another process.
template <class T>
inline constexpr bool is_view = false;
template <class C, class Traits>
inline constexpr bool is_view<std::basic_string_view<C, Traits>> = true;
template <class T, std::size_t N>
inline constexpr bool is_view<std::span<T, N>> = true;

/// A type whose bytes are its value, in any process on machines of one kind. That no member is a pointer is for its
/// author to know.
template <class T>
concept plain = std::is_trivially_copyable_v<T> && !std::is_pointer_v<T> && !std::is_member_pointer_v<T> &&
                !std::is_null_pointer_v<T> && !is_view<T>;

template <class T>
inline constexpr bool never = false;

inline void append(std::vector<std::byte>& out, std::span<const std::byte> bytes) {
    out.insert(out.end(), bytes.begin(), bytes.end());
}

}  // namespace ipc::detail

/// What travels between processes. Specialise it for a type of your own:
///
///     template <>
///     struct sluice::codec<order> {
///         static void encode(const order& o, std::vector<std::byte>& out);
///         static order decode(std::span<const std::byte> bytes);
///         static constexpr std::uint64_t id = 0x6f72646572;
///     };
///
/// `encode` appends to `out`; `decode` throws if the bytes are none of its encodings. `id`, which is optional, is what
/// both ends must agree on; without it, that is a hash of the type's name.
/// They are called by the library's threads and by those that send, with no lock held. What they throw closes that one
/// end with an error. These are optional, and save copies of large messages: `static std::span<const std::byte>
/// view(const T&)`, the encoding, where it lies in the message already; and `static T make(std::size_t size)`, a
/// message whose encoding has that size, together with `static std::span<std::byte> room(T&)`, where that encoding
/// belongs (empty if there is no place for it, and decode() is called).
template <class T>
struct codec {
    static_assert(
        ipc::detail::never<T>,
        "sluice: a message of this type cannot leave the process: it is not trivially copyable, nor a std::string or a "
        "std::vector of such elements (or it is a pointer or a view); specialise sluice::codec for it, or include "
        "<sluice/ipc/cereal.hpp>");
};

template <ipc::detail::plain T>
struct codec<T> {
    static std::span<const std::byte> view(const T& message) { return std::as_bytes(std::span(&message, 1)); }
    static void encode(const T& message, std::vector<std::byte>& out) { ipc::detail::append(out, view(message)); }
    static T decode(std::span<const std::byte> bytes) {
        if (bytes.size() != sizeof(T)) throw std::invalid_argument("sluice: a message of another size");
        std::array<std::byte, sizeof(T)> copy;
        std::memcpy(copy.data(), bytes.data(), sizeof(T));
        return std::bit_cast<T>(copy);
    }
};

template <>
struct codec<std::string> {
    static std::span<const std::byte> view(const std::string& message) { return std::as_bytes(std::span(message)); }
    static void encode(const std::string& message, std::vector<std::byte>& out) {
        ipc::detail::append(out, view(message));
    }
    static std::string decode(std::span<const std::byte> bytes) {
        return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }
    static std::string make(std::size_t size) { return std::string(size, '\0'); }
    static std::span<std::byte> room(std::string& message) { return std::as_writable_bytes(std::span(message)); }
};

template <ipc::detail::plain T>
    requires(!std::is_same_v<T, bool>)
struct codec<std::vector<T>> {
    static std::span<const std::byte> view(const std::vector<T>& message) { return std::as_bytes(std::span(message)); }
    static void encode(const std::vector<T>& message, std::vector<std::byte>& out) {
        ipc::detail::append(out, view(message));
    }
    static std::vector<T> decode(std::span<const std::byte> bytes) {
        if (bytes.size() % sizeof(T) != 0)
            throw std::invalid_argument("sluice: a message that is no whole number of elements");
        if constexpr (sizeof(T) == 1 && std::is_same_v<T, std::byte>) {
            return std::vector<T>(bytes.begin(), bytes.end());
        } else if constexpr (std::is_arithmetic_v<T> && sizeof(T) == 1) {
            const auto* const first = reinterpret_cast<const T*>(bytes.data());
            return std::vector<T>(first, first + bytes.size());
        } else {
            std::vector<T> message;
            message.reserve(bytes.size() / sizeof(T));
            for (; !bytes.empty(); bytes = bytes.subspan(sizeof(T))) {
                message.push_back(codec<T>::decode(bytes.first(sizeof(T))));
            }
            return message;
        }
    }
    static std::vector<T> make(std::size_t size) requires std::is_arithmetic_v<T> || std::is_same_v<T, std::byte> {
        return std::vector<T>(size % sizeof(T) == 0 ? size / sizeof(T) : 0);
    }
    static std::span<std::byte> room(std::vector<T>& message) { return std::as_writable_bytes(std::span(message)); }
};

namespace ipc::detail {

template <class T>
concept has_room = requires(T& message, std::size_t size) {
    { codec<T>::make(size) } -> std::same_as<T>;
    { codec<T>::room(message) } -> std::same_as<std::span<std::byte>>;
};

template <class T>
concept has_view = requires(const T& message) {
    { codec<T>::view(message) } -> std::same_as<std::span<const std::byte>>;
};

// Fowler, Noll and Vo's hash, version 1a.
constexpr std::uint64_t hash(std::string_view text, std::uint64_t h = 0xcbf29ce484222325u) {
    for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    return h;
}

template <class T>
inline constexpr std::size_t fixed_size = 0;
template <plain T>
inline constexpr std::size_t fixed_size<T> = sizeof(T);
template <plain T>
inline constexpr std::size_t fixed_size<std::vector<T>> = sizeof(T);

// What both ends of a link must agree on; zero stands for no message at all.
template <class T>
std::uint64_t type_id() {
    if constexpr (requires { std::uint64_t{codec<T>::id}; }) {
        return codec<T>::id;
    } else {
        // The name as the C++ ABI spells it is the same for every compiler that follows it; a type that has changed its
        // size is another.
        const std::uint64_t h = (hash(typeid(T).name()) ^ fixed_size<T>)*0x100000001b3u;
        return h != 0 ? h : 1;
    }
}

}  // namespace ipc::detail

}  // namespace sluice
