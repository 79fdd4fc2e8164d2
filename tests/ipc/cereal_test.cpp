// Messages that cereal serializes.
#include "support.hpp"

#include <array>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <variant>

#include <cereal/types/array.hpp>
#include <cereal/types/list.hpp>
#include <cereal/types/map.hpp>
#include <cereal/types/memory.hpp>
#include <cereal/types/optional.hpp>
#include <cereal/types/polymorphic.hpp>
#include <cereal/types/string.hpp>
#include <cereal/types/variant.hpp>
#include <cereal/types/vector.hpp>

#include <sluice/ipc/cereal.hpp>

namespace {

struct order {
    std::string customer;
    std::map<std::string, int> items;
    std::vector<std::string> notes;
    std::variant<int, std::string> payment;

    template <class Archive>
    void serialize(Archive& archive) {
        archive(CEREAL_NVP(customer), items, notes, payment);
    }
    bool operator==(const order&) const = default;
};

struct shape {
    virtual ~shape() = default;
    virtual int area() const = 0;
    template <class Archive>
    void serialize(Archive&) {}
};
struct square final : shape {
    int side = 0;
    int area() const override { return side * side; }
    template <class Archive>
    void serialize(Archive& archive) {
        archive(cereal::base_class<shape>(this), side);
    }
};

struct page {
    page() { ++made; }
    page(const page&) { ++made; }
    char bytes[1000] = {};
    std::vector<int> more;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(more);
    }
    static inline std::size_t made = 0;
};

struct sparse {
    std::vector<std::optional<std::array<int, 1000>>> pages;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(pages);
    }
};

struct linked {
    std::unique_ptr<linked> next;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(next);
    }
};

struct tree {
    std::vector<tree> branches;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(branches);
    }
};

struct nothing {};
struct says_nothing {
    int cached = 0;
    template <class Archive>
    void serialize(Archive&) {}
};

struct shared {
    std::shared_ptr<int> number;
    std::shared_ptr<std::string> text;
    std::weak_ptr<int> again;
    template <class Archive>
    void serialize(Archive& archive) {
        archive(number, text, again);
    }
};

using bytes = std::vector<std::byte>;

template <class T>
bytes encoded(const T& message) {
    bytes b;
    sluice::codec<T>::encode(message, b);
    return b;
}
template <class T>
T decoded(const bytes& b) {
    return sluice::codec<T>::decode(b);
}

}  // namespace

CEREAL_REGISTER_TYPE(square)

template <>
inline constexpr sluice::ipc::cereal_limits sluice::ipc::limits_of<sparse> = {.memory = 16 << 20};

