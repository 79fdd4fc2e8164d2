// The end of a stop callback that waits by itself for its call.
#include <sluice/detail/stop_callback.hpp>

#include <model/memory_orders.hpp>
#include <model/models.hpp>

#include <memory>
#include <utility>

namespace model {

namespace {

int caller = -1;  // the thread whose call is under way, from within the function until it has left the stop callback

template <class F>
struct watched {
    F f;
    void operator()() const {
        f();  // which may end this
        yield();
        if (caller == self()) caller = -1;
    }
};

// As libstdc++'s where there is no futex: one that another thread ends in the midst of its call may never come back.
template <class F>
class hanging_callback : public stop_callback<watched<F>> {
public:
    hanging_callback(const stop_token& token, F f) : stop_callback<watched<F>>(token, watched<F>{std::move(f)}) {}
    ~hanging_callback() { expect(caller < 0 || caller == self(), "a stop callback ends in the midst of its call"); }
};

template <class F>
using waiting = sluice::detail::awaiting_stop_callback<F, hanging_callback>;

void call(int& calls) {
    caller = self();
    ++calls;
    yield();
}

}  // namespace

[[maybe_unused]] static const bool added = [] {
    constexpr budgets limits{.preemptions = 3, .stale_reads = 2, .ticks = 0};

    add("stop/any-time", "A callback ends before its call, or after it, and never in its midst.", limits, [] {
        caller = -1;
        stop_source source;
        const stop_token token = source.get_token();
        auto calls = std::make_unique<int>(0);
        thread stopping([&] { source.request_stop(); });
        {
            auto counting = [c = calls.get()] { call(*c); };
            const waiting<decltype(counting)> on_stop(token, counting);
        }
        expect(*calls <= 1, "the stop was heard of twice");
        calls.reset();
    });
    add("stop/seen", "Who has seen that the call has begun finds what it did.", limits, [] {
        caller = -1;
        stop_source source;
        const stop_token token = source.get_token();
        auto calls = std::make_unique<int>(0);
        atomic<bool> begun = false;
        thread stopping([&] { source.request_stop(); });
        {
            auto counting = [&begun, c = calls.get()] {
                begun.store(true, relaxed);
                call(*c);
            };
            const waiting<decltype(counting)> on_stop(token, counting);
            while (!begun.load(relaxed)) yield();
        }
        expect(*calls == 1, "the stop was not heard of once");
        calls.reset();
    });
    add("stop/own", "A thread may request the stop that it waits for, or begin after it was requested.", limits, [] {
        caller = -1;
        const bool before = choose_below(2) == 0;
        stop_source source;
        auto calls = std::make_unique<int>(0);
        if (before) source.request_stop();
        {
            auto counting = [c = calls.get()] { call(*c); };
            const waiting<decltype(counting)> on_stop(source.get_token(), counting);
            if (!before) source.request_stop();
        }
        expect(*calls == 1, "the stop was not heard of once");
        calls.reset();
    });
    return true;
}();

}  // namespace model
