// message_queue: a named queue of the system, which any number of processes send to and receive from.
#pragma once

#if !defined(__linux__)
#error \
    "sluice: ipc/message_queue.hpp needs the message queues of POSIX as Linux has them: descriptors that poll() takes"
#endif

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

#include <mqueue.h>

#include <sluice/channel.hpp>
#include <sluice/ipc/codec.hpp>
#include <sluice/ipc/detail/batching.hpp>
#include <sluice/ipc/detail/errors.hpp>
#include <sluice/ipc/detail/frame.hpp>
#include <sluice/ipc/detail/io_loop.hpp>
#include <sluice/ipc/detail/message_handlers.hpp>
#include <sluice/ipc/detail/posix_queue.hpp>
#include <sluice/ipc/error_sink.hpp>
#include <sluice/ipc/options.hpp>

namespace sluice::ipc {

/// A queue that belongs to the system: any number of processes of this user send and receive, each message goes to one
/// of them, and what the queue holds outlives them, until remove(). No end is told when another comes or goes, so ends
/// close only by themselves, or by an error.
///
/// The handles live on when the message_queue is gone. Its const members may be called from any thread.
class message_queue {
public:
    /// Opens the queue, or makes it, for this user alone. The name is a slash, and then no further one. Does not
    /// block. Throws std::system_error that says what to change: also if the queue belongs to another user, or is open
    /// to others.
    explicit message_queue(std::string name, queue_options chosen = {})
        : name_(std::move(name)), chosen_(std::move(chosen)) {
        if (const std::string why = detail::queue_name_problem(name_); !why.empty())
            detail::fail_for_queue(EINVAL, name_, why);
        detail::with_context(title(),
                             [this] { queue_ = detail::open_queue(name_, chosen_.depth, chosen_.max_message); });
    }

    /// Opens one more end that sends to the queue. Does not block. Throws std::system_error that names the queue.
    ///
    /// Dropping the last handle writes out what was sent, once the queue has room.
    template <class T>
    [[nodiscard]] sluice::sender<T> sender() const {
        return detail::with_context(title(), [this] {
            auto ends = bounded<T>(detail::capacity_for<T>(chosen_.capacity));
            start<detail::message_writer>(std::move(ends.rx), max_message());
            return std::move(ends.tx);
        });
    }

    /// Opens one more end that receives from the queue. Does not block. Throws std::system_error that names the queue.
    ///
    /// It takes messages out of the queue for as long as its channel has room; those that nobody has received when the
    /// last handle is dropped are lost.
    template <class T>
    [[nodiscard]] sluice::receiver<T> receiver() const {
        return detail::with_context(title(), [this] {
            const std::size_t capacity = chosen_.capacity != 0 ? chosen_.capacity : chosen_.depth;
            auto ends = bounded<T>((std::max<std::size_t>)(1, capacity));
            start<detail::message_reader>(std::move(ends.tx), queue_.max_size);
            return std::move(ends.rx);
        });
    }

    /// The largest encoded message in bytes that these ends send.
    std::size_t max_message() const noexcept {
        return (std::min)(chosen_.max_message, queue_.max_size - sizeof(detail::message_header));
    }

    /// Why one of the ends that were opened here was last closed by an error; none if that has not happened. Does not
    /// block.
    [[nodiscard]] std::error_code error() const { return errors_->error(); }

    /// Removes the name of a queue, and returns whether there was one. A process that has the queue open keeps it; the
    /// next to open the name makes a new queue. Does not block. Throws std::system_error.
    static bool remove(const std::string& name) {
        if (const std::string why = detail::queue_name_problem(name); !why.empty())
            detail::fail_for_queue(EINVAL, name, why);
        if (::mq_unlink(name.c_str()) == 0) return true;
        const int error = errno;
        if (error != ENOENT) {
            detail::fail_for_queue(error, name, error == EACCES || error == EPERM ? "it belongs to another user" : "");
        }
        return false;
    }

private:
    std::string title() const { return "message queue " + name_; }

    // Handler is message_writer or message_reader.
    template <class Handler, class End>
    void start(End end, std::size_t max_size) const {
        const std::shared_ptr<detail::io_loop> loop = detail::io_loop::shared();
        auto transport = std::make_unique<detail::posix_queue>(detail::duplicate(queue_.fd, title()));
        detail::start(*loop, std::make_unique<Handler>(std::move(transport), std::move(end), max_size, loop, errors_),
                      chosen_.stop);
    }

    std::string name_;
    queue_options chosen_;
    detail::opened_queue queue_;
    std::shared_ptr<ipc::error_sink> errors_ = std::make_shared<ipc::error_sink>();
};

}  // namespace sluice::ipc
