// byte_transport: what carries the bytes of a stream of frames.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>

#include <sys/types.h>
#include <sys/uio.h>

namespace sluice::ipc::detail {

// To add a transport of bytes: derive from this class in a header of its own, as pipe_transport.hpp and
// socket_transport.hpp do, and give an object of it to a `stream`, as pipe.hpp and socket.hpp do. The frames, the
// order of closing, back-pressure and errors are the stream's; neither that nor the loop is touched.
//
// write() may be called beside the other members; these are called by one thread at a time.
class byte_transport {
public:
    using time_point = std::chrono::steady_clock::time_point;

    byte_transport() = default;
    byte_transport(const byte_transport&) = delete;
    byte_transport& operator=(const byte_transport&) = delete;
    virtual ~byte_transport() = default;

    // What to poll. Its peer's end, if that is gone, must be reported for reading or for writing.
    virtual int fd() const noexcept = 0;
    // Without blocking, and without SIGPIPE: what was transferred; 0 at the end of the stream; -1 and errno.
    virtual ssize_t read(std::span<std::byte> to) noexcept = 0;
    virtual ssize_t write(const iovec* parts, int count) noexcept = 0;

    // Whether bytes can go both ways: then an end that only receives can tell its peer why it closes, and an end that
    // only sends reads that.
    virtual bool is_duplex() const noexcept { return false; }
    // Writes no more, while the peer's bytes are still read; false on failure. For duplex transports.
    virtual bool shut_down_writing() noexcept { return false; }
    // Whether bytes that were written may be lost when the end is closed before the peer has read them.
    virtual bool is_remote() const noexcept { return false; }

    // Whether the peer's machine was found dead; to be called at next_probe(), if that is a time.
    virtual bool is_dead() noexcept { return false; }
    virtual std::optional<time_point> next_probe() const noexcept { return std::nullopt; }

    // How often a thread that waits for a message tries to read before it sleeps; 0 where that holds up the writer.
    virtual int spins() const noexcept { return 0; }
};

}  // namespace sluice::ipc::detail
