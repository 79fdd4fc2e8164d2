// The endpoint of a stream's sender: a window of messages that the servers have not confirmed yet.
#pragma once

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <nats/nats.h>

#include <sluice/channel.hpp>
#include <sluice/ipc/error.hpp>
#include <sluice/nats/detail/jetstream.hpp>
#include <sluice/nats/detail/sending.hpp>
#include <sluice/nats/detail/travel.hpp>
#include <sluice/nats/options.hpp>

namespace sluice::nats::detail {

// Those who wait until all that was sent is confirmed. Each holds the receiver of a channel: a sender of it is kept until
// then, and sends a message if it can't be.
class flush_line {
public:
    explicit flush_line(std::shared_ptr<ipcd::handler_ref> of) : ref_(std::move(of)) {}
    void add(sender<std::monostate> waits) {
        {
            const std::lock_guard<sync::mutex> held(mutex_);
            waiting_.push_back(std::move(waits));
        }
        ref_->loop->post(*ref_);
    }
    std::vector<sender<std::monostate>> take() {
        const std::lock_guard<sync::mutex> held(mutex_);
        return std::exchange(waiting_, {});
    }

private:
    const std::shared_ptr<ipcd::handler_ref> ref_;
    sync::mutex mutex_;
    std::vector<sender<std::monostate>> waiting_;
};

// What the ends of a stream know of it.
class stream_state {
public:
    stream_state(std::string n, std::string at, std::vector<std::string> subjects)
        : name(std::move(n)), url_(std::move(at)), subjects_(std::move(subjects)) {}

    const std::string name;

    std::string title() const { return "stream " + name + " at " + url_; }
    bool takes(const std::string& subject) const {
        return std::any_of(subjects_.begin(), subjects_.end(),
                           [&](const std::string& pattern) { return covers(pattern, subject); });
    }

private:
    const std::string url_;
    const std::vector<std::string> subjects_;
};

// Of the senders of a stream; kept by them, and by the stream.
class sender_lines {
public:
    void add(std::shared_ptr<flush_line> l) {
        const std::lock_guard<sync::mutex> held(mutex_);
        lines_.push_back(std::move(l));
    }
    // A sender ends, having had everything confirmed, or not.
    void remove(const std::shared_ptr<flush_line>& l, bool failed) {
        {
            const std::lock_guard<sync::mutex> held(mutex_);
            std::erase(lines_, l);
            if (failed) failed_ = true;
        }
        for (const auto& waits : l->take()) {
            if (failed) (void)waits.try_send({});
        }
    }
    // False if anything was refused before.
    bool flush(const sender<std::monostate>& waits) {
        std::vector<std::shared_ptr<flush_line>> lines;
        {
            const std::lock_guard<sync::mutex> held(mutex_);
            if (failed_) return false;
            lines = lines_;
            // Under the lock, so that none is removed before it has it.
            for (const auto& l : lines) l->add(waits);
        }
        return true;
    }

private:
    sync::mutex mutex_;  // before those of the lines
    std::vector<std::shared_ptr<flush_line>> lines_;
    bool failed_ = false;
};

// What the servers have answered; filled by the delivery thread, emptied by the loop's.
class answers final : public sink {
public:
    struct answer {
        std::uint64_t number = 0;  // of the message; 0 is about the stream
        bool nobody = false;       // nobody takes the subject now
        std::optional<api_error> error;
    };

    // `prefix` is what stands before the number in the subject of an answer.
    answers(std::shared_ptr<ipcd::handler_ref> of) : ref_(std::move(of)) {}
    void set_prefix(std::size_t size) noexcept { prefix_ = size; }

