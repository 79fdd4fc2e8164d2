// The archives with which cereal writes and reads the bytes of a message.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <cereal/cereal.hpp>
#include <cereal/types/memory.hpp>

#include <sluice/ipc/cereal_limits.hpp>
#include <sluice/ipc/detail/codecs.hpp>
#include <sluice/ipc/detail/plain.hpp>

namespace sluice::ipc::detail {

// Its address identifies a type.
template <class T>
inline constexpr char tag_of = 0;

template <class T>
inline constexpr bool is_bulk = false;  // numbers in one block
template <class T, class A>
inline constexpr bool is_bulk<std::vector<T, A>> = std::is_arithmetic_v<T> && !std::is_same_v<T, bool>;
template <class C, class Traits, class A>
inline constexpr bool is_bulk<std::basic_string<C, Traits, A>> = true;

template <class T>
inline constexpr std::size_t hidden_memory = 0;  // of an empty one
template <class T, class A>
inline constexpr std::size_t hidden_memory<std::deque<T, A>> = 640 + sizeof(T);

// Of the object that is read for a pointer.
template <class T>
inline constexpr std::size_t pointee_size = sizeof(T) + hidden_memory<T>;
template <class T>
inline constexpr std::size_t pointee_size<cereal::NameValuePair<T>> = 0;
template <class Archive, class T>
inline constexpr std::size_t pointee_size<cereal::memory_detail::LoadAndConstructLoadWrapper<Archive, T>> = sizeof(T);

// An object that is being read.
struct reading {
    static constexpr std::size_t unknown = 32;  // taken for the size of an element of unknown type

    std::size_t element = unknown;  // the memory of an element, if it is a container
    bool bulk = false;
    const char* pointee = nullptr;  // of a pointer: tag_of its object's type
};

// Not counted as objects: numbers, and wrappers of what they name.
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

// Binary archives on the bytes of a message, which are not copied to a stream. As the bytes may come from anybody,
// reading is limited in memory and depth.

class output_archive : public cereal::OutputArchive<output_archive, cereal::AllowEmptyClassElision> {
public:
    explicit output_archive(std::vector<std::byte>& out) : OutputArchive(this), out_(out) {}

    void put(const void* from, std::size_t size) { append(out_, {static_cast<const std::byte*>(from), size}); }
    template <class Number>
    void put_numbers(const Number* from, std::size_t size) {
        put(from, size);
        if constexpr (!solid<Number>) {
            for (std::size_t i = out_.size() - size; i < out_.size(); i += sizeof(Number)) {
                clear_padding<Number>(out_.data() + i);
            }
        }
    }

private:
    std::vector<std::byte>& out_;
};

class input_archive : public cereal::InputArchive<input_archive, cereal::AllowEmptyClassElision> {
public:
    explicit input_archive(std::span<const std::byte> in, const cereal_limits& limits = {})
        : InputArchive(this), in_(in), max_depth_(limits.depth) {
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

    // Called before and after each object.
    template <class T>
    void enter() {
        const bool is_pointee = !above_.empty() && above_.back().pointee != nullptr;
        if (is_pointee) charge(1, pointee_size<T>);
        if constexpr (!is_passed_through<T>) {
            if (above_.size() == max_depth_) throw std::invalid_argument("sluice: a message that is too deep");
            above_.push_back(reading_of<T>);
        }
    }
    template <class T>
    void leave() noexcept {
        if constexpr (!is_passed_through<T>) above_.pop_back();
    }
    // A container of `count` elements follows.
    void enter_container(std::uint64_t count) {
        const reading what = above_.empty() ? reading{} : above_.back();
        if (what.bulk && count > in_.size() / what.element) expect(in_.size() + 1);
        charge(count, what.element);
    }

    // These hide cereal's own, which convert a pointer to whatever type is asked for.
    template <class T>
    void registerSharedPointer(std::uint32_t id, std::shared_ptr<T> pointer) {
        charge(1, 4 * reading::unknown);
        types_[id & ~cereal::detail::msb_32bit] = &tag_of<T>;
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
    std::size_t max_depth_, memory_left_;
    std::vector<reading> above_;
    std::map<std::uint32_t, const char*> types_;
};

// Called by cereal around each object.
template <class T>
void prologue(input_archive& archive, const T&) {
    archive.enter<T>();
}
template <class T>
void epilogue(input_archive& archive, const T&) {
    archive.leave<T>();
}

// What cereal requires of an archive: numbers, blocks of them, named values, and the sizes of containers.

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

}  // namespace sluice::ipc::detail

CEREAL_REGISTER_ARCHIVE(sluice::ipc::detail::output_archive)
CEREAL_REGISTER_ARCHIVE(sluice::ipc::detail::input_archive)
CEREAL_SETUP_ARCHIVE_TRAITS(sluice::ipc::detail::input_archive, sluice::ipc::detail::output_archive)
