// shared_bytes: a large message that is sent and received without being copied.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include <sluice/ipc/codec.hpp>
#include <sluice/ipc/detail/block_pool.hpp>

namespace sluice::ipc {

/// Bytes that do not change, shared by all copies of the handle: a copy allocates nothing and copies no bytes. Ends of
/// pipes and sockets write large ones from where they lie, and read most of them to where they stay. The process keeps
/// up to 8 MiB of their memory for the next ones.
///
/// No member blocks. Different handles may be used from different threads, also if they share the bytes; one handle as
/// an int may.
class shared_bytes {
public:
    /// No bytes.
    shared_bytes() = default;
    /// A copy of `bytes`. Throws std::bad_alloc.
    explicit shared_bytes(std::span<const std::byte> bytes) : shared_bytes(bytes.size()) {
        std::copy(bytes.begin(), bytes.end(), block_->memory.get());
    }
    /// `size` bytes, which `fill(std::span<std::byte>)` writes; they are not initialised before that. Throws
    /// std::bad_alloc, and what `fill` throws.
    template <class F>
    shared_bytes(std::size_t size, F&& fill) : shared_bytes(size) {
        fill(writable());
    }

    /// The first byte; null if the handle was made without bytes, or moved from.
    const std::byte* data() const noexcept { return block_ ? block_->memory.get() : nullptr; }
    /// How many bytes there are.
    std::size_t size() const noexcept { return block_ ? block_->used : 0; }
    /// Whether there are none.
    bool empty() const noexcept { return size() == 0; }
    /// The first byte.
    const std::byte* begin() const noexcept { return data(); }
    /// Past the last byte.
    const std::byte* end() const noexcept { return data() + size(); }

    /// Equal if the bytes are.
    friend bool operator==(const shared_bytes& a, const shared_bytes& b) noexcept { return std::ranges::equal(a, b); }

private:
    friend struct sluice::codec<shared_bytes>;

    struct block {
        explicit block(std::size_t wanted) : used(wanted) {
            std::tie(memory, size) = detail::block_pool::self().acquire(wanted);
        }
        block(const block&) = delete;
        block& operator=(const block&) = delete;
        ~block() { detail::block_pool::self().release(std::move(memory), size); }

        std::unique_ptr<std::byte[]> memory;
        std::size_t size = 0;  // of memory
        const std::size_t used;
    };

    explicit shared_bytes(std::size_t size) : block_(std::make_shared<block>(size)) {}
    std::span<std::byte> writable() noexcept { return {block_ ? block_->memory.get() : nullptr, size()}; }

    std::shared_ptr<block> block_;
};

}  // namespace sluice::ipc

/// The bytes themselves. Over pipes and sockets those of more than 16 KiB are written from where they lie; of those of
/// 64 KiB and more, at most the part that arrives before there is memory for all is copied.
template <>
struct sluice::codec<sluice::ipc::shared_bytes> {
    /// The bytes, where they lie.
    static std::span<const std::byte> view(const ipc::shared_bytes& message) { return message; }
    /// Appends the bytes to `out`.
    static void encode(const ipc::shared_bytes& message, std::vector<std::byte>& out) {
        ipc::detail::append(out, message);
    }
    /// A copy of `bytes`.
    static ipc::shared_bytes decode(std::span<const std::byte> bytes) { return ipc::shared_bytes(bytes); }
    /// `size` bytes that are not initialised.
    static ipc::shared_bytes with_size(std::size_t size) { return ipc::shared_bytes(size); }
    /// The bytes of a message that with_size() has made.
    static std::span<std::byte> writable(ipc::shared_bytes& message) { return message.writable(); }
};
