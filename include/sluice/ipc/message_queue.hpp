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
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <sys/stat.h>

#include <sluice/channel.hpp>
#include <sluice/detail/wait.hpp>
#include <sluice/ipc/codec.hpp>
#include <sluice/ipc/detail/descriptor.hpp>
#include <sluice/ipc/detail/ends.hpp>
#include <sluice/ipc/detail/frame.hpp>
#include <sluice/ipc/detail/outgoing.hpp>
#include <sluice/ipc/detail/pump.hpp>
#include <sluice/ipc/options.hpp>

namespace sluice::ipc {

namespace detail {

class queue_writer final : public station, private outgoing {
public:
    template <class T>
    queue_writer(descriptor fd, receiver<T> from, std::size_t max_message, std::shared_ptr<wake_up> wake,
                 std::shared_ptr<fault> report)
        : outgoing(std::move(wake), std::move(report)), fd_(std::move(fd)) {
        attach(std::move(from), {max_message, type_id<T>(), true});
    }

    bool work(short) override {
        const flow f = write();
        blocked_ = f == flow::blocked;
        return f != flow::over;
    }
    pollfd interest() const noexcept override { return {blocked_ ? fd_.get() : -1, POLLOUT, 0}; }
    void finish() noexcept override { outgoing::finish(); }
    void abort(std::error_code why) noexcept override {
        report_->note(why);
        abandon();
    }

private:
    flushed flush(outbox& box) noexcept override {
        const std::vector<std::byte>& message = box.bytes;
        const int sent = uninterrupted(
            [&] { return ::mq_send(fd_.get(), reinterpret_cast<const char*>(message.data()), message.size(), 0); });
        if (sent == 0) {
            process::self().progressed();
            box.discard();
            return flushed::all;
        }
        if (would_block(errno)) return flushed::blocked;
        report_->note(from_errno(errno));
        return flushed::gone;
    }
    void say_end(outbox&) override {}  // others may go on sending

    const descriptor fd_;
    bool blocked_ = false;
};

class queue_reader final : public station {
public:
    template <class T>
    queue_reader(descriptor fd, sender<T> to, std::size_t largest, const std::shared_ptr<wake_up>& wake,
                 std::shared_ptr<fault> report)
        : fd_(std::move(fd)),
          report_(std::move(report)),
          type_(type_id<T>()),
          buffer_(largest),
          inlet_(std::make_unique<channel_inlet<T>>(std::move(to), wake)) {}

    bool work(short events) override {
        bool readable = events != 0;
        for (;;) {
            // First what was taken before: the channel may wait for it where it lies.
            const inlet::outcome handed = hand_over();
            full_ = handed == inlet::outcome::full;
            if (full_) return true;
            if (handed == inlet::outcome::closed) return false;
            if (error_) {
                report_->note(error_);
                return false;
            }
            if (!readable) return true;
            take_messages(readable);
        }
    }
    pollfd interest() const noexcept override { return {full_ ? -1 : fd_.get(), POLLIN, 0}; }
    void finish() noexcept override { error_ = make_error_code(std::errc::operation_canceled); }
    void abort(std::error_code why) noexcept override {
        report_->note(why);
        inlet_.reset();
    }

private:
    // As many as the inlet likes; not readable any more when there are none left.
    void take_messages(bool& readable) noexcept {
        try {
            for (;;) {
                const ssize_t size = uninterrupted([&] {
                    return ::mq_receive(fd_.get(), reinterpret_cast<char*>(buffer_.data()), buffer_.size(), nullptr);
                });
                if (size < 0) {
                    readable = false;
                    if (!would_block(errno)) error_ = from_errno(errno);
                    return;
                }
                const std::span<const std::byte> got(buffer_.data(), static_cast<std::size_t>(size));
                if ((error_ = mismatch(got, type_))) return;
                if (!inlet_->take(got.subspan(sizeof(queue_header)))) return;
            }
        } catch (...) {
            error_ = current_error();
        }
    }

    inlet::outcome hand_over() noexcept {
        if (!inlet_) return inlet::outcome::closed;
        try {
            return inlet_->pass_on();
        } catch (...) {
            error_ = current_error();
            return inlet::outcome::hungry;
        }
    }

