// JetStream: what is asked of its API while something is opened, and how its answers read.
#pragma once

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <nats/nats.h>

#include <sluice/nats/detail/client.hpp>
#include <sluice/nats/detail/status.hpp>
#include <sluice/nats/options.hpp>

namespace sluice::nats::detail {

// Blocking calls, for whoever opens something.
class jetstream {
public:
    explicit jetstream(client& of) {
        jsOptions chosen;
        check(::jsOptions_Init(&chosen), of.title());
        chosen.Wait = (std::max<std::int64_t>)(of.chosen().connect_timeout.count(), 1);
        jsCtx* made = nullptr;
        check(::natsConnection_JetStream(&made, of.nc(), &chosen), of.title());
        context_.reset(made);
    }

    // Makes the stream, or uses one of the same configuration. Returns its subjects.
    std::vector<std::string> make_stream(const std::string& name, const stream_options& o, const std::string& what) {
        jsStreamConfig wanted;
        check(::jsStreamConfig_Init(&wanted), what);
        std::vector<const char*> subjects;
        for (const std::string& s : o.subjects) subjects.push_back(s.c_str());
        wanted.Name = name.c_str();
        wanted.Subjects = subjects.data();
        wanted.SubjectsLen = static_cast<int>(subjects.size());
        wanted.Replicas = o.replicas;
        wanted.Storage = o.in_memory ? js_MemoryStorage : js_FileStorage;
        wanted.Retention = o.work_queue ? js_WorkQueuePolicy : js_LimitsPolicy;
        wanted.Discard = o.discard_old ? js_DiscardOld : js_DiscardNew;
        if (o.max_messages > 0) wanted.MaxMsgs = o.max_messages;
        if (o.max_bytes > 0) wanted.MaxBytes = o.max_bytes;
        wanted.MaxAge = o.max_age.count();
        wanted.Duplicates = o.duplicate_window.count();
        jsErrCode refused{};
        jsStreamInfo* info = nullptr;
        const natsStatus s = ::js_AddStream(&info, context_.get(), &wanted, nullptr, &refused);
        return subjects_of(info, s, refused, what);
    }
    std::vector<std::string> find_stream(const std::string& name, const std::string& what) {
        jsErrCode refused{};
        jsStreamInfo* info = nullptr;
        const natsStatus s = ::js_GetStreamInfo(&info, context_.get(), name.c_str(), nullptr, &refused);
        return subjects_of(info, s, refused, what);
    }

    void make_consumer(const std::string& stream, const stream_receiver_options& o, const std::string& what) {
        jsConsumerConfig wanted;
        check(::jsConsumerConfig_Init(&wanted), what);
        wanted.Durable = o.durable.c_str();
        if (!o.filter.empty()) wanted.FilterSubject = o.filter.c_str();
        wanted.AckPolicy = js_AckExplicit;
        wanted.AckWait = o.ack_wait.count();
        if (o.max_ack_pending > 0) wanted.MaxAckPending = o.max_ack_pending;
        if (o.max_deliver > 0) wanted.MaxDeliver = o.max_deliver;
        std::vector<std::int64_t> steps;
        for (const auto step : o.backoff) steps.push_back(step.count());
        wanted.BackOff = steps.data();
        wanted.BackOffLen = static_cast<int>(steps.size());
        wanted.DeliverPolicy = std::holds_alternative<new_messages>(o.from) ? js_DeliverNew : js_DeliverAll;
        if (const auto* const since = std::get_if<std::chrono::system_clock::time_point>(&o.from)) {
            wanted.DeliverPolicy = js_DeliverByStartTime;
            wanted.OptStartTime = std::chrono::nanoseconds(since->time_since_epoch()).count();
        }
        jsErrCode refused{};
        jsConsumerInfo* info = nullptr;
        const natsStatus s = ::js_AddConsumer(&info, context_.get(), stream.c_str(), &wanted, nullptr, &refused);
        if (s != NATS_OK) refuse(s, refused, what);
        ::jsConsumerInfo_Destroy(info);
    }

private:
    [[noreturn]] static void refuse(natsStatus s, jsErrCode refused, const std::string& what) {
        fail(refused != 0 ? static_cast<int>(refused) : s, what, last_words());
    }
    static std::vector<std::string> subjects_of(jsStreamInfo* info, natsStatus s, jsErrCode refused,
                                                const std::string& what) {
        if (s != NATS_OK) refuse(s, refused, what);
        struct destroyer {
            void operator()(jsStreamInfo* i) const noexcept { ::jsStreamInfo_Destroy(i); }
        };
        const std::unique_ptr<jsStreamInfo, destroyer> owned(info);
        std::vector<std::string> subjects;
        for (int i = 0; i < info->Config->SubjectsLen; ++i) subjects.emplace_back(info->Config->Subjects[i]);
        return subjects;
    }

