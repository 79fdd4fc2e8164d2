// Three operations of a channel at once; and larger programs, too large for all of their schedules.
#include <model/scenario.hpp>

#include <cstddef>
#include <random>
#include <string>
#include <vector>

namespace model {

template <class M>
const channel_op<M>* find(const std::string& name) {
    for (const channel_op<M>& p : channel_ops<M>()) {
        if (p.name == name) return &p;
    }
    return nullptr;
}

[[maybe_unused]] static const bool added = [] {
    const std::vector<kind> kinds = {{"rendezvous", 0, 0}, {"one", 1, 0}, {"one-full", 1, 1}};
    const std::vector<const char*> names = {"send",     "try_send",     "send_timeout", "select_send", "recv",
                                            "try_recv", "recv_timeout", "select_recv",  "select_both", "close"};
    constexpr budgets limits{.preemptions = 2, .stale_reads = 0, .ticks = 0, .detours = 2};
    // With a deadline, where so much is possible at every step.
    constexpr budgets timed{.preemptions = 1, .stale_reads = 0, .ticks = 1, .detours = 2};
    for (const kind& k : kinds) {
        for (std::size_t a = 0; a < names.size(); ++a) {
            for (std::size_t b = a; b < names.size(); ++b) {
                for (std::size_t c = b; c < names.size(); ++c) {
                    const scenario<number> scripts{
                        {find<number>(names[a])}, {find<number>(names[b])}, {find<number>(names[c])}};
                    int senders = 0, receivers = 0;
                    bool has_deadline = false;
                    for (const auto& ops : scripts) {
                        senders += ops[0]->sends, receivers += ops[0]->receives;
                        has_deadline |= std::string(ops[0]->name).ends_with("timeout");
                    }
                    if (senders == 0 || receivers == 0) continue;
                    add(std::string("triple/") + k.name + "/" + names[a] + "+" + names[b] + "+" + names[c],
                        "The three are linearizable together, and none sleeps though it could complete.",
                        has_deadline ? timed : limits,
                        [k, scripts] { run_scenario<number>(k.capacity, k.filled, scripts); });
                }
            }
        }
    }

    constexpr budgets crowds{.preemptions = 2, .stale_reads = 0, .ticks = 1, .detours = 2};
    std::mt19937 random(1);
    const auto draw = [&random](std::size_t n) { return static_cast<std::size_t>(random() % n); };
    const std::vector<kind> crowded = {{"rendezvous", 0, 0}, {"one", 1, 0}, {"two-half", 2, 1}};
    for (int i = 0; i < 60; ++i) {
        const kind& k = crowded[draw(crowded.size())];
        scenario<number> scripts(4 + draw(2));
        for (auto& ops : scripts) {
            while (ops.size() < 2) ops.push_back(&channel_ops<number>()[draw(channel_ops<number>().size())]);
        }
        add("crowd/" + std::string(k.name) + "/" + std::to_string(i),
            "Four or five threads with two operations each are linearizable together, and none sleeps in vain.", crowds,
            [k, scripts] { run_scenario<number>(k.capacity, k.filled, scripts); });
    }
    return true;
}();

}  // namespace model
