// moodycamel's BlockingReaderWriterQueue and BlockingReaderWriterCircularBuffer: one thread at each end.
#pragma once

#include "../adapter.hpp"

#include <readerwritercircularbuffer.h>
#include <readerwriterqueue.h>

#include <memory>
#include <optional>
#include <utility>

namespace bench {

struct moodycamel_spsc_unbounded {
    static constexpr const char* name = "moodycamel SPSC";
    static constexpr abilities can{.unbounded = true, .many_senders = false, .many_receivers = false};
    static constexpr bool closes = false;

    template <class T>
    struct end {
        std::shared_ptr<moodycamel::BlockingReaderWriterQueue<T>> queue;

        void send(T message) const { queue->enqueue(std::move(message)); }
        std::optional<T> recv() const {
            std::optional<T> message(std::in_place);
            queue->wait_dequeue(*message);
            return message;
        }
    };

    template <class T>
    static ends<end<T>, end<T>> open(const limit&) {
        const end<T> made{std::make_shared<moodycamel::BlockingReaderWriterQueue<T>>()};
        return {made, made};
    }
};

struct moodycamel_spsc_bounded {
    static constexpr const char* name = "moodycamel SPSC";
    static constexpr abilities can{.bounded = true, .many_senders = false, .many_receivers = false};
    static constexpr bool closes = false;

    template <class T>
    struct end {
        std::shared_ptr<moodycamel::BlockingReaderWriterCircularBuffer<T>> queue;

        void send(T message) const { queue->wait_enqueue(std::move(message)); }
        std::optional<T> recv() const {
            std::optional<T> message(std::in_place);
            queue->wait_dequeue(*message);
            return message;
        }
    };

    template <class T>
    static ends<end<T>, end<T>> open(const limit& capacity) {
        const end<T> made{std::make_shared<moodycamel::BlockingReaderWriterCircularBuffer<T>>(capacity.value_or(1))};
        return {made, made};
    }
};

}  // namespace bench
