// pollable: a descriptor by which event loops wait for a receiver or a selector. POSIX; not part of sluice.hpp.
#pragma once

#if !defined(__unix__) && !defined(__APPLE__)
#error "sluice: sluice/pollable.hpp needs the descriptors of POSIX, which this system does not have"
#endif

#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>

#include <sluice/channel.hpp>
#include <sluice/detail/deadline.hpp>
#include <sluice/detail/group.hpp>
#include <sluice/detail/ready_signal.hpp>
#include <sluice/result.hpp>
#include <sluice/select.hpp>

namespace sluice {

namespace detail {

template <class Source>
constexpr bool check_pollable() {
    constexpr bool never = !std::is_same_v<Source, Source>;
    static_assert(
        never,
        "sluice: a pollable holds a receiver, or refers to a selector that outlives the call; to wait for the "
        "room of a sender add an on_send to a selector; for a timer the event loop has timers of its own");
    return never;
}

// What stands for the type of the messages where a pollable is made of something else.
template <class Source>
struct no_message {};

}  // namespace detail

/// A receiver with a descriptor, for epoll, poll, and other event loops: `sluice::pollable<job> in(rx);`. It holds the
/// receiver, and so keeps the channel open as any other does. It is movable, not copyable: for one more descriptor make
/// one more pollable of the receiver.
///
/// **Descriptor.** fd() is readable when there may be a message, or the channel has closed; where it is not, there was
/// none when that was last looked at, and it becomes readable when there is one. try_recv() makes it so: `empty` has the
/// descriptor wait for the next message, a message and `closed` leave it readable. So a loop that is told as long as a
/// descriptor is readable (level-triggered) may take one message each time; one that is told when it becomes readable
/// (edge-triggered, EPOLLET) goes on until `empty` or `closed`. The program only polls the descriptor: reading, writing
/// and closing it are the pollable's.
///
/// **Sharing.** Any number of pollables and receivers may share a channel. All pollables are told of a message; one gets
/// it, and the others find that it was quicker, as does one whose message a receiver has taken.
///
/// **Rendezvous.** A sender that is blocked in a send, in a select or in the wait of a selector makes the descriptor
/// readable, and try_recv() takes its message. A pollable never stands in line itself: try_send() reports `full`, and two
/// sides that both only look, be it by pollables or by tries, never meet. One of the two has to block, or the channel to
/// have room for a message.
///
/// **Event loops.** libuv: `uv_poll_init(loop, &handle, in.fd())`, and uv_poll_start with UV_READABLE. GLib:
/// `g_unix_fd_add(in.fd(), G_IO_IN, callback, data)`, whose callback calls try_recv() and returns G_SOURCE_CONTINUE
/// until that reports `closed`. Qt: a `QSocketNotifier(in.fd(), QSocketNotifier::Read)`, whose signal `activated` is
/// connected to a function that calls try_recv(); disable it at `closed`. All three tell as long as the descriptor is
/// readable. Have the loop forget the descriptor before the pollable ends.
///
/// **Fork.** A forked child shares the descriptor with its parent, and must neither poll it nor call try_recv(): it may
/// drop the pollable, which closes its copy and changes nothing in the parent. An epoll goes on to report a descriptor that
/// the parent has closed while a child has it open; so remove it from the epoll first, here too. A program that is started
/// by exec does not get it.
///
/// **Thread safety.** fd() and try_recv() may be called from any number of threads at once, others may send and receive
/// meanwhile, but none of it in a signal handler; moving, assigning and destroying a pollable is for one thread, with no
/// other use beside it. It may end, or move, at any time, also while a thread is just making its descriptor readable:
/// nothing is written to the descriptor afterwards. It does not wait for the other thread.
template <class T>
class pollable {
public:
    /// Holds the receiver; an empty one is one whose channel has closed. Does not block, takes one descriptor (where the
    /// system has no eventfd two), which is close-on-exec. Throws std::system_error if none is to be had, and
    /// std::bad_alloc; the receiver is dropped then.
    explicit pollable(receiver<T> from) : from_(std::move(from)), signal_(std::make_shared<detail::ready_signal>()) {
        if (!arm()) signal_->raise();
    }
    /// @cond
    template <class Other>
        requires(!std::is_convertible_v<Other, receiver<T>> && !std::is_same_v<std::remove_cvref_t<Other>, pollable>)
    explicit pollable(Other&&) { detail::check_pollable<Other>(); }
    /// @endcond
    pollable(const pollable&) = delete;
    pollable& operator=(const pollable&) = delete;
    /// @{
    /// Moves the receiver, with the descriptor, which keeps its number. The other one has none then: fd() is -1, and
    /// try_recv() reports `closed`. What is assigned to ends before, as by its destructor.
    pollable(pollable&& other) noexcept = default;
    pollable& operator=(pollable&& other) noexcept {
        pollable ended(std::move(other));
        std::swap(from_, ended.from_);
        std::swap(signal_, ended.signal_);
        return *this;
    }
    /// @}
    /// Closes the descriptor, and drops the receiver.
    ~pollable() {
        if (!signal_) return;
        signal_->close([this](detail::watcher& w) { return from_ && core_of(from_)->unwatch_message(w); });
    }

