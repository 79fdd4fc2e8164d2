// Channels between machines, over NATS, by one include; the list is a map. A remote end is an ordinary sender or receiver.
#pragma once

#if !defined(__linux__) && !defined(__APPLE__)
#error "sluice: sluice/nats.hpp needs POSIX; it is tested on Linux"
#endif
#if !__has_include(<nats/nats.h>)
#error "sluice: sluice/nats.hpp needs the NATS C client (Debian: libnats-dev): link sluice::nats, or -lnats"
#endif

#include <sluice/nats/options.hpp>     // what can be chosen when something is opened
#include <sluice/nats/error.hpp>       // category: what the client and the servers report
#include <sluice/nats/message.hpp>     // message<T>: a message with its subject
#include <sluice/nats/call.hpp>        // call<Query, Reply>: a query that waits for its reply
#include <sluice/nats/delivery.hpp>    // delivery<T>: a message of a stream, to be acknowledged
#include <sluice/nats/stream.hpp>      // stream: messages that the servers keep; its senders and receivers
#include <sluice/nats/connection.hpp>  // connection: to the servers; its senders, receivers, requests and services
#include <sluice/ipc/codec.hpp>        // codec<T>: what travels

/// Channels between machines: the same handles, with NATS between the two ends.
namespace sluice::nats {}
