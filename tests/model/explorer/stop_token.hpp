// The modelled stop tokens: callbacks run in the thread that requests the stop, and a callback's destructor waits for
// it to return, as in the standard library.
#pragma once

#include <utility>

namespace model {

class stop_state;

class stop_callback_base {
protected:
    using function = void (*)(void*);
    // `run` is called with `argument`: here, if the stop has been requested.
    void add_to(stop_state* state, function run, void* argument);
    void remove();

private:
    friend class stop_state;
    stop_state* state_ = nullptr;
    function run_ = nullptr;
    void* argument_ = nullptr;
    stop_callback_base* next_ = nullptr;
};

// Counts who refers to the state.
class stop_handle {
public:
    stop_handle() noexcept = default;
    explicit stop_handle(stop_state* s) noexcept;
    stop_handle(const stop_handle& other) noexcept : stop_handle(other.state) {}
    stop_handle(stop_handle&& other) noexcept : state(std::exchange(other.state, nullptr)) {}
    stop_handle& operator=(stop_handle other) noexcept {
        std::swap(state, other.state);
        return *this;
    }
    ~stop_handle();
    stop_state* state = nullptr;
};

class stop_token {
public:
    stop_token() noexcept = default;
    bool stop_requested() const noexcept;
    bool stop_possible() const noexcept { return handle_.state != nullptr; }

private:
    friend class stop_source;
    template <class F>
    friend class stop_callback;
    friend void begins_under(const stop_token& token) noexcept;
    explicit stop_token(stop_handle h) noexcept : handle_(std::move(h)) {}
    stop_handle handle_;
};

class stop_source {
public:
    stop_source();
    stop_token get_token() const noexcept { return stop_token(handle_); }
    bool request_stop();

private:
    stop_handle handle_;
};

template <class F>
class stop_callback : stop_callback_base {
public:
    template <class G>
    stop_callback(const stop_token& token, G&& f) : keeps_(token.handle_), f_(std::forward<G>(f)) {
        add_to(
            keeps_.state, [](void* me) { static_cast<stop_callback*>(me)->f_(); }, this);
    }
    stop_callback(const stop_callback&) = delete;
    stop_callback& operator=(const stop_callback&) = delete;
    ~stop_callback() { remove(); }

private:
    stop_handle keeps_;
    F f_;
};

}  // namespace model
