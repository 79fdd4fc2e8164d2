// The client's side of a connection: a stream to a listener.
#pragma once

#include <chrono>
#include <utility>

#include <sluice/detail/stop_callback.hpp>
#include <sluice/detail/waiter.hpp>
#include <sluice/ipc/address.hpp>
#include <sluice/ipc/detail/connect_socket.hpp>
#include <sluice/ipc/detail/descriptor.hpp>
#include <sluice/ipc/detail/errors.hpp>
#include <sluice/ipc/detail/io_loop.hpp>
#include <sluice/ipc/detail/socket_stream.hpp>
#include <sluice/ipc/detail/wake_up.hpp>
#include <sluice/ipc/options.hpp>

namespace sluice::ipc::detail {

// Any duration. Not deduced: the template arguments of connect() are types of messages, which may be numbers as well.
struct connect_timeout {
    template <class Rep, class Period>
    connect_timeout(const std::chrono::duration<Rep, Period>& timeout)
        : until(sluice::detail::deadline::after(timeout)) {}
    sluice::detail::deadline until;
};

// Connects, has `open_ends(stream)` add channels, and starts the stream; returns what open_ends() returns.
template <class F>
auto connect_stream(const address& where, const connect_policy& policy, const options& chosen, F&& open_ends) {
    return with_context(where.to_string(), [&] {
        wake_up stopped;
        const auto wake = [&stopped] { stopped.signal(); };
        const sluice::detail::stop_callback<decltype(wake)> on_stop(chosen.stop, wake);
        descriptor fd = connect_to(where, policy, stopped, chosen.dead_after);
        auto s = make_socket_stream(std::move(fd), where, loop_for(chosen), error_sink_of(chosen));
        auto handles = open_ends(*s);
        io_loop& loop = s->loop();
        start(loop, std::move(s), chosen.stop);
        return handles;
    });
}

}  // namespace sluice::ipc::detail
