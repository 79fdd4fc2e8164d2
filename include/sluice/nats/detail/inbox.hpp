// inbox: the one subscription by which a connection gets all its replies, and the messages without a sender of their own.
#pragma once

#include <atomic>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include <nats/nats.h>

#include <sluice/channel.hpp>
#include <sluice/nats/detail/client.hpp>
#include <sluice/nats/detail/client_calls.hpp>

namespace sluice::nats::detail {

// What is published besides the messages of senders: queries, replies, acknowledgements.
struct note {
    std::string subject, reply;
    std::vector<std::byte> bytes;
    client::clock::time_point until = client::clock::time_point::max();  // then nobody waits for the answer any more
};

// Replies come to PREFIX.number, or PREFIX.number.rest. Whoever waits for one registers a sink under a number, and is told
// where the server does not let it ask.
// mutex_ guards sinks_; nothing is called under it.
class inbox final : public std::enable_shared_from_this<inbox> {
public:
    inbox(std::shared_ptr<client> c, sender<note> notes) : client_(std::move(c)), notes_(std::move(notes)) {
        natsInbox* made = nullptr;
        check(::natsInbox_Create(&made), "a subject for replies");
        prefix_ = std::string(made) + ".";
        ::natsInbox_Destroy(made);
    }

    // Before it is shared. The subscription needs no confirmation: the server has it before it has any query.
    void open() {
        struct receiving final : sink {
            explicit receiving(std::weak_ptr<inbox> i) : to(std::move(i)) {}
            void receive(msg_ptr m) noexcept override {
                if (const auto there = to.lock()) there->deliver(std::move(m));
            }
            const std::weak_ptr<inbox> to;
        };
        natsStatus s = NATS_OK;
        replies_ = client_->subscribe(prefix_ + ">", "", std::make_shared<receiving>(weak_from_this()), s);
        check(s, client_->title());
    }

    client& bus() const noexcept { return *client_; }
    // What a reply goes to; null once closed.
    const sender<note>& notes() const noexcept { return notes_; }
    const std::string& prefix() const noexcept { return prefix_; }

    // `asked` is the subject of the query.
    std::uint64_t add(std::shared_ptr<sink> to, std::string asked = {}) {
        const std::uint64_t number = next_.fetch_add(1, std::memory_order_relaxed);
        const std::lock_guard<sync::mutex> held(mutex_);
        sinks_.emplace(number, waiting{std::move(to), std::move(asked)});
        return number;
    }
    void remove(std::uint64_t number) noexcept {
        waiting gone;
        const std::lock_guard<sync::mutex> held(mutex_);
        if (const auto at = sinks_.find(number); at != sinks_.end()) {
            gone = std::move(at->second);
            sinks_.erase(at);
        }
    }
    void refuse(const std::vector<refusal>& all) {
        std::vector<std::shared_ptr<sink>> told;
        for (const refusal& r : all) {
            const std::lock_guard<sync::mutex> held(mutex_);
            for (const auto& [number, w] : sinks_) {
                if (r.is_of(w.asked)) told.push_back(w.to);
            }
        }
        for (const auto& to : told) to->refuse();
    }

    void close() noexcept { notes_.close(); }

    // Sends a message to itself, and posts `to` when it has come.
    bool echo(std::shared_ptr<ipcd::handler_ref> to) noexcept {
        struct returning final : sink {
            returning(std::shared_ptr<inbox> i, std::shared_ptr<ipcd::handler_ref> r)
                : of(std::move(i)), ref(std::move(r)) {}
            void receive(msg_ptr) noexcept override {
                of->echoed_.store(true, std::memory_order_release);
                ref->loop->post(*ref);
            }
            const std::shared_ptr<inbox> of;
            const std::shared_ptr<ipcd::handler_ref> ref;
        };
        const std::uint64_t number = add(std::make_shared<returning>(shared_from_this(), std::move(to)));
        return ::natsConnection_Publish(client_->nc(), (prefix_ + std::to_string(number)).c_str(), "", 0) == NATS_OK;
    }
    bool has_echoed() const noexcept { return echoed_.load(std::memory_order_acquire); }

    // Before the client goes.
    void end() noexcept {
        replies_.reset();
        std::unordered_map<std::uint64_t, waiting> gone;
        const std::lock_guard<sync::mutex> held(mutex_);
        gone.swap(sinks_);
    }

private:
    struct waiting {
        std::shared_ptr<sink> to;
        std::string asked;
    };

    void deliver(msg_ptr m) noexcept {
        const std::string_view subject = ::natsMsg_GetSubject(m.get());
        std::uint64_t number = 0;
        const auto read = std::from_chars(subject.data() + prefix_.size(), subject.data() + subject.size(), number);
        if (read.ec != std::errc()) return;
        std::shared_ptr<sink> to;
        {
            const std::lock_guard<sync::mutex> held(mutex_);
            if (const auto at = sinks_.find(number); at != sinks_.end()) to = at->second.to;
        }
        if (to) to->receive(std::move(m));
    }

    const std::shared_ptr<client> client_;
    const sender<note> notes_;
    std::string prefix_;
    subscription replies_;
    sync::atomic<std::uint64_t> next_{1};
    sync::atomic<bool> echoed_{false};
    sync::mutex mutex_;
    std::unordered_map<std::uint64_t, waiting> sinks_;
};

}  // namespace sluice::nats::detail
