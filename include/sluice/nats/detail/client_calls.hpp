// The calls of the NATS client that open a connection and subscriptions, and its callbacks.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nats/nats.h>

#include <sluice/nats/detail/client.hpp>

namespace sluice::nats::detail {

inline client::options_ptr client::make_options() {
    const std::string what = title();
    natsOptions* raw = nullptr;
    check(::natsOptions_Create(&raw), what);
    options_ptr made(raw);
    const auto set = [&](natsStatus s) { check(s, what); };
    const auto text = [](const std::string& s) { return s.c_str(); };

    std::vector<std::string> urls;
    for (std::string_view rest = url_; !rest.empty();) {
        std::string_view one = rest.substr(0, rest.find(','));
        rest.remove_prefix((std::min)(rest.size(), one.size() + 1));
        while (one.starts_with(' ')) one.remove_prefix(1);
        while (one.ends_with(' ')) one.remove_suffix(1);
        if (!one.empty()) urls.emplace_back(one);
    }
    if (urls.empty()) fail(NATS_ADDRESS_MISSING, what, "there is no URL");
    std::vector<const char*> servers;
    for (const std::string& u : urls) servers.push_back(text(u));
    set(::natsOptions_SetServers(raw, servers.data(), static_cast<int>(servers.size())));

    const connection_options& o = chosen_;
    if (!o.name.empty()) set(::natsOptions_SetName(raw, text(o.name)));
    if (!o.user.empty()) set(::natsOptions_SetUserInfo(raw, text(o.user), text(o.password)));
    if (!o.token.empty()) set(::natsOptions_SetToken(raw, text(o.token)));
    if (!o.credentials_file.empty())
        set(::natsOptions_SetUserCredentialsFromFiles(raw, text(o.credentials_file), nullptr));
    if (o.tls || !o.ca_file.empty()) set(::natsOptions_SetSecure(raw, true));
    if (!o.ca_file.empty())
        check(::natsOptions_LoadCATrustedCertificates(raw, text(o.ca_file)), what + ": " + o.ca_file);
    if (!o.certificate_file.empty())
        check(::natsOptions_LoadCertificatesChain(raw, text(o.certificate_file), text(o.key_file)),
              what + ": " + o.certificate_file + " with the key in " + o.key_file);

    const auto at_least_one = [](std::chrono::milliseconds d) { return (std::max<std::int64_t>)(d.count(), 1); };
    set(::natsOptions_SetTimeout(raw, at_least_one(o.connect_timeout)));
    set(::natsOptions_SetAllowReconnect(raw, true));
    set(::natsOptions_SetMaxReconnect(raw, -1));
    set(::natsOptions_SetReconnectWait(raw, at_least_one(o.reconnect_wait)));
    set(::natsOptions_SetReconnectJitter(raw, at_least_one(o.reconnect_wait / 4), at_least_one(o.reconnect_wait / 2)));
    // The server is lost at the ping that follows one without an answer.
    set(::natsOptions_SetPingInterval(raw, at_least_one(o.dead_after / 2)));
    set(::natsOptions_SetMaxPingsOut(raw, 1));
    set(::natsOptions_UseGlobalMessageDelivery(raw, true));
    // The loop writes after each round: without this, only once a thread of the client has slept for a millisecond.
    set(::natsOptions_SetSendAsap(raw, true));
    return made;
}

inline void client::connect() {
    const options_ptr made = make_options();
    natsOptions* const o = made.get();
    auto self = std::make_unique<self_ref>(shared_from_this());
    void* const closure = self.get();
    const std::string what = title();
    const auto set = [&](natsStatus s) { check(s, what); };

    set(::natsOptions_SetEventLoop(
        o, closure,
        [](void** data, void* loop, natsConnection*, natsSock s) {
            *data = loop;
            return of(loop).attach(s);
        },
        [](void* data, bool add) {
            of(data).wants_read_.store(add, std::memory_order_release);
            of(data).post_link();
            return NATS_OK;
        },
        [](void* data, bool add) {
            of(data).wants_write_.store(add, std::memory_order_release);
            if (add) of(data).post_link();
            return NATS_OK;
        },
        [](void*) { return NATS_OK; }));
    const auto lost = [](natsConnection*, void* c) { of(c).on_lost(); };
    const auto connected = [](natsConnection*, void* c) { of(c).on_connected(); };
    set(::natsOptions_SetDisconnectedCB(o, lost, closure));
    set(::natsOptions_SetReconnectedCB(o, connected, closure));
    set(::natsOptions_SetErrorHandler(
        o, [](natsConnection*, natsSubscription*, natsStatus s, void* c) { of(c).on_error(s); }, closure));
    // The last of its callbacks.
    set(::natsOptions_SetClosedCB(
        o,
        [](natsConnection* nc, void* c) {
            const std::unique_ptr<self_ref> last(static_cast<self_ref*>(c));
            (*last)->on_closed(nc);
            (*last)->done_.store(true, std::memory_order_release);
            (*last)->post_link();
        },
        closure));
    if (chosen_.retry_first_connect) set(::natsOptions_SetRetryOnFailedConnect(o, true, connected, closure));

    lost_at_ = clock::now();
    const natsStatus s = ::natsConnection_Connect(&nc_, o);
    if (s != NATS_NOT_YET_CONNECTED) {
        check(s, what);
        const std::lock_guard<sync::mutex> held(mutex_);
        lost_at_ = clock::time_point::max();
        is_lost_.store(false, std::memory_order_release);
    }
    (void)self.release();  // the closing of the connection deletes it
}

inline subscription client::subscribe(const std::string& subject, const std::string& queue, std::shared_ptr<sink> to,
                                      natsStatus& status, bool limited) {
    auto closure = std::make_unique<std::shared_ptr<sink>>(std::move(to));
    const auto receive = [](natsConnection*, natsSubscription*, natsMsg* m, void* c) {
        (*static_cast<std::shared_ptr<sink>*>(c))->receive(msg_ptr(m));
    };
    natsSubscription* made = nullptr;
    const std::lock_guard<sync::mutex> held(subscribing_);
    status = closing_ ? NATS_CONNECTION_CLOSED
             : !queue.empty()
                 ? ::natsConnection_QueueSubscribe(&made, nc_, subject.c_str(), queue.c_str(), receive, closure.get())
                 : ::natsConnection_Subscribe(&made, nc_, subject.c_str(), receive, closure.get());
    if (status != NATS_OK) return nullptr;
    subscription subscribed(made);
    (void)::natsSubscription_SetPendingLimits(made, limited ? max_waiting : -1, limited ? max_waiting_bytes : -1);
    status = ::natsSubscription_SetOnCompleteCB(
        made, [](void* c) { delete static_cast<std::shared_ptr<sink>*>(c); }, closure.get());
    // If the client has closed the connection by itself just now, it does not say when it is done with the closure.
    struct kept {
        sync::mutex mutex;
        std::vector<std::unique_ptr<std::shared_ptr<sink>>> sinks;
    };
    if (status == NATS_OK) {
        (void)closure.release();
    } else {
        kept& all = sluice::detail::immortal<kept>::self();
        const std::lock_guard<sync::mutex> one(all.mutex);
        all.sinks.push_back(std::move(closure));
        return nullptr;
    }
    return subscribed;
}

inline void client::confirm_subscription(const std::string& subject, std::size_t before, const std::string& what) {
    const natsStatus s = ::natsConnection_FlushTimeout(
        nc_, (std::max<std::int64_t>)(std::chrono::milliseconds(chosen_.connect_timeout).count(), 1));
    if (s != NATS_OK) fail(s, what + " at " + shown_url_, last_words());
    const char* unread = nullptr;
    if (::natsConnection_GetLastError(nc_, &unread) != NATS_NOT_PERMITTED) return;
    // on_error() may hear of it later; what the client has noted for the connection may be of something else by now.
    const std::string said = last_refusal();
    if (said.find("Subscription to \"" + subject + "\"") != std::string::npos)
        fail(NATS_NOT_PERMITTED, what + " at " + shown_url_, said);
    if (is_refused(deed::receiving, subject, before))
        fail(NATS_NOT_PERMITTED, what + " at " + shown_url_, "the server does not permit to subscribe to it");
}

inline std::string client::last_refusal() {
    std::unique_lock<sync::mutex> lock(mutex_);
    const std::size_t mine = ++words_asked_for_;
    lock.unlock();
    post_link();
    lock.lock();
    (void)changed_.wait_for(lock, chosen_.connect_timeout, [&] { return words_given_ >= mine || is_closed(); });
    return words_;
}
inline void client::give_words() noexcept {
    std::size_t asked_for;
    {
        const std::lock_guard<sync::mutex> held(mutex_);
        if (words_given_ == words_asked_for_) return;
        asked_for = words_asked_for_;
    }
    const char* words = nullptr;
    if (is_connected()) (void)::natsConnection_GetLastError(nc_, &words);
    const std::lock_guard<sync::mutex> held(mutex_);
    try {
        words_ = words ? words : "";
    } catch (...) {
        words_.clear();
    }
    words_given_ = asked_for;
    changed_.notify_all();
}

inline void client::on_error(natsStatus s) noexcept {
    errors_.note(code_of(s));
    if (s == NATS_SLOW_CONSUMER) post_all();  // whose it is counts what was dropped
    if (s != NATS_NOT_PERMITTED) return;
    // The words of this error are this thread's; those of the connection are of its last one.
    const char* const words = ::nats_GetLastError(nullptr);
    const std::string_view said = words ? words : "";
    const auto note = [&](std::string_view begin, deed what) {
        const std::size_t at = said.find(begin);
        if (at == std::string_view::npos) return;
        const std::string_view rest = said.substr(at + begin.size());
        const std::size_t end = rest.find('"');
        if (end == 0 || rest.empty()) return;
        const std::lock_guard<sync::mutex> held(mutex_);
        auto& all = what == deed::sending ? refused_to_send_ : refused_to_receive_;
        if (all.size() == max_refused) all.pop_front();
        all.push_back({refusals() + 1, std::string(rest.substr(0, end)), end != std::string_view::npos});
        refusals_.fetch_add(1, std::memory_order_release);
    };
    try {
        note("Publish to \"", deed::sending);
        note("Subscription to \"", deed::receiving);
    } catch (...) {
        errors_.note(code_of(NATS_NO_MEMORY));
    }
    post_all();
}

}  // namespace sluice::nats::detail
