// Looks, from inside an operation, whether others can use the channel meanwhile.
#pragma once

#include "payload.hpp"
#include "task.hpp"

#include <sluice/sluice.hpp>

#include <chrono>
#include <functional>
#include <list>
#include <utility>

namespace test {

/// Code of the user that runs while an operation of this thread is under way calls `look`, which lets another thread do
/// something with the same channel and waits for that. A thread that is kept out goes on when the operation has ended.
class onlooker {
public:
    explicit onlooker(std::function<void()> glance) : glance_(std::move(glance)) {}

    void look() {
        if (kept_out_) {
            return;
        }
        ++looks_;
        others_.emplace_back([this] {
            glance_();
            return true;
        });
        kept_out_ = !finishes(others_.back(), patience / 4);
    }

    int looks() const { return looks_; }
    bool kept_out() const { return kept_out_; }

private:
    const std::function<void()> glance_;
    std::list<task<bool>> others_;
    int looks_ = 0;
    bool kept_out_ = false;
};

/// Takes the locks of both ends of an empty channel: stands in line, and leaves it.
template <class T>
auto wait_briefly(const sluice::receiver<T>& rx) {
    return [rx] { (void)rx.recv_timeout(std::chrono::milliseconds(1)); };
}

/// Takes the locks of both ends of a channel that may hold messages, one after the other.
template <class T>
auto send_and_receive(const sluice::channel<T>& ch, int id) {
    return [ch, id] {
        (void)ch.tx.try_send(T(id));
        (void)ch.rx.try_recv();
    };
}

}  // namespace test