    void receive(msg_ptr m) noexcept override {
        const std::string_view subject = ::natsMsg_GetSubject(m.get());
        answer a;
        (void)std::from_chars(subject.data() + (std::min)(prefix_, subject.size()), subject.data() + subject.size(),
                              a.number);
        a.nobody = ::natsMsg_IsNoResponders(m.get());
        if (!a.nobody) {
            const std::string_view text = data_of(m.get());
            if (!text.starts_with("{\"stream\"")) a.error = error_in(text);
        }
        bool posts = a.nobody || a.error;
        {
            const std::lock_guard<sync::mutex> held(mutex_);
            all_.push_back(std::move(a));
            if (all_.size() == wanted_) posts = true;
        }
        if (posts) ref_->loop->post(*ref_);
    }
    // The endpoint is posted when there are so many, or one that says no. True if there are by now.
    bool want(std::size_t count) {
        const std::lock_guard<sync::mutex> held(mutex_);
        wanted_ = count;
        return all_.size() >= count;
    }
    void take(std::vector<answer>& into) {
        into.clear();
        const std::lock_guard<sync::mutex> held(mutex_);
        into.swap(all_);
    }

private:
    const std::shared_ptr<ipcd::handler_ref> ref_;
    std::size_t prefix_ = 0;
    sync::mutex mutex_;
    std::vector<answer> all_;
    std::size_t wanted_ = 1;
};

// Messages are numbered from 1. window_ holds those from confirmed_ + 1 to taken_, each until it and all before it are
// confirmed; it is sent again when its time has come, and after each new connection. Its id is the same each time.
template <class T>
class confirmed_sending final : public sending_endpoint<T> {
    using base = sending_endpoint<T>;
    using base::bus;
    using base::in_;
    using clock = client::clock;

public:
    confirmed_sending(std::shared_ptr<session> keep, std::shared_ptr<stream_state> of,
                      std::shared_ptr<sender_lines> lines, receiver<T> from, std::string subject,
                      const stream_sender_options& chosen)
        : base(keep->shared_client(), std::move(from), keep),
          inbox_(keep->shared_inbox()),
          stream_(std::move(of)),
          lines_(std::move(lines)),
          subject_(std::move(subject)),
          chosen_(chosen),
          answers_(std::make_shared<answers>(this->ref())),
          line_(std::make_shared<flush_line>(this->ref())) {
        number_ = inbox_->add(answers_);
        reply_ = inbox_->prefix() + std::to_string(number_) + ".";
        answers_->set_prefix(reply_.size());
        id_ = reply_.substr(reply_.find('.') + 1);  // no other end has it
        lines_->add(line_);
    }
    ~confirmed_sending() override {
        inbox_->remove(number_);
        const bool failed = failed_ || !window_.empty() || !in_.has_ended();
        lines_->remove(line_, failed);
        for (const waiting_flush& f : flushes_) {
            if (failed) (void)f.waits.try_send({});
        }
    }

private:
    struct entry {
        msg_ptr message;
        clock::time_point due;    // when it is sent again
        clock::time_point first;  // when it was sent first
        bool confirmed = false;
    };

    bool work() noexcept override {
        now_ = clock::now();
        try {
            if (!hear()) return false;
            if (bus().is_connected()) {
                if (bus().connects() != connects_seen_) {
                    connects_seen_ = bus().connects();
                    for (entry& e : window_) e.due = now_;
                    next_due_ = now_;
                }
                if (bus().refusals() != refusals_seen_ && !look_at_refusals()) return false;
                if (now_ >= next_due_ && !repeat()) return false;
                if (!send_more()) return false;
            }
            settle_flushes();
            // While the window is full there is nothing to be done about a few answers.
            const bool is_full = window_.size() >= chosen_.unconfirmed && flushes_.empty();
            if (answers_->want(is_full ? (chosen_.unconfirmed + 1) / 2 : 1)) this->look_again();
        } catch (const std::exception& e) {
            fail_with(ipcd::current_error(ipc::ipc_errc::not_encoded), "a message to " + subject_, e.what());
            return false;
        } catch (...) {
            fail_with(ipc::ipc_errc::not_encoded, "a message to " + subject_, {});
            return false;
        }
        if (this->has_ended() && window_.empty()) return false;
        if (!window_.empty()) this->wake_at((std::max)(next_due_, now_ + std::chrono::milliseconds(1)));
        if (this->gives_up()) {
            failed_ = true;
            bus().errors().note(code_of(NATS_TIMEOUT));
            return false;
        }
        return true;
    }

    void fail_with(std::error_code why, const std::string& what, const std::string& words) noexcept {
        failed_ = true;
        this->refuse(why, what, words);
    }

    // False when the servers have refused a message for good.
    bool hear() {
        answers_->take(heard_);
        for (const answers::answer& a : heard_) {
            if (a.number == 0) {  // about the stream
                if (!a.error || a.error->err_code != no_such_stream) continue;
                fail_with(code_of(a.error->err_code), "sending to " + stream_->title(), a.error->description);
                return false;
            }
            if (a.number <= confirmed_ || a.number > confirmed_ + window_.size()) continue;
            entry& e = window_[a.number - confirmed_ - 1];
            if (a.error && is_final(*a.error)) {
                fail_with(
                    code_of(a.error->err_code),
                    "a message to " + std::string(::natsMsg_GetSubject(e.message.get())) + " in " + stream_->title(),
                    a.error->description);
                return false;
            }
            if (a.nobody || a.error) {
                e.due = (std::min)(e.due, now_ + pause);
                next_due_ = (std::min)(next_due_, e.due);
                if (a.nobody) ask_for_stream();
            } else {
                e.confirmed = true;
                e.message.reset();
            }
        }
        while (!window_.empty() && window_.front().confirmed) {
            window_.pop_front();
            ++confirmed_;
        }
        return true;
    }

    // Nobody takes the subject: its stream has no leader now, or is gone.
    void ask_for_stream() {
        if (now_ < next_question_) return;
        next_question_ = now_ + std::chrono::seconds(1);
        natsStatus ignored = NATS_OK;
        (void)publish(bus(), "$JS.API.STREAM.INFO." + stream_->name, reply_ + "0", {}, ignored);
    }

