// cereal_limits: what decoding a message with cereal may take.
#pragma once

#include <cstddef>

namespace sluice::ipc {

/// What decoding a message with cereal may take. A message that takes more is an error, which closes its end.
struct cereal_limits {
    /// How many objects may lie within one another. Each link of a chain of pointers counts three times.
    std::size_t depth = 1000;
    /// How many bytes of memory elements and pointees may take. What a constructor of yours allocates is not counted.
    std::size_t memory = 64 * 1024;
    /// How many more bytes for each byte of the message.
    std::size_t memory_per_byte = 32;
};

/// The limits for messages of type `T`. Specialise it where the defaults do not serve:
///
///     template <>
///     inline constexpr sluice::ipc::cereal_limits sluice::ipc::limits_of<catalogue> = {.memory_per_byte = 200};
template <class T>
inline constexpr cereal_limits limits_of = {};

}  // namespace sluice::ipc
