// The modelled stop tokens.
#include <model/explorer/stop_token.hpp>

#include <model/explorer/scheduler.hpp>
#include <model/explorer/stop_state.hpp>

namespace model {

// A step that may change the state.
void stop_state::step() {
    scheduler& s = scheduler::the;
    s.step(action::use_stop_state, this);
    thread_state& me = s.me();
    me.now.join(released_);
    me.observe(past_hash_);
    released_ = me.now;
    past_hash_ = me.past_hash;
    me.advance();
}

bool stop_state::stop_requested() {
    scheduler& s = scheduler::the;
    s.step(action::use_stop_state, this);
    if (requested_) s.me().now.join(released_);
    s.me().observe(requested_ ? past_hash_ : 0x0ff);
    note(requested_ ? "sees the stop request" : "sees no stop request");
    return requested_;
}

bool stop_state::request_stop() {
    step();
    if (requested_) return false;
    scheduler& s = scheduler::the;
    requested_ = true;
    runner_ = s.me().number;
    note("requests the stop");
    for (thread_state& t : s.threads()) {
        if (!time_matters || !s.is_asleep(t)) continue;
        t.seen.slept_when_stopped = true;
        s.me().observe(static_cast<std::uint64_t>(t.number));
    }
    // Each callback is taken from the list in a step of its own, so that others may be added and removed in between.
    for (;;) {
        step();
        if (!first_) return complete_ = true;
        stop_callback_base* const c = first_;
        first_ = c->next_;
        running_ = c;
        note("calls a stop callback");
        c->run_(c->argument_);
        step();
        running_ = nullptr;
    }
}

void stop_state::add(stop_callback_base& c) {
    step();
    if (requested_) {
        c.state_ = nullptr;
        c.run_(c.argument_);
        return;
    }
    c.next_ = first_;
    first_ = &c;
    note("adds a stop callback");
}

void stop_state::remove(stop_callback_base& c) {
    step();
    for (stop_callback_base** at = &first_; *at; at = &(*at)->next_) {
        if (*at == &c) {
            *at = c.next_;
            note("removes its stop callback");
            return;
        }
    }
    scheduler& s = scheduler::the;
    thread_state& me = s.me();
    if (running_ != &c || runner_ == me.number) return;
    me.awaits = &c;
    me.awaits_in = this;
    s.step(action::await_callback, this);
    me.now.join(released_);
    me.observe(past_hash_);
    note("has waited for its stop callback");
}

void stop_state::unref() {
    thread_state& me = scheduler::the.me();
    me.now.join(released_);
    released_.join(me.now);
    me.advance();
    if (--handles_ > 0) return;
    forget_uses();  // the count of handles has ordered them
    delete this;
}

void stop_callback_base::add_to(stop_state* state, function run, void* argument) {
    state_ = state;
    run_ = run;
    argument_ = argument;
    if (state) state->add(*this);
}
void stop_callback_base::remove() {
    if (state_) state_->remove(*this);
}

stop_handle::stop_handle(stop_state* s) noexcept : state(s) {
    if (state) state->ref();
}
stop_handle::~stop_handle() {
    if (state) state->unref();
}
bool stop_token::stop_requested() const noexcept { return handle_.state && handle_.state->stop_requested(); }
stop_source::stop_source() : handle_(new stop_state) {}
bool stop_source::request_stop() { return handle_.state->request_stop(); }

}  // namespace model
