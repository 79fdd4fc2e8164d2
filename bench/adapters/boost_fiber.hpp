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
#include <utility>

namespace bench {

template <class Queue, class T>
struct boost_fiber_end {
    std::shared_ptr<Queue> queue;

    void send(T message) const { queue->push(std::move(message)); }
    void close() const { queue->close(); }
    std::optional<T> recv() const {
        std::optional<T> message(std::in_place);
        if (queue->pop(*message) != boost::fibers::channel_op_status::success) message.reset();
        return message;
    }
};

struct boost_fiber_buffered {
    static constexpr const char* name = "Boost.Fiber";
    static constexpr abilities can{.bounded = true};
    static constexpr bool closes = true;

    template <class T>
    using end = boost_fiber_end<boost::fibers::buffered_channel<T>, T>;

    template <class T>
    static ends<end<T>, end<T>> open(const limit& capacity) {
        // It takes powers of two only, and buffers one message less.
        const std::size_t size = std::max<std::size_t>(2, std::bit_ceil(capacity.value_or(0)));
        const end<T> made{std::make_shared<boost::fibers::buffered_channel<T>>(size)};
        return {made, made};
    }
};

struct boost_fiber_unbuffered {
    static constexpr const char* name = "Boost.Fiber";
    static constexpr abilities can{.rendezvous = true};
    static constexpr bool closes = true;

    template <class T>
    using end = boost_fiber_end<boost::fibers::unbuffered_channel<T>, T>;

    template <class T>
    static ends<end<T>, end<T>> open(const limit&) {
        const end<T> made{std::make_shared<boost::fibers::unbuffered_channel<T>>()};
        return {made, made};
    }
};

}  // namespace bench