    struct destroyer {
        void operator()(jsCtx* c) const noexcept { ::jsCtx_Destroy(c); }
    };
    std::unique_ptr<jsCtx, destroyer> context_;
};

// The error in an answer of the API.
struct api_error {
    int code = 0;      // as of HTTP
    int err_code = 0;  // JetStream's own
    std::string description;
};

// The number behind `"name":` in an object as a server writes it.
inline std::optional<std::int64_t> number_in(std::string_view json, std::string_view name) noexcept {
    for (std::size_t at = json.find(name); at != std::string_view::npos; at = json.find(name, at + 1)) {
        if (at == 0 || json[at - 1] != '"' || json.substr(at + name.size(), 2) != "\":") continue;
        std::size_t begin = at + name.size() + 2;
        while (begin < json.size() && json[begin] == ' ') ++begin;
        std::int64_t value = 0;
        if (std::from_chars(json.data() + begin, json.data() + json.size(), value).ec == std::errc()) return value;
    }
    return std::nullopt;
}

inline std::optional<api_error> error_in(std::string_view json) {
    const std::size_t at = json.find("\"error\":");
    if (at == std::string_view::npos) return std::nullopt;
    const std::string_view rest = json.substr(at);
    api_error e;
    e.code = static_cast<int>(number_in(rest, "code").value_or(0));
    e.err_code = static_cast<int>(number_in(rest, "err_code").value_or(0));
    constexpr std::string_view label = "\"description\":\"";
    if (const std::size_t text = rest.find(label); text != std::string_view::npos) {
        const std::string_view words = rest.substr(text + label.size());
        e.description = words.substr(0, words.find('"'));
    }
    return e;
}

inline constexpr int no_such_stream = 10059, no_such_consumer = 10014;

// Whether asking again is in vain. Of the errors of the kind "server" those say so that mean a stream that is full, or an
// account whose limits are reached.
inline bool is_final(const api_error& e) noexcept {
    return e.code < 500 || e.err_code == 10077 || e.err_code == 10023 || e.err_code == 10047 || e.err_code == 10054;
}

// The status of a message that a server sends in place of one of the stream's; empty of a message.
inline std::string_view status_of(natsMsg* m) noexcept {
    if (::natsMsg_GetDataLength(m) != 0) return {};
    const char* status = nullptr;
    return ::natsMsgHeader_Get(m, "Status", &status) == NATS_OK && status ? std::string_view(status)
                                                                          : std::string_view();
}

// How often a message was delivered, this time included; by the subject that acknowledgements go to, which is
// $JS.ACK.stream.consumer.attempt.... or, of later servers, $JS.ACK.domain.account.stream.consumer.attempt....
inline std::optional<std::uint64_t> attempt_of(std::string_view reply) noexcept {
    if (!reply.starts_with("$JS.ACK.")) return std::nullopt;
    std::vector<std::string_view> tokens;
    for (std::size_t begin = 0; begin <= reply.size();) {
        const std::size_t dot = (std::min)(reply.find('.', begin), reply.size());
        tokens.push_back(reply.substr(begin, dot - begin));
        begin = dot + 1;
    }
    const std::size_t place = tokens.size() >= 11 ? 6 : 4;
    if (tokens.size() < 9) return std::nullopt;
    std::uint64_t attempt = 0;
    const std::string_view t = tokens[place];
    if (std::from_chars(t.data(), t.data() + t.size(), attempt).ec != std::errc()) return std::nullopt;
    return attempt;
}

}  // namespace sluice::nats::detail
