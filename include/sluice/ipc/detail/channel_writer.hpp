// channel_writer: decodes messages from a transport and sends them to a channel.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <span>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <vector>

#include <sluice/channel.hpp>
#include <sluice/detail/channel_core.hpp>
#include <sluice/detail/feeder.hpp>
#include <sluice/detail/waiter.hpp>
#include <sluice/ipc/codec.hpp>
#include <sluice/ipc/detail/batching.hpp>
#include <sluice/ipc/detail/errors.hpp>
#include <sluice/ipc/detail/handler_waiter.hpp>
#include <sluice/ipc/detail/io_loop.hpp>

namespace sluice::ipc::detail {

// Used by the loop's thread, or one that works in its place.
class channel_writer {
public:
    enum class status : std::uint8_t { ready, full, closed };

    channel_writer() = default;
    channel_writer(const channel_writer&) = delete;
    channel_writer& operator=(const channel_writer&) = delete;
    virtual ~channel_writer() = default;

    // Decodes a message and keeps it for deliver(); false if that is to be called before the next one. Throws what the
    // codec throws.
    virtual bool decode(std::span<const std::byte> encoded) = 0;
    // Memory for the bytes of a message of this size, in the message itself; empty if its codec offers none. When they
    // are there, commit_storage() does what decode() would.
    virtual std::span<std::byte> storage_for(std::size_t) { return {}; }
    virtual void commit_storage() {}
    // Sends what was decoded. `full`: not all of it, and the handler is posted when there is room or the channel
    // closes; `closed`: nobody receives any more.
    virtual status deliver() = 0;
    // Closes the channel because of an error; what is in it is still received.
    virtual void close(const std::error_code& why) noexcept = 0;
    // Whether messages wait in the channel.
    virtual bool has_backlog() const noexcept = 0;
};

template <class T>
class typed_channel_writer final : public channel_writer {
public:
    // `source` feeds the channel, if nobody else does, for as long as the writer lives.
    typed_channel_writer(sender<T> to, io_handler& of, sluice::detail::feeder* source = nullptr)
        : to_(std::move(to)),
          is_fed_(source != nullptr),
          batch_size_((std::min)(max_batch, to_.capacity().value_or(max_batch))),
          room_(of),
          closing_(of) {
        if (is_fed_) core_of(to_)->feed_by(source);
        closing_.arm();
        if (!core_of(to_)->observe_close(closing_)) closing_.disarm();
    }
    ~typed_channel_writer() override {
        if (is_fed_) core_of(to_)->feed_by(nullptr);
        room_.cancel([this](auto& w) { return core_of(to_)->unregister_sender(w); });
        closing_.cancel([this](auto& w) { return core_of(to_)->unobserve_close(w); });
    }

    bool decode(std::span<const std::byte> encoded) override {
        decoded_.push_back({codec<T>::decode(encoded)});
        bytes_ += encoded.size();
        return decoded_.size() < batch_size_ && bytes_ < batch_bytes;
    }

    std::span<std::byte> storage_for([[maybe_unused]] std::size_t size) override {
        if constexpr (has_writable<T>) {
            in_place_.emplace(codec<T>::with_size(size));
            const std::span<std::byte> storage = codec<T>::writable(*in_place_);
            if (storage.size() == size) return storage;
            in_place_.reset();
            if (!storage.empty())
                throw std::length_error("sluice: a codec whose writable() is not as long as the message");
            return {};
        } else {
            return {};
        }
    }
    void commit_storage() override {
        bytes_ += batch_bytes;
        decoded_.push_back({*std::move(in_place_)});
        in_place_.reset();
    }

    status deliver() override {
        using sluice::detail::op_status;
        if (room_.armed()) {
            if (!room_.notified()) return core_of(to_)->is_closed() ? status::closed : status::full;
            room_.disarm();
            if (room_.state == sluice::detail::waiter::status::failed) room_.rethrow();
            if (room_.state == sluice::detail::waiter::status::closed) return status::closed;
            ++next_;
        }
        while (next_ < decoded_.size()) {
            std::size_t sent = 0;
            op_status tried = core_of(to_)->try_send_some(
                [this](std::size_t i) -> T& { return decoded_[next_ + i].message; }, decoded_.size() - next_, sent);
            next_ += sent;
            if (tried == op_status::blocked) {
                room_.arm();
                tried = core_of(to_)->register_sender(decoded_[next_].message, room_);
                if (tried == op_status::blocked) return status::full;
                room_.disarm();
                if (tried == op_status::done) ++next_;
            }
            if (tried == op_status::closed) return status::closed;
        }
        decoded_.clear();
        if (decoded_.capacity() * sizeof(T) > max_idle_bytes) decoded_ = std::vector<boxed<T>>();
        next_ = bytes_ = 0;
        return core_of(to_)->is_closed() ? status::closed : status::ready;
    }

    void close(const std::error_code& why) noexcept override { to_.close(cause_of(why)); }
    bool has_backlog() const noexcept override { return !to_.empty(); }

private:
    static constexpr std::size_t max_batch = plain<T> ? std::clamp<std::size_t>(16 * 1024 / sizeof(T), 1, 256) : 16;

    const sender<T> to_;
    const bool is_fed_;
    const std::size_t batch_size_;
    handler_waiter<sluice::detail::blocked_op> room_;  // sends decoded_[next_], which must stay where it is
    handler_waiter<sluice::detail::waiter> closing_;
    std::vector<boxed<T>> decoded_;
    std::optional<T> in_place_;
    std::size_t next_ = 0, bytes_ = 0;
};

}  // namespace sluice::ipc::detail
