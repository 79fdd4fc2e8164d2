// pipe: one way between a process and a child that it forks.
#pragma once

#if !defined(__linux__) && !defined(__APPLE__)
#error "sluice: sluice/ipc/pipe.hpp needs POSIX; it is tested on Linux"
#endif

#include <cerrno>
#include <memory>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

#include <sluice/channel.hpp>
#include <sluice/ipc/codec.hpp>
#include <sluice/ipc/detail/descriptor.hpp>
#include <sluice/ipc/detail/errors.hpp>
#include <sluice/ipc/detail/io_loop.hpp>
#include <sluice/ipc/detail/pipe_transport.hpp>
#include <sluice/ipc/detail/process.hpp>
#include <sluice/ipc/detail/stream.hpp>
#include <sluice/ipc/error_sink.hpp>
#include <sluice/ipc/options.hpp>

namespace sluice::ipc {

/// A pipe of the system: two descriptors, and no thread until an end is opened. Make it, fork, and open one end in
/// each of the two processes; the other end is then closed in that process.
///
/// Until an end is opened, both are inherited by the children that are forked by the thread that made the pipe, or
/// that moved it last (`ipc::pipe mine = std::move(theirs);`); so make it just before the fork that it is for. In the
/// children of other threads it is closed, and opening an end throws. Opened ends are not inherited. A child has
/// copies of its parent's handles, which it may drop, without effect on the parent's, and must not use otherwise; it
/// ends by exec, _exit or std::exit.
///
/// The handles live on when the pipe is gone. error() may be called from any thread; otherwise a pipe is used by one
/// thread at a time.
class pipe {
public:
    /// Makes a pipe. Does not block. Throws std::system_error.
    explicit pipe(options chosen = {}) : options_(std::move(chosen)) {
        const bool made = detail::process::self().open_inheritable(
            [this]() noexcept {
                int ends[2];
#if defined(__linux__)
                if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return false;
                ::fcntl(ends[1], F_SETPIPE_SZ, pipe_bytes);
#else
                if (::pipe(ends) != 0) return false;
                detail::set_cloexec_nonblock(ends[0], true);
                detail::set_cloexec_nonblock(ends[1], true);
#endif
                reading_.fd = ends[0];
                writing_.fd = ends[1];
                return true;
            },
            reading_, writing_);
        if (!made) detail::fail(errno, "pipe");
    }

    /// Takes over the descriptors of a pipe that exists, such as inherited ones; -1 for an end that is not there.
    ///
    /// An end that is opened has O_NONBLOCK set, which other processes that share it notice. It is cleared again when
    /// the end is closed, if it was clear before; not if the process is killed or ends by _exit. Does not block.
    /// Throws std::system_error, and has closed the descriptors then.
    pipe(int reading, int writing, options chosen = {}) : options_(std::move(chosen)), adopted_(true) {
        detail::process::self().open_inheritable(
            [&]() noexcept {
                reading_.fd = reading;
                writing_.fd = writing;
                return true;
            },
            reading_, writing_);
        for (const int fd : {reading, writing}) {
            if (fd >= 0 && !detail::set_cloexec_nonblock(fd, false)) {
                const int error = errno;
                reset();
                detail::fail(error, "pipe");
            }
        }
    }

    /// Takes the ends of `other` that are not opened yet, for this thread and the children that it forks. error() of
    /// both is from then on the same. Does not block.
    pipe(pipe&& other) noexcept
        : options_(std::move(other.options_)), errors_(other.errors_), adopted_(other.adopted_) {
        move_ends(other);
    }
    /// The same; closes the ends that this pipe has and has not opened.
    pipe& operator=(pipe&& other) noexcept {
        if (this != &other) {
            reset();
            options_ = std::move(other.options_);
            errors_ = other.errors_;
            adopted_ = other.adopted_;
            move_ends(other);
        }
        return *this;
    }
    /// Closes the ends that were not opened.
    ~pipe() { reset(); }

    /// Opens the writing end in this process, and closes the reading one. Does not block. Throws std::system_error: if
    /// an end was opened here before, if another thread forked this process, or if descriptors or threads run out.
    ///
    /// Dropping the last sender has everything written, and then ends the stream. When the reader goes, sends report
    /// `closed`.
    template <class T>
    [[nodiscard]] sluice::sender<T> sender() {
        return open(writing_, [this](detail::stream& s) { return s.open_sender<T>(options_, 0); });
    }

    /// Opens the reading end in this process, and closes the writing one. Blocks and throws as sender() does.
    ///
    /// The receiver gets all messages, and then `closed`. If the writer dies, that comes after its last whole message,
    /// with `std::errc::connection_reset` as error().
    template <class T>
    [[nodiscard]] sluice::receiver<T> receiver() {
        return open(reading_, [this](detail::stream& s) { return s.open_receiver<T>(options_, 0); });
    }

    /// Why the end that was opened here has closed; none while it is open, and after a clean end. Does not block; may
    /// be called from any thread.
    [[nodiscard]] std::error_code error() const { return errors_->error(); }

private:
    static constexpr int pipe_bytes = 1 << 18;  // of the kernel's buffer, if this user may have that much

    template <class F>
    auto open(detail::inheritable_fd& end, F&& open_end) {
        if (end.closed_by_fork) {
            detail::fail(EBADF,
                         "pipe: it belongs to another thread than the one that forked this process; let the thread "
                         "that forks make it, or move it into a pipe of its own");
        }
        if (end.fd < 0) detail::fail(EBADF, "pipe: this end was opened or closed before");
        return detail::with_context("pipe", [&] {
            const std::shared_ptr<detail::io_loop> loop = detail::loop_for(options_);
            detail::descriptor mine(end);
            reset();
            if (adopted_ && !mine.set_nonblocking()) detail::fail(errno, "pipe");
            auto s = std::make_unique<detail::stream>(
                detail::stream_parts{std::make_unique<detail::pipe_transport>(std::move(mine)), loop, errors_});
            auto handle = open_end(*s);
            detail::start(*loop, std::move(s), options_.stop);
            return handle;
        });
    }

    void move_ends(pipe& from) noexcept {
        detail::process::self().move(from.reading_, reading_);
        detail::process::self().move(from.writing_, writing_);
    }
    void reset() noexcept {
        detail::process::self().close(reading_);
        detail::process::self().close(writing_);
    }

    options options_;
    std::shared_ptr<ipc::error_sink> errors_ = detail::error_sink_of(options_);
    detail::inheritable_fd reading_, writing_;
    bool adopted_ = false;
};

}  // namespace sluice::ipc
