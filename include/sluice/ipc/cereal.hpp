// Sends whatever cereal can serialize: include it where such messages are sent and received. Needs the library cereal,
// which needs run-time type information.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include <cereal/cereal.hpp>
#include <cereal/types/memory.hpp>

#include <sluice/ipc/codec.hpp>

namespace sluice::ipc {

/// What decoding a message may take. A message that asks for more is refused with an error, and closes its end.
struct cereal_limits {
    /// How many objects lie within one another; of a chain of pointers, each link counts three times.
    std::size_t depth = 1000;
    /// Bytes of memory for elements and pointees: so many, and so many more for each byte of the message. (What a
    /// constructor of yours allocates is not seen.)
    std::size_t memory = 64 * 1024, memory_per_byte = 32;
};

/// Those of a type of message; specialise it where the defaults do not serve:
///
///     template <>
///     inline constexpr sluice::ipc::cereal_limits sluice::ipc::limits_of<catalogue> = {.memory_per_byte = 200};
template <class T>
inline constexpr cereal_limits limits_of = {};

namespace detail {

// The address tells types apart.
template <class T>
inline constexpr char tag_of = 0;

template <class T>
inline constexpr bool is_bulk = false;  // numbers in one block
template <class T, class A>
inline constexpr bool is_bulk<std::vector<T, A>> = std::is_arithmetic_v<T> && !std::is_same_v<T, bool>;
template <class C, class Traits, class A>
inline constexpr bool is_bulk<std::basic_string<C, Traits, A>> = true;

template <class T>
inline constexpr std::size_t hidden_memory = 0;  // that an empty one has
template <class T, class A>
inline constexpr std::size_t hidden_memory<std::deque<T, A>> = 640 + sizeof(T);

// Of what a pointer's object is read through.
template <class T>
inline constexpr std::size_t pointee_size = sizeof(T) + hidden_memory<T>;
template <class T>
inline constexpr std::size_t pointee_size<cereal::NameValuePair<T>> = 0;
template <class Archive, class T>
inline constexpr std::size_t pointee_size<cereal::memory_detail::LoadAndConstructLoadWrapper<Archive, T>> = sizeof(T);

// What is being read: an object, whose elements take so much if it is a container.
struct reading {
    static constexpr std::size_t unknown = 32;  // as large as an element that is not known is taken to be

    std::size_t element = unknown;
    bool bulk = false;
    const char* pointee = nullptr;  // of a pointer, which type
};

// Neither contains anything but what it names.
template <class T>
inline constexpr bool is_passed_through = std::is_arithmetic_v<T> || std::is_enum_v<T>;
template <class T>
inline constexpr bool is_passed_through<cereal::NameValuePair<T>> = true;
template <class T>
inline constexpr bool is_passed_through<cereal::SizeTag<T>> = true;
template <class T>
inline constexpr bool is_passed_through<cereal::BinaryData<T>> = true;

template <class T>
inline constexpr reading reading_of = {};
template <class C>
concept container = requires {
    sizeof(typename C::value_type);
};
template <class C>
concept contiguous = requires(C& c) {
    c.data();
};
template <container C>
inline constexpr reading reading_of<C> = {
    sizeof(typename C::value_type) + hidden_memory<typename C::value_type> + (contiguous<C> ? 0 : 3 * sizeof(void*)),
    is_bulk<C>};
template <class A>
inline constexpr reading reading_of<std::vector<bool, A>> = {1};
template <class P>
inline constexpr reading reading_of<cereal::memory_detail::PtrWrapper<P>> = {
    reading::unknown, false, &tag_of<typename std::remove_cvref_t<P>::element_type>};

}  // namespace detail

// Archives of our own, as plain as cereal's binary ones. They work on the bytes of the message, so that nothing is
// copied twice; and what is read may not ask for much more memory than there is to read, nor for depth without end: the
// bytes come from somebody else.

class output_archive : public cereal::OutputArchive<output_archive, cereal::AllowEmptyClassElision> {
public:
    explicit output_archive(std::vector<std::byte>& out) : OutputArchive(this), out_(out) {}

    void put(const void* from, std::size_t size) { detail::append(out_, {static_cast<const std::byte*>(from), size}); }
    template <class Number>
    void put_numbers(const Number* from, std::size_t size) {
        put(from, size);
        if constexpr (!detail::solid<Number>) {
            for (std::size_t i = out_.size() - size; i < out_.size(); i += sizeof(Number)) {
                detail::clear_padding<Number>(out_.data() + i);
            }
        }
    }

private:
    std::vector<std::byte>& out_;
};

class input_archive : public cereal::InputArchive<input_archive, cereal::AllowEmptyClassElision> {
public:
    explicit input_archive(std::span<const std::byte> in, const cereal_limits& limits = {})
        : InputArchive(this), in_(in), most_deep_(limits.depth) {
        const bool endless = limits.memory_per_byte != 0 && in.size() > ~limits.memory / limits.memory_per_byte;
        memory_left_ = endless ? ~std::size_t{0} : limits.memory + in.size() * limits.memory_per_byte;
    }

    void get(void* to, std::size_t size) {
        expect(size);
        if (size > 0) std::memcpy(to, in_.data(), size);
        in_ = in_.subspan(size);
    }
    template <class Number>
    void get_numbers(Number* to, std::size_t size) {
        expect(size);
        if constexpr (std::is_same_v<Number, bool>) {
            for (std::size_t i = 0; i < size; ++i) {
                if (in_[i] > std::byte{1}) throw std::invalid_argument("sluice: a bool that is none");
            }
        }
        get(to, size);
    }
    void expect(std::size_t size) const {
        if (size > in_.size()) throw std::invalid_argument("sluice: a message that is cut off");
    }
    bool at_end() const noexcept { return in_.empty(); }

