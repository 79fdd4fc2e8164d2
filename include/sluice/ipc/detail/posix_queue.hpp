// posix_queue: messages through a queue of the system, and why one cannot be opened.
#pragma once

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdlib>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include <fcntl.h>
#include <mqueue.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sluice/ipc/detail/descriptor.hpp>
#include <sluice/ipc/detail/errors.hpp>
#include <sluice/ipc/detail/frame.hpp>
#include <sluice/ipc/detail/message_transport.hpp>

namespace sluice::ipc::detail {

class posix_queue final : public message_transport {
public:
    // A descriptor that does not block.
    explicit posix_queue(descriptor fd) : fd_(std::move(fd)) {}

    int fd() const noexcept override { return fd_.get(); }
    bool send(std::span<const std::byte> message) noexcept override {
        return retry_eintr([&] {
                   return ::mq_send(fd_.get(), reinterpret_cast<const char*>(message.data()), message.size(), 0);
               }) == 0;
    }
    ssize_t receive(std::span<std::byte> to) noexcept override {
        return retry_eintr(
            [&] { return ::mq_receive(fd_.get(), reinterpret_cast<char*>(to.data()), to.size(), nullptr); });
    }
    int spins() const noexcept override { return 24; }

private:
    const descriptor fd_;
};

// ---- Why a queue cannot be opened, and what to change

// A limit of the system on queues; none if it cannot be read.
inline std::optional<unsigned long long> queue_limit(const char* name) {
    const descriptor file(
        [&]() noexcept { return ::open((std::string("/proc/sys/fs/mqueue/") + name).c_str(), O_RDONLY | O_CLOEXEC); });
    char text[32] = {};
    if (!file || retry_eintr([&] { return ::read(file.get(), text, sizeof text - 1); }) <= 0) return std::nullopt;
    return std::strtoull(text, nullptr, 10);
}

// ", where 10 is the most (/proc/sys/fs/mqueue/msg_max)"
inline std::string at_most(const char* limit) {
    const auto max = queue_limit(limit);
    return ", where " + (max ? std::to_string(*max) : "no more than some limit") +
           " is the most (/proc/sys/fs/mqueue/" + limit + ")";
}

// Empty if a queue can have this name.
inline std::string queue_name_problem(const std::string& name) {
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

// Of a queue that was to be opened, or made with this depth and size of messages; empty if there is nothing to add.
inline std::string queue_open_problem(int error, std::size_t depth, std::size_t max_message) {
    switch (error) {
        case EACCES: return "it belongs to another user, or its mode keeps this one out: take another name";
        case EINVAL: {
            if (depth == 0) return "its depth is 0";
            const auto most_messages = queue_limit("msg_max"), most_bytes = queue_limit("msgsize_max");
            std::string why;
            if (!most_messages || depth > *most_messages)
                why = "its depth is " + std::to_string(depth) + at_most("msg_max");
            if (!most_bytes || max_message > *most_bytes) {
                why += why.empty() ? "" : "; ";
                why += "its messages have " + std::to_string(max_message) + " bytes" + at_most("msgsize_max");
            }
            return why;
        }
        case EMFILE: {
            if (!has_room_for_descriptor()) return "the process has no more descriptors (RLIMIT_NOFILE)";
            rlimit max{};
            ::getrlimit(RLIMIT_MSGQUEUE, &max);
            return "its depth of " + std::to_string(depth) + " times messages of " + std::to_string(max_message) +
                   " bytes, with all queues of this user, would be more than " + std::to_string(max.rlim_cur) +
                   " bytes (RLIMIT_MSGQUEUE, ulimit -q): make it smaller, remove others, or raise the limit";
        }
        case ENOSPC: return "there are too many queues" + at_most("queues_max") + ": remove others, or raise the limit";
        case ENOMEM:
        case EOVERFLOW:
            return "its depth of " + std::to_string(depth) + " times messages of " + std::to_string(max_message) +
                   " bytes is more than the system has memory for";
        default: return {};
    }
}

[[noreturn]] inline void fail_for_queue(int error, const std::string& name, const std::string& why) {
    fail(error, "message queue " + name + (why.empty() ? "" : ": ") + why);
}

// ---- Opening

struct opened_queue {
    descriptor fd;
    std::size_t max_size = 0;  // of a message with its header
};

// Opens the queue, or makes it, with O_NONBLOCK; empty, with errno, on failure.
inline descriptor open_or_make(const std::string& name, std::size_t depth, std::size_t max_size) {
    mq_attr wanted{};
    constexpr std::size_t max =
        (std::numeric_limits<int>::max)();  // the system takes a long, and allows no more than an int
    wanted.mq_maxmsg = static_cast<long>((std::min)(depth, max));
    wanted.mq_msgsize = static_cast<long>((std::min)(max_size, max));
    return descriptor([&]() noexcept {
        return ::mq_open(name.c_str(), O_RDWR | O_CREAT | O_NONBLOCK | O_CLOEXEC, S_IRUSR | S_IWUSR, &wanted);
    });
}

// Throws std::system_error, with what to change in the message: also if other users have access to the queue.
inline opened_queue open_queue(const std::string& name, std::size_t depth, std::size_t max_message) {
    opened_queue queue;
    // With the header a message may be larger than the system allows.
    const std::size_t with_header = max_message + (std::min)(sizeof(message_header), ~max_message);
    queue.fd = open_or_make(name, depth, with_header);
    if (!queue.fd && errno == EINVAL) queue.fd = open_or_make(name, depth, max_message);
    if (!queue.fd) {
        const int error = errno;
        fail_for_queue(error, name, queue_open_problem(error, depth, max_message));
    }
    // Any user may have made a queue of this name.
    struct stat found {};
    if (::fstat(queue.fd.get(), &found) != 0) fail_for_queue(errno, name, {});
    if (const std::string why = access_problem(found); !why.empty())
        fail_for_queue(EPERM, name, why + ": remove it, or take another name");
    mq_attr made{};
    if (::mq_getattr(queue.fd.get(), &made) != 0) fail_for_queue(errno, name, {});
    queue.max_size = static_cast<std::size_t>(made.mq_msgsize);
    if (queue.max_size < sizeof(message_header)) {
        fail_for_queue(EMSGSIZE, name,
                       "it was made for messages of " + std::to_string(queue.max_size) + " bytes, but the " +
                           std::to_string(sizeof(message_header)) + " before each would not fit: remove it");
    }
    return queue;
}

// A descriptor of the same queue. Throws std::system_error.
inline descriptor duplicate(const descriptor& queue, const std::string& title) {
    descriptor fd([&]() noexcept { return ::fcntl(queue.get(), F_DUPFD_CLOEXEC, 0); });
    if (!fd) fail(errno == EINVAL ? EMFILE : errno, title);  // EINVAL: the process may have no descriptors
    return fd;
}

}  // namespace sluice::ipc::detail
