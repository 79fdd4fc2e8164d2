// receive_signals: the signals of the process as messages. POSIX; not part of sluice.hpp.
#pragma once

#if !defined(__unix__) && !defined(__APPLE__)
#error "sluice: sluice/signals.hpp needs the signals of POSIX, which this system does not have"
#endif

#include <initializer_list>

#include <sluice/channel.hpp>
#include <sluice/detail/signal_hub.hpp>

namespace sluice {

/// Receives signals of the process as messages, their numbers:
/// `sluice::receiver<int> interrupts = sluice::receive_signals({SIGINT, SIGTERM});`. This is the only safe way from a
/// signal to a channel, since no operation of a handle, and no `request_stop()`, may be called in a signal handler.
///
/// **Messages.** Each receiver that asked for a signal gets it; its copies share the messages. There is at least one
/// message for any number of signals of a kind that came since the last one was received: a message that is still in
/// the channel stands for those that come meanwhile. So the channel never holds more than one of each kind, and the
/// side of the signals never waits. The signals are heard of also where all threads of the program block them.
///
/// **Disposition.** What was to be done at a signal before, be it a handler, the default action or to ignore it, is
/// suspended while a receiver of it lives, and comes back when the last one is dropped, or its channel is closed;
/// unless somebody else has changed it meanwhile, who is then left alone. System calls that a signal
/// interrupts are restarted where the system can do that; poll, epoll_wait, select and sleeps fail with EINTR.
///
/// **Fork.** A signal of a forked child is the child's: it finds the former dispositions, its signals are not reported
/// in the parent, and it may call receive_signals() itself. Receivers from before may be dropped there, and nothing
/// else.
///
/// Does not block. Throws std::invalid_argument, and changes nothing, for SIGKILL and SIGSTOP, which cannot be handled,
/// for SIGSEGV, SIGBUS, SIGFPE and SIGILL, which report a fault of the thread that runs, and for what is no signal;
/// std::system_error where no thread is to be had; and std::bad_alloc. Takes one thread of the library while a receiver
/// lives. May be called, and receivers dropped, by any thread, but not in a signal handler.
[[nodiscard]] inline receiver<int> receive_signals(std::initializer_list<int> signals) {
    return detail::signal_hub::self().receive(signals.begin(), signals.end());
}

}  // namespace sluice
