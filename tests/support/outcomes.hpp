// What operations report, as numbers that a test can compare.
#pragma once

#include "payload.hpp"

#include <sluice/sluice.hpp>

#include <cstddef>
#include <stop_token>

namespace test {

/// The index that a select or a group reports, or the code of its error.
inline int ran(const sluice::result<std::size_t>& fired) {
    return fired ? static_cast<int>(*fired) : code(fired.error());
}

inline constexpr int none_closed = code(sluice::errc::closed);
inline constexpr int none_empty = code(sluice::errc::empty);
inline constexpr int none_timeout = code(sluice::errc::timeout);
inline constexpr int none_stopped = code(sluice::errc::stopped);

/// A token whose stop has been requested.
inline std::stop_token requested() {
    std::stop_source source;
    source.request_stop();
    return source.get_token();
}

}  // namespace test
