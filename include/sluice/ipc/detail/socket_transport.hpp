// socket_transport: bytes both ways through a connected socket.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <utility>

#include <sys/socket.h>

#include <sluice/ipc/detail/byte_transport.hpp>
#include <sluice/ipc/detail/descriptor.hpp>
#include <sluice/ipc/detail/liveness.hpp>
#include <sluice/ipc/detail/transfer.hpp>

namespace sluice::ipc::detail {

class socket_transport final : public byte_transport {
public:
    // `is_remote`: it is TCP.
    socket_transport(descriptor fd, bool is_remote) : fd_(std::move(fd)) {
        if (is_remote) probe_.emplace(fd_.get());
    }

    int fd() const noexcept override { return fd_.get(); }
    ssize_t read(std::span<std::byte> to) noexcept override { return read_socket(fd_.get(), to.data(), to.size()); }
    ssize_t write(const iovec* parts, int count) noexcept override { return write_socket(fd_.get(), parts, count); }

    bool is_duplex() const noexcept override { return true; }
    bool shut_down_writing() noexcept override { return ::shutdown(fd_.get(), SHUT_WR) == 0; }
    bool is_remote() const noexcept override { return probe_.has_value(); }
    bool is_dead() noexcept override { return probe_ && probe_->is_dead(fd_.get()); }
    std::optional<time_point> next_probe() const noexcept override { return probe_ ? probe_->next() : std::nullopt; }
    int spins() const noexcept override { return 24; }

private:
    const descriptor fd_;
    std::optional<liveness_probe> probe_;
};

}  // namespace sluice::ipc::detail
