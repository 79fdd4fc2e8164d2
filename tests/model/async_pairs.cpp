// Each operation that a coroutine awaits against each of a thread and each of another coroutine.
#include <model/async_operations.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace model {

namespace {

bool is_timed(std::string_view name) { return name.find("timeout") != name.npos || name.find("linger") != name.npos; }
bool is_one_of(std::string_view name, const std::vector<std::string_view>& names) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

template <class M>
void add_async_pair(const kind& k, const channel_op<M>& a, const channel_op<M>& b) {
    // Where old values are found, time is no matter.
    const bool timed = is_timed(a.name) || is_timed(b.name);
    const int preemptions = !timed && k.capacity == std::size_t{0} ? 2 : 1;
    const budgets limits{
        .preemptions = preemptions, .stale_reads = timed ? 0 : 1, .ticks = timed ? 1 : 0, .detours = 2};
    const scenario<M> scripts{{&a}, {&b}};
    add("async-pair/" + std::string(k.name) + "/" + a.name + "+" + b.name,
        "A coroutine and its peer are linearizable together, and neither waits though it could complete.", limits,
        [k, scripts] { run_scenario<M>(k.capacity, k.filled, scripts); });
}

// `peers` are the names of the operations of threads, or all.
template <class M>
void add_async_pairs_of(const kind& k, const std::vector<std::string_view>& peers) {
    const auto& coroutines = async_channel_ops<M>();
    for (std::size_t a = 0; a < coroutines.size(); ++a) {
        for (const channel_op<M>& b : channel_ops<M>()) {
            if (is_one_of(b.name, peers)) add_async_pair(k, coroutines[a], b);
        }
        for (std::size_t b = a; b < coroutines.size(); ++b) add_async_pair(k, coroutines[a], coroutines[b]);
    }
}

// Batches, against some operations of threads and of coroutines, and against each other.
template <class M>
void add_async_batches_of(const kind& k) {
    const std::vector<std::string_view> peers{
        "try_send", "send", "send_many",   "select_send", "recv",       "try_recv",         "recv_many",
        "close",    "stop", "select_both", "async_send",  "async_recv", "async_select_both"};
    const std::vector<channel_op<M>>& batches = async_batch_ops<M>();
    for (std::size_t a = 0; a < batches.size(); ++a) {
        for (const auto* ops : {&channel_ops<M>(), &async_channel_ops<M>()}) {
            for (const channel_op<M>& b : *ops) {
                if (is_one_of(b.name, peers)) add_async_pair(k, batches[a], b);
            }
        }
        for (std::size_t b = a; b < batches.size(); ++b) add_async_pair(k, batches[a], batches[b]);
    }
}

}  // namespace

[[maybe_unused]] static const bool added = [] {
    const std::vector<std::string_view> all{
        "send",        "try_send", "send_timeout", "send_stop",           "try_send_many",    "select_send",
        "recv",        "try_recv", "recv_timeout", "recv_stop",           "try_recv_many",    "select_recv",
        "select_both", "close",    "stop",         "select_recv_timeout", "select_recv_stop", "force_send"};
    const std::vector<std::string_view> few{"try_send", "recv", "try_recv", "close", "stop"};
    add_async_pairs_of<number>({"rendezvous", 0, 0}, all);
    add_async_pairs_of<number>({"one", 1, 0}, all);
    add_async_pairs_of<number>({"one-full", 1, 1}, few);
    add_async_pairs_of<number>({"unbounded", {}, 0}, few);
    add_async_pairs_of<small>({"small-rendezvous", 0, 0}, few);
    add_async_batches_of<number>({"rendezvous", 0, 0});
    add_async_batches_of<number>({"one", 1, 0});
    add_async_batches_of<steady>({"one-full", 1, 1});
    add_async_batches_of<small>({"small-rendezvous", 0, 0});
    return true;
}();

}  // namespace model