TEST_CASE("what cereal can serialize travels") {
    int fds[2];
    REQUIRE(::pipe2(fds, O_CLOEXEC) == 0);
    sluice::ipc::pipe out(-1, fds[1]), in(fds[0], -1);
    auto tx = out.sender<order>();
    const auto rx = in.receiver<order>();
    for (int i = 0; i < 100; ++i) {
        const order sent{"customer " + std::to_string(i),
                         {{"apples", i}, {"pears", 2 * i}},
                         {"fragile", std::string(10'000, '!')},
                         i % 2 == 0 ? decltype(order::payment)(i) : "cash"};
        CHECK(tx.send(sent));
        CHECK(rx.recv() == sent);
    }
    tx = {};
    CHECK(rx.recv() == sluice::errc::closed);
    CHECK_FALSE(in.error());
}

TEST_CASE("bytes that cereal does not take close the end") {
    using codec = sluice::codec<order>;
    std::vector<std::byte> bytes;
    codec::encode({"customer", {{"apples", 1}}, {}, 7}, bytes);
    for (std::size_t size = 0; size < bytes.size(); ++size) CHECK_THROWS(codec::decode(std::span(bytes).first(size)));
    bytes.push_back({});
    CHECK_THROWS(codec::decode(bytes));
}

TEST_CASE("a pointer to a base class takes the whole object along") {
    using pointer = std::unique_ptr<shape>;
    auto sent = std::make_unique<square>();
    sent->side = 3;
    std::vector<std::byte> bytes;
    sluice::codec<pointer>::encode(std::move(sent), bytes);
    const pointer got = sluice::codec<pointer>::decode(bytes);
    REQUIRE(got);
    CHECK(got->area() == 9);
}

TEST_CASE("a container that claims to be larger than its message is not made") {
    std::vector<std::byte> bytes;
    for (const std::uint64_t claimed : {std::uint64_t{1} << 40, std::uint64_t{9}}) {
        bytes.clear();
        sluice::codec<std::uint64_t>::encode(claimed, bytes);
        bytes.resize(bytes.size() + 8);
        CHECK_THROWS_AS((sluice::codec<std::vector<std::vector<char>>>::decode(bytes)), std::invalid_argument);
        CHECK_THROWS_AS((sluice::codec<std::map<char, char>>::decode(bytes)), std::invalid_argument);
    }
}

TEST_CASE("a message does not become much more memory than it is") {
    bytes b(1 << 20, std::byte{0});
    const std::uint64_t count = b.size() - sizeof count;
    std::memcpy(b.data(), &count, sizeof count);
    page::made = 0;
    CHECK_THROWS_AS(decoded<std::vector<page>>(b), std::invalid_argument);
    CHECK(page::made == 0);
    CHECK_THROWS_AS(decoded<std::list<page>>(b), std::invalid_argument);
    CHECK(page::made == 0);
    // As many as there may be, one by one, each behind a pointer.
    std::memset(b.data() + sizeof count, 1, b.size() - sizeof count);
    CHECK_THROWS_AS(decoded<std::vector<std::unique_ptr<page>>>(b), std::invalid_argument);
    CHECK(page::made <= 40 * b.size() / sizeof(page));

    std::vector<page> pages(10);
    for (page& p : pages) p.more.assign(100, 7);
    CHECK(decoded<std::vector<page>>(encoded(pages)).back().more == pages.back().more);

    const sparse mostly_nothing{decltype(sparse::pages)(1000)};
    CHECK(decoded<sparse>(encoded(mostly_nothing)).pages.size() == 1000);
    CHECK_THROWS_AS(decoded<decltype(sparse::pages)>(encoded(mostly_nothing.pages)), std::invalid_argument);
}

TEST_CASE("a number of numbers that are not there is not made room for") {
    bytes b = encoded(std::uint64_t{60'000});
    b.push_back({});
    CHECK_THROWS_AS(decoded<std::vector<std::string>>(b), std::invalid_argument);
    // Within another container, since alone they do not need cereal.
    bytes one = encoded(std::uint64_t{1});
    one.insert(one.end(), b.begin(), b.end());
    CHECK_THROWS_WITH(decoded<std::vector<std::string>>(one), "sluice: a message that is cut off");
    CHECK_THROWS_WITH(decoded<std::vector<std::vector<int>>>(one), "sluice: a message that is cut off");
}

TEST_CASE("what is small when encoded is decoded nevertheless") {
    CHECK(decoded<std::list<nothing>>(encoded(std::list<nothing>(1000))).size() == 1000);
    using inner = std::vector<says_nothing>;  // which sluice's own codec takes where it is alone
    CHECK(decoded<std::list<inner>>(encoded(std::list<inner>{inner(1000)})).front().size() == 1000);
    CHECK(decoded<std::list<char>>(encoded(std::list<char>(100'000))).size() == 100'000);
    CHECK(decoded<std::vector<bool>>(encoded(std::vector<bool>(100'000))).size() == 100'000);
    CHECK(decoded<std::vector<std::string>>(encoded(std::vector<std::string>(100'000))).size() == 100'000);
    CHECK(decoded<std::vector<std::unique_ptr<int>>>(encoded(std::vector<std::unique_ptr<int>>(100'000))).size() ==
          100'000);
    std::vector<std::unique_ptr<int>> numbers(100'000);
    for (auto& n : numbers) n = std::make_unique<int>(7);
    CHECK(*decoded<decltype(numbers)>(encoded(numbers)).back() == 7);
    std::vector<std::shared_ptr<int>> shared_numbers(100'000);
    for (auto& n : shared_numbers) n = std::make_shared<int>(7);
    CHECK(*decoded<decltype(shared_numbers)>(encoded(shared_numbers)).back() == 7);
    std::map<short, char> map;
    for (int i = 0; i < 60'000; ++i) map[static_cast<short>(i - 30'000)] = 'a';
    CHECK(decoded<decltype(map)>(encoded(map)) == map);
    CHECK_THROWS_AS(decoded<std::list<nothing>>(encoded(std::uint64_t{1} << 40)), std::invalid_argument);
}

TEST_CASE("a message is not deeper than a stack") {
    const bytes chain(2 << 20, std::byte{1});
    CHECK_THROWS_AS(decoded<linked>(chain), std::invalid_argument);
    bytes trees;
    for (int i = 0; i < 1'000'000; ++i) trees.insert(trees.end(), {std::byte{1}, {}, {}, {}, {}, {}, {}, {}});
    CHECK_THROWS_AS(decoded<tree>(trees), std::invalid_argument);

    linked first;
    linked* last = &first;
    for (int i = 0; i < 300; ++i) last = (last->next = std::make_unique<linked>()).get();
    const linked got = decoded<linked>(encoded(first));
    int length = 0;
    for (const linked* l = got.next.get(); l != nullptr; l = l->next.get()) ++length;
    CHECK(length == 300);
    tree root;
    tree* leaf = &root;
    for (int i = 0; i < 400; ++i) leaf = &leaf->branches.emplace_back();
    CHECK(encoded(decoded<tree>(encoded(root))) == encoded(root));
}

TEST_CASE("a pointer to what was sent before is one to the same type") {
    shared sent{std::make_shared<int>(7), std::make_shared<std::string>("text"), {}};
    sent.again = sent.number;
    const bytes b = encoded(sent);
    const shared got = decoded<shared>(b);
    CHECK(*got.number == 7);
    CHECK(*got.text == "text");
    CHECK(got.again.lock() == got.number);
    // The string is said to be the number.
    bytes wrong(b.begin(), b.begin() + 8);
    const auto id = encoded(std::uint32_t{1});
    wrong.insert(wrong.end(), id.begin(), id.end());
    wrong.insert(wrong.end(), id.begin(), id.end());
    CHECK_THROWS_AS(decoded<shared>(wrong), std::invalid_argument);
}

TEST_CASE("a bool that cereal reads is true or false") {
    bytes b = encoded(std::vector<bool>{true});
    CHECK(decoded<std::vector<bool>>(b).front());
    b.back() = std::byte{2};
    CHECK_THROWS_AS(decoded<std::vector<bool>>(b), std::invalid_argument);
    using flags = std::map<int, std::array<bool, 2>>;
    bytes f = encoded(flags{{1, {true, true}}});
    CHECK(decoded<flags>(f)[1][1]);
    f.back() = std::byte{255};
    CHECK_THROWS_AS(decoded<flags>(f), std::invalid_argument);
}
