// moodycamel's BlockingConcurrentQueue, with a token for each end as its manual advises. Not first in, first out across
// senders.
#pragma once

#include "../adapter.hpp"

#include <blockingconcurrentqueue.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <utility>

namespace bench {

struct moodycamel_mpmc {
    static constexpr const char* name = "moodycamel MPMC";
    static constexpr abilities can{.unbounded = true};
    static constexpr bool closes = false;

    template <class T, class Token>
    struct end {
        std::shared_ptr<moodycamel::BlockingConcurrentQueue<T>> queue;
        Token token;

        explicit end(std::shared_ptr<moodycamel::BlockingConcurrentQueue<T>> of)
            : queue(std::move(of)), token(*queue) {}
        end(const end& other) : end(other.queue) {}
        end(end&&) = default;

        void send(T message) { queue->enqueue(token, std::move(message)); }
        void send_many(std::span<const T> messages) { queue->enqueue_bulk(token, messages.data(), messages.size()); }
        std::optional<T> recv() {
            std::optional<T> message(std::in_place);
            queue->wait_dequeue(token, *message);
            return message;
        }
        std::size_t recv_many(std::span<T> into) { return queue->wait_dequeue_bulk(token, into.data(), into.size()); }
    };

    template <class T>
    static ends<end<T, moodycamel::ProducerToken>, end<T, moodycamel::ConsumerToken>> open(const limit&) {
        const auto queue = std::make_shared<moodycamel::BlockingConcurrentQueue<T>>();
        return {end<T, moodycamel::ProducerToken>(queue), end<T, moodycamel::ConsumerToken>(queue)};
    }
};

}  // namespace bench
