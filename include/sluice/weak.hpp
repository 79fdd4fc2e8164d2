// weak_sender, weak_receiver: handles that do not keep a channel open.
#pragma once

#include <utility>

#include <sluice/detail/channel_core.hpp>
#include <sluice/detail/handle.hpp>
#include <sluice/receiver.hpp>
#include <sluice/sender.hpp>

namespace sluice {

namespace detail {

/// What both kinds of weak handles have in common: a share in the memory of the channel, and nothing of its messages.
template <class T>
class weak_handle : message_type<T> {
public:
    /// @cond
    weak_handle() = default;
    // From a handle of the channel, or from an empty one.
    explicit weak_handle(channel_core<T>* c) noexcept : channel_(c) {
        if (channel_) channel_->add_first_weak();
    }
    weak_handle(const weak_handle& other) noexcept : channel_(other.channel_) {
        if (channel_) channel_->add_weak();
    }
    weak_handle(weak_handle&& other) noexcept : channel_(std::exchange(other.channel_, nullptr)) {}
    weak_handle& operator=(const weak_handle& other) noexcept { return *this = weak_handle(other); }
    weak_handle& operator=(weak_handle&& other) noexcept {
        weak_handle dropped(std::move(other));
        std::swap(channel_, dropped.channel_);
        return *this;
    }
    ~weak_handle() {
        if (channel_) channel_->drop_weak();
    }

protected:
    channel_core<T>* channel_ = nullptr;
    /// @endcond
};

}  // namespace detail

/// A handle that does not count as a sender: the channel closes when its last sender is dropped, whatever weak handles
/// there are. Made by sender::downgrade(); for who may send as long as somebody else does, such as a cache of clients
/// or a consumer that sends to itself. It keeps the memory of the channel, at most 512 bytes, and no message.
///
/// All that it can do is lock(), also to close: `if (auto tx = weak.lock()) tx.close(cause);`.
///
/// Copies belong to the same channel. All members may be called from any number of threads at once, on one handle or on
/// copies of it; assigning to a handle beside its use is not safe. Nothing here blocks, allocates or throws.
template <class T>
class weak_sender : public detail::weak_handle<T> {
    using base = detail::weak_handle<T>;
    using base::channel_;

public:
    /// The type of the messages.
    using value_type = T;

    /// A handle of no channel.
    weak_sender() = default;

    /// A sender of the channel, or an empty one if no sender is left. This and the drop of the last sender are one or
    /// the other: a sender that it returns keeps the channel open, unless that was closed; once it has returned an
    /// empty one, no sender of this channel will exist again, and the channel is closed or about to be.
    [[nodiscard]] sender<T> lock() const noexcept {
        return channel_ && channel_->try_add_sender() ? sender<T>(channel_) : sender<T>();
    }

    /// Whether both belong to the same channel, or both to none.
    friend bool operator==(const weak_sender& a, const weak_sender& b) noexcept { return a.channel_ == b.channel_; }

private:
    friend class sender<T>;
    explicit weak_sender(detail::channel_core<T>* c) noexcept : base(c) {}

    // For the other parts of the library.
    friend detail::channel_core<T>* core_of(const weak_sender& h) noexcept { return h.channel_; }
};

/// A handle that does not count as a receiver: when the last receiver is dropped, the channel closes and its messages
/// are destroyed, whatever weak handles there are. Made by receiver::downgrade(). It keeps the memory of the channel, at
/// most 512 bytes, and no message.
///
/// Copies belong to the same channel. All members may be called from any number of threads at once, on one handle or on
/// copies of it; assigning to a handle beside its use is not safe. Nothing here blocks, allocates or throws.
template <class T>
class weak_receiver : public detail::weak_handle<T> {
    using base = detail::weak_handle<T>;
    using base::channel_;

public:
    /// The type of the messages.
    using value_type = T;

    /// A handle of no channel.
    weak_receiver() = default;

    /// A receiver of the channel, or an empty one if no receiver is left. This and the drop of the last receiver are one
    /// or the other: a receiver that it returns keeps the messages, and the channel open, unless that was closed; once
    /// it has returned an empty one, no receiver of this channel will exist again, and the channel is closed or about
    /// to be.
    [[nodiscard]] receiver<T> lock() const noexcept {
        return channel_ && channel_->try_add_receiver() ? receiver<T>(channel_) : receiver<T>();
    }

    /// Whether both belong to the same channel, or both to none.
    friend bool operator==(const weak_receiver& a, const weak_receiver& b) noexcept { return a.channel_ == b.channel_; }

private:
    friend class receiver<T>;
    explicit weak_receiver(detail::channel_core<T>* c) noexcept : base(c) {}

    // For the other parts of the library.
    friend detail::channel_core<T>* core_of(const weak_receiver& h) noexcept { return h.channel_; }
};

}  // namespace sluice
