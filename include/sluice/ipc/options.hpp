// What can be chosen when an end is opened.
#pragma once

#include <cstddef>
#include <memory>

#include <sluice/detail/wait.hpp>
#include <sluice/ipc/fault.hpp>

namespace sluice::ipc {

/// How an end works; the defaults serve.
struct options {
    /// The largest encoded message, in bytes; a larger one closes the end with an error.
    std::size_t max_message = 16 << 20;
    /// How many messages wait in this process at most; 0: as fits the type.
    std::size_t capacity = 0;
    /// Ends it at once, without writing out what was sent.
    sluice::detail::stop_token stop = {};
    /// Where to note why it has closed, if by an error. Who connects has only the handles, and hears of it here:
    /// `auto why = std::make_shared<sluice::ipc::fault>(); auto tx = sluice::ipc::connect<job>(where, {.fault = why});`
    std::shared_ptr<ipc::fault> fault = {};
};

namespace detail {

inline std::shared_ptr<fault> fault_of(const options& chosen) {
    return chosen.fault ? chosen.fault : std::make_shared<fault>();
}

}  // namespace detail

}  // namespace sluice::ipc
