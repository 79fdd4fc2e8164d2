// pipe_transport: bytes through one end of a pipe, or of another file that was given instead.
#pragma once

#include <cstddef>
#include <span>
#include <utility>

#include <sys/stat.h>

#include <sluice/ipc/detail/byte_transport.hpp>
#include <sluice/ipc/detail/descriptor.hpp>
#include <sluice/ipc/detail/transfer.hpp>

namespace sluice::ipc::detail {

class pipe_transport final : public byte_transport {
public:
    explicit pipe_transport(descriptor fd) : fd_(std::move(fd)), is_pipe_(is_pipe(fd_.get())) {}

    int fd() const noexcept override { return fd_.get(); }
    ssize_t read(std::span<std::byte> to) noexcept override {
        return is_pipe_ ? read_pipe(fd_.get(), to.data(), to.size()) : read_file(fd_.get(), to.data(), to.size());
    }
    ssize_t write(const iovec* parts, int count) noexcept override {
        return is_pipe_ ? write_pipe(fd_.get(), parts, count) : write_file(fd_.get(), parts, count);
    }

private:
    static bool is_pipe(int fd) noexcept {
        struct stat found {};
        return ::fstat(fd, &found) == 0 && S_ISFIFO(found.st_mode);
    }

    const descriptor fd_;
    const bool is_pipe_;
};

}  // namespace sluice::ipc::detail
