// What can be chosen when an end is opened.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>

#include <sluice/detail/waiter.hpp>
#include <sluice/ipc/error_sink.hpp>

namespace sluice::ipc {

/// How the ends of pipes, listeners and connections work; the defaults serve.
struct options {
    /// The largest encoded message in bytes. A larger one closes the end with an error, at the sender or at the
    /// receiver.
    std::size_t max_message = 16 << 20;
    /// How many messages the end's channel holds in this process. 0: as many as fit 256 KiB, within 16 and 1024; of
    /// types that own memory, 64.
    std::size_t capacity = 0;
    /// Ends it at once when a stop is requested, without writing out what was sent; its error is then
    /// `std::errc::operation_canceled`. Also ends the blocking in connect() and in the constructor of a listener,
    /// which throw that error.
    sluice::detail::stop_token stop = {};
    /// Gives the end, or the listener with all its clients, a thread of the library of its own, which alone calls its
    /// decoder: a codec that takes long then delays no other end. All other ends of the process share one thread.
    bool own_thread = false;
    /// Of a listener's session: for how long after its last handle has gone it still writes replies. Of any connection
    /// over sockets: for how long it waits, when all is written, or after an error, for its peer to hang up.
    std::chrono::milliseconds linger = std::chrono::seconds(5);
    /// Of a listener: how many clients it has at most. A further one is refused, with ipc_errc::too_many_clients.
    std::size_t max_clients = 1024;
    /// Of a listener: a client that has not sent its handshake so long after it was accepted is dropped, with
    /// ipc_errc::too_late.
    std::chrono::milliseconds handshake_timeout = std::chrono::seconds(10);
    /// Where the end notes why it has closed, if by an error. connect() returns only handles, so this is where to read
    /// why: `auto errors = std::make_shared<sluice::ipc::error_sink>();` `auto tx = sluice::ipc::connect<job>(where,
    /// {.error_sink = errors});`
    std::shared_ptr<ipc::error_sink> error_sink = {};
    /// Over TCP: a connection whose peer's machine has not answered for so long, though it was probed several times,
    /// ends with `std::errc::timed_out`. (A peer that answers and does not receive is not meant.) In whole seconds; on
    /// Linux up to a quarter more may pass. 0 leaves it to the system, which takes hours. Of a listener: for the
    /// connections of all its clients.
    std::chrono::seconds dead_after{120};
};

/// How a queue of the system is made, and how the ends that a message_queue opens work. Not `options`: the system
/// bounds depth and max_message (see /proc/sys/fs/mqueue), and nothing else of those applies to a queue.
struct queue_options {
    /// How many messages the queue holds. A queue that exists keeps what it was made with.
    std::size_t depth = 10;
    /// The largest encoded message in bytes; eight less if the system allows no more. A queue that exists keeps what
    /// it was made with, and a smaller number here bounds what these ends send.
    std::size_t max_message = 8192;
    /// How many messages an end's channel holds in this process. 0: to send, as for `options`; to receive, `depth`.
    std::size_t capacity = 0;
    /// Ends all ends at once when a stop is requested, without writing out what was sent; their error is then
    /// `std::errc::operation_canceled`.
    sluice::detail::stop_token stop = {};
};

namespace detail {

inline std::shared_ptr<error_sink> error_sink_of(const options& chosen) {
    return chosen.error_sink ? chosen.error_sink : std::make_shared<error_sink>();
}

}  // namespace detail

}  // namespace sluice::ipc
