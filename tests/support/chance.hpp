// Statistical bounds that a correct library fails about once in a thousand million runs.
#pragma once

#include <cmath>
#include <cstddef>

namespace test {

/// Whether `hits` is what `trials` independent draws of probability `p` may give: within 6.2 standard deviations.
inline bool plausible(long hits, long trials, double p) {
    const auto n = static_cast<double>(trials);
    const double deviation = std::sqrt(n * p * (1 - p));
    return std::abs(static_cast<double>(hits) - n * p) <= 6.2 * deviation + 1;
}

}  // namespace test
