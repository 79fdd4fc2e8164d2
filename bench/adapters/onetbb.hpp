// oneTBB's concurrent_bounded_queue.
#pragma once

#include "../adapter.hpp"

#include <tbb/concurrent_queue.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

namespace bench {

struct onetbb {
    static constexpr const char* name = "oneTBB";
    static constexpr abilities can{.unbounded = true, .bounded = true};
    static constexpr bool closes = false;

    template <class T>
    struct end {
        std::shared_ptr<tbb::concurrent_bounded_queue<T>> queue;

        void send(T message) const { queue->push(std::move(message)); }
        std::optional<T> recv() const {
            std::optional<T> message(std::in_place);
            queue->pop(*message);
            return message;
        }
    };

    template <class T>
    static ends<end<T>, end<T>> open(const limit& capacity) {
        const end<T> made{std::make_shared<tbb::concurrent_bounded_queue<T>>()};
        if (capacity) made.queue->set_capacity(static_cast<std::ptrdiff_t>(*capacity));
        return {made, made};
    }
};

}  // namespace bench
