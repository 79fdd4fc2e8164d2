// pipe: one way between a process and a child that it forks.
#pragma once

#include <cerrno>
#include <memory>
#include <system_error>
#include <utility>

#include <unistd.h>

#include <sluice/channel.hpp>
#include <sluice/ipc/detail/descriptor.hpp>
#include <sluice/ipc/detail/ends.hpp>
#include <sluice/ipc/detail/io_loop.hpp>
#include <sluice/ipc/detail/stream.hpp>
#include <sluice/ipc/options.hpp>

namespace sluice::ipc {

/// A pipe of the system: two descriptors, and nothing that runs, until an end is opened. Make it, fork, and open one
/// end in each of the two processes: the other end is then closed in that one. Until then both ends are inherited by
/// every child that is forked by the thread that made the pipe, or that moved it last (`ipc::pipe mine =
/// std::move(theirs);`), so make it just before the fork that it is for. In the children of other threads it is closed,
/// lest they keep its ends open, and to open one throws. Opened ends are not inherited. The handles live on when the
/// pipe is gone. A child inherits copies of all handles, too: it leaves those of its parent alone, and ends by exec,
/// _exit or std::exit.
///
/// Not safe to use from several threads at once, but error().
class pipe {
public:
    /// Throws std::system_error.
    explicit pipe(options chosen = {}) : options_(std::move(chosen)) {
        const bool made = detail::process::self().bequeath(
            [this]() noexcept {
                int ends[2];
#if defined(__linux__)
                if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return false;
                ::fcntl(ends[1], F_SETPIPE_SZ, large);
#else
                if (::pipe(ends) != 0) return false;
                detail::prepare(ends[0], true);
                detail::prepare(ends[1], true);
#endif
                reading_.fd = ends[0];
                writing_.fd = ends[1];
                return true;
            },
            reading_, writing_);
        if (!made) detail::fail(errno, "pipe");
    }

    /// Takes over the descriptors of pipes that exist, such as inherited ones; -1 for an end that is not there. One
    /// that is opened does not block until it is closed again, which others notice who share it; then it does again if
    /// it did before. That a process which is killed, or ends by _exit, leaves undone. Throws std::system_error, and
    /// then has closed them.
    pipe(int reading, int writing, options chosen = {}) : options_(std::move(chosen)), adopted_(true) {
        detail::process::self().bequeath(
            [&]() noexcept {
                reading_.fd = reading;
                writing_.fd = writing;
                return true;
            },
            reading_, writing_);
        for (const int fd : {reading, writing}) {
            if (fd >= 0 && !detail::prepare(fd, false)) {
                const int error = errno;
                reset();
                detail::fail(error, "pipe");
            }
        }
    }

    pipe(pipe&& other) noexcept
        : options_(std::move(other.options_)), report_(other.report_), adopted_(other.adopted_) {
        take_ends(other);
    }
    pipe& operator=(pipe&& other) noexcept {
        if (this != &other) {
            reset();
            options_ = std::move(other.options_);
            report_ = other.report_;
            adopted_ = other.adopted_;
            take_ends(other);
        }
        return *this;
    }
    ~pipe() { reset(); }

    /// Opens the writing end in this process. Throws std::system_error, also if an end was opened here before.
    template <class T>
    [[nodiscard]] sluice::sender<T> sender() {
        return open<T>(writing_, [](detail::stream& s, auto& ends, const options& chosen) {
            s.send_from(std::move(ends.rx), chosen, 0);
            return std::move(ends.tx);
        });
    }

    /// Opens the reading end in this process. Throws std::system_error, also if an end was opened here before.
    template <class T>
    [[nodiscard]] sluice::receiver<T> receiver() {
        return open<T>(reading_, [](detail::stream& s, auto& ends, const options& chosen) {
            s.receive_into(std::move(ends.tx), chosen, 0);
            return std::move(ends.rx);
        });
    }

    /// Why the end that was opened here has closed; none while it is open and after a clean end.
    [[nodiscard]] std::error_code error() const { return report_->error(); }

private:
    static constexpr int large = 1 << 18;  // of the kernel's buffer, if this user may have that much

    template <class T, class F>
    auto open(detail::heirloom& end, F&& attach) {
        if (end.withheld) {
            detail::fail(EBADF,
                         "pipe: it belongs to another thread than the one that forked this process; let the thread "
                         "that forks make it, or move it into a pipe of its own");
        }
        if (end.fd < 0) detail::fail(EBADF, "pipe: this end was opened or closed before");
        return detail::naming("pipe", [&] {
            const std::shared_ptr<detail::io_loop> loop = detail::loop_for(options_);
            auto ends = bounded<T>(detail::capacity_for<T>(options_));
            detail::descriptor mine(end);
            reset();
            if (adopted_ && !mine.borrow()) detail::fail(errno, "pipe");
            const detail::medium kind = adopted_ ? detail::medium_of_pipe(mine.get()) : detail::medium::pipe;
            auto s =
                std::make_unique<detail::stream>(detail::stream_parts{std::move(mine), kind, false, loop, report_});
            auto handle = attach(*s, ends, options_);
            detail::run(*loop, std::move(s), options_.stop);
            return handle;
        });
    }

    void take_ends(pipe& from) noexcept {
        detail::process::self().move(from.reading_, reading_);
        detail::process::self().move(from.writing_, writing_);
    }
    void reset() noexcept {
        detail::process::self().close(reading_);
        detail::process::self().close(writing_);
    }

    options options_;
    std::shared_ptr<ipc::fault> report_ = detail::fault_of(options_);
    detail::heirloom reading_, writing_;
    bool adopted_ = false;
};

}  // namespace sluice::ipc