    const descriptor fd_;
    const std::shared_ptr<fault> report_;
    const std::uint64_t type_;
    std::vector<std::byte> buffer_;
    std::unique_ptr<inlet> inlet_;
    std::error_code error_;
    bool full_ = false;
};

}  // namespace detail

/// How a queue of the system is made. The system's own limits are in /proc/sys/fs/mqueue; a queue that exists keeps
/// what it was made with.
struct queue_options {
    /// How many messages the queue holds.
    std::size_t depth = 10;
    /// The largest encoded message; eight bytes less if that is the most the system allows.
    std::size_t max_message = 8192;
    /// How many messages wait in this process at most. 0: to be sent, as fits the type; received, as many as the queue
    /// holds.
    std::size_t capacity = 0;
    /// Ends all ends at once, without writing out what was sent.
    sluice::detail::stop_token stop = {};
};

/// A queue that belongs to the system: any number of processes of this user may send and receive, each message goes to
/// one of them, and what it holds outlives them. Nobody is told when the others come and go, so its ends close only by
/// themselves. The handles live on when the message_queue is gone; the queue itself lives on until remove().
class message_queue {
public:
    /// Opens the queue, or makes it, for this user alone. The name is a slash and then no further one. Throws
    /// std::system_error.
    explicit message_queue(std::string name, queue_options chosen = {})
        : name_(std::move(name)), chosen_(std::move(chosen)) {
        // A message has a header, for which there may be no room within the limits of the system.
        if (!open(chosen_.max_message + sizeof(detail::queue_header)) &&
            (errno != EINVAL || !open(chosen_.max_message))) {
            detail::fail(errno, "message queue " + name_);
        }
        mq_attr found{};
        if (::mq_getattr(fd_.get(), &found) != 0) detail::fail(errno, "message queue " + name_);
        largest_ = static_cast<std::size_t>(found.mq_msgsize);
        if (largest_ < sizeof(detail::queue_header)) detail::fail(EMSGSIZE, "message queue " + name_);
    }

    /// One more end that sends to the queue. Throws std::system_error.
    template <class T>
    [[nodiscard]] sluice::sender<T> sender() const {
        auto ends = bounded<T>(detail::capacity_for<T>(options{.capacity = chosen_.capacity}));
        const std::shared_ptr<detail::pump> p = detail::pump::make();
        p->add(std::make_unique<detail::queue_writer>(another_descriptor(), std::move(ends.rx), max_message(),
                                                      p->waking(), report_));
        detail::pump::start(p, chosen_.stop);
        return std::move(ends.tx);
    }

    /// One more end that receives from the queue: it takes messages out as long as there is room in its channel; those
    /// that were not received when the end is dropped are lost. Throws std::system_error.
    template <class T>
    [[nodiscard]] sluice::receiver<T> receiver() const {
        auto ends = bounded<T>((std::max<std::size_t>)(1, chosen_.capacity != 0 ? chosen_.capacity : chosen_.depth));
        const std::shared_ptr<detail::pump> p = detail::pump::make();
        p->add(std::make_unique<detail::queue_reader>(another_descriptor(), std::move(ends.tx), largest_, p->waking(),
                                                      report_));
        detail::pump::start(p, chosen_.stop);
        return std::move(ends.rx);
    }

    /// The largest encoded message that fits.
    std::size_t max_message() const noexcept {
        return (std::min)(chosen_.max_message, largest_ - sizeof(detail::queue_header));
    }

    /// Why one of the ends that were made here was last closed by an error; none if that has not happened.
    [[nodiscard]] std::error_code error() const { return report_->error(); }

    /// Removes the name. Who has the queue open keeps it; the next to open it makes a new one. True if there was one.
    /// Throws std::system_error.
    static bool remove(const std::string& name) {
        if (::mq_unlink(name.c_str()) == 0) return true;
        if (errno != ENOENT) detail::fail(errno, "message queue " + name);
        return false;
    }

private:
    bool open(std::size_t largest) {
        mq_attr wanted{};
        wanted.mq_maxmsg = static_cast<long>(chosen_.depth);
        wanted.mq_msgsize = static_cast<long>(largest);
        fd_ = detail::descriptor([&]() noexcept {
            return ::mq_open(name_.c_str(), O_RDWR | O_CREAT | O_NONBLOCK | O_CLOEXEC, S_IRUSR | S_IWUSR, &wanted);
        });
        return static_cast<bool>(fd_);
    }

    detail::descriptor another_descriptor() const {
        detail::descriptor fd([this]() noexcept { return ::fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0); });
        if (!fd) detail::fail(errno, "message queue " + name_);
        return fd;
    }

    std::string name_;
    queue_options chosen_;
    detail::descriptor fd_;
    std::size_t largest_ = 0;
    std::shared_ptr<ipc::fault> report_ = std::make_shared<ipc::fault>();
};

}  // namespace sluice::ipc
