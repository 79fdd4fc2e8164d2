// What can be chosen when an end is opened.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>

#include <sluice/detail/waiter.hpp>
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
    /// Has a thread of the library of its own. All other ends of the process share one; so a codec that takes its time
    /// holds up its own end alone.
    bool own_thread = false;
    /// After its last handle has gone, so long a session still writes out replies, and a connection of which nothing is
    /// expected any more still waits for its peer to hang up.
    std::chrono::milliseconds linger = std::chrono::seconds(5);
    /// Of a listener: how many clients it has at most. One more is refused, which its `fault` tells.
    std::size_t max_clients = 1024;
    /// Of a listener: a client that has not said by then what it sends is dropped.
    std::chrono::milliseconds handshake_timeout = std::chrono::seconds(10);
    /// Where to note why it has closed, if by an error. Who connects has only the handles, and hears of it here:
    /// `auto why = std::make_shared<sluice::ipc::fault>(); auto tx = sluice::ipc::connect<job>(where, {.fault = why});`
    std::shared_ptr<ipc::fault> fault = {};
    /// Over TCP: when the peer's machine has not answered for so long, though it was asked several times, it is taken
    /// for dead, and the connection ends with `std::errc::timed_out`. A peer that lives but does not receive is not
    /// meant. In whole seconds, of which about as many more may pass as a quarter of it; 0 leaves it to the system,
    /// which takes hours. Of a listener: for the connections of all its clients.
    std::chrono::seconds dead_after{120};
};

namespace detail {

inline std::shared_ptr<fault> fault_of(const options& chosen) {
    return chosen.fault ? chosen.fault : std::make_shared<fault>();
}

}  // namespace detail

}  // namespace sluice::ipc
