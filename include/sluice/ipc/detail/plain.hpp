// plain<T>: which types travel as their bytes; which of these bytes are padding, and which hold a bool.
#pragma once

#include <array>
#include <bit>
#include <complex>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include <sluice/ipc/any_bytes.hpp>

namespace sluice::ipc::detail {

// What is known of a type comes from constant evaluation of bit_cast, from bytes to the type and back: that is
// ill-formed where there is a pointer, a reference or a union, and leaves bytes of padding without a value. It needs a
// literal type: a class without any constexpr constructor cannot be looked into.

template <std::size_t N>
struct raw {
    unsigned char at[N];
};
template <std::size_t N>
struct image {
    std::byte at[N];  // may hold no value, as only std::byte and unsigned char may
};

template <class T>
constexpr bool passes(raw<sizeof(T)> bytes) {
    [[maybe_unused]] const auto back = __builtin_bit_cast(image<sizeof(T)>, __builtin_bit_cast(T, bytes));
    return true;
}

template <class T>
concept readable = requires {
    typename std::bool_constant<passes<T>(raw<sizeof(T)>{})>;
};

// The single bytes of larger classes are not looked into, which takes time to compile.
template <class T>
inline constexpr bool is_looked_into = sizeof(T) <= 64 * 1024 && readable<T>;

template <class T>
using byte_set = std::array<bool, sizeof(T)>;

template <class T>
constexpr raw<sizeof(T)> filled(unsigned char with, std::size_t begin, std::size_t end) {
    raw<sizeof(T)> bytes{};
    for (std::size_t i = begin; i < end; ++i) bytes.at[i] = with;
    return bytes;
}

// The bytes of which no part is padding.
template <class T>
constexpr byte_set<T> find_values() {
    byte_set<T> found{};
    [[maybe_unused]] const auto bytes = __builtin_bit_cast(image<sizeof(T)>, __builtin_bit_cast(T, raw<sizeof(T)>{}));
    for (std::size_t i = 0; i < sizeof(T); ++i) found[i] = __builtin_constant_p(static_cast<int>(bytes.at[i]));
    return found;
}
template <class T>
inline constexpr byte_set<T> values_of = find_values<T>();

#if defined(__clang__)
// clang does not cast a byte of the value 2 to a bool.
template <class T>
constexpr void find_bools(byte_set<T>& found, std::size_t begin, std::size_t end) {
    if (__builtin_constant_p(passes<T>(filled<T>(2, begin, end)))) return;
    if (end - begin == 1) {
        found[begin] = true;
        return;
    }
    const std::size_t middle = begin + (end - begin) / 2;
    find_bools<T>(found, begin, middle);
    find_bools<T>(found, middle, end);
}
template <class T>
constexpr byte_set<T> find_bools() {
    byte_set<T> found{};
    find_bools<T>(found, 0, sizeof(T));
    return found;
}
#else
// g++ casts any byte to a bool. Instead, an aggregate is initialised from values that convert to anything, and one that
// converts to nothing but a bool; so many of its members are looked at.
inline constexpr std::size_t max_members = 64;

template <class T>
inline constexpr bool holds_addresses = false;

struct any_value {
    template <class U>
        requires(!std::is_aggregate_v<U>)
    operator U() const;
};
struct no_address {
    template <class U>
        requires(!std::is_aggregate_v<U> && !holds_addresses<U>)
    operator U() const;
};
struct only_bool {
    template <std::same_as<bool> U>
    operator U() const;
};
// Converts to 1 if it is set, otherwise to 0 or to bytes of zero.
struct number {
    bool is_set;
    template <class U>
        requires(!std::is_aggregate_v<U>)
    constexpr operator U() const {
        if constexpr (std::is_class_v<U>) {
            return __builtin_bit_cast(U, raw<sizeof(U)>{});
        } else {
            return static_cast<U>(is_set ? 1 : 0);
        }
    }
};

template <class T, class Value, class Last, std::size_t... I>
constexpr bool is_made_of(std::index_sequence<I...>) {
    return requires { T{(static_cast<void>(I), Value{})..., Last{}}; };
}
template <class T, std::size_t Before = 0>
constexpr std::size_t count_members() {
    if constexpr (Before < max_members && std::is_aggregate_v<T>) {
        if constexpr (is_made_of<T, any_value, any_value>(std::make_index_sequence<Before>())) {
            return count_members<T, Before + 1>();
        }
    }
    return Before;
}

// g++ 12 does not look for pointers in arrays.
template <class T>
    requires std::is_pointer_v<T> || std::is_member_pointer_v<T> || std::is_null_pointer_v<T>
inline constexpr bool holds_addresses<T> = true;
template <class T>
    requires std::is_class_v<T>
inline constexpr bool holds_addresses<T> = [] {
    if constexpr (!std::is_trivially_copyable_v<T>) {
        return true;
    } else if constexpr (!std::is_aggregate_v<T>) {
        return __is_literal_type(T) && !readable<T>;
    } else {
        return []<std::size_t... I>(std::index_sequence<I...>) {
            return !(is_made_of<T, no_address, no_address>(std::make_index_sequence<I>()) && ...);
        }
        (std::make_index_sequence<count_members<T>()>());
    }
}();

template <class T, std::size_t At, std::size_t... I>
constexpr void find_bool(byte_set<T>& found, std::index_sequence<I...>) {
    if constexpr (is_made_of<T, any_value, only_bool>(std::make_index_sequence<At>())) {
        [[maybe_unused]] const auto bytes = __builtin_bit_cast(image<sizeof(T)>, (T{number{I == At}...}));
        for (std::size_t i = 0; i < sizeof(T); ++i) {
            if (__builtin_constant_p(static_cast<int>(bytes.at[i])) && bytes.at[i] == std::byte{1}) found[i] = true;
        }
    }
}
template <class T>
constexpr byte_set<T> find_bools() {
    byte_set<T> found{};
    [&]<std::size_t... At>([[maybe_unused]] std::index_sequence<At...> all) { (find_bool<T, At>(found, all), ...); }
    (std::make_index_sequence<count_members<T>()>());
    return found;
}

// A long double of the x87, whose padding g++ takes for values, does not pass with any value in it.
template <class T>
concept passes_filled = requires {
    typename std::bool_constant<passes<T>(filled<T>(0xfe, 0, sizeof(T)))>;
};
#endif

template <class T>
inline constexpr byte_set<T> bools_of = find_bools<T>();

template <std::size_t Size>
constexpr std::size_t count(const std::array<bool, Size>& set) {
    std::size_t found = 0;
    for (const bool in : set) found += in ? 1 : 0;
    return found;
}

// What consists of parts of one type, and has no padding but theirs.
template <class T>
struct parts {
    using type = void;
};
template <class T, std::size_t N>
    requires(N > 0)
struct parts<std::array<T, N>> {
    using type = T;
};
template <class T>
    requires std::is_floating_point_v<T>
struct parts<std::complex<T>> {
    using type = T;
};
template <class T>
using part_of = typename parts<T>::type;
template <class T>
concept parted = !std::is_void_v<part_of<T>>;

// Whether its bytes are its value in any process.
template <class T>
constexpr bool is_its_bytes() {
    if constexpr (!std::is_trivially_copyable_v<T> || std::is_reference_v<T>) {
        return false;
    } else if constexpr (any_bytes<T> || std::is_arithmetic_v<T> || std::is_enum_v<T>) {
        return true;
    } else if constexpr (parted<T>) {
        return is_its_bytes<part_of<T>>();
    } else if constexpr (!std::is_class_v<T>) {
        return false;
    } else {
#if __has_builtin(__builtin_clear_padding)
        constexpr bool can_clear = true;
#else
        constexpr bool can_clear = is_looked_into<T> || std::has_unique_object_representations_v<T>;
#endif
        if constexpr (!__is_literal_type(T)) {
            return can_clear;  // it cannot be looked into: left to its author
        } else {
#if defined(__clang__)
            return readable<T> && can_clear;
#else
            return readable<T> && !holds_addresses<T> && can_clear;
#endif
        }
    }
}

// A type whose bytes are its value, in any process on machines of one kind.
template <class T>
concept plain = is_its_bytes<T>();

template <class T>
inline constexpr bool has_odd_long_double =
    std::is_same_v<std::remove_cv_t<T>, long double>&& std::numeric_limits<long double>::digits == 64;

template <class T>
constexpr bool has_no_padding() {
    if constexpr (std::has_unique_object_representations_v<T>) {
        return true;
    } else if constexpr (parted<T>) {
        return has_no_padding<part_of<T>>();
    } else if constexpr (std::is_floating_point_v<T>) {
        return !has_odd_long_double<T>;
    } else if constexpr (std::is_class_v<T> && is_looked_into<T>) {
#if !defined(__clang__)
        if (!passes_filled<T>) return false;
#endif
        return count(values_of<T>) == sizeof(T);
    } else {
        return false;
    }
}

// Without padding: its bytes can be sent from where they lie.
template <class T>
concept solid = plain<T> && has_no_padding<T>();

template <class T>
constexpr bool has_bools() {
    if constexpr (parted<T>) {
        return has_bools<part_of<T>>();
    } else if constexpr (std::is_class_v<T> && is_looked_into<T>) {
        return count(bools_of<T>) > 0;
    } else {
        return std::is_same_v<T, bool>;
    }
}

// Sets the padding among the bytes of a T to zero. They need not be aligned.
template <plain T>
void clear_padding([[maybe_unused]] std::byte* bytes) noexcept {
    if constexpr (solid<T>) {
        return;
    } else if constexpr (parted<T>) {
        for (std::size_t i = 0; i < sizeof(T); i += sizeof(part_of<T>)) clear_padding<part_of<T>>(bytes + i);
    } else {
#if __has_builtin(__builtin_clear_padding)
        alignas(T) std::byte copy[sizeof(T)];
        std::memcpy(copy, bytes, sizeof(T));
        __builtin_clear_padding(reinterpret_cast<T*>(copy));
        std::memcpy(bytes, copy, sizeof(T));
#else
        if constexpr (has_odd_long_double<T>) {
            std::memset(bytes + 10, 0, sizeof(T) - 10);
        } else if constexpr (is_looked_into<T>) {
            for (std::size_t i = 0; i < sizeof(T); ++i) {
                if (!values_of<T>[i]) bytes[i] = {};
            }
        }
#endif
    }
}

// Whether each bool among the bytes of a T, of 64 KiB at most, is true or false.
template <plain T>
bool are_bools_valid([[maybe_unused]] const std::byte* bytes) noexcept {
    if constexpr (!has_bools<T>()) {
        return true;
    } else if constexpr (parted<T>) {
        for (std::size_t i = 0; i < sizeof(T); i += sizeof(part_of<T>)) {
            if (!are_bools_valid<part_of<T>>(bytes + i)) return false;
        }
        return true;
    } else if constexpr (std::is_class_v<T>) {
        for (std::size_t i = 0; i < sizeof(T); ++i) {
            if (bools_of<T>[i] && bytes[i] > std::byte{1}) return false;
        }
        return true;
    } else {
        return *bytes <= std::byte{1};
    }
}

}  // namespace sluice::ipc::detail
