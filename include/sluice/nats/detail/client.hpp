// client: one connection of the NATS client, whose socket an io_loop polls, and what its callbacks tell.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <iterator>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fcntl.h>

#include <nats/nats.h>

#include <sluice/detail/immortal.hpp>
#include <sluice/detail/sync.hpp>
#include <sluice/ipc/detail/descriptor.hpp>
#include <sluice/ipc/detail/io_loop.hpp>
#include <sluice/ipc/detail/process.hpp>
#include <sluice/ipc/error_sink.hpp>
#include <sluice/nats/detail/status.hpp>
#include <sluice/nats/options.hpp>

namespace sluice::nats::detail {

namespace ipcd = sluice::ipc::detail;
namespace sync = sluice::detail::sync;

struct msg_destroyer {
    void operator()(natsMsg* m) const noexcept { ::natsMsg_Destroy(m); }
};
using msg_ptr = std::unique_ptr<natsMsg, msg_destroyer>;

inline std::string_view data_of(const natsMsg* m) noexcept {
    return {::natsMsg_GetData(m), static_cast<std::size_t>(::natsMsg_GetDataLength(m))};
}

// Where the messages of a subscription go. Called by the client's delivery thread, which all subscriptions of the process
// share: it must not block. It lives until the client is done with the subscription.
class sink {
public:
    sink() = default;
    sink(const sink&) = delete;
    sink& operator=(const sink&) = delete;
    virtual ~sink() = default;
    virtual void receive(msg_ptr m) noexcept = 0;
    // The server does not permit what it has asked for.
    virtual void refuse() noexcept {}
};

// A time as long as for ever, with which clocks can still count.
inline constexpr std::chrono::hours long_enough{24 * 365 * 100};

// A subject that the server does not let this user send to, or receive from. What the server says of a long one the client
// cuts off.
enum class deed { sending, receiving };
struct refusal {
    std::size_t number;
    std::string subject;
    bool is_whole;

    bool is_of(std::string_view s) const noexcept { return is_whole ? s == subject : s.starts_with(subject); }
};

class client;

// A subscription, which ends with it.
struct unsubscriber {
    void operator()(natsSubscription* s) const noexcept { ::natsSubscription_Destroy(s); }
};
using subscription = std::unique_ptr<natsSubscription, unsubscriber>;

// The NATS client is told that it has an event loop: so it has no threads to read and to write for this connection,
// publishing only appends to its buffer, and no call here blocks but those that say so. The loop is an ipc io_loop with a
// thread of its own; the client's callbacks store what has changed and post the handler `link_` (see link.hpp), or all
// endpoints. Some of them are called under locks of the client: they take mutex_ or the loop's, under which the client is
// never called. While the client tries to connect again it holds its lock, and whoever calls it waits, for up to
// connect_timeout: so the loop does not call it while the connection is lost.
class client : public std::enable_shared_from_this<client> {
public:
    using clock = std::chrono::steady_clock;

    explicit client(std::string url, connection_options chosen)
        : url_(std::move(url)),
          shown_url_(without_secrets(url_)),
          chosen_(within_reason(std::move(chosen))),
          loop_(ipcd::io_loop::make()) {}
    client(const client&) = delete;
    client& operator=(const client&) = delete;
    // Closed, or never connected. A forked child has none of the client's threads, and leaves it alone.
    ~client() {
        if (is_of_this_process()) {
            left_.clear();
            ::natsConnection_Destroy(nc_);
        } else {
            for (auto& s : left_) (void)s.release();
        }
    }

    // As it is told: without what is before an at sign, a password or a token.
    const std::string& url() const noexcept { return shown_url_; }
    std::string title() const { return "NATS at " + shown_url_; }
    const connection_options& chosen() const noexcept { return chosen_; }
    const std::shared_ptr<ipcd::io_loop>& loop() const noexcept { return loop_; }
    natsConnection* nc() const noexcept { return nc_; }
    ipc::error_sink& errors() noexcept { return errors_; }
    bool is_of_this_process() const noexcept { return made_in_ == ipcd::process::fork_epoch(); }

