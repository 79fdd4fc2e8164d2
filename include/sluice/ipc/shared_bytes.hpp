// shared_bytes: a large message that is sent and received without being copied.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <mutex>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

#include <sluice/ipc/codec.hpp>

namespace sluice::ipc {

namespace detail {

// Blocks of memory that were used and will be used again. Memory that is new to a process costs more than what is
// copied into it: the system clears each page when it is first touched. Nobody waits for them, lest a child that was
// forked at a bad moment wait for ever: a block that can't be had is made, and one that can't be given back is freed.
class [[gnu::visibility("default")]] used_blocks;  // one for all shared objects, hidden symbols or not
class used_blocks {
public:
    static used_blocks& self() {
        static used_blocks* const instance = new used_blocks;  // for ever: messages may outlive the statics
        return *instance;
    }

    // Room for `size` bytes, of the size that it has in truth.
    std::pair<std::unique_ptr<std::byte[]>, std::size_t> take(std::size_t size) {
        std::unique_lock<std::mutex> held(mutex_, std::defer_lock);
        if (size >= least && held.try_lock()) {
            // The one that was given back last is the likeliest to be in the processor's cache.
            const auto fits = [size](const block& b) { return b.second >= size && b.second / 2 <= size; };
            if (const auto found = std::find_if(blocks_.rbegin(), blocks_.rend(), fits); found != blocks_.rend()) {
                block taken = std::move(*found);
                blocks_.erase(std::next(found).base());
                kept_ -= taken.second;
                return taken;
            }
        }
        return {std::make_unique_for_overwrite<std::byte[]>(size), size};
    }
    void give_back(std::unique_ptr<std::byte[]> memory, std::size_t size) noexcept {
        std::unique_lock<std::mutex> held(mutex_, std::defer_lock);
        if (size < least || !held.try_lock() || kept_ + size > most) return;
        blocks_.emplace_back(std::move(memory), size);
        kept_ += size;
    }

private:
    using block = std::pair<std::unique_ptr<std::byte[]>, std::size_t>;
    static constexpr std::size_t least = 128 * 1024, most = 8 << 20;

    used_blocks() { blocks_.reserve(most / least); }

    std::mutex mutex_;
    std::vector<block> blocks_;
    std::size_t kept_ = 0;
};

}  // namespace detail

/// Bytes that no longer change, shared by all copies of the handle: what the copies cost does not depend on how many
/// there are. An end writes them out from where they are, and puts those that it receives where they stay. The process
/// keeps up to 8 MiB of their memory for the next ones.
class shared_bytes {
public:
    shared_bytes() = default;
    /// Copies them once.
    explicit shared_bytes(std::span<const std::byte> bytes) : shared_bytes(bytes.size()) {
        std::copy(bytes.begin(), bytes.end(), block_->memory.get());
    }
    /// `size` bytes, which `fill` writes to the span that it is called with.
    template <class F>
    shared_bytes(std::size_t size, F&& fill) : shared_bytes(size) {
        fill(room());
    }

    const std::byte* data() const noexcept { return block_ ? block_->memory.get() : nullptr; }
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    const std::byte* begin() const noexcept { return data(); }
    const std::byte* end() const noexcept { return data() + size_; }

    friend bool operator==(const shared_bytes& a, const shared_bytes& b) noexcept { return std::ranges::equal(a, b); }

private:
    friend struct sluice::codec<shared_bytes>;

    struct block {
        explicit block(std::size_t wanted) { std::tie(memory, size) = detail::used_blocks::self().take(wanted); }
        block(const block&) = delete;
        block& operator=(const block&) = delete;
        ~block() { detail::used_blocks::self().give_back(std::move(memory), size); }

        std::unique_ptr<std::byte[]> memory;
        std::size_t size = 0;
    };

    explicit shared_bytes(std::size_t size) : block_(std::make_shared<block>(size)), size_(size) {}
    std::span<std::byte> room() noexcept { return {block_ ? block_->memory.get() : nullptr, size_}; }

    std::shared_ptr<block> block_;
    std::size_t size_ = 0;
};

}  // namespace sluice::ipc

template <>
struct sluice::codec<sluice::ipc::shared_bytes> {
    using message_type = ipc::shared_bytes;

    static std::span<const std::byte> view(const message_type& message) { return message; }
    static void encode(const message_type& message, std::vector<std::byte>& out) { ipc::detail::append(out, message); }
    static message_type decode(std::span<const std::byte> bytes) { return message_type(bytes); }
    static message_type make(std::size_t size) { return message_type(size); }
    static std::span<std::byte> room(message_type& message) { return message.room(); }
};
