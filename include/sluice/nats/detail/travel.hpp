// How a message is taken apart for the wire, and put together again: its value by its codec, and its subject.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <sluice/ipc/codec.hpp>
#include <sluice/nats/message.hpp>

namespace sluice::nats::detail {

// The bytes of a value: where they lie in it, or in `scratch`. Throws what the codec throws.
template <class T>
std::span<const std::byte> encode(const T& value, std::vector<std::byte>& scratch) {
    if constexpr (ipc::detail::has_view<T>) {
        return codec<T>::view(value);
    } else {
        scratch.clear();
        codec<T>::encode(value, scratch);
        return scratch;
    }
}

template <class T>
T decode(std::string_view data) {
    return codec<T>::decode(std::as_bytes(std::span(data.data(), data.size())));
}

inline std::string_view text_of(std::span<const std::byte> bytes) noexcept {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Of a message without a subject of its own.
template <class T>
struct travel {
    using value_type = T;
    static constexpr bool has_subject = false;
    static const T& value(const T& message) noexcept { return message; }
    static const std::string& subject(const T&, const std::string& fixed) noexcept { return fixed; }
    static T make(std::string_view, std::string_view data) { return decode<T>(data); }
};

template <class T>
struct travel<message<T>> {
    using value_type = T;
    static constexpr bool has_subject = true;
    static const T& value(const message<T>& m) noexcept { return m.value; }
    static const std::string& subject(const message<T>& m, const std::string&) noexcept { return m.subject; }
    static message<T> make(std::string_view subject, std::string_view data) {
        return {std::string(subject), decode<T>(data)};
    }
};

}  // namespace sluice::nats::detail
