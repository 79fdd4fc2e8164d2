// Decodes bytes that anybody may have made as many a type of message: for the fuzzers, and for a test with random
// bytes. What is decoded is encoded again, and must come back the same.
#pragma once

#include <array>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <variant>
#include <vector>

#include <sluice/ipc/codec.hpp>
#include <sluice/ipc/shared_bytes.hpp>

#if defined(SLUICE_TEST_CEREAL)
#include <deque>
#include <list>
#include <map>
#include <memory>

#include <cereal/types/array.hpp>
#include <cereal/types/deque.hpp>
#include <cereal/types/list.hpp>
#include <cereal/types/map.hpp>
#include <cereal/types/memory.hpp>
#include <cereal/types/optional.hpp>
#include <cereal/types/polymorphic.hpp>
#include <cereal/types/string.hpp>
#include <cereal/types/variant.hpp>
#include <cereal/types/vector.hpp>

#include <sluice/ipc/cereal.hpp>
#endif

namespace test {

struct padded {
    char c;
    int i;
    bool b;
    double d[2];
};

inline void must(bool holds) {
    if (!holds) std::abort();
}

// Whether the bytes are a T. They need not be those that it is encoded as, but then those are.
template <class T>
bool decodes(std::span<const std::byte> bytes) {
    std::vector<std::byte> once, twice;
    try {
        sluice::codec<T>::encode(sluice::codec<T>::decode(bytes), once);
    } catch (const std::exception&) {
        return false;
    }
    sluice::codec<T>::encode(sluice::codec<T>::decode(once), twice);
    must(once == twice);
    return true;
}

// The kinds of message among which a number chooses.
template <class... Ts>
bool decode_one_of(unsigned which, std::span<const std::byte> bytes) {
    bool decoded = false;
    unsigned at = 0;
    ((at++ == which % sizeof...(Ts) ? static_cast<void>(decoded = decodes<Ts>(bytes)) : static_cast<void>(0)), ...);
    return decoded;
}

inline bool decode_with_codec(unsigned which, std::span<const std::byte> bytes) {
    return decode_one_of<bool, int, padded, std::array<bool, 3>, std::array<padded, 2>, std::vector<padded>,
                         std::vector<double>, std::vector<std::array<bool, 2>>, std::string,
                         std::optional<std::vector<int>>, std::variant<std::monostate, bool, std::string, padded>,
                         std::optional<std::variant<int, std::optional<bool>>>, std::complex<float>, long double,
                         std::vector<std::byte>, sluice::ipc::shared_bytes>(which, bytes);
}

#if defined(SLUICE_TEST_CEREAL)

struct tree {
    std::string name;
    std::vector<tree> branches;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(name, branches);
    }
};
struct chain {
    char value = 0;
    std::unique_ptr<chain> next;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(value, next);
    }
};
struct page {
    char bytes[1000] = {};
    std::vector<int> more;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(more);
    }
};
struct nothing {};

struct animal {
    virtual ~animal() = default;
    template <class Archive>
    void serialize(Archive&) {}
};
struct cat final : animal {
    int lives = 9;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(cereal::base_class<animal>(this), lives);
    }
};

// No pointers to share that might refer to one another in a circle, which are never freed.
struct shared {
    std::vector<std::shared_ptr<int>> numbers;
    std::vector<std::shared_ptr<std::string>> texts;
    std::weak_ptr<int> observed;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(numbers, texts, observed);
    }
};

inline bool decode_with_cereal(unsigned which, std::span<const std::byte> bytes) {
    return decode_one_of<std::vector<std::string>, std::vector<std::vector<char>>, tree, chain, std::vector<page>,
                         std::vector<nothing>, std::map<std::string, std::vector<bool>>, std::list<std::optional<page>>,
                         std::deque<std::deque<std::string>>, std::map<char, std::variant<int, tree>>,
                         std::unique_ptr<animal>, std::vector<std::shared_ptr<animal>>, shared,
                         std::map<char, std::array<bool, 3>>>(which, bytes);
}

#endif

}  // namespace test

#if defined(SLUICE_TEST_CEREAL)
CEREAL_REGISTER_TYPE(test::cat)
#endif