    // What happens before and after each object.
    template <class T>
    void enter() {
        const bool is_pointee = !above_.empty() && above_.back().pointee != nullptr;
        if (is_pointee) charge(1, detail::pointee_size<T>);
        if constexpr (!detail::is_passed_through<T>) {
            if (above_.size() == most_deep_) throw std::invalid_argument("sluice: a message that is too deep");
            above_.push_back(detail::reading_of<T>);
        }
    }
    template <class T>
    void leave() noexcept {
        if constexpr (!detail::is_passed_through<T>) above_.pop_back();
    }
    // A container of so many elements.
    void enter_container(std::uint64_t count) {
        const detail::reading what = above_.empty() ? detail::reading{} : above_.back();
        if (what.bulk && count > in_.size() / what.element) expect(in_.size() + 1);
        charge(count, what.element);
    }

    // They hide those of cereal, which takes a pointer for one to whatever type is asked for.
    template <class T>
    void registerSharedPointer(std::uint32_t id, std::shared_ptr<T> pointer) {
        charge(1, 4 * detail::reading::unknown);
        types_[id & ~cereal::detail::msb_32bit] = &detail::tag_of<T>;
        InputArchive::registerSharedPointer(id, std::move(pointer));
    }
    std::shared_ptr<void> getSharedPointer(std::uint32_t id) {
        if (id != 0) {
            const auto known = types_.find(id);
            if (known == types_.end() || above_.empty() || known->second != above_.back().pointee)
                throw std::invalid_argument("sluice: a pointer to something else");
        }
        return InputArchive::getSharedPointer(id);
    }

private:
    void charge(std::uint64_t count, std::size_t size) {
        if (size != 0 && count > memory_left_ / size)
            throw std::invalid_argument("sluice: a message that takes too much memory; see sluice::ipc::limits_of");
        memory_left_ -= static_cast<std::size_t>(count) * size;
    }

    std::span<const std::byte> in_;
    std::size_t most_deep_, memory_left_;
    std::vector<detail::reading> above_;
    std::map<std::uint32_t, const char*> types_;
};

// cereal calls them around each object.
template <class T>
void prologue(input_archive& archive, const T&) {
    archive.enter<T>();
}
template <class T>
void epilogue(input_archive& archive, const T&) {
    archive.leave<T>();
}

// What cereal asks of an archive: numbers, blocks of them, named values, and the sizes of containers.

template <class T>
    requires std::is_arithmetic_v<T>
void CEREAL_SAVE_FUNCTION_NAME(output_archive& archive, const T& number) {
    archive.put_numbers(std::addressof(number), sizeof number);
}
template <class T>
    requires std::is_arithmetic_v<T>
void CEREAL_LOAD_FUNCTION_NAME(input_archive& archive, T& number) {
    archive.get_numbers(std::addressof(number), sizeof number);
}

template <class T>
void CEREAL_SAVE_FUNCTION_NAME(output_archive& archive, const cereal::BinaryData<T>& block) {
    using element = std::remove_cv_t<std::remove_pointer_t<std::remove_cvref_t<T>>>;
    if constexpr (std::is_arithmetic_v<element>) {
        archive.put_numbers(static_cast<const element*>(block.data), static_cast<std::size_t>(block.size));
    } else {
        archive.put(block.data, static_cast<std::size_t>(block.size));
    }
}
template <class T>
void CEREAL_LOAD_FUNCTION_NAME(input_archive& archive, cereal::BinaryData<T>& block) {
    using element = std::remove_pointer_t<std::remove_cvref_t<T>>;
    if constexpr (std::is_arithmetic_v<element>) {
        archive.get_numbers(static_cast<element*>(block.data), static_cast<std::size_t>(block.size));
    } else {
        archive.get(block.data, static_cast<std::size_t>(block.size));
    }
}

template <class Archive, class T>
    requires std::is_same_v<Archive, output_archive> || std::is_same_v<Archive, input_archive>
void CEREAL_SERIALIZE_FUNCTION_NAME(Archive& archive, cereal::NameValuePair<T>& named) { archive(named.value); }

template <class T>
void CEREAL_SAVE_FUNCTION_NAME(output_archive& archive, const cereal::SizeTag<T>& container) {
    archive(container.size);
}
template <class T>
void CEREAL_LOAD_FUNCTION_NAME(input_archive& archive, cereal::SizeTag<T>& container) {
    archive(container.size);
    archive.enter_container(container.size);
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
inline constexpr bool has_codec<std::optional<T>> = encodable<T>;
template <class... Ts>
inline constexpr bool has_codec<std::variant<Ts...>> = (encodable<Ts> && ...) && sizeof...(Ts) < 256;

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
/// error; so does one that is deeper or larger than sluice::ipc::limits_of its type allows.
template <ipc::detail::cereal_message T>
struct codec<T> {
    static void encode(const T& message, std::vector<std::byte>& out) {
        ipc::output_archive archive(out);
        archive(message);
    }
    static T decode(std::span<const std::byte> bytes) {
        ipc::input_archive archive(bytes, ipc::limits_of<T>);
        T message;
        archive(message);
        if (!archive.at_end()) throw std::invalid_argument("sluice: bytes are left over after a message");
        return message;
    }
};

}  // namespace sluice
