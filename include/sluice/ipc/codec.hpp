// codec<T>: how a message becomes bytes and a message again; given for plain types, strings, vectors, optionals and
// variants.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <sluice/ipc/detail/plain.hpp>
#include <sluice/ipc/detail/type_id.hpp>

namespace sluice {

template <class T>
struct codec;

namespace ipc::detail {

// Never compiles: says why there is no codec for a T.
template <class T>
[[noreturn]] void cannot_leave() {
    static_assert(
        std::is_trivially_copyable_v<T>,
        "sluice: a message of this type cannot leave the process: it is not trivially copyable, nor a std::string, a "
        "std::vector, std::optional or std::variant of such elements; specialise sluice::codec for it, or include "
        "<sluice/ipc/cereal.hpp>");
    static_assert(
        !std::is_trivially_copyable_v<T>,
        "sluice: a message of this type cannot leave the process: it is or holds a pointer, a view, a reference or a "
        "union, whose bytes mean nothing to others or cannot be checked, or padding that this compiler cannot clear, "
        "in "
        "a class that it cannot see through; specialise sluice::codec for it, or give the class a constexpr "
        "constructor, or, if it is its bytes nevertheless, state sluice::ipc::any_bytes for it");
    std::abort();
}

// What has a codec.
template <class T>
concept encodable = !requires {
    typename codec<T>::without;
};

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
///         static constexpr std::string_view name = "order, version 2";
///     };
///
/// `encode` appends to `out`; `decode` throws if the bytes are none of its encodings. `name`, which is optional, is what
/// both ends must agree on (or a number that is not 0, `static constexpr std::uint64_t id`). Without it, that is the
/// type as its source spells it: for a class its name with all namespaces, and its size if it is plain. State one for
/// types whose name differs between the programs, or between compilers, as that of a local class does.
/// They are called by the library's threads, and by those that send and receive. What they throw closes that one
/// end with an error. These are optional, and save copies of large messages: `static std::span<const std::byte>
/// view(const T&)`, the encoding, where it lies in the message already; and `static T make(std::size_t size)`, a
/// message whose encoding has that size, together with `static std::span<std::byte> room(T&)`, where that encoding
/// belongs (empty if there is no place for it, and decode() is called).
template <class T>
struct codec {
    using without = void;

    static void encode(const T&, std::vector<std::byte>&) { ipc::detail::cannot_leave<T>(); }
    static T decode(std::span<const std::byte>) { ipc::detail::cannot_leave<T>(); }
};

/// Types that are their bytes: trivially copyable, and without pointers, references and unions, as far as the compiler
/// tells: it does not see into a class without any constexpr constructor, nor into what sluice::ipc::any_bytes is
/// stated for. Their padding is sent as zeros. decode() refuses a bool that is neither true nor false, alone, in a
/// std::array, and among the members of a class (with g++: the first 64 of an aggregate, those of its parts included).
template <ipc::detail::plain T>
struct codec<T> {
    static std::span<const std::byte> view(const T& message) requires ipc::detail::solid<T> {
        return std::as_bytes(std::span(&message, 1));
    }
    static void encode(const T& message, std::vector<std::byte>& out) {
        ipc::detail::append(out, std::as_bytes(std::span(&message, 1)));
        ipc::detail::clear_padding<T>(out.data() + out.size() - sizeof(T));
    }
    static T decode(std::span<const std::byte> bytes) {
        if (bytes.size() != sizeof(T)) throw std::invalid_argument("sluice: a message of another size");
        if (!ipc::detail::are_bools_valid<T>(bytes.data())) throw std::invalid_argument("sluice: a bool that is none");
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
    static std::span<const std::byte> view(const std::vector<T>& message) requires ipc::detail::solid<T> {
        return std::as_bytes(std::span(message));
    }
    static void encode(const std::vector<T>& message, std::vector<std::byte>& out) {
        ipc::detail::append(out, std::as_bytes(std::span(message)));
        if constexpr (!ipc::detail::solid<T>) {
            std::byte* const end = out.data() + out.size();
            for (std::byte* at = end - message.size() * sizeof(T); at != end; at += sizeof(T)) {
                ipc::detail::clear_padding<T>(at);
            }
        }
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

/// Of what has a codec itself.
template <ipc::detail::encodable T>
struct codec<std::optional<T>> {
    static void encode(const std::optional<T>& message, std::vector<std::byte>& out) {
        out.push_back(static_cast<std::byte>(message.has_value()));
        if (message) codec<T>::encode(*message, out);
    }
    static std::optional<T> decode(std::span<const std::byte> bytes) {
        if (bytes.empty() || bytes[0] > std::byte{1} || (bytes[0] == std::byte{0} && bytes.size() != 1))
            throw std::invalid_argument("sluice: bytes that are no std::optional");
        if (bytes[0] == std::byte{0}) return std::nullopt;
        return codec<T>::decode(bytes.subspan(1));
    }
};

/// Of what has codecs itself, by its index in a byte. One without a value cannot be encoded.
template <ipc::detail::encodable... Ts>
    requires(sizeof...(Ts) < 256)
struct codec<std::variant<Ts...>> {
    static void encode(const std::variant<Ts...>& message, std::vector<std::byte>& out) {
        if (message.valueless_by_exception()) throw std::bad_variant_access();
        out.push_back(static_cast<std::byte>(message.index()));
        std::visit([&]<class T>(const T& value) { codec<T>::encode(value, out); }, message);
    }
    static std::variant<Ts...> decode(std::span<const std::byte> bytes) {
        if (bytes.empty() || std::to_integer<std::size_t>(bytes[0]) >= sizeof...(Ts))
            throw std::invalid_argument("sluice: bytes that are no std::variant");
        return decode<0>(bytes);
    }

private:
    template <std::size_t I>
    static std::variant<Ts...> decode(std::span<const std::byte> bytes) {
        if constexpr (I + 1 < sizeof...(Ts)) {
            if (bytes[0] != static_cast<std::byte>(I)) return decode<I + 1>(bytes);
        }
        using alternative = std::variant_alternative_t<I, std::variant<Ts...>>;
        return std::variant<Ts...>(std::in_place_index<I>, codec<alternative>::decode(bytes.subspan(1)));
    }
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

}  // namespace ipc::detail

}  // namespace sluice
