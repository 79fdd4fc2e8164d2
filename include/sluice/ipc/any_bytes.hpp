// any_bytes: states of a type that its bytes are its value.
#pragma once

namespace sluice::ipc {

/// States of a trivially copyable type that its bytes are its value in any process, whatever they are. The library sees
/// that by itself, unless the type holds a union, or, with clang, a bit-field or a complex number:
///
///     template <>
///     inline constexpr bool sluice::ipc::any_bytes<event> = true;
///
/// Stated for a type that holds a pointer, it lets the pointer travel, which means nothing to the receiver. The
/// padding of such a type is sent as zeros where the compiler has `__builtin_clear_padding`; otherwise, as with clang,
/// as it is where the compiler cannot look into the type.
template <class T>
inline constexpr bool any_bytes = false;

}  // namespace sluice::ipc
