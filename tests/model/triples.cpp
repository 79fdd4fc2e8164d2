// Three operations of a channel at once; and larger programs, too large for all of their schedules.
#include <model/cast.hpp>

#include <cstddef>
#include <random>
#include <string>
#include <vector>

namespace model {

template <class M>
const part<M>* find(const std::string& name) {
    for (const part<M>& p : parts<M>()) {
        if (p.name == name) return &p;
    }
    return nullptr;
}

[[maybe_unused]] static const bool added = [] {
    const std::vector<kind> kinds = {{"rendezvous", 0, 0}, {"one", 1, 0}, {"one-full", 1, 1}};
    const std::vector<const char*> names = {"send",     "try_send",     "send_timeout", "select_send", "recv",
                                            "try_recv", "recv_timeout", "select_recv",  "select_both", "close"};
    budgets limits;
    limits.preemptions = 2;
    limits.stale_reads = 0;
    limits.detours = 2;
    limits.ticks = 0;
    budgets timed = limits;  // where so much is possible at every step
    timed.preemptions = 1;
    timed.ticks = 1;
    for (const kind& k : kinds) {
        for (std::size_t a = 0; a < names.size(); ++a) {
            for (std::size_t b = a; b < names.size(); ++b) {
                for (std::size_t c = b; c < names.size(); ++c) {
                    const std::vector<script<number>> cast{
                        {find<number>(names[a])}, {find<number>(names[b])}, {find<number>(names[c])}};
                    int senders = 0, receivers = 0;
                    bool has_deadline = false;
                    for (const auto& parts : cast) {
                        senders += parts[0]->sends, receivers += parts[0]->receives;
                        has_deadline |= std::string(parts[0]->name).ends_with("timeout");
                    }
                    if (senders == 0 || receivers == 0) continue;
                    add(std::string("triple/") + k.name + "/" + names[a] + "+" + names[b] + "+" + names[c],
                        "The three are linearizable together, and none sleeps though it could complete.",
                        has_deadline ? timed : limits, [k, cast] { run_parts<number>(k.capacity, k.filled, cast); });
                }
            }
        }
    }

    budgets crowds = limits;
    crowds.ticks = 1;
    std::mt19937 random(1);
    const auto draw = [&random](std::size_t n) { return static_cast<std::size_t>(random() % n); };
    const std::vector<kind> crowded = {{"rendezvous", 0, 0}, {"one", 1, 0}, {"two-half", 2, 1}};
    for (int i = 0; i < 60; ++i) {
        const kind& k = crowded[draw(crowded.size())];
        std::vector<script<number>> cast(4 + draw(2));
        for (auto& parts : cast) {
            while (parts.size() < 2) parts.push_back(&model::parts<number>()[draw(model::parts<number>().size())]);
        }
        add("crowd/" + std::string(k.name) + "/" + std::to_string(i),
            "Four or five threads with two operations each are linearizable together, and none sleeps in vain.", crowds,
            [k, cast] { run_parts<number>(k.capacity, k.filled, cast); });
    }
    return true;
}();

}  // namespace model