    /// The descriptor: the same as long as the pollable lives, and wherever it moves. Never blocks.
    int fd() const noexcept { return signal_ ? signal_->fd() : -1; }

    /// Receives the oldest message if there is one, as receiver::try_recv() does. Never blocks. Fails with `empty`, and
    /// has the descriptor become readable when there is a message again; or with `closed`. What the move of the message
    /// throws leaves the call; the message is still the first of the channel then, and the descriptor as it was.
    [[nodiscard]] result<T> try_recv() const {
        for (int looks = 1;; ++looks) {
            result<T> message = from_.try_recv();
            if (message || message.error() != errc::empty || !signal_->lower() || arm()) return message;
            signal_->raise();
            if (looks == max_looks) return message;
        }
    }

private:
    // How often others may be quicker with a message that comes meanwhile, before that is left to the next call.
    static constexpr int max_looks = 2;

    // See ready_signal. False if there may be a message already, or the channel has closed.
    bool arm() const {
        if (from_ && core_of(from_)->watch_for_message(signal_->arm(signal_))) return true;
        signal_->disarm();
        return false;
    }

    receiver<T> from_;
    std::shared_ptr<detail::ready_signal> signal_;
};

/// A selector with a descriptor: `sluice::pollable<sluice::selector> any(group);`: one descriptor for many channels and
/// both directions. It refers to the cases of the selector, also when that is moved. When the selector ends, or others
/// are moved into it, the descriptor is readable for good, and try_wait() reports `closed`.
///
/// **Descriptor.** fd() is readable when try_wait() may do something, or may report `closed`; where it is not, no case was
/// ready when that was last looked at, and it becomes readable when one may be, also one that is added later, and when
/// the last one is removed that could be ready. `empty` has the descriptor wait for that, all else leaves it readable. An
/// otherwise() may always run: with one the descriptor is always readable. Cases on timers, on_timeout() and on_deadline() do
/// not make it readable, since event loops have timers of their own; try_wait() looks at them where it is called. Waits of
/// the selector itself are allowed beside it, and may make the descriptor readable for nothing.
///
/// **Rendezvous.** Who is blocked at the other end, in an operation, in a select or in the wait of a selector, makes the
/// descriptor readable. Two sides that both only look never meet: see pollable.
///
/// The rest is as for the pollable of a receiver: moving, event loops, fork.
///
/// **Thread safety.** It belongs to the thread that uses the selector, as does each of its members but fd(). Others may use
/// the channels, and request stops, meanwhile. It may end at any time, but not in a handler that it calls.
template <>
class pollable<selector> {
public:
    /// Refers to the cases of `group`, those that are added later included. Does not block. Throws as the pollable of a
    /// receiver does.
    explicit pollable(selector& group) : group_(group_of(group)), signal_(std::make_shared<detail::ready_signal>()) {
        arm(*group_.lock());
    }
    /// @cond
    template <class Other>
        requires(!std::is_same_v<std::remove_cvref_t<Other>, pollable>)
    explicit pollable(Other&&) { detail::check_pollable<Other>(); }
    /// @endcond
    pollable(const pollable&) = delete;
    pollable& operator=(const pollable&) = delete;
    /// @{
    /// Moves the descriptor, which keeps its number. The other one has none then: fd() is -1, and try_wait() reports
    /// `closed`. What is assigned to ends before, as by its destructor.
    pollable(pollable&& other) noexcept = default;
    pollable& operator=(pollable&& other) noexcept {
        pollable ended(std::move(other));
        std::swap(group_, ended.group_);
        std::swap(signal_, ended.signal_);
        return *this;
    }
    /// @}
    /// Closes the descriptor. The selector stays as it is.
    ~pollable() {
        if (!signal_) return;
        signal_->close([this](detail::watcher& w) {
            const std::shared_ptr<detail::group> cases = group_.lock();
            return cases && cases->stop_listening(w);
        });
    }

    /// The descriptor: the same as long as the pollable lives, and wherever it moves. Never blocks.
    int fd() const noexcept { return signal_ ? signal_->fd() : -1; }

    /// Does what a ready case stands for and returns its id, as selector::try_wait() does. Never blocks. Fails with
    /// `empty` if none is ready, and has the descriptor become readable when one may be; or with `closed`. What a handler
    /// throws leaves the call after its case has been done, and the descriptor is readable.
    result<std::size_t> try_wait() {
        const std::shared_ptr<detail::group> cases = group_.lock();
        if (!cases) return unexpected(errc::closed);
        const result<std::size_t> ran = cases->choose(detail::deadline::immediate(), errc::empty, {});
        if (!ran && ran.error() == errc::empty && signal_->lower()) arm(*cases);
        return ran;
    }

private:
    void arm(detail::group& cases) { cases.listen(signal_->arm(signal_)); }

    std::weak_ptr<detail::group> group_;
    std::shared_ptr<detail::ready_signal> signal_;
};

/// @cond
template <class T>
pollable(receiver<T>) -> pollable<T>;
pollable(selector&)->pollable<selector>;
template <class Other>
pollable(Other&&) -> pollable<detail::no_message<Other>>;
/// @endcond

}  // namespace sluice
