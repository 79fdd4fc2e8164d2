// What a stop_source and its tokens share.
#pragma once

#include <model/explorer/control.hpp>
#include <model/explorer/stop_token.hpp>
#include <model/explorer/sync_object.hpp>

namespace model {

// Each of its steps is atomic, as if under a lock that is never held across one.
class stop_state : public sync_object {
public:
    stop_state() : sync_object('s') {}

    bool stop_requested();
    bool request_stop();
    void add(stop_callback_base& c);
    void remove(stop_callback_base& c);
    void ref() noexcept { ++handles_; }
    void unref();

    // Without a step.
    circumstances::request progress() const noexcept {
        using request = circumstances::request;
        return complete_ ? request::complete : requested_ ? request::under_way : request::none;
    }
    bool is_running(const stop_callback_base* c) const noexcept { return running_ == c; }

private:
    void step();

    int handles_ = 0;
    bool requested_ = false;
    bool complete_ = false;  // the request has returned
    stop_callback_base* first_ = nullptr;
    stop_callback_base* running_ = nullptr;
    int runner_ = -1;
};

}  // namespace model