    // Connects, or throws. Blocks for as long as the client tries all servers.
    void connect();

    // ---- For any thread

    // Whether the client may be called, and given messages: while it reconnects it would keep them in a buffer of its own.
    // The client ends its interest in the socket at once when that fails, and its callbacks tell of it later.
    bool is_connected() const noexcept {
        return !is_lost_.load(std::memory_order_acquire) && wants_read() && !is_closed();
    }
    bool is_closed() const noexcept { return closed_.load(std::memory_order_acquire); }

    // Why it was given up; null while it was not, and where the program did not want it any more.
    std::exception_ptr cause() const {
        const std::lock_guard<sync::mutex> held(mutex_);
        return cause_;
    }
    void set_cause(std::exception_ptr why) {
        const std::lock_guard<sync::mutex> held(mutex_);
        if (!cause_) cause_ = std::move(why);
    }

    // Blocks until it is connected, or throws.
    void require_connected(const std::string& what) {
        std::unique_lock<sync::mutex> lock(mutex_);
        const auto is_there = [&] { return lost_at_ == clock::time_point::max(); };
        (void)changed_.wait_for(lock, chosen_.connect_timeout, [&] { return is_closed() || is_there(); });
        if (is_closed()) fail(NATS_CONNECTION_CLOSED, what + " at " + shown_url_);
        if (!is_there()) fail(NATS_CONNECTION_DISCONNECTED, what + " at " + shown_url_, "no server is connected");
    }

    // Never blocks. Of one that was given up: null, with the status. Messages that wait for the delivery thread have no
    // limit, or that of max_waiting and max_waiting_bytes: what comes beyond is dropped, and told on_error().
    subscription subscribe(const std::string& subject, const std::string& queue, std::shared_ptr<sink> to,
                           natsStatus& status, bool limited = false);
    static constexpr int max_waiting = 1 << 19, max_waiting_bytes = 256 << 20;
    // Blocks until the server has answered to all that was given to the client, and throws what it said against
    // subscribing to `subject` since there were `before` refusals.
    void confirm_subscription(const std::string& subject, std::size_t before, const std::string& what);

    // Ends a subscription, if need be later. For the loop's thread.
    void drop(subscription s) noexcept {
        try {
            if (s && !is_connected() && !is_done()) left_.push_back(std::move(s));
        } catch (...) {
            errors_.note(code_of(NATS_NO_MEMORY));  // and it ends here, which may take a while
        }
    }
    void drop_left() noexcept { left_.clear(); }

    // ---- Endpoints: handlers of the loop that are posted when the connection has changed

    void add(ipcd::io_handler& h) {
        const std::lock_guard<sync::mutex> held(mutex_);
        endpoints_.push_back(&h);
    }
    // After this it is not posted from here.
    void remove(ipcd::io_handler& h) noexcept {
        {
            const std::lock_guard<sync::mutex> held(mutex_);
            endpoints_.erase(std::find(endpoints_.begin(), endpoints_.end(), &h));
            if (endpoints_.size() > 1) return;
        }
        post_link();
    }
    std::size_t count_endpoints() const {
        const std::lock_guard<sync::mutex> held(mutex_);
        return endpoints_.size();
    }
    void post_all() noexcept {
        {
            const std::lock_guard<sync::mutex> held(mutex_);
            for (ipcd::io_handler* const h : endpoints_) loop_->post(*h, [] {});
            changed_.notify_all();
        }
        post_link();
    }
    void post_link() noexcept {
        if (const auto ref = link_.load(std::memory_order_acquire)) loop_->post(*ref);
    }
    void set_link(std::shared_ptr<ipcd::handler_ref> ref) noexcept {
        link_.store(ref.get(), std::memory_order_release);
        link_ref_ = std::move(ref);
    }

    // How often a lost connection was made again.
    std::size_t connects() const noexcept { return connects_.load(std::memory_order_acquire); }

