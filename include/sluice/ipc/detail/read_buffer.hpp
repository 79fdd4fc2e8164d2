// Memory for what arrives: bytes that were read and not consumed, and large messages before all of them is there.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <utility>

#include <sluice/detail/compiler.hpp>
#include <sluice/ipc/detail/process.hpp>

namespace sluice::ipc::detail {

// Bytes that have arrived and were not consumed yet. They lie where they were read to: in `scratch`, memory of the
// thread that reads, or else in memory of their own, which is allocated no larger than 1 KiB or twice what it then
// holds.
class read_buffer {
public:
    std::span<const std::byte> bytes() const noexcept { return {begin_, end_}; }
    std::size_t capacity() const noexcept { return capacity_; }

    // Where the next bytes go; never empty. `wanted` is the size of what has begun to arrive.
    std::span<std::byte> space(std::size_t wanted, std::span<std::byte> scratch) {
        const auto held = static_cast<std::size_t>(end_ - begin_);
        if (held <= scratch.size() / 2) {
            if (held > 0) std::memmove(scratch.data(), begin_, held);
            begin_ = scratch.data();
            end_ = begin_ + held;
            in_scratch_ = true;
            own_.reset();
            capacity_ = 0;
            return scratch.subspan(held);
        }
        if (in_scratch_ || end_ == own_.get() + capacity_) move_to_own(wanted);
        return {end_, static_cast<std::size_t>(own_.get() + capacity_ - end_)};
    }
    void received(std::size_t size) noexcept { end_ += size; }
    void consume(std::size_t size) noexcept { begin_ += size; }

    // The scratch memory is about to be used for something else: what lies there is copied to memory of its own. If
    // that throws, the bytes are gone.
    void release_scratch(std::size_t wanted) {
        if (!in_scratch_) return;
        try {
            if (begin_ != end_) return move_to_own(wanted);
        } catch (...) {
            clear();
            throw;
        }
        clear();
    }

private:
    static constexpr std::size_t min_capacity = 1024;

    void move_to_own(std::size_t wanted) {
        const auto held = static_cast<std::size_t>(end_ - begin_);
        const std::size_t capacity = (std::max)((std::min)(wanted, (std::max)(min_capacity, 2 * held)), held + 1);
        auto storage = std::make_unique_for_overwrite<std::byte[]>(capacity);
        std::memcpy(storage.get(), begin_, held);
        own_ = std::move(storage);
        capacity_ = capacity;
        begin_ = own_.get();
        end_ = begin_ + held;
        in_scratch_ = false;
    }
    void clear() noexcept {
        begin_ = end_ = nullptr;
        in_scratch_ = false;
    }

    std::unique_ptr<std::byte[]> own_;
    std::size_t capacity_ = 0;  // of own_
    std::byte *begin_ = nullptr, *end_ = nullptr;
    bool in_scratch_ = false;
};

// Memory that is allocated for a message before half of it has arrived. The decoder asks for it only for peers that
// have sent as much before, and all of them in a process have at most max_total: peers that announce messages and do
// not send them cannot hold more.
class SLUICE_SHARED early_allocation;  // one total for all shared objects
class early_allocation {
public:
    early_allocation() = default;
    early_allocation(early_allocation&& other) noexcept
        : bytes_(std::exchange(other.bytes_, 0)), fork_epoch_(other.fork_epoch_) {}
    early_allocation& operator=(early_allocation&& other) noexcept {
        std::swap(bytes_, other.bytes_);
        std::swap(fork_epoch_, other.fork_epoch_);
        return *this;
    }
    ~early_allocation() { release(); }

    // False if the total would be exceeded. The counter is relaxed: it guards no other memory.
    bool reserve(std::size_t bytes) noexcept {
        release();
        auto& total = process::self().early_bytes();
        if (total.fetch_add(bytes, std::memory_order_relaxed) + bytes > max_total) {
            total.fetch_sub(bytes, std::memory_order_relaxed);
            return false;
        }
        bytes_ = bytes;
        fork_epoch_ = process::fork_epoch();
        return true;
    }
    void release() noexcept {
        if (const std::size_t bytes = std::exchange(bytes_, 0); bytes > 0 && fork_epoch_ == process::fork_epoch())
            process::self().early_bytes().fetch_sub(bytes, std::memory_order_relaxed);
    }

    static constexpr std::size_t max_total = 4 << 20;

private:
    std::size_t bytes_ = 0;
    unsigned fork_epoch_ = 0;
};

}  // namespace sluice::ipc::detail
