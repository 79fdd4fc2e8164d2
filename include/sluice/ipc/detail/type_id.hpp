// type_id<T>(): the number on which both ends of a connection must agree. It is made of what a type is, not of how one
// compiler or one standard library spells it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <optional>
#include <ratio>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

namespace sluice {

template <class T>
struct codec;

namespace ipc::detail {

// The hash of Fowler, Noll and Vo, version 1a, 64 bits.
inline constexpr std::uint64_t hash_basis = 0xcbf29ce484222325u;
constexpr std::uint64_t hash(std::string_view text, std::uint64_t h = hash_basis) {
    for (const char c : text) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    return h;
}
constexpr std::uint64_t hash(std::uint64_t number, std::uint64_t h = hash_basis) {
    for (int shift = 0; shift < 64; shift += 8) h = (h ^ (number >> shift & 0xff)) * 0x100000001b3u;
    return h;
}

template <class T>
constexpr auto signature() {
    return std::string_view(__PRETTY_FUNCTION__);
}
// The name of a type as the compiler spells it.
template <class T>
constexpr std::string_view spelling() {
    constexpr std::string_view sample = signature<int>();
    constexpr std::size_t begin = sample.rfind("int"), behind = sample.size() - begin - 3;
    const std::string_view name = signature<T>();
    return name.substr(begin, name.size() - begin - behind);
}
// The name of a template, without its arguments.
constexpr std::string_view without_arguments(std::string_view name) {
    std::size_t open = 0;
    for (std::size_t i = name.size(); i-- > 0;) {
        if (name[i] == '>') ++open;
        if (name[i] == '<' && --open == 0) return name.substr(0, i);
    }
    return name;
}

// Hashes a name without what differs between compilers: spaces, inline namespaces of the standard libraries, and what
// stands for an unnamed namespace.
constexpr std::uint64_t hash_name(std::string_view name, std::uint64_t h) {
    constexpr std::string_view left_out[] = {
        " ", "__cxx11::", "__1::", "_V2::", "__ndk1::", "{anonymous}::", "__8::", "(anonymous namespace)::"};
    while (!name.empty()) {
        std::size_t skipped = 0;
        for (const std::string_view s : left_out) {
            if (name.starts_with(s)) skipped = s.size();
        }
        if (skipped == 0) h = hash(name.substr(0, 1), h);
        name.remove_prefix(skipped != 0 ? skipped : 1);
    }
    return h;
}

template <class T>
concept defined = (std::is_class_v<T> || std::is_union_v<T> || std::is_enum_v<T>)&&requires {
    sizeof(T);
};
template <class T>
concept may_be_message = defined<T> && !std::is_abstract_v<T>;
template <class T>
concept states_id = may_be_message<T> && requires {
    std::uint64_t{codec<T>::id};
};
template <class T>
concept states_name = may_be_message<T> && requires {
    std::string_view(codec<T>::name);
};

template <class T>
struct identity;

template <class T>
constexpr std::uint64_t identity_of() {
    if constexpr (states_id<T>) {
        return codec<T>::id;
    } else if constexpr (states_name<T>) {
        return hash(std::string_view(codec<T>::name));
    } else {
        return identity<T>::value;
    }
}

constexpr std::uint64_t combined(std::string_view name, std::initializer_list<std::uint64_t> parts) {
    std::uint64_t h = hash_name(name, hash_basis);
    for (const std::uint64_t part : parts) h = hash(part, h);
    return h;
}

// The size counts for trivially copyable classes outside of std: one that has changed its size is another type.
template <class T>
constexpr std::uint64_t size_of() {
    if constexpr (may_be_message<T>) {
        if constexpr (std::is_trivially_copyable_v<T>) return spelling<T>().starts_with("std::") ? 0 : sizeof(T);
    }
    return 0;
}

template <class T>
constexpr std::uint64_t identify() {
    if constexpr (std::is_same_v<T, bool>) {
        return combined("bool", {});
    } else if constexpr (std::is_same_v<T, std::byte>) {
        return combined("byte", {});
    } else if constexpr (std::is_same_v<T, char>) {
        return combined("char", {});
    } else if constexpr (std::is_same_v<T, wchar_t>) {
        return combined("wchar", {sizeof(T)});
    } else if constexpr (std::is_same_v<T, char8_t> || std::is_same_v<T, char16_t> || std::is_same_v<T, char32_t>) {
        return combined("unicode", {sizeof(T)});
    } else if constexpr (std::is_floating_point_v<T>) {
        return combined("float", {sizeof(T), static_cast<std::uint64_t>(std::numeric_limits<T>::digits)});
    } else if constexpr (std::is_integral_v<T>) {
        return combined(std::is_signed_v<T> ? "signed" : "unsigned", {sizeof(T)});
    } else if constexpr (std::is_enum_v<T>) {
        return combined(spelling<T>(), {identify<std::underlying_type_t<T>>()});
    } else {
        return combined(spelling<T>(), {size_of<T>()});
    }
}

template <class T>
struct identity {
    static constexpr std::uint64_t value = identify<T>();
};
template <template <class...> class C, class... Ts>
struct identity<C<Ts...>> {
    static constexpr std::uint64_t value =
        combined(without_arguments(spelling<C<Ts...>>()), {size_of<C<Ts...>>(), identity_of<Ts>()...});
};
template <class T>
struct identity<const T> {
    static constexpr std::uint64_t value = combined("const", {identity_of<T>()});
};
template <>
struct identity<std::string> {
    static constexpr std::uint64_t value = combined("string", {});
};
template <class C>
struct identity<std::basic_string<C>> {
    static constexpr std::uint64_t value = combined("basic_string", {identity_of<C>()});
};
template <class T>
struct identity<std::vector<T>> {
    static constexpr std::uint64_t value = combined("vector", {identity_of<T>()});
};
template <class T>
struct identity<std::optional<T>> {
    static constexpr std::uint64_t value = combined("optional", {identity_of<T>()});
};
template <class... Ts>
struct identity<std::variant<Ts...>> {
    static constexpr std::uint64_t value = combined("variant", {identity_of<Ts>()...});
};
template <class T, std::size_t N>
struct identity<std::array<T, N>> {
    static constexpr std::uint64_t value = combined("array", {identity_of<T>(), N});
};
template <std::intmax_t Num, std::intmax_t Den>
struct identity<std::ratio<Num, Den>> {
    static constexpr std::uint64_t value =
        combined("ratio", {static_cast<std::uint64_t>(Num), static_cast<std::uint64_t>(Den)});
};

// Never 0, which stands for no messages.
template <class T>
constexpr std::uint64_t type_id() {
    constexpr std::uint64_t id = identity_of<T>();
    static_assert(!states_id<T> || id != 0, "sluice: the id that a codec states must not be 0");
    return id != 0 ? id : 1;
}

}  // namespace ipc::detail

}  // namespace sluice
