// message_queue: a named queue of the system, which any number of processes send to and receive from.
#pragma once

#if !defined(__linux__)
#error \
    "sluice: ipc/message_queue.hpp needs the message queues of POSIX as Linux has them: descriptors that poll() takes"
#endif

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdlib>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sluice/channel.hpp>
#include <sluice/detail/waiter.hpp>
#include <sluice/ipc/codec.hpp>
#include <sluice/ipc/detail/descriptor.hpp>
#include <sluice/ipc/detail/ends.hpp>
#include <sluice/ipc/detail/frame.hpp>
#include <sluice/ipc/detail/io_loop.hpp>
#include <sluice/ipc/detail/lending.hpp>
#include <sluice/ipc/detail/outgoing.hpp>
#include <sluice/ipc/options.hpp>

namespace sluice::ipc {

namespace detail {

class queue_writer final : public station, private outgoing {
public:
    template <class T>
    queue_writer(descriptor fd, receiver<T> from, std::size_t max_message, std::shared_ptr<io_loop> loop,
                 std::shared_ptr<fault> report)
        : station(std::move(loop), nullptr),
          outgoing(static_cast<station&>(*this), std::move(report)),
          fd_(std::move(fd)) {
        attach(std::move(from), {max_message, type_id<T>(), true});
    }

    bool work(readiness, std::span<std::byte>) override {
        const flow f = write();
        blocked_ = f == flow::blocked;
        return f != flow::over;
    }
    int fd() const noexcept override { return blocked_ ? fd_.get() : -1; }
    readiness interest() const noexcept override { return {false, blocked_}; }
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
            box.discard();
            return flushed::all;
        }
        if (would_block(errno)) return flushed::blocked;
        write_error_ = errno;
        return flushed::gone;
    }
    // Others may go on sending.
    void say_end(outbox&) override {}
    void say_broken(outbox&, ipc_errc) override {}
    void note_gone() noexcept override { report_->note(from_errno(write_error_)); }

    const descriptor fd_;
    int write_error_ = 0;
    bool blocked_ = false;
};

class queue_reader final : public lending_station {
public:
    template <class T>
    queue_reader(descriptor fd, sender<T> to, std::size_t largest, std::shared_ptr<io_loop> loop,
                 std::shared_ptr<fault> report)
        : lending_station(std::move(loop), nullptr),
          fd_(std::move(fd)),
          report_(std::move(report)),
          type_(type_id<T>()),
          buffer_(largest) {
        inlet_ = std::make_unique<channel_inlet<T>>(std::move(to), static_cast<station&>(*this), lend_to_receivers());
    }
    ~queue_reader() override {
        retire([this] { inlet_.reset(); });
    }

