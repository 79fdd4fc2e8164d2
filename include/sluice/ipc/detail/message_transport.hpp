// message_transport: what carries whole messages.
#pragma once

#include <cstddef>
#include <span>

#include <sys/types.h>

namespace sluice::ipc::detail {

// To add a transport of messages: derive from this class in a header of its own, as posix_queue.hpp does, and give
// objects of it to a message_writer and a message_reader, as message_queue.hpp does. Headers, back-pressure and errors
// are theirs; neither they nor the loop are touched.
//
// send() and receive() are called by one thread at a time, fd() by any. Nothing tells an end of the other side: it
// closes only by itself.
class message_transport {
public:
    message_transport() = default;
    message_transport(const message_transport&) = delete;
    message_transport& operator=(const message_transport&) = delete;
    virtual ~message_transport() = default;

    // What to poll: readable when there is a message, writable when there is room for one.
    virtual int fd() const noexcept = 0;
    // Sends a whole message, without blocking; false with errno.
    virtual bool send(std::span<const std::byte> message) noexcept = 0;
    // Receives the next message, without blocking: its size, or -1 with errno. `to` has room for the largest.
    virtual ssize_t receive(std::span<std::byte> to) noexcept = 0;

    // How often a thread that waits for a message tries to receive before it sleeps.
    virtual int spins() const noexcept { return 0; }
};

}  // namespace sluice::ipc::detail
