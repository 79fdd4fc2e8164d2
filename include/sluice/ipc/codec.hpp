// codec<T>: how a message becomes bytes and a message again; given for plain types, strings, vectors, optionals and
// variants.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include <sluice/ipc/any_bytes.hpp>
#include <sluice/ipc/detail/codecs.hpp>
#include <sluice/ipc/detail/plain.hpp>
#include <sluice/ipc/detail/type_id.hpp>

namespace sluice {

/// What travels between processes. Specialise it for a type of your own:
///
///     template <>
///     struct sluice::codec<order> {
///         static void encode(const order& o, std::vector<std::byte>& out);
///         static order decode(std::span<const std::byte> bytes);
///         static constexpr std::string_view name = "order, version 2";
///     };
///
/// `encode` appends to `out`. `decode` throws if the bytes are none of its encodings: they may come from anybody. An
/// exception of either closes that one end with an error. The peer is told why, but not the writer of a pipe, nor over
/// a queue.
///
/// `name` is optional, and is what both ends must agree on; or `static constexpr std::uint64_t id`, which is not 0.
/// Without either, that is the type as its source spells it: for a class its name with all namespaces, and its size if
/// it is trivially copyable. State one for a type whose name differs between the programs or between compilers, as
/// that of a local class does.
///
/// Two more pairs are optional, and save copies of large messages. `static std::span<const std::byte> view(const T&)`
/// is the encoding where it lies in the message. `static T with_size(std::size_t size)` makes a message whose encoding
/// has that size, and `static std::span<std::byte> writable(T&)` is where that encoding belongs: as long as `size`, or
/// empty if the message has no place for it, and then `decode` is called.
///
/// The functions are called by the library's thread and by threads that send and receive, of one end by one at a time;
/// of several ends at the same time.
///
/// The primary template is for types without a codec, and does not compile when it is used: the message says why.
template <class T>
struct codec : ipc::detail::no_codec<T> {};

/// Types that are their bytes: trivially copyable, without pointers, references and unions, as far as the compiler
/// tells. It does not see into a class without any constexpr constructor, nor into what sluice::ipc::any_bytes is
/// stated for.
///
/// Padding is sent as zeros, unless sluice::ipc::any_bytes says otherwise. `decode` throws std::invalid_argument for
/// another size, and for a bool that is neither true nor false: alone, in a std::array, and among the members of a
/// class of at most 64 KiB (with g++: the first 64 of an aggregate, those of its parts included).
template <ipc::detail::plain T>
struct codec<T> : ipc::detail::plain_codec<T> {};

/// The characters of the string, zeros included.
template <>
struct codec<std::string> : ipc::detail::string_codec {};

/// The elements one after another; each must have the codec of a plain type. `decode` throws std::invalid_argument for
/// what is no whole number of elements, and what the codec of an element throws.
template <ipc::detail::plain T>
    requires(!std::is_same_v<T, bool>)
struct codec<std::vector<T>> : ipc::detail::vector_codec<T> {};

/// A byte that says whether there is a value, and its encoding by its own codec. `decode` throws std::invalid_argument
/// for another first byte, and what that codec throws.
template <ipc::detail::encodable T>
struct codec<std::optional<T>> : ipc::detail::optional_codec<T> {};

/// A byte for the index, and the encoding of the value by its own codec. `encode` throws std::bad_variant_access for
/// one without a value; `decode` throws std::invalid_argument for an index that is none, and what that codec throws.
template <ipc::detail::encodable... Ts>
    requires(sizeof...(Ts) < 256)
struct codec<std::variant<Ts...>> : ipc::detail::variant_codec<Ts...> {};

}  // namespace sluice
