// What tests of selects say often, by its short name.
#pragma once

#include <sluice/sluice.hpp>

#include <chrono>

namespace test {

using sluice::errc;
using sluice::on_closed;
using sluice::on_deadline;
using sluice::on_recv;
using sluice::on_send;
using sluice::on_stop;
using sluice::on_timeout;
using sluice::otherwise;
using sluice::select;
using sluice::select_biased;
using steady = std::chrono::steady_clock;

/// A handler.
inline constexpr auto nothing = [] {};

}  // namespace test
