// recv_batch against every operation of a channel, and against itself.
#include <model/scenario.hpp>

#include <cstddef>
#include <string_view>
#include <vector>

namespace model {

namespace {

// Those that linger for ever wait for a second message until the channel closes.
template <class M>
const std::vector<channel_op<M>>& batch_ops() {
    using fixture_t = fixture<M>;
    static const std::vector<channel_op<M>> all = {
        {"recv_batch",
         [](fixture_t& t, tx_of<M>, rx_of<M> rx, int) { recv_batch(rx, t.channel.number, clock::duration::max()); },
         false, true},
        {"recv_batch_now",
         [](fixture_t& t, tx_of<M>, rx_of<M> rx, int) { recv_batch(rx, t.channel.number, clock::duration::zero()); },
         false, true},
        {"recv_batch_linger",
         [](fixture_t& t, tx_of<M>, rx_of<M> rx, int) { recv_batch(rx, t.channel.number, clock::tick); }, false, true},
        {"recv_batch_stop",
         [](fixture_t& t, tx_of<M>, rx_of<M> rx, int) {
             recv_batch(rx, t.channel.number, clock::duration::max(), t.stop.get_token());
         },
         false, true},
    };
    return all;
}

template <class M>
void add_batch_pair(const kind& k, const channel_op<M>& a, const channel_op<M>& b) {
    const auto is_timed = [](std::string_view name) {
        return name.find("timeout") != name.npos || name.find("linger") != name.npos;
    };
    const int timed = (is_timed(a.name) ? 1 : 0) + (is_timed(b.name) ? 1 : 0);
    constexpr budgets fewer{.preemptions = 1, .stale_reads = 0, .ticks = 0, .detours = 1};
    const budgets limits{.preemptions = timed > 1 ? 1 : 2, .stale_reads = 0, .ticks = timed > 0 ? 1 : 0, .detours = 2};
    add_pair(k, a, b, limits, fewer);
}

template <class M>
void add_batch_pairs_of(const std::vector<kind>& kinds) {
    const std::vector<channel_op<M>>& batches = batch_ops<M>();
    for (const kind& k : kinds) {
        for (std::size_t a = 0; a < batches.size(); ++a) {
            for (const channel_op<M>& other : channel_ops<M>()) add_batch_pair(k, other, batches[a]);
            for (std::size_t b = a; b < batches.size(); ++b) add_batch_pair(k, batches[a], batches[b]);
        }
    }
}

}  // namespace

[[maybe_unused]] static const bool added = [] {
    add_batch_pairs_of<steady>({{"rendezvous", 0, 0}, {"one", 1, 0}, {"one-full", 1, 1}});
    add_batch_pairs_of<small>({{"small-rendezvous", 0, 0}});
    add_batch_pairs_of<number>({{"unbounded-filled", std::nullopt, 1}});  // a move may throw: one message at a time
    return true;
}();

}  // namespace model
