// Boost.Fiber's channels, used between threads: each thread is then its own main fiber.
#pragma once

#include "../adapter.hpp"

#include <boost/fiber/buffered_channel.hpp>
#include <boost/fiber/unbuffered_channel.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace bench {

/// For boost::fibers::buffered_channel and unbuffered_channel.
template <template <class> class Channel>
struct boost_fiber {
    static constexpr bool buffers = std::is_constructible_v<Channel<number>, std::size_t>;
    static constexpr const char* name = "Boost.Fiber";
    static constexpr abilities can{.bounded = buffers, .rendezvous = !buffers};
    static constexpr bool closes = true;

    template <class T>
    struct end {
        std::shared_ptr<Channel<T>> channel;

        void send(T message) const { channel->push(std::move(message)); }
        void close() const { channel->close(); }
        std::optional<T> recv() const {
            std::optional<T> message(std::in_place);
            if (channel->pop(*message) != boost::fibers::channel_op_status::success) message.reset();
            return message;
        }
    };

    template <class T>
    static ends<end<T>, end<T>> open([[maybe_unused]] const limit& capacity) {
        end<T> made;
        if constexpr (buffers) {
            // It takes powers of two only, and buffers one message less.
            const std::size_t size = std::max<std::size_t>(2, std::bit_ceil(capacity.value_or(0)));
            made.channel = std::make_shared<Channel<T>>(size);
        } else {
            made.channel = std::make_shared<Channel<T>>();
        }
        return {made, made};
    }
};

}  // namespace bench
