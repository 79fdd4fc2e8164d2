// A group of receiving and sending cases whose waits are written down in the history of the model.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include <model/operations.hpp>

namespace model {

// A group whose waits are written down. Its cases hear of closing, and remove themselves then.
template <class M>
class watched_group {
public:
    // Receives from these.
    template <class... Probes>
    explicit watched_group(const Probes&... from) {
        (receives(from), ...);
    }
    void receives(const probe<M>& p) {
        const int channel = p.number;
        const auto id = group_.add(sluice::on_recv(p.ends.rx, [this, channel](const sluice::result<M>& m) {
            if (!m) std::erase(receives_, channel);
            now_->came_to(m ? event::received : event::receive_refused, channel, m ? m->id() : -1);
        }));
        receives_.push_back(channel);
        last_ = id;
    }
    void sends(const probe<M>& p, int id) {
        const int channel = p.number;
        last_ = group_.add(sluice::on_send(p.ends.tx, M(id), [this, channel, id](const sluice::result<void>& r) {
            std::erase(sends_, channel);
            now_->came_to(r ? event::sent : event::send_refused, channel, r ? id : -1);
        }));
        sends_.push_back(channel);
    }
    void remove_last() {
        group_.remove(last_);
        receives_.pop_back();
    }
    void wait() {
        operation op("group.wait");
        tell(op);
        const auto chosen = group_.wait();
        if (!chosen) fails(op, chosen.error(), sluice::errc::closed);
    }
    bool try_wait() {
        operation op("group.try_wait");
        tell(op).never_waits();
        const auto chosen = group_.try_wait();
        if (!chosen) fails(op, chosen.error(), sluice::errc::empty);
        return chosen.has_value();
    }

    // For a wait of another kind: `op` is what it is written down as, and `otherwise` how it may fail though the channels
    // are open.
    sluice::selector& group() noexcept { return group_; }
    operation& tell(operation& op) {
        for (const int channel : receives_) op.receives(channel);
        for (const int channel : sends_) op.sends(channel);
        now_ = &op;
        return op;
    }
    static void fails(operation& op, sluice::errc e, sluice::errc otherwise) {
        if (e == sluice::errc::closed) return op.all_closed();
        expect(e == otherwise, "a group fails for a reason that it cannot have");
        e == sluice::errc::stopped ? op.was_stopped() : op.gave_up();
    }

private:
    std::vector<int> receives_, sends_;
    operation* now_ = nullptr;
    std::size_t last_ = 0;
    sluice::selector group_;
};

}  // namespace model