    // What the server does not permit: how often it has said so, and whether it has of this subject since there were
    // `before`. It says so again for each message; so of very many at once some may be forgotten.
    std::size_t refusals() const noexcept { return refusals_.load(std::memory_order_acquire); }
    bool is_refused(deed what, std::string_view subject, std::size_t before) const {
        const std::lock_guard<sync::mutex> held(mutex_);
        const auto& all = what == deed::sending ? refused_to_send_ : refused_to_receive_;
        return std::any_of(all.begin(), all.end(),
                           [&](const refusal& r) { return r.number > before && r.is_of(subject); });
    }

    // ---- For the loop's thread

    // No handle is left, or the program ends.
    sync::atomic<bool> unused{false};
    // More bytes wait for the socket than is good: endpoints are to give it no more, and are posted when there are less.
    bool is_congested() noexcept {
        if (::natsConnection_Buffered(nc_) < max_buffered) return false;
        congested_ = true;
        return true;
    }
    void relieve() noexcept {
        if (!congested_ || ::natsConnection_Buffered(nc_) > max_buffered / 2) return;
        congested_ = false;
        post_all();
    }
    // What it was not permitted to send to since the last call.
    std::vector<refusal> take_refused_to_send() {
        if (refusals() == refusals_seen_) return {};
        std::vector<refusal> fresh;
        const std::lock_guard<sync::mutex> held(mutex_);
        std::copy_if(refused_to_send_.begin(), refused_to_send_.end(), std::back_inserter(fresh),
                     [this](const refusal& r) { return r.number > refusals_seen_; });
        refusals_seen_ = refusals();
        return fresh;
    }
    // To those who wait in last_refusal(): the last words of the client, which it writes on this thread alone while it is
    // connected, and so are read on it.
    void give_words() noexcept;
    // The client's calls for its socket.
    bool wants_read() const noexcept { return wants_read_.load(std::memory_order_acquire); }
    bool wants_write() const noexcept { return wants_write_.load(std::memory_order_acquire); }
    // The socket of a new connection, once for each.
    bool take_socket(ipcd::descriptor& to) noexcept {
        const std::lock_guard<sync::mutex> held(mutex_);
        if (!socket_) return false;
        to = std::move(socket_);
        socket_ = ipcd::descriptor();
        return true;
    }
    // Since when there is no connection; max() while there is one.
    clock::time_point lost_at() const {
        const std::lock_guard<sync::mutex> held(mutex_);
        return lost_at_;
    }
    // Gives it up; `closed` is told later. Waits for an attempt to connect that is under way, and until the socket has
    // taken what is in the client's buffer.
    void close() noexcept {
        refuse_subscriptions();
        ::natsConnection_Close(nc_);
    }
    // The same, without waiting: endpoints are told at once, and a thread of its own does the rest.
    void close_behind() noexcept {
        refuse_subscriptions();
        closed_.store(true, std::memory_order_release);
        post_all();
        try {
            ipcd::start_thread("sluice-nats-end", [self = shared_from_this()] {
                ::natsConnection_Close(self->nc_);
            }).detach();
        } catch (...) {
            ::natsConnection_Close(nc_);
        }
    }
    // The client has called back for the last time, but for its subscriptions.
    bool is_done() const noexcept { return done_.load(std::memory_order_acquire); }

private:
    // The client moves what the socket has not taken to the front each time.
    static constexpr int max_buffered = 128 * 1024;
    static constexpr std::size_t max_refused = 1000;

    void refuse_subscriptions() noexcept {
        const std::lock_guard<sync::mutex> held(subscribing_);
        closing_ = true;
    }

    static connection_options within_reason(connection_options o) {
        constexpr std::chrono::milliseconds day = std::chrono::hours(24);
        for (auto* const d : {&o.connect_timeout, &o.reconnect_wait, &o.dead_after, &o.linger})
            *d = (std::min)(*d, day);
        return o;
    }

    struct options_destroyer {
        void operator()(natsOptions* o) const noexcept { ::natsOptions_Destroy(o); }
    };
    using options_ptr = std::unique_ptr<natsOptions, options_destroyer>;
    options_ptr make_options();

