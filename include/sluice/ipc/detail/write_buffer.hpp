// write_buffer: encoded messages on their way to a transport.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include <sys/uio.h>

#include <sluice/ipc/detail/batching.hpp>

namespace sluice::ipc::detail {

// Whole frames, or what is left of them.
class write_buffer {
public:
    std::vector<std::byte> bytes;
    std::span<const std::byte> tail;  // follows `bytes`: the end of the last frame, where it lies in its message

    bool empty() const noexcept { return written_ == bytes.size() && tail.empty(); }
    std::size_t size() const noexcept { return bytes.size() - written_ + tail.size(); }

    int parts(iovec (&to)[2]) const noexcept {
        int count = 0;
        if (written_ < bytes.size()) to[count++] = part(std::span(bytes).subspan(written_));
        if (!tail.empty()) to[count++] = part(tail);
        return count;
    }
    void wrote(std::size_t size) noexcept {
        const std::size_t first = (std::min)(size, bytes.size() - written_);
        written_ += first;
        tail = tail.subspan(size - first);
        if (written_ < bytes.size()) return;
        written_ = 0;
        bytes.clear();
    }
    // Frees memory while there is nothing to write.
    void shrink() noexcept {
        if (bytes.capacity() > max_idle_bytes) bytes = std::vector<std::byte>();
    }
    void discard() noexcept {
        tail = {};
        wrote(bytes.size() - written_);
    }

private:
    static iovec part(std::span<const std::byte> s) noexcept { return {const_cast<std::byte*>(s.data()), s.size()}; }

    std::size_t written_ = 0;  // of bytes
};

}  // namespace sluice::ipc::detail
