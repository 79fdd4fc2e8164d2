// The counters of a channel pass 2^31, 2^32, 2^63 and 2^64.
#include "catch.hpp"
#include "support/crossing.hpp"

using namespace test;

TEMPLATE_TEST_CASE("a channel goes on where its counters begin anew", "[crossing]", int, move_only, over_aligned,
                   throwing_move, roomy) {
    const auto capacity = GENERATE(from_range(crossing_capacities()));
    for (const std::size_t limit : counter_limits()) {
        CAPTURE(limit, capacity.has_value(), capacity.value_or(0));
        CHECK_NOTHROW(cross<TestType>(capacity, limit));
    }
}
