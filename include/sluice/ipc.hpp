// Channels between processes, by one include; the list is a map. A remote end is an ordinary sender or receiver.
#pragma once

#if !defined(__linux__) && !defined(__APPLE__)
#error "sluice: sluice/ipc.hpp needs POSIX; it is tested on Linux"
#endif

#include <sluice/ipc/options.hpp>       // what can be chosen when an end is opened
#include <sluice/ipc/error.hpp>         // ipc_errc: why an end has closed
#include <sluice/ipc/error_sink.hpp>    // error_sink: where that is noted
#include <sluice/ipc/codec.hpp>         // codec<T>: what travels
#include <sluice/ipc/shared_bytes.hpp>  // shared_bytes: large messages without copies
#include <sluice/ipc/pipe.hpp>          // pipe: between a process and a child that it forks
#include <sluice/ipc/address.hpp>       // unix_socket, tcp: where a listener is found
#include <sluice/ipc/socket.hpp>        // listener, connect: between processes that know an address
#if defined(__linux__)
#include <sluice/ipc/message_queue.hpp>  // message_queue: a named queue of the system
#endif

/// Channels between processes: the same handles, with another process at the far end.
namespace sluice::ipc {}
