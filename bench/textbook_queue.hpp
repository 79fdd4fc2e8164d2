// The queue that everyone writes first: a std::deque, a mutex, and a condition variable for each side.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <limits>
#include <mutex>
#include <optional>
#include <utility>

namespace bench {

template <class T>
class textbook_queue {
public:
    explicit textbook_queue(std::size_t capacity = std::numeric_limits<std::size_t>::max()) : capacity_(capacity) {}

    void push(T message) {
        std::unique_lock lock(mutex_);
        not_full_.wait(lock, [this] { return messages_.size() < capacity_; });
        messages_.push_back(std::move(message));
        not_empty_.notify_one();
    }

    std::optional<T> pop() {
        std::unique_lock lock(mutex_);
        not_empty_.wait(lock, [this] { return closed_ || !messages_.empty(); });
        if (messages_.empty()) return std::nullopt;
        std::optional<T> message(std::move(messages_.front()));
        messages_.pop_front();
        not_full_.notify_one();
        return message;
    }

    void close() {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        not_empty_.notify_all();
    }

private:
    const std::size_t capacity_;
    std::mutex mutex_;
    std::condition_variable not_empty_;
    std::condition_variable not_full_;
    std::deque<T> messages_;
    bool closed_ = false;
};

}  // namespace bench
