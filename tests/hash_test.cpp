// Handles as keys of unordered containers.
#include "catch.hpp"

#include <sluice/channel.hpp>

#include <functional>
#include <unordered_map>
#include <unordered_set>

TEST_CASE("handles are keys of unordered containers", "[weak]") {
    auto [tx, rx] = sluice::unbounded<int>();
    auto other = sluice::unbounded<int>();
    std::unordered_set<sluice::sender<int>> senders{tx, other.tx, tx, {}, {}};
    CHECK(senders.size() == 3);
    CHECK(senders.count(sluice::sender<int>(tx)) == 1);
    senders.clear();
    std::unordered_map<sluice::receiver<int>, int> receivers{{rx, 1}, {other.rx, 2}};
    CHECK(receivers.at(sluice::receiver<int>(rx)) == 1);
    CHECK(receivers.count({}) == 0);
    CHECK(std::hash<sluice::sender<int>>()(tx) == std::hash<sluice::sender<int>>()(sluice::sender<int>(tx)));
    static_assert(noexcept(std::hash<sluice::receiver<int>>()(rx)));
}
