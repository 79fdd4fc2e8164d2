// Channels between machines beside the NATS client itself, over one server of this program's own: small messages published
// and subscribed to, round trips, and messages that the server confirms.
#include "../examples/nats_server.hpp"
#include "harness.hpp"

#include <sluice/nats.hpp>
#include <sluice/sluice.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include <nats/nats.h>

namespace bench {
namespace {

using namespace std::chrono_literals;
namespace snats = sluice::nats;

const std::string& server_url() {
    static const example::nats_server server;
    static const std::string url = [] {
        (void)snats::connection(server.url(), {.connect_timeout = 10s, .retry_first_connect = true})
            .receiver<number>("ready");  // returns when there is a server
        return server.url();
    }();
    return url;
}

void must_be_ok(natsStatus s, const char* what) {
    if (s == NATS_OK) return;
    std::fprintf(stderr, "%s: %s\n", what, ::natsStatus_GetText(s));
    std::_Exit(1);
}

// ---- The client used directly, as its own examples do

class client {
public:
    client() { must_be_ok(::natsConnection_ConnectTo(&nc_, server_url().c_str()), "connect"); }
    client(const client&) = delete;
    client& operator=(const client&) = delete;
    ~client() {
        ::natsConnection_Close(nc_);
        ::natsConnection_Destroy(nc_);
    }
    natsConnection* get() const { return nc_; }
    void flush() const { must_be_ok(::natsConnection_Flush(nc_), "flush"); }

private:
    natsConnection* nc_ = nullptr;
};

class client_subscription {
public:
    client_subscription(const client& c, const char* subject) {
        must_be_ok(::natsConnection_SubscribeSync(&sub_, c.get(), subject), "subscribe");
        must_be_ok(::natsSubscription_SetPendingLimits(sub_, -1, -1), "limits");
        c.flush();
    }
    client_subscription(const client_subscription&) = delete;
    client_subscription& operator=(const client_subscription&) = delete;
    ~client_subscription() { ::natsSubscription_Destroy(sub_); }
    std::size_t receive() const {
        natsMsg* m = nullptr;
        must_be_ok(::natsSubscription_NextMsg(&m, sub_, 30'000), "receive");
        const auto size = static_cast<std::size_t>(::natsMsg_GetDataLength(m));
        ::natsMsg_Destroy(m);
        return size;
    }

private:
    natsSubscription* sub_ = nullptr;
};

// ---- Publishing: until the server has answered to what comes after it

double client_publishes(number messages, std::size_t size) {
    const client c;
    const std::string text(size, 'x');
    c.flush();
    return seconds_of([&] {
        for (number n = 0; n < messages; ++n)
            must_be_ok(::natsConnection_Publish(c.get(), "publish", text.data(), static_cast<int>(size)), "publish");
        c.flush();
    });
}
template <std::size_t Size>
double sluice_publishes(number messages) {
    const snats::connection bus(server_url());
    const auto tx = bus.sender<std::array<char, Size>>("publish");
    const std::array<char, Size> text{};
    return seconds_of([&] {
        for (number n = 0; n < messages; ++n) (void)tx.send(text);
        while (!tx.empty()) std::this_thread::yield();
        (void)bus.request<number>("nobody", number(0), 30s);
    });
}

// ---- Subscribing: from the first message, which the client publishes in both cases, to the last

// Publishes while somebody receives.
class publisher {
public:
    publisher(number messages, std::size_t size)
        : thread_([messages, text = std::string(size, 'x')] {
              const client c;
              for (number n = 0; n < messages; ++n)
                  must_be_ok(::natsConnection_PublishString(c.get(), "subscribe", text.c_str()), "publish");
              c.flush();
          }) {}

private:
    std::jthread thread_;
};

double client_receives(number messages, std::size_t size) {
    const client c;
    const client_subscription rx(c, "subscribe");
    const publisher sends(messages + 1, size);
    rx.receive();
    return seconds_of([&] {
        for (number n = 0; n < messages; ++n) wrong |= rx.receive() != size;
    });
}
template <std::size_t Size>
double sluice_receives(number messages) {
    const snats::connection bus(server_url());
    const auto rx =
        bus.receiver<std::array<char, Size>>("subscribe", {.capacity = static_cast<std::size_t>(messages) + 1});
    const publisher sends(messages + 1, Size);
    (void)rx.recv();
    return seconds_of([&] {
        for (number n = 0; n < messages; ++n) wrong |= rx.recv()->back() != 'x';
    });
}

// ---- Round trips: the one who answers has a connection of its own

double client_asks(number messages, std::size_t size) {
    const client asks, serves;
    natsSubscription* sub = nullptr;
    must_be_ok(::natsConnection_Subscribe(
                   &sub, serves.get(), "ask",
                   [](natsConnection* nc, natsSubscription*, natsMsg* m, void*) {
                       (void)::natsConnection_Publish(nc, ::natsMsg_GetReply(m), ::natsMsg_GetData(m),
                                                      ::natsMsg_GetDataLength(m));
                       ::natsMsg_Destroy(m);
                   },
                   nullptr),
               "subscribe");
    serves.flush();
    const std::string text(size, 'x');
    const auto ask = [&] {
        natsMsg* m = nullptr;
        must_be_ok(::natsConnection_Request(&m, asks.get(), "ask", text.data(), static_cast<int>(size), 30'000), "ask");
        wrong |= static_cast<std::size_t>(::natsMsg_GetDataLength(m)) != size;
        ::natsMsg_Destroy(m);
    };
    ask();
    const double took = seconds_of([&] {
        for (number n = 0; n < messages; ++n) ask();
    });
    ::natsSubscription_Destroy(sub);
    return took;
}
template <std::size_t Size>
double sluice_asks(number messages) {
    using text = std::array<char, Size>;
    const snats::connection asks(server_url()), serves(server_url());
    const auto calls = serves.service<text, text>("ask");
    const std::jthread serving([calls] {
        for (auto& c : calls) (void)c.reply(c.request());
    });
    const auto ask = [&] { wrong |= !asks.request<text>("ask", text{}, 30s); };
    ask();
    const double took = seconds_of([&] {
        for (number n = 0; n < messages; ++n) ask();
    });
    calls.close();
    return took;
}

// ---- Into a stream in memory, with at most 256 messages unconfirmed: until all are confirmed

constexpr std::size_t unconfirmed = 256;

snats::stream store(const snats::connection& bus) {
    return bus.stream("BENCH", {.subjects = {"store"}, .in_memory = true, .max_messages = 1000, .discard_old = true});
}

// With ids, by which a repeat is stored once, as the library's are, or without.
double client_stores(number messages, std::size_t size, bool with_ids) {
    const snats::connection opens(server_url());
    (void)store(opens);
    const client c;
    jsOptions chosen;
    must_be_ok(::jsOptions_Init(&chosen), "options");
    chosen.PublishAsync.MaxPending = unconfirmed;
    jsCtx* js = nullptr;
    must_be_ok(::natsConnection_JetStream(&js, c.get(), &chosen), "JetStream");
    const std::string text(size, 'x'),
        begin = std::to_string(std::chrono::steady_clock::now().time_since_epoch().count());
    jsPubOptions each;
    must_be_ok(::jsPubOptions_Init(&each), "options");
    const double took = seconds_of([&] {
        std::string id;
        for (number n = 0; n < messages; ++n) {
            if (with_ids) each.MsgId = id.assign(begin).append(std::to_string(n)).c_str();
            must_be_ok(::js_PublishAsync(js, "store", text.data(), static_cast<int>(size), &each), "publish");
        }
        jsPubOptions patience;
        must_be_ok(::jsPubOptions_Init(&patience), "options");
        patience.MaxWait = 30'000;
        must_be_ok(::js_PublishAsyncComplete(js, &patience), "confirm");
    });
    ::jsCtx_Destroy(js);
    return took;
}
template <std::size_t Size>
double sluice_stores(number messages) {
    const snats::connection bus(server_url());
    const snats::stream kept = store(bus);
    const auto tx = kept.sender<std::array<char, Size>>("store", {.unconfirmed = unconfirmed});
    const std::array<char, Size> text{};
    return seconds_of([&] {
        for (number n = 0; n < messages; ++n) (void)tx.send(text);
        wrong |= !kept.flush(30s);
    });
}

template <std::size_t Size>
void add_size(const effort& how, const std::string& bytes) {
    add_timed("nats publish", bytes, "C client", how,
              [](benchmark::State&, number n) { return client_publishes(n, Size); });
    add_timed("nats publish", bytes, "sluice", how,
              [](benchmark::State&, number n) { return sluice_publishes<Size>(n); });
    add_timed("nats subscribe", bytes, "C client", how,
              [](benchmark::State&, number n) { return client_receives(n, Size); });
    add_timed("nats subscribe", bytes, "sluice", how,
              [](benchmark::State&, number n) { return sluice_receives<Size>(n); });
    add_timed("nats request", bytes, "C client", how, [](benchmark::State&, number n) { return client_asks(n, Size); });
    add_timed("nats request", bytes, "sluice", how, [](benchmark::State&, number n) { return sluice_asks<Size>(n); });
    add_timed("nats confirmed", bytes, "C client", how,
              [](benchmark::State&, number n) { return client_stores(n, Size, true); });
    add_timed("nats confirmed", bytes, "C client without ids", how,
              [](benchmark::State&, number n) { return client_stores(n, Size, false); });
    add_timed("nats confirmed", bytes, "sluice", how,
              [](benchmark::State&, number n) { return sluice_stores<Size>(n); });
}

const part between_machines([](const plan& p) {
    const effort how{.repetitions = p.repetitions(), .seconds = 4 * p.seconds()};
    add_size<16>(how, "16 bytes");
    add_size<256>(how, "256 bytes");
});

}  // namespace
}  // namespace bench
