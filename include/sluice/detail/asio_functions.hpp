// What async_recv, async_send and async_select of both Asio headers do.
#pragma once

#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

#include <sluice/detail/asio_operation.hpp>
#include <sluice/detail/async_channel.hpp>
#include <sluice/detail/async_select.hpp>
#include <sluice/detail/batch.hpp>
#include <sluice/sluice.hpp>

namespace sluice::detail {

// The function objects that a completion token calls with a handler, at once or later; once, since what they are given to
// keep is moved on.
template <class Asio, class Operation>
struct asio_initiation {
    template <class Handler, class... Kept>
    void operator()(Handler&& handler, Kept&&... kept) const {
        using held = std::decay_t<Handler>;
        held own(std::forward<Handler>(handler));
        asio_operation<Asio, held, Operation, std::decay_t<Kept>...>::start(
            std::move(own), std::decay_t<Kept>(std::forward<Kept>(kept))...);
    }
};

template <class Asio>
struct asio_functions {
    template <class T, class Token>
    static auto recv(receiver<T> rx, Token& token) {
        return Asio::template initiate<void(result<T>)>(asio_initiation<Asio, recv_operation<T, own_place>>(), token,
                                                        std::move(rx));
    }
    template <class T, class Token>
    static auto send(sender<T> tx, T message, Token& token) {
        return Asio::template initiate<void(result<void>)>(asio_initiation<Asio, send_operation<T, T, own_place>>(),
                                                           token, std::move(tx), std::move(message));
    }
    template <class Token, class... Stored>
    static auto select(Token& token, Stored... cases) {
        using operation = select_operation<preference::random, Stored...>;
        return Asio::template initiate<void(result<std::size_t>)>(asio_initiation<Asio, operation>(), token,
                                                                  std::move(cases)...);
    }
};

}  // namespace sluice::detail
