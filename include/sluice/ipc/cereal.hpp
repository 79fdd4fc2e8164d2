// Sends whatever cereal can serialize: include it where such messages are sent and received. Needs the library cereal.
#pragma once

#include <cstddef>
#include <cstring>
#include <ios>
#include <istream>
#include <ostream>
#include <span>
#include <streambuf>
#include <vector>

#include <cereal/archives/binary.hpp>
#include <cereal/cereal.hpp>

#include <sluice/ipc/codec.hpp>

namespace sluice {

namespace ipc::detail {

template <class T>
inline constexpr bool has_codec = plain<T>;
template <>
inline constexpr bool has_codec<std::string> = true;
template <plain T>
    requires(!std::is_same_v<T, bool>)
inline constexpr bool has_codec<std::vector<T>> = true;

template <class T>
concept cereal_message =
    !has_codec<T> && cereal::traits::is_output_serializable<T, cereal::BinaryOutputArchive>::value &&
    cereal::traits::is_input_serializable<T, cereal::BinaryInputArchive>::value;

// Streams over bytes that are there already, so that nothing is copied twice.
class appending_buffer final : public std::streambuf {
public:
    explicit appending_buffer(std::vector<std::byte>& out) : out_(out) {}

private:
    std::streamsize xsputn(const char* data, std::streamsize size) override {
        append(out_, std::as_bytes(std::span(data, static_cast<std::size_t>(size))));
        return size;
    }
    int_type overflow(int_type c) override {
        if (!traits_type::eq_int_type(c, traits_type::eof())) out_.push_back(static_cast<std::byte>(c));
        return traits_type::not_eof(c);
    }

    std::vector<std::byte>& out_;
};

class reading_buffer final : public std::streambuf {
public:
    explicit reading_buffer(std::span<const std::byte> bytes) {
        char* const first = const_cast<char*>(reinterpret_cast<const char*>(bytes.data()));
        setg(first, first, first + bytes.size());
    }
    std::size_t left() const { return static_cast<std::size_t>(egptr() - gptr()); }
};

}  // namespace ipc::detail

/// The message must be default constructible, as cereal wants it. What cereal throws when it reads closes the end with
/// an error.
template <ipc::detail::cereal_message T>
struct codec<T> {
    static void encode(const T& message, std::vector<std::byte>& out) {
        ipc::detail::appending_buffer buffer(out);
        std::ostream stream(&buffer);
        cereal::BinaryOutputArchive archive(stream);
        archive(message);
    }
    static T decode(std::span<const std::byte> bytes) {
        ipc::detail::reading_buffer buffer(bytes);
        std::istream stream(&buffer);
        cereal::BinaryInputArchive archive(stream);
        T message;
        archive(message);
        if (buffer.left() != 0) throw std::invalid_argument("sluice: bytes are left over after a message");
        return message;
    }
};

}  // namespace sluice
