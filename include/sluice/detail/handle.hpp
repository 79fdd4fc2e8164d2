// What senders and receivers have in common: a share in the channel, close() and the observers. The reference shows the
// public members of `handle` as those of sender and receiver, and nothing else of this header.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <type_traits>
#include <utility>

#include <sluice/detail/channel_core.hpp>
#include <sluice/detail/deadline.hpp>
#include <sluice/detail/waiter.hpp>
#include <sluice/result.hpp>

namespace sluice {

template <class T>
class receiver;
template <class T>
class weak_sender;
template <class T>
class weak_receiver;

namespace detail {

inline result<void> to_result(errc e) noexcept {
    if (e == errc{}) return {};
    return unexpected(e);
}

inline errc to_errc(op_status s, errc blocked) noexcept {
    return s == op_status::done ? errc{} : s == op_status::closed ? errc::closed : blocked;
}

// What is required of a message type even where it is incomplete; channel_core requires the rest.
template <class T>
struct message_type {
    static_assert(!std::is_reference_v<T>,
                  "sluice: a message must not be a reference; send a pointer or a std::reference_wrapper");
    static_assert(!std::is_const_v<T> && !std::is_volatile_v<T>,
                  "sluice: a message must not be const or volatile; leave that out");
    static_assert(!std::is_array_v<T>, "sluice: a message must not be an array; send a std::array or a std::vector");
    static_assert(!std::is_void_v<T> && !std::is_function_v<T>,
                  "sluice: a message must be an object; for mere signals send a std::monostate");
};

// The forms of the operations for coroutines: a class that <sluice/async.hpp> defines, and a check that it has.
struct async_header;
template <class Async>
struct async_forms_of {
    static_assert(
        requires { sizeof(Async); },
        "sluice: what a coroutine awaits is defined in another header: #include <sluice/async.hpp>");
    using type = Async;
};
template <class Async>
using async_forms = typename async_forms_of<Async>::type;

// Whether messages can be written to an output iterator of that type, an lvalue or an rvalue.
template <class Out, class T>
concept output_of = std::output_iterator<std::remove_cvref_t<Out>, T &&>;

// Stands for an operation that did not compile, so that awaiting it is no second error.
template <class Result>
struct never_awaited {
    bool await_ready() const noexcept { return true; }
    template <class Handle>
    void await_suspend(Handle) const noexcept {}
    Result await_resume() const { return Result(); }
};

// Which of the counts of a channel a handle is in.
enum class side : std::uint8_t { sending, receiving };

/// What senders and receivers have in common: closing, and observers. The observers never block, and say what was so at
/// some moment of the call, if other threads use the channel meanwhile.
template <class T, side Side>
class handle : message_type<T> {
public:
    /// @cond
    handle() = default;
    explicit handle(channel_core<T>* c) noexcept : channel_(c) {}
    handle(const handle& other) noexcept : channel_(other.channel_) {
        if (channel_) Side == side::sending ? channel_->add_sender() : channel_->add_receiver();
    }
    handle(handle&& other) noexcept : channel_(std::exchange(other.channel_, nullptr)) {}
    handle& operator=(const handle& other) noexcept { return *this = handle(other); }
    handle& operator=(handle&& other) noexcept {
        handle dropped(std::move(other));
        std::swap(channel_, dropped.channel_);
        return *this;
    }
    ~handle() {
        if (channel_) Side == side::sending ? channel_->drop_sender(ops_of<T>) : channel_->drop_receiver(ops_of<T>);
    }

    /// @endcond

    /// Whether the handle belongs to a channel: not if it was default constructed or moved from.
    explicit operator bool() const noexcept { return channel_ != nullptr; }

    /// Closes the channel, for all its handles: sends report `closed` from now on, receives do once the channel is
    /// drained, and all threads that are blocked on it wake; a blocked send keeps its message. What the channel holds
    /// can still be received. Never blocks. Returns true for the call that closed it, false if it was closed before or
    /// the handle is empty. May be called from any thread, as all of this class, but not from a signal handler.
    bool close() const { return channel_ && channel_->close(); }

    /// The same with a reason, which close_cause() of every handle then tells: `rx.close(std::make_exception_ptr(e))`.
    /// A null pointer is no reason. Where the call did not close the channel, the cause counts for nothing; in any case
    /// it is given up, and destroyed with no lock held.
    bool close(std::exception_ptr cause) const { return channel_ && channel_->close(std::move(cause)); }
    /// @cond
    template <class Cause>
        requires(!std::convertible_to<Cause, std::exception_ptr>)
    bool close(Cause&&) const {
        static_assert(std::convertible_to<Cause, std::exception_ptr>,
                      "sluice: close takes nothing, or the cause as a std::exception_ptr: "
                      "tx.close(std::make_exception_ptr(std::runtime_error(reason)))");
        return false;
    }
    /// @endcond

