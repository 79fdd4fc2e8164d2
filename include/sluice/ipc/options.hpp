// What can be chosen when an end is opened.
#pragma once

#include <cstddef>

#include <sluice/detail/wait.hpp>

namespace sluice::ipc {

/// How an end works; the defaults serve.
struct options {
    /// The largest encoded message, in bytes; a larger one closes the end with an error.
    std::size_t max_message = 16 << 20;
    /// How many messages wait in this process at most; 0: as fits the type.
    std::size_t capacity = 0;
    /// Ends it at once, without writing out what was sent.
    sluice::detail::stop_token stop = {};
};

}  // namespace sluice::ipc
