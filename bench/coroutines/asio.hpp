// Asio's coroutines and its experimental channels: channel on a loop without locks, concurrent_channel between threads.
//
// Executors are named by their types and errors come as tuples, so that nothing is type-erased or thrown on the way.
#pragma once

#include "adapter.hpp"

#include <asio.hpp>
#include <asio/experimental/as_tuple.hpp>
#include <asio/experimental/channel.hpp>
#include <asio/experimental/concurrent_channel.hpp>
#include <asio/experimental/deferred.hpp>
#include <asio/experimental/parallel_group.hpp>

#include <array>
#include <cstddef>
#include <limits>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

namespace bench {

/// An unbounded channel is one of the largest capacity, whose try_send() never fails; all other operations are posted.
template <bool Threads, bool Unbounded>
struct asio_coroutines {
    static constexpr const char* name = "Asio";
    static constexpr abilities can{.unbounded = Unbounded, .bounded = !Unbounded, .rendezvous = !Unbounded};
    static constexpr bool sends_at_once = Unbounded;
    static constexpr bool selects = !Unbounded;
    static constexpr number most_blocked = std::numeric_limits<number>::max();

    using executor = asio::io_context::executor_type;
    using error = asio::error_code;
    using channel = std::conditional_t<Threads, asio::experimental::concurrent_channel<executor, void(error, number)>,
                                       asio::experimental::channel<executor, void(error, number)>>;
    using task = asio::awaitable<void, executor>;
    using sender = std::shared_ptr<channel>;
    using receiver = sender;
    static constexpr asio::use_awaitable_t<executor> awaitable{};

    class loop {
    public:
        void spawn(task t) { asio::co_spawn(context_, std::move(t), asio::detached); }
        void run() { context_.run(); }
        executor get_executor() { return context_.get_executor(); }

    private:
        asio::io_context context_{Threads ? 1 : ASIO_CONCURRENCY_HINT_UNSAFE};
    };

    static ends<sender, receiver> open(loop& of, const limit& capacity) {
        const sender made =
            std::make_shared<channel>(of.get_executor(), capacity.value_or((std::numeric_limits<std::size_t>::max)()));
        return {made, made};
    }

    static auto send(sender& tx, const number& n) {
        if constexpr (sends_at_once) {
            return tx->try_send(error(), n);
        } else {
            return tx->async_send(error(), n, asio::experimental::as_tuple(awaitable));
        }
    }
    static auto recv(receiver& rx) { return rx->async_receive(asio::experimental::as_tuple(awaitable)); }
    static void check(bool sent) { demand(sent); }
    static void check(const std::tuple<error>& sent) { demand(!std::get<0>(sent)); }
    static number value(const std::tuple<error, number>& received) {
        demand(!std::get<0>(received));
        return std::get<1>(received);
    }
    static void send_from_thread(sender& tx, number n) {
        if (!tx->try_send(error(), n)) tx->async_send(error(), n, asio::use_future).get();
    }

    // A group may take a message from each channel before it cancels the rest.
    static task select_from(std::array<receiver, 4>& rx, number messages, number& sum) {
        using namespace asio::experimental;
        const auto take = [&messages, &sum](const error& e, number n) {
            if (e) return;
            sum += n;
            --messages;
        };
        while (messages > 0) {
            const auto [order, e0, n0, e1, n1, e2, n2, e3, n3] =
                co_await make_parallel_group(rx[0]->async_receive(deferred), rx[1]->async_receive(deferred),
                                             rx[2]->async_receive(deferred), rx[3]->async_receive(deferred))
                    .async_wait(wait_for_one(), awaitable);
            take(e0, n0);
            take(e1, n1);
            take(e2, n2);
            take(e3, n3);
        }
    }
};

}  // namespace bench
