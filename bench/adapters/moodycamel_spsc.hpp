// moodycamel's BlockingReaderWriterQueue and BlockingReaderWriterCircularBuffer: one thread at each end.
#pragma once

#include "../adapter.hpp"

#include <readerwritercircularbuffer.h>
#include <readerwriterqueue.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace bench {

template <bool Bounded>
struct moodycamel_spsc {
    static constexpr const char* name = "moodycamel SPSC";
    static constexpr abilities can{
        .unbounded = !Bounded, .bounded = Bounded, .many_senders = false, .many_receivers = false};
    static constexpr bool closes = false;

    template <class T>
    using queue_of = std::conditional_t<Bounded, moodycamel::BlockingReaderWriterCircularBuffer<T>,
                                        moodycamel::BlockingReaderWriterQueue<T>>;

    template <class T>
    struct end {
        std::shared_ptr<queue_of<T>> queue;

        void send(T message) const {
            if constexpr (Bounded) {
                queue->wait_enqueue(std::move(message));
            } else {
                queue->enqueue(std::move(message));
            }
        }
        std::optional<T> recv() const {
            std::optional<T> message(std::in_place);
            queue->wait_dequeue(*message);
            return message;
        }
    };

    template <class T>
    static ends<end<T>, end<T>> open(const limit& capacity) {
        constexpr std::size_t room_at_first = 15;  // of the unbounded one, as by its default
        const end<T> made{std::make_shared<queue_of<T>>(capacity.value_or(room_at_first))};
        return {made, made};
    }
};

}  // namespace bench
