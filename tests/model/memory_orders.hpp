// Short names for memory orders, for programs that are about them.
#pragma once

#include <atomic>

namespace model {

inline constexpr auto relaxed = std::memory_order_relaxed, acquire = std::memory_order_acquire,
                      release = std::memory_order_release, acq_rel = std::memory_order_acq_rel,
                      seq_cst = std::memory_order_seq_cst;

}  // namespace model