    bool work(readiness what, std::span<std::byte>) override {
        bool readable = what.read || full_;
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
    int fd() const noexcept override { return full_ ? -1 : fd_.get(); }
    readiness interest() const noexcept override { return {!lent(), false}; }
    void finish() noexcept override { inlet_.reset(); }
    void abort(std::error_code why) noexcept override {
        report_->note(why);
        inlet_.reset();
    }

private:
    bool may_lend() const noexcept override { return inlet_ && !error_; }
    int looks() const noexcept override { return 24; }
    bool has_more() const noexcept override { return false; }  // there are never many

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
            error_ = current_error(ipc_errc::not_decoded);
        }
    }

    inlet::outcome hand_over() noexcept {
        if (!inlet_) return inlet::outcome::closed;
        try {
            return inlet_->pass_on();
        } catch (...) {
            error_ = current_error(ipc_errc::not_decoded);
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

namespace detail {

// ---- Why a queue cannot be had, in words that say what to change

// A limit of the system's on queues; none if it does not tell.
inline std::optional<unsigned long long> queue_limit(const char* name) {
    const descriptor file(
        [&]() noexcept { return ::open((std::string("/proc/sys/fs/mqueue/") + name).c_str(), O_RDONLY | O_CLOEXEC); });
    char text[32] = {};
    if (!file || uninterrupted([&] { return ::read(file.get(), text, sizeof text - 1); }) <= 0) return std::nullopt;
    return std::strtoull(text, nullptr, 10);
}

// ", where 10 is the most (/proc/sys/fs/mqueue/msg_max)"
inline std::string most_of(const char* limit) {
    const auto most = queue_limit(limit);
    return ", where " + (most ? std::to_string(*most) : "no more than some limit") +
           " is the most (/proc/sys/fs/mqueue/" + limit + ")";
}

// Empty if the name is one that a queue can have.
inline std::string wrong_with_queue_name(const std::string& name) {
    if (!name.starts_with('/')) return "a queue's name begins with a slash";
    if (name.size() == 1) return "a queue's name goes on after the slash";
    if (name.find('/', 1) != std::string::npos) return "a queue's name has no second slash";
    if (name.find('\0') != std::string::npos) return "a queue's name has no zero in it";
    if (name.size() > NAME_MAX) return "a queue's name has " + std::to_string(NAME_MAX) + " characters at most";
    return {};
}

// Whether this process may have one more descriptor.
inline bool has_room_for_descriptor() {
    return static_cast<bool>(descriptor([]() noexcept { return ::open("/", O_PATH | O_CLOEXEC); }));
}

// Of a failed attempt to open a queue, or to make it with this depth and size of messages.
inline std::string wrong_with_queue(int error, std::size_t depth, std::size_t largest) {
    switch (error) {
        case EACCES: return "it belongs to another user, or its mode keeps this one out: take another name";
        case EINVAL: {
            if (depth == 0) return "its depth is 0";
            const auto most_messages = queue_limit("msg_max"), most_bytes = queue_limit("msgsize_max");
            std::string why;
            if (!most_messages || depth > *most_messages)
                why = "its depth is " + std::to_string(depth) + most_of("msg_max");
            if (!most_bytes || largest > *most_bytes) {
                why += why.empty() ? "" : "; ";
                why += "its messages have " + std::to_string(largest) + " bytes" + most_of("msgsize_max");
            }
            return why;
        }
        case EMFILE: {
            if (!has_room_for_descriptor()) return "the process has no more descriptors (RLIMIT_NOFILE)";
            rlimit most{};
            ::getrlimit(RLIMIT_MSGQUEUE, &most);
            return "its depth of " + std::to_string(depth) + " times messages of " + std::to_string(largest) +
                   " bytes, with all queues of this user, would be more than " + std::to_string(most.rlim_cur) +
                   " bytes (RLIMIT_MSGQUEUE, ulimit -q): make it smaller, remove others, or raise the limit";
        }
        case ENOSPC: return "there are too many queues" + most_of("queues_max") + ": remove others, or raise the limit";
        case ENOMEM:
        case EOVERFLOW:
            return "its depth of " + std::to_string(depth) + " times messages of " + std::to_string(largest) +
                   " bytes is more than the system has memory for";
        default: return {};
    }
}

[[noreturn]] inline void fail_for_queue(int error, const std::string& name, const std::string& why) {
    fail(error, "message queue " + name + (why.empty() ? "" : ": ") + why);
}

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
    /// std::system_error that says what to change: also if the queue belongs to another user, or others may open it,
    /// whoever made it so.
    explicit message_queue(std::string name, queue_options chosen = {})
        : name_(std::move(name)), chosen_(std::move(chosen)) {
        if (const std::string why = detail::wrong_with_queue_name(name_); !why.empty())
            detail::fail_for_queue(EINVAL, name_, why);
        detail::naming(title(), [this] {
            // A message has a header, for which there may be no room within the limits of the system.
            const std::size_t wanted = chosen_.max_message;
            const std::size_t with_header = wanted + (std::min)(sizeof(detail::queue_header), ~wanted);
            if (!open(with_header) && (errno != EINVAL || !open(wanted))) {
                const int error = errno;
                detail::fail_for_queue(error, name_, detail::wrong_with_queue(error, chosen_.depth, wanted));
            }
            keep_to_ourselves();
            mq_attr found{};
            if (::mq_getattr(fd_.get(), &found) != 0) detail::fail(errno, title());
            largest_ = static_cast<std::size_t>(found.mq_msgsize);
            if (largest_ < sizeof(detail::queue_header)) {
                detail::fail_for_queue(EMSGSIZE, name_,
                                       "it was made for messages of " + std::to_string(largest_) + " bytes, but the " +
                                           std::to_string(sizeof(detail::queue_header)) +
                                           " before each would not fit: remove it");
            }
        });
    }

    /// One more end that sends to the queue. Throws std::system_error that names the queue.
    template <class T>
    [[nodiscard]] sluice::sender<T> sender() const {
        return detail::naming(title(), [this] {
            auto ends = bounded<T>(detail::capacity_for<T>(options{.capacity = chosen_.capacity}));
            const std::shared_ptr<detail::io_loop> loop = detail::io_loop::common();
            detail::run(*loop,
                        std::make_unique<detail::queue_writer>(another_descriptor(), std::move(ends.rx), max_message(),
                                                               loop, report_),
                        chosen_.stop);
            return std::move(ends.tx);
        });
    }

    /// One more end that receives from the queue: it takes messages out as long as there is room in its channel; those
    /// that were not received when the end is dropped are lost. Throws std::system_error that names the queue.
    template <class T>
    [[nodiscard]] sluice::receiver<T> receiver() const {
        return detail::naming(title(), [this] {
            auto ends =
                bounded<T>((std::max<std::size_t>)(1, chosen_.capacity != 0 ? chosen_.capacity : chosen_.depth));
            const std::shared_ptr<detail::io_loop> loop = detail::io_loop::common();
            detail::run(*loop,
                        std::make_unique<detail::queue_reader>(another_descriptor(), std::move(ends.tx), largest_, loop,
                                                               report_),
                        chosen_.stop);
            return std::move(ends.rx);
        });
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
        if (const std::string why = detail::wrong_with_queue_name(name); !why.empty())
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

    bool open(std::size_t largest) {
        mq_attr wanted{};
        constexpr std::size_t most = (std::numeric_limits<int>::max)();  // the system takes a long, and has no more
        wanted.mq_maxmsg = static_cast<long>((std::min)(chosen_.depth, most));
        wanted.mq_msgsize = static_cast<long>((std::min)(largest, most));
        fd_ = detail::descriptor([&]() noexcept {
            return ::mq_open(name_.c_str(), O_RDWR | O_CREAT | O_NONBLOCK | O_CLOEXEC, S_IRUSR | S_IWUSR, &wanted);
        });
        return static_cast<bool>(fd_);
    }

    // Anybody may take a name first, and let us in.
    void keep_to_ourselves() const {
        struct stat found {};
        if (::fstat(fd_.get(), &found) != 0) detail::fail(errno, title());
        if (const std::string why = detail::shared_with_others(found); !why.empty())
            detail::fail_for_queue(EPERM, name_, why + ": remove it, or take another name");
    }

    detail::descriptor another_descriptor() const {
        detail::descriptor fd([this]() noexcept { return ::fcntl(fd_.get(), F_DUPFD_CLOEXEC, 0); });
        if (!fd) detail::fail(errno == EINVAL ? EMFILE : errno, title());  // where the process may have none at all
        return fd;
    }

    std::string name_;
    queue_options chosen_;
    detail::descriptor fd_;
    std::size_t largest_ = 0;
    std::shared_ptr<ipc::fault> report_ = std::make_shared<ipc::fault>();
};

}  // namespace sluice::ipc