    /// The reason with which the channel was closed: null while it is open, where there was none, where the last handle
    /// of one side was dropped, and for an empty handle. A remote end that an error has closed has a std::system_error.
    /// What the channel holds can be received all the same, so ask when an operation has reported `closed`: whoever has
    /// seen that, or is_closed(), sees the cause. Never blocks. It is kept until the last sender and the last receiver
    /// are gone; so one that holds a handle of this channel, unless that is a weak one, keeps the channel for ever.
    std::exception_ptr close_cause() const noexcept { return channel_ ? channel_->close_cause() : nullptr; }

    /// Whether the channel was closed, or one side has dropped its last handle; true of an empty handle. There may
    /// still be messages to receive.
    bool is_closed() const noexcept { return !channel_ || channel_->is_closed(); }
    /// How many messages the channel holds; 0 for a rendezvous and for an empty handle.
    std::size_t size() const noexcept { return channel_ ? channel_->size() : 0; }
    /// Whether the channel holds no message; always so for a rendezvous and for an empty handle.
    bool empty() const noexcept { return size() == 0; }
    /// Whether the channel holds as many messages as its capacity; always so for a rendezvous and for an empty handle,
    /// never for an unbounded channel.
    bool full() const noexcept { return !channel_ || channel_->full(); }
    /// How many messages the channel can hold: no value for an unbounded channel, 0 for a rendezvous and for an empty
    /// handle. It never changes.
    std::optional<std::size_t> capacity() const noexcept {
        return channel_ ? channel_->capacity() : std::optional<std::size_t>(0);
    }
    /// How many messages the channel has discarded for lack of room, by its rule: see bounded() and broadcaster. 0 for
    /// a channel without such a rule and for an empty handle. What waits when the last receiver goes is destroyed, but
    /// not counted. Ask a handle that you keep: a weak one can't tell once one side has gone.
    std::size_t dropped() const noexcept { return channel_ ? channel_->dropped() : 0; }
    /// How many senders the channel has, this handle included where it is one; 0 for an empty handle.
    std::size_t sender_count() const noexcept { return channel_ ? channel_->sender_count() : 0; }
    /// How many receivers the channel has, this handle included where it is one; 0 for an empty handle.
    std::size_t receiver_count() const noexcept { return channel_ ? channel_->receiver_count() : 0; }

protected:
    /// @cond
    channel_core<T>* channel_ = nullptr;
    /// @endcond
};

// Iterates over what a handle receives; see receiver::begin().
template <class Handle>
class message_iterator {
public:
    using value_type = typename Handle::value_type;
    using difference_type = std::ptrdiff_t;
    using iterator_concept = std::input_iterator_tag;

    explicit message_iterator(const Handle& from, stop_token stop = {}) noexcept
        : from_(&from), stop_(std::move(stop)) {}
    message_iterator(message_iterator&&) = default;
    message_iterator& operator=(message_iterator&& other) {
        from_ = other.from_;
        stop_ = std::move(other.stop_);
        fetched_ = other.fetched_;
        current_ = unexpected(errc::closed);
        if (other.current_) current_.emplace(*std::move(other.current_));
        return *this;
    }

    value_type& operator*() const { return *fetch(); }
    value_type* operator->() const { return std::addressof(*fetch()); }
    message_iterator& operator++() {
        fetch();
        fetched_ = false;
        return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const message_iterator& it, std::default_sentinel_t) { return !it.fetch(); }

private:
    // Receives only when the message is asked for; until then it stays in the channel.
    result<value_type>& fetch() const {
        if (!fetched_) {
            current_ = unexpected(errc::closed);
            from_->recv_into(current_, deadline::never(), stop_);
            fetched_ = true;
        }
        return current_;
    }

    const Handle* from_;
    stop_token stop_;
    mutable result<value_type> current_ = unexpected(errc::closed);
    mutable bool fetched_ = false;
};

// What a handle receives until its channel is closed and drained, or a stop is requested.
template <class Handle>
class message_range : public std::ranges::view_base {
public:
    message_range(Handle from, stop_token stop) noexcept : from_(std::move(from)), stop_(std::move(stop)) {}

    message_iterator<Handle> begin() const { return message_iterator<Handle>(from_, stop_); }
    std::default_sentinel_t end() const noexcept { return {}; }

private:
    Handle from_;
    stop_token stop_;
};

template <class R>
inline constexpr bool receives = false;
template <class T>
inline constexpr bool receives<receiver<T>> = true;
template <class Handle>
inline constexpr bool receives<message_range<Handle>> = true;

// What std::hash of a handle is: handles that are equal have the same.
struct channel_hash {
    template <class Handle>
    std::size_t operator()(const Handle& h) const noexcept {
        return std::hash<const void*>()(core_of(h));
    }
};

}  // namespace detail

}  // namespace sluice
