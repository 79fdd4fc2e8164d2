// What can be chosen when a connection, an end, or a stream is opened.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include <sluice/overflow.hpp>

namespace sluice::nats {

/// How a connection to the servers is made and kept; the defaults serve.
struct connection_options {
    /// By which the servers list it.
    std::string name = {};
    /// Who this is, by one of: user and password, a token, a file of credentials. What a URL says comes first.
    std::string user = {}, password = {}, token = {}, credentials_file = {};
    /// Encrypts, and refuses a server that does not. `ca_file` holds the authorities to trust, where not those of the
    /// system; `certificate_file` and `key_file` are this client's own.
    bool tls = false;
    std::string ca_file = {}, certificate_file = {}, key_file = {};
    /// For how long one attempt to reach a server may take, and an answer of one on opening.
    std::chrono::milliseconds connect_timeout = std::chrono::seconds(2);
    /// Opens although no server is there yet, and goes on trying as for a connection that is lost.
    bool retry_first_connect = false;
    /// The pause before a server is tried again.
    std::chrono::milliseconds reconnect_wait = std::chrono::milliseconds(500);
    /// For how long a lost connection is tried again; `max()` is for ever. Then it is given up, and handles close.
    std::chrono::milliseconds reconnect_for = std::chrono::milliseconds::max();
    /// A server that is silent for about so long counts as lost. At least two milliseconds.
    std::chrono::milliseconds dead_after = std::chrono::seconds(30);
    /// For how long what was sent is still written, once a handle or the connection has gone.
    std::chrono::milliseconds linger = std::chrono::seconds(5);
};

/// How an end that sends works.
struct sender_options {
    /// How many messages its channel holds in this process. 0: as many as fit 1 MiB, within 16 and 16384; of types
    /// that own memory, 256.
    std::size_t capacity = 0;
};

/// How a receiver without a stream works, and a service.
struct receiver_options {
    /// Of all receivers with this name, in whatever process, each message goes to one. Empty: to each receiver.
    std::string queue = {};
    /// How many messages its channel holds.
    std::size_t capacity = 65536;
    /// What is discarded, and counted by `dropped()`, where the channel is full: `drop_oldest` or `drop_newest`. NATS
    /// has no back-pressure.
    overflow when_full = overflow::drop_oldest;
};

/// How a stream is kept by the servers.
struct stream_options {
    /// What is stored: subjects, with wildcards. Empty: the name of the stream.
    std::vector<std::string> subjects = {};
    /// How many servers keep each message.
    int replicas = 1;
    /// In the memory of the servers, and not on their disks.
    bool in_memory = false;
    /// A message is removed once a receiver has acknowledged it.
    bool work_queue = false;
    /// What the stream holds at most; 0 is no limit. Where it is full, it refuses new messages, or, by
    /// `discard_old`, removes the oldest.
    std::int64_t max_messages = 0, max_bytes = 0;
    std::chrono::nanoseconds max_age{0};
    bool discard_old = false;
    /// For how long the servers know a message that is repeated.
    std::chrono::nanoseconds duplicate_window = std::chrono::minutes(2);
};

/// How a confirmed sender works.
struct stream_sender_options {
    /// As for any sender.
    std::size_t capacity = 0;
    /// How many messages may be sent and not yet confirmed. With 1 none comes behind a later one.
    std::size_t unconfirmed = 256;
    /// A message that is not confirmed in this time is sent again.
    std::chrono::milliseconds confirm_within = std::chrono::seconds(5);
    /// For how long a message is sent again; `max()` is for ever. Then the sender closes.
    std::chrono::milliseconds repeat_for = std::chrono::milliseconds::max();
};

/// Where a receiver begins that is opened under its name for the first time: with all that is in the stream, with what
/// is sent from now on, or with what was sent since a time.
struct all_messages {};
struct new_messages {};  ///< See all_messages.
using start_point =
    std::variant<all_messages, new_messages, std::chrono::system_clock::time_point>;  ///< See all_messages.

/// How a stream's receiver works. The servers keep where it stands, under its name.
struct stream_receiver_options {
    /// The name that it has at the servers. All receivers of this name share the messages, in whatever process. Must be
    /// given.
    std::string durable = {};
    /// Only messages of these subjects; empty: all of the stream.
    std::string filter = {};
    /// For how long a message that was received may stay without a word; then it is delivered again.
    std::chrono::nanoseconds ack_wait = std::chrono::seconds(30);
    /// How many messages are fetched ahead.
    std::size_t capacity = 16;
    /// How many messages of this name may be delivered and not acknowledged; 0 is what the server has.
    std::int64_t max_ack_pending = 0;
    /// How often a message is delivered at most; 0 is no limit.
    std::int64_t max_deliver = 0;
    /// In place of `ack_wait`, for the first delivery, the second, and so on.
    std::vector<std::chrono::nanoseconds> backoff = {};
    /// Where it begins.
    start_point from = all_messages{};
};

}  // namespace sluice::nats
