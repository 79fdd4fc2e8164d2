// Messages that cereal serializes.
#include "support.hpp"

#include <map>
#include <memory>
#include <variant>

#include <cereal/types/map.hpp>
#include <cereal/types/memory.hpp>
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

}  // namespace

CEREAL_REGISTER_TYPE(square)

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
