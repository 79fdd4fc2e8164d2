// The tasks of which workloads are made.
#pragma once

#include "../harness.hpp"
#include "adapter.hpp"

namespace bench {

/// Sends the messages of its share.
template <coroutine_adapter A>
typename A::task produce(typename A::sender tx, share mine) {
    for (number n = 1; n <= mine.count; ++n) {
        const number message = mine.first + n;
        if constexpr (A::sends_at_once) {
            A::check(A::send(tx, message));
        } else {
            A::check(co_await A::send(tx, message));
        }
    }
    co_return;
}

/// Receives so many messages, and adds them up.
template <coroutine_adapter A>
typename A::task consume(typename A::receiver rx, number count, number& sum) {
    number mine = 0;
    for (; count > 0; --count) mine += A::value(co_await A::recv(rx));
    sum = mine;
}

/// Sends each message there, and receives it when it has come back.
template <coroutine_adapter A>
typename A::task serve(ends<typename A::sender, typename A::receiver> with, number count, number& sum) {
    number mine = 0;
    for (number n = 1; n <= count; ++n) {
        A::check(co_await A::send(with.tx, n));
        mine += A::value(co_await A::recv(with.rx));
    }
    sum = mine;
}

/// Sends back what it receives.
template <coroutine_adapter A>
typename A::task strike_back(ends<typename A::sender, typename A::receiver> with, number count) {
    for (; count > 0; --count) {
        const number n = A::value(co_await A::recv(with.rx));
        A::check(co_await A::send(with.tx, n));
    }
}

}  // namespace bench