    bool look_at_refusals() {
        const std::size_t before = std::exchange(refusals_seen_, bus().refusals());
        for (const entry& e : window_) {
            if (e.confirmed || !bus().is_refused(deed::sending, ::natsMsg_GetSubject(e.message.get()), before))
                continue;
            fail_with(code_of(NATS_NOT_PERMITTED), "sending to " + std::string(::natsMsg_GetSubject(e.message.get())),
                      "the server does not permit to publish to it");
            return false;
        }
        return true;
    }

    // Sends again what is due.
    bool repeat() {
        next_due_ = clock::time_point::max();
        for (entry& e : window_) {
            if (e.confirmed) continue;
            if (now_ >= e.due) {
                if (chosen_.repeat_for < long_enough && now_ - e.first >= chosen_.repeat_for) {
                    fail_with(code_of(NATS_TIMEOUT), "sending to " + stream_->title(),
                              "a message was not confirmed in time");
                    return false;
                }
                if (!give(e)) return false;
            }
            next_due_ = (std::min)(next_due_, e.due);
        }
        return true;
    }

    bool send_more() {
        int count = 0;
        for (; window_.size() < chosen_.unconfirmed && !bus().is_congested(); ++count) {
            T* const m = count > 0 ? in_.look() : in_.peek();
            if (!m) break;
            const std::string& subject = travel<T>::subject(*m, subject_);
            if (travel<T>::has_subject) {
                check_subject(subject, false);
                if (!stream_->takes(subject))
                    fail(NATS_INVALID_SUBJECT, "\"" + subject + "\" is none of the subjects of " + stream_->title());
            }
            const std::span<const std::byte> bytes = encode(travel<T>::value(*m), scratch_);
            if (bytes.size() > static_cast<std::size_t>(INT_MAX)) fail(NATS_MAX_PAYLOAD, "a message to " + subject);
            const std::string number = std::to_string(confirmed_ + window_.size() + 1);
            address_.assign(reply_).append(number);
            natsMsg* made = nullptr;
            check(::natsMsg_Create(&made, subject.c_str(), address_.c_str(),
                                   reinterpret_cast<const char*>(bytes.data()), static_cast<int>(bytes.size())),
                  "a message to " + subject);
            entry e{msg_ptr(made), {}, now_};
            address_.assign(id_).append(number);
            check(::natsMsgHeader_Set(made, "Nats-Msg-Id", address_.c_str()), "a message to " + subject);
            (void)in_.next();
            window_.push_back(std::move(e));
            if (!give(window_.back())) return false;
            next_due_ = (std::min)(next_due_, window_.back().due);
        }
        if (count > 0 && window_.size() < chosen_.unconfirmed) this->look_again();
        return true;
    }

    // False if the client refuses it for good.
    bool give(entry& e) {
        const natsStatus s = ::natsConnection_PublishMsg(bus().nc(), e.message.get());
        e.due = now_ + (s == NATS_OK ? sluice::detail::sync::clock::duration(chosen_.confirm_within)
                                     : sluice::detail::sync::clock::duration(pause));
        if (s != NATS_MAX_PAYLOAD && s != NATS_INVALID_SUBJECT && s != NATS_INVALID_ARG && s != NATS_NO_SERVER_SUPPORT)
            return true;
        fail_with(code_of(s),
                  "a message of " + std::to_string(::natsMsg_GetDataLength(e.message.get())) + " bytes to " +
                      ::natsMsg_GetSubject(e.message.get()),
                  last_words());
        return false;
    }

    void settle_flushes() {
        auto fresh = line_->take();
        if (!fresh.empty()) {
            (void)in_.peek();  // what was handed over to this end, and counted nowhere else
            const std::uint64_t target = confirmed_ + window_.size() + in_.pending();
            for (auto& waits : fresh) flushes_.push_back({target, std::move(waits)});
        }
        std::erase_if(flushes_, [this](const waiting_flush& f) { return f.target <= confirmed_; });
    }

    struct waiting_flush {
        std::uint64_t target;
        sender<std::monostate> waits;
    };

    static constexpr std::chrono::milliseconds pause{200};  // before what could not be taken now is sent again

    const std::shared_ptr<inbox> inbox_;
    const std::shared_ptr<stream_state> stream_;
    const std::shared_ptr<sender_lines> lines_;
    const std::string subject_;
    const stream_sender_options chosen_;
    const std::shared_ptr<answers> answers_;
    const std::shared_ptr<flush_line> line_;
    std::uint64_t number_ = 0;
    std::string reply_, id_, address_;
    std::vector<std::byte> scratch_;
    std::vector<answers::answer> heard_;
    std::deque<entry> window_;
    std::uint64_t confirmed_ = 0;
    std::vector<waiting_flush> flushes_;
    clock::time_point now_, next_due_ = clock::time_point::max(), next_question_{};
    std::size_t connects_seen_ = 0, refusals_seen_ = bus().refusals();
    bool failed_ = false;
};

}  // namespace sluice::nats::detail
