// The textbook queue, behind a pointer that its two ends share.
#pragma once

#include "../adapter.hpp"
#include "../textbook_queue.hpp"

#include <memory>
#include <optional>
#include <utility>

namespace bench {

struct textbook {
    static constexpr const char* name = "textbook";
    static constexpr abilities can{.unbounded = true, .bounded = true};
    static constexpr bool closes = true;

    template <class T>
    struct end {
        std::shared_ptr<textbook_queue<T>> queue;

        void send(T message) const { queue->push(std::move(message)); }
        void close() const { queue->close(); }
        std::optional<T> recv() const { return queue->pop(); }
    };

    template <class T>
    static ends<end<T>, end<T>> open(const limit& capacity) {
        const end<T> made{capacity ? std::make_shared<textbook_queue<T>>(*capacity)
                                   : std::make_shared<textbook_queue<T>>()};
        return {made, made};
    }
};

}  // namespace bench
