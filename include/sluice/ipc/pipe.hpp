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
#include <sluice/ipc/detail/pump.hpp>
#include <sluice/ipc/detail/stream.hpp>
#include <sluice/ipc/options.hpp>

namespace sluice::ipc {

/// A pipe of the system: two descriptors, and nothing that runs, until an end is opened. Make it, fork, and open one
/// end in each of the two processes: the other end is then closed in that one. Until then both ends are inherited by
/// every child that is forked, so make a pipe just before the fork that it is for; opened ends are not inherited. The
/// handles live on when the pipe is gone. A child inherits copies of all handles, too: it leaves those of its parent
/// alone, and ends by exec, _exit or std::exit.
///
/// Not safe to use from several threads at once, but error().
class pipe {
public:
    /// Throws std::system_error.
    explicit pipe(options chosen = {}) : options_(std::move(chosen)) {
        int ends[2];
#if defined(__linux__)
        if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) detail::fail(errno, "pipe");
        ::fcntl(ends[1], F_SETPIPE_SZ, large);
#else
        if (::pipe(ends) != 0) detail::fail(errno, "pipe");
        detail::prepare(ends[0], true);
        detail::prepare(ends[1], true);
#endif
        reading_ = ends[0];
        writing_ = ends[1];
    }

    /// Takes over the descriptors of pipes that exist, such as inherited ones; -1 for an end that is not there. They no
    /// longer block, which others who share them notice. Throws std::system_error, and then has closed them.
    pipe(int reading, int writing, options chosen = {})
        : options_(std::move(chosen)), reading_(reading), writing_(writing) {
        for (const int fd : {reading, writing}) {
            if (fd >= 0 && !detail::prepare(fd, true)) {
                const int error = errno;
                reset();
                detail::fail(error, "pipe");
            }
        }
    }

    pipe(pipe&& other) noexcept
        : options_(std::move(other.options_)),
          report_(other.report_),
          reading_(std::exchange(other.reading_, -1)),
          writing_(std::exchange(other.writing_, -1)) {}
    pipe& operator=(pipe&& other) noexcept {
        if (this != &other) {
            reset();
            options_ = std::move(other.options_);
            report_ = other.report_;
            reading_ = std::exchange(other.reading_, -1);
            writing_ = std::exchange(other.writing_, -1);
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
    auto open(int& end, F&& attach) {
        if (end < 0) detail::fail(EBADF, "pipe: this end was opened or closed before");
        const std::shared_ptr<detail::pump> pump = detail::pump::make();
        auto ends = bounded<T>(detail::capacity_for<T>(options_));
        detail::descriptor mine([&] { return std::exchange(end, -1); });
        reset();
        auto s = std::make_unique<detail::stream>(
            detail::stream_parts{std::move(mine), detail::medium::pipe, false, pump->waking(), report_});
        auto handle = attach(*s, ends, options_);
        pump->add(std::move(s));
        detail::pump::start(pump, options_.stop);
        return handle;
    }

    void reset() noexcept {
        for (int* const fd : {&reading_, &writing_}) {
            if (*fd >= 0) ::close(std::exchange(*fd, -1));
        }
    }

    options options_;
    std::shared_ptr<ipc::fault> report_ = detail::fault_of(options_);
    int reading_ = -1, writing_ = -1;
};

}  // namespace sluice::ipc
