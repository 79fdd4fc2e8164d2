// Messages that cereal serializes.
#include "support.hpp"

#include <map>
#include <memory>
#include <variant>

#include <cereal/types/map.hpp>
#include <cereal/types/memory.hpp>
#include <cereal/types/string.hpp>
#include <cereal/types/vector.hpp>

#include <sluice/ipc/cereal.hpp>

namespace {

struct order {
    std::string customer;
    std::map<std::string, int> items;
    std::vector<std::string> notes;

    template <class Archive>
    void serialize(Archive& archive) {
        archive(customer, items, notes);
    }
    bool operator==(const order&) const = default;
};

}  // namespace

TEST_CASE("what cereal can serialize travels") {
    int fds[2];
    REQUIRE(::pipe2(fds, O_CLOEXEC) == 0);
    sluice::ipc::pipe out(-1, fds[1]), in(fds[0], -1);
    auto tx = out.sender<order>();
    const auto rx = in.receiver<order>();
    for (int i = 0; i < 100; ++i) {
        const order sent{
            "customer " + std::to_string(i), {{"apples", i}, {"pears", 2 * i}}, {"fragile", std::string(10'000, '!')}};
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
    codec::encode({"customer", {{"apples", 1}}, {}}, bytes);
    for (std::size_t size = 0; size < bytes.size(); ++size) CHECK_THROWS(codec::decode(std::span(bytes).first(size)));
    bytes.push_back({});
    CHECK_THROWS(codec::decode(bytes));
}
