// Sends whatever cereal can serialize: include it where such messages are sent and received. Needs the library cereal.
#pragma once

#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include <cereal/cereal.hpp>

#include <sluice/ipc/codec.hpp>

namespace sluice::ipc {

// Archives of our own, as plain as cereal's binary ones. They work on the bytes of the message, so that nothing is
// copied twice; and nothing that is read is larger than what is there to read: the bytes come from somebody else.

class output_archive : public cereal::OutputArchive<output_archive, cereal::AllowEmptyClassElision> {
public:
    explicit output_archive(std::vector<std::byte>& out) : OutputArchive(this), out_(out) {}

    void put(const void* from, std::size_t size) { detail::append(out_, {static_cast<const std::byte*>(from), size}); }

private:
    std::vector<std::byte>& out_;
};

class input_archive : public cereal::InputArchive<input_archive, cereal::AllowEmptyClassElision> {
public:
    explicit input_archive(std::span<const std::byte> in) : InputArchive(this), in_(in) {}

    void get(void* to, std::size_t size) {
        expect(size);
        if (size > 0) std::memcpy(to, in_.data(), size);
        in_ = in_.subspan(size);
    }
    void expect(std::size_t size) const {
        if (size > in_.size()) throw std::invalid_argument("sluice: a message that is cut off");
    }
    bool at_end() const noexcept { return in_.empty(); }

private:
    std::span<const std::byte> in_;
};

// What cereal asks of an archive: numbers, blocks of them, named values, and the sizes of containers.

template <class T>
    requires std::is_arithmetic_v<T>
void CEREAL_SAVE_FUNCTION_NAME(output_archive& archive, const T& number) {
    archive.put(std::addressof(number), sizeof number);
}
template <class T>
    requires std::is_arithmetic_v<T>
void CEREAL_LOAD_FUNCTION_NAME(input_archive& archive, T& number) {
    archive.get(std::addressof(number), sizeof number);
}

template <class T>
void CEREAL_SAVE_FUNCTION_NAME(output_archive& archive, const cereal::BinaryData<T>& block) {
    archive.put(block.data, static_cast<std::size_t>(block.size));
}
template <class T>
void CEREAL_LOAD_FUNCTION_NAME(input_archive& archive, cereal::BinaryData<T>& block) {
    archive.get(block.data, static_cast<std::size_t>(block.size));
}

template <class Archive, class T>
    requires std::is_same_v<Archive, output_archive> || std::is_same_v<Archive, input_archive>
void CEREAL_SERIALIZE_FUNCTION_NAME(Archive& archive, cereal::NameValuePair<T>& named) { archive(named.value); }

template <class T>
void CEREAL_SAVE_FUNCTION_NAME(output_archive& archive, const cereal::SizeTag<T>& container) {
    archive(container.size);
}
// An element takes a byte at least, so that no container is made larger than its message.
template <class T>
void CEREAL_LOAD_FUNCTION_NAME(input_archive& archive, cereal::SizeTag<T>& container) {
    archive(container.size);
    archive.expect(static_cast<std::size_t>(container.size));
}

namespace detail {

template <class T>
inline constexpr bool has_codec = plain<T>;
template <>
inline constexpr bool has_codec<std::string> = true;
template <plain T>
    requires(!std::is_same_v<T, bool>)
inline constexpr bool has_codec<std::vector<T>> = true;

template <class T>
concept cereal_message = !has_codec<T> && cereal::traits::is_output_serializable<T, output_archive>::value &&
                         cereal::traits::is_input_serializable<T, input_archive>::value;

}  // namespace detail

}  // namespace sluice::ipc

CEREAL_REGISTER_ARCHIVE(sluice::ipc::output_archive)
CEREAL_REGISTER_ARCHIVE(sluice::ipc::input_archive)
CEREAL_SETUP_ARCHIVE_TRAITS(sluice::ipc::input_archive, sluice::ipc::output_archive)

namespace sluice {

/// The message must be default constructible, as cereal wants it. What is thrown when it is read closes the end with an
/// error.
template <ipc::detail::cereal_message T>
struct codec<T> {
    static void encode(const T& message, std::vector<std::byte>& out) {
        ipc::output_archive archive(out);
        archive(message);
    }
    static T decode(std::span<const std::byte> bytes) {
        ipc::input_archive archive(bytes);
        T message;
        archive(message);
        if (!archive.at_end()) throw std::invalid_argument("sluice: bytes are left over after a message");
        return message;
    }
};

}  // namespace sluice
