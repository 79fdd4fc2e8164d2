// What a library of coroutines must offer to be measured: tasks, a loop that runs them, and channels between them.
#pragma once

#include "../adapter.hpp"

#include <concepts>
#include <cstdlib>
#include <utility>

namespace bench {

/// An adapter of a library's coroutines and their channels.
///
/// `task` is a coroutine type without a result, which does not begin by itself. A `loop` takes tasks by spawn(), from
/// the thread that runs it; its run() returns when all have ended. `open(loop, capacity)` makes a channel for tasks of
/// that loop, and for other threads where it is an adapter for several. A task awaits `send(tx, n)`, whose outcome
/// `check` takes, and `recv(rx)`, whose outcome `value` turns into the message; both end the program where that failed.
/// The message of a send outlives the await.
///
/// `sends_at_once` says that send() is a plain call, with nothing to await; then the channel is unbounded. `selects`
/// says that a task `select_from(rx, n, sum)` receives n messages in all from four channels, and adds them up. At most
/// `most_blocked` tasks wait at once.
template <class A>
concept coroutine_adapter = described<A> && requires(typename A::loop& loop, typename A::task task,
                                                     typename A::sender& tx, typename A::receiver& rx, number n) {
    { A::sends_at_once } -> std::convertible_to<bool>;
    { A::selects } -> std::convertible_to<bool>;
    { A::most_blocked } -> std::convertible_to<number>;
    { A::open(loop, unbounded) } -> std::same_as<ends<typename A::sender, typename A::receiver>>;
    A::send(tx, std::as_const(n));
    A::recv(rx);
    loop.spawn(std::move(task));
    loop.run();
};

/// An adapter whose channels also serve between loops of several threads, and whose send_from_thread(tx, n) blocks a
/// thread that runs none.
template <class A>
concept threaded_coroutine_adapter = coroutine_adapter<A> && requires(typename A::sender& tx) {
    A::send_from_thread(tx, number{});
};

/// Ends the program unless an operation did what it should.
inline void demand(bool fine) {
    if (!fine) std::abort();
}

}  // namespace bench
