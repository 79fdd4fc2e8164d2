// A stream over a socket, as both sides of a connection have it.
#pragma once

#include <memory>
#include <utility>

#include <sluice/ipc/address.hpp>
#include <sluice/ipc/detail/descriptor.hpp>
#include <sluice/ipc/detail/io_loop.hpp>
#include <sluice/ipc/detail/socket_transport.hpp>
#include <sluice/ipc/detail/stream.hpp>
#include <sluice/ipc/error_sink.hpp>

namespace sluice::ipc::detail {

inline std::unique_ptr<stream> make_socket_stream(descriptor fd, const address& where, std::shared_ptr<io_loop> loop,
                                                  std::shared_ptr<error_sink> errors,
                                                  std::shared_ptr<handler_group> group = nullptr,
                                                  std::shared_ptr<void> slot = nullptr) {
    const bool is_remote = where.kind() == address::family::tcp;
    return std::make_unique<stream>(stream_parts{std::make_unique<socket_transport>(std::move(fd), is_remote),
                                                 std::move(loop), std::move(errors), std::move(group),
                                                 std::move(slot)});
}

}  // namespace sluice::ipc::detail
