// shared_bytes: a large message that is sent and received without being copied.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>

#include <sluice/ipc/codec.hpp>

namespace sluice::ipc {

/// Bytes that no longer change, shared by all copies of the handle: what the copies cost does not depend on how many
/// there are. An end writes them out from where they are, and puts those that it receives where they stay.
class shared_bytes {
public:
    shared_bytes() = default;
    /// Copies them once.
    explicit shared_bytes(std::span<const std::byte> bytes) : shared_bytes(bytes.size()) {
        std::copy(bytes.begin(), bytes.end(), data_.get());
    }
    /// `size` bytes, which `fill` writes to the span that it is called with.
    template <class F>
    shared_bytes(std::size_t size, F&& fill) : shared_bytes(size) {
        fill(std::span<std::byte>(data_.get(), size_));
    }

    const std::byte* data() const noexcept { return data_.get(); }
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }
    const std::byte* begin() const noexcept { return data(); }
    const std::byte* end() const noexcept { return data() + size_; }

    friend bool operator==(const shared_bytes& a, const shared_bytes& b) noexcept { return std::ranges::equal(a, b); }

private:
    friend struct sluice::codec<shared_bytes>;
    explicit shared_bytes(std::size_t size) : data_(std::make_unique_for_overwrite<std::byte[]>(size)), size_(size) {}

    std::shared_ptr<std::byte[]> data_;
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
    static std::span<std::byte> room(message_type& message) { return {message.data_.get(), message.size_}; }
};