    // Its address is the closure of the callbacks, until the last one.
    using self_ref = std::shared_ptr<client>;
    static client& of(void* closure) noexcept { return **static_cast<self_ref*>(closure); }

    void on_lost() noexcept {
        {
            const std::lock_guard<sync::mutex> held(mutex_);
            if (lost_at_ == clock::time_point::max()) lost_at_ = clock::now();
            is_lost_.store(true, std::memory_order_release);
        }
        post_all();
    }
    void on_connected() noexcept {
        connects_.fetch_add(1, std::memory_order_release);
        {
            const std::lock_guard<sync::mutex> held(mutex_);
            lost_at_ = clock::time_point::max();
            is_lost_.store(false, std::memory_order_release);
        }
        post_all();
    }
    void on_error(natsStatus s) noexcept;
    std::string last_refusal();
    void on_closed(natsConnection* nc) noexcept {
        const char* words = nullptr;
        const natsStatus last = ::natsConnection_GetLastError(nc, &words);
        if (!unused.load(std::memory_order_acquire)) {
            set_cause(std::make_exception_ptr(error_for(last != NATS_OK ? last : NATS_CONNECTION_CLOSED, title(),
                                                        words && *words ? words : "the connection was given up")));
            errors_.note(code_of(last != NATS_OK ? last : NATS_CONNECTION_CLOSED));
        }
        closed_.store(true, std::memory_order_release);
        post_all();
    }
    natsStatus attach(natsSock s) noexcept {
        ipcd::descriptor copy([&]() noexcept { return ::fcntl(s, F_DUPFD_CLOEXEC, 0); });
        if (!copy) return NATS_SYS_ERROR;
        (void)::fcntl(s, F_SETFD, FD_CLOEXEC);
        {
            const std::lock_guard<sync::mutex> held(mutex_);
            std::swap(socket_, copy);
        }
        wants_read_.store(true, std::memory_order_release);
        post_link();
        return NATS_OK;
    }

    static std::string without_secrets(std::string urls) {
        for (std::size_t at = 0; (at = urls.find('@', at)) != std::string::npos;) {
            const std::size_t scheme = urls.rfind("://", at), comma = urls.rfind(',', at);
            std::size_t from = comma == std::string::npos ? 0 : comma + 1;
            if (scheme != std::string::npos && scheme >= from) from = scheme + 3;
            urls.erase(from, at + 1 - from);
            at = from;
        }
        return urls;
    }

    const std::string url_;
    const std::string shown_url_;
    const connection_options chosen_;
    const std::shared_ptr<ipcd::io_loop> loop_;
    const unsigned made_in_ = ipcd::process::fork_epoch();
    natsConnection* nc_ = nullptr;
    ipc::error_sink errors_;
    std::shared_ptr<ipcd::handler_ref> link_ref_;
    sync::atomic<ipcd::handler_ref*> link_{nullptr};

    sync::atomic<bool> wants_read_{false}, wants_write_{false};
    sync::atomic<bool> closed_{false}, done_{false};
    sync::atomic<std::size_t> refusals_{0}, connects_{0};
    sync::atomic<bool> is_lost_{true};  // as lost_at_ says
    bool congested_ = false;            // for the loop's thread, and so are the next two
    std::size_t refusals_seen_ = 0;     // of which the link has told
    std::vector<subscription> left_;    // to be ended when the client may be called

    sync::mutex subscribing_;  // guards closing_; the client is called under it, and calls nothing back that takes it
    bool closing_ = false;

    mutable sync::mutex mutex_;  // guards what follows; before the loop's
    sync::condition_variable changed_;
    std::vector<ipcd::io_handler*> endpoints_;
    std::exception_ptr cause_;
    ipcd::descriptor socket_;  // a copy of the client's, which has not been taken yet
    clock::time_point lost_at_ = clock::time_point::max();
    std::size_t words_asked_for_ = 0, words_given_ = 0;  // how often
    std::string words_;
    std::deque<refusal> refused_to_send_, refused_to_receive_;  // the last ones
};

}  // namespace sluice::nats::detail
