// The codecs that the library gives, and what it asks of any codec.
#pragma once

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <sluice/ipc/detail/plain.hpp>

namespace sluice {

template <class T>
struct codec;

namespace ipc::detail {

// Does not compile: the message says why there is no codec for a T.
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
        "in a class that it cannot see through; specialise sluice::codec for it, or give the class a constexpr "
        "constructor, or, if it is its bytes nevertheless, state sluice::ipc::any_bytes for it");
    std::abort();
}

// The base of the codec of a type that has none.
template <class T>
struct no_codec {
    static void encode(const T&, std::vector<std::byte>&) { cannot_leave<T>(); }
    static T decode(std::span<const std::byte>) { cannot_leave<T>(); }
};

// A type that has a codec.
template <class T>
concept encodable = !std::is_base_of_v<no_codec<T>, codec<T>>;

// A codec that can say where a message's encoding lies, or where it belongs.
template <class T>
concept has_view = requires(const T& message) {
    { codec<T>::view(message) } -> std::same_as<std::span<const std::byte>>;
};
template <class T>
concept has_writable = requires(T& message, std::size_t size) {
    { codec<T>::with_size(size) } -> std::same_as<T>;
    { codec<T>::writable(message) } -> std::same_as<std::span<std::byte>>;
};

inline void append(std::vector<std::byte>& out, std::span<const std::byte> bytes) {
    out.insert(out.end(), bytes.begin(), bytes.end());
}

template <plain T>
struct plain_codec {
    static std::span<const std::byte> view(const T& message) requires solid<T> {
        return std::as_bytes(std::span(&message, 1));
    }
    static void encode(const T& message, std::vector<std::byte>& out) {
        append(out, std::as_bytes(std::span(&message, 1)));
        clear_padding<T>(out.data() + out.size() - sizeof(T));
    }
    static T decode(std::span<const std::byte> bytes) {
        if (bytes.size() != sizeof(T)) throw std::invalid_argument("sluice: a message of another size");
        if (!are_bools_valid<T>(bytes.data())) throw std::invalid_argument("sluice: a bool that is none");
        std::array<std::byte, sizeof(T)> copy;
        std::memcpy(copy.data(), bytes.data(), sizeof(T));
        return std::bit_cast<T>(copy);
    }
};

struct string_codec {
    static std::span<const std::byte> view(const std::string& message) { return std::as_bytes(std::span(message)); }
    static void encode(const std::string& message, std::vector<std::byte>& out) { append(out, view(message)); }
    static std::string decode(std::span<const std::byte> bytes) {
        return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    }
    static std::string with_size(std::size_t size) { return std::string(size, '\0'); }
    static std::span<std::byte> writable(std::string& message) { return std::as_writable_bytes(std::span(message)); }
};

template <plain T>
struct vector_codec {
    static std::span<const std::byte> view(const std::vector<T>& message) requires solid<T> {
        return std::as_bytes(std::span(message));
    }
    static void encode(const std::vector<T>& message, std::vector<std::byte>& out) {
        append(out, std::as_bytes(std::span(message)));
        if constexpr (!solid<T>) {
            std::byte* const end = out.data() + out.size();
            for (std::byte* at = end - message.size() * sizeof(T); at != end; at += sizeof(T)) {
                clear_padding<T>(at);
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
    static std::vector<T> with_size(std::size_t size) requires std::is_arithmetic_v<T> || std::is_same_v<T, std::byte> {
        return std::vector<T>(size % sizeof(T) == 0 ? size / sizeof(T) : 0);
    }
    static std::span<std::byte> writable(std::vector<T>& message) { return std::as_writable_bytes(std::span(message)); }
};

template <encodable T>
struct optional_codec {
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

template <encodable... Ts>
struct variant_codec {
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

}  // namespace ipc::detail

}  // namespace sluice
