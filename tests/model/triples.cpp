// Three operations of a channel at once.
#include <model/cast.hpp>

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
    for (const kind& k : kinds) {
        for (std::size_t a = 0; a < names.size(); ++a) {
            for (std::size_t b = a; b < names.size(); ++b) {
                for (std::size_t c = b; c < names.size(); ++c) {
                    const std::vector<const part<number>*> cast{find<number>(names[a]), find<number>(names[b]),
                                                                find<number>(names[c])};
                    int senders = 0, receivers = 0;
                    for (const auto* p : cast) senders += p->sends, receivers += p->receives;
                    if (senders == 0 || receivers == 0) continue;
                    add(std::string("triple/") + k.name + "/" + names[a] + "+" + names[b] + "+" + names[c],
                        "The three are linearizable together, and none sleeps though it could complete.", limits,
                        [k, cast] { run_parts<number>(k.capacity, k.filled, cast); });
                }
            }
        }
    }
    return true;
}();

}  // namespace model
