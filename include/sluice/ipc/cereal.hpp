// A codec for whatever cereal can serialize: include it where such messages are sent and received. Needs the library
// cereal, which needs run-time type information.
#pragma once

#include <cstddef>
#include <span>
#include <stdexcept>
#include <vector>

#include <cereal/cereal.hpp>

#include <sluice/ipc/cereal_limits.hpp>
#include <sluice/ipc/codec.hpp>
#include <sluice/ipc/detail/cereal_archive.hpp>

namespace sluice {

namespace ipc::detail {

// A plain type has its codec. Those of strings, vectors, optionals and variants are more specialised than the one
// below.
template <class T>
concept cereal_message = !plain<T> && cereal::traits::is_output_serializable<T, output_archive>::value &&
                         cereal::traits::is_input_serializable<T, input_archive>::value;

}  // namespace ipc::detail

/// The codec of a type that cereal can serialize, and that has no other codec. The type must be default constructible.
///
/// Both functions throw what the type's own serialisation throws.
template <ipc::detail::cereal_message T>
struct codec<T> {
    /// Appends the encoding of `message` to `out`.
    static void encode(const T& message, std::vector<std::byte>& out) {
        ipc::detail::output_archive archive(out);
        archive(message);
    }
    /// Returns the message that `bytes` encode. Throws std::invalid_argument if they are none, if some are left over,
    /// or if that takes more than sluice::ipc::limits_of allows for `T`.
    static T decode(std::span<const std::byte> bytes) {
        ipc::detail::input_archive archive(bytes, ipc::limits_of<T>);
        T message;
        archive(message);
        if (!archive.at_end()) throw std::invalid_argument("sluice: bytes are left over after a message");
        return message;
    }
};

}  // namespace sluice
