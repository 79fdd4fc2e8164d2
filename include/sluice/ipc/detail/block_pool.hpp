// block_pool: memory of large messages that is used again.
#pragma once

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <sluice/detail/compiler.hpp>
#include <sluice/detail/immortal.hpp>

namespace sluice::ipc::detail {

// Keeps freed blocks of memory for the next messages: the system clears each page of memory that is new to a process
// when it is first touched. No thread waits for the lock, which in a forked child may be locked for ever: then a block
// is allocated, or freed.
class SLUICE_SHARED block_pool;  // one for all shared objects
class block_pool {
public:
    block_pool() { blocks_.reserve(max_pooled / min_block); }
    static block_pool& self() { return sluice::detail::immortal<block_pool>::self(); }

    // A block of at least `size` bytes, and its size.
    std::pair<std::unique_ptr<std::byte[]>, std::size_t> acquire(std::size_t size) {
        std::unique_lock<std::mutex> held(mutex_, std::defer_lock);
        if (size >= min_block && held.try_lock()) {
            // The one that was released last is likeliest to be in the cache.
            const auto fits = [size](const block& b) { return b.second >= size && b.second / 2 <= size; };
            if (const auto found = std::find_if(blocks_.rbegin(), blocks_.rend(), fits); found != blocks_.rend()) {
                block taken = std::move(*found);
                blocks_.erase(std::next(found).base());
                pooled_bytes_ -= taken.second;
                return taken;
            }
        }
        return {std::make_unique_for_overwrite<std::byte[]>(size), size};
    }
    void release(std::unique_ptr<std::byte[]> memory, std::size_t size) noexcept {
        std::unique_lock<std::mutex> held(mutex_, std::defer_lock);
        if (size < min_block || !held.try_lock() || pooled_bytes_ + size > max_pooled) return;
        blocks_.emplace_back(std::move(memory), size);
        pooled_bytes_ += size;
    }

private:
    using block = std::pair<std::unique_ptr<std::byte[]>, std::size_t>;
    static constexpr std::size_t min_block = 128 * 1024, max_pooled = 8 << 20;

    std::mutex mutex_;
    std::vector<block> blocks_;
    std::size_t pooled_bytes_ = 0;
};

}  // namespace sluice::ipc::detail
