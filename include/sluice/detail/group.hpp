// The cases of a selector, and how it waits for them: those that are idle cost a wait nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include <sluice/detail/deadline.hpp>
#include <sluice/detail/select_case.hpp>
#include <sluice/detail/select_engine.hpp>
#include <sluice/detail/sync.hpp>
#include <sluice/detail/watch.hpp>
#include <sluice/result.hpp>

namespace sluice::detail {

// A case of a group is in one of three places:
//   - watched: there was nothing for it, and since then its watcher stands in the line of its channel;
//   - active: there may be something for it, or it can't be watched (on a rendezvous, a timer, a deadline). Each wait
//     hands these to the select engine, which tries them and registers them as those of any select;
//   - switched off: on an empty handle.
// A wait begins by moving what was told from watched to active, and what has nothing from active to watched. While it
// chooses, one more case, this class, stands for all the watched ones: it is ready when one of them is told, which is
// active then for the rest of the wait. So a wait costs as many steps as there are active cases, and an event that a
// watched case was told of is either taken, or looked for again at the next wait.
//
// A listener hears, once, of anything that a choice between two waits might do. As long as it stands in the hub, each
// case that may become ready is watched, or is a stop that rings, or waits for time; cases on a rendezvous are watched as
// well, apart from the others. What ends that rings: a watcher that is told, a case that is added and can't be watched
// since it may be ready, the removal of the last case that could be, the end of the group, and a wait that takes those
// that stand apart out of their lines.
//
// Used by one thread at a time, but for the hub.
class group final : case_source {
    static constexpr std::size_t no_place = static_cast<std::size_t>(-1);

public:
    explicit group(bool biased) noexcept : biased_(biased) {}
    ~group() override {
        if (made_in_ == sync::fork_count() && hub_.has_listeners()) hub_.ring();
        for (const slot& s : members_)
            if (s.it) detach(*s.it);
    }

    std::size_t size() const noexcept { return members_.size() - removed_places_; }
    bool has_otherwise() const noexcept { return has_otherwise_; }

    // Adds what make() returns, a pointer to a case; its id tells how many were added before. Nothing can fail after
    // make().
    template <class F>
    std::size_t add(F&& make) {
        if (members_.size() == members_.capacity()) members_.reserve(2 * members_.size() + 1);
        auto added = std::make_unique<member>();
        member& m = *added;
        m.self = std::forward<F>(make)();
        m.id = next_id_;
        m.place = members_.size();
        m.hub = &hub_;
        members_.push_back({m.id, std::move(added)});
        if (m.self->of_kind() == select_case::kind::otherwise) has_otherwise_ = true;
        if (!m.self->is_switched_off()) activate(m);
        ++next_id_;
        if (hub_.has_listeners() && m.is_active && !is_announced(m)) hub_.ring();
        return m.id;
    }

    bool remove(std::size_t id) {
        member* const found = find(id);
        if (!found) return false;
        const std::unique_ptr<member> removed = take_out(*found);  // what it drops may use the group
        return true;
    }

    // Has `l` woken, once, when a choice may do something, or report that nothing is left to wait for; before this
    // returns, if that may be so now.
    void listen(waiter& l) {
        hub_.listen(l);
        activate_told();
        bool announced = true;
        for (member* next = first_; member* const m = announced ? next : nullptr;) {
            next = m->behind;
            announced = is_announced(*m);
        }
        if (!announced || !can_be_ready()) hub_.ring();
    }
    // Ends that; false if `l` is being woken, or was.
    bool stop_listening(waiter& l) { return hub_.stop_listening(l); }

    preference prefers() const noexcept { return biased_ ? preference::listed : preference::in_turn; }

    // As select_engine::choose(): the id of the case that was chosen, and that has run.
    result<std::size_t> choose(const deadline& limit, errc on_expiry, const stop_token& stop) {
        select_engine engine(nullptr, nullptr, 0, prefers());
        if (const preparation early = begin(engine, limit, stop); early.is_decided) return conclude(early);
        engine.choose(limit, on_expiry, stop);
        return conclude(engine);
    }

    // ---- The same in steps, the engine's between these two. What a stop that was requested before the choice decides:

    struct member : watcher {
        std::size_t id = 0;
        std::shared_ptr<select_case> self;
        std::size_t place = 0;  // among the members
        std::size_t place_of_keeper = no_place;
        bool is_active = false, is_watched = false;
        bool is_apart = false;     // is watched on a rendezvous
        member* before = nullptr;  // of the active ones, in the order in which they are preferred; or of those apart
        member* behind = nullptr;
    };
    struct preparation {
        bool is_decided = false;
        member* by = nullptr;  // none: the stop of the whole wait
    };
    preparation begin(select_engine& engine, const deadline& limit, const stop_token& stop) {
        if (stop.stop_requested()) return {true, nullptr};
        tried_.clear();
        for (member* m = biased_ ? nullptr : first_; m; m = m->behind) {
            if (select_engine::is_requested_stop(*m->self)) return {true, m};
        }
        if (!limit.is_immediate()) activate_apart();
        activate_told();
        watch_idle();
        add_to(engine);
        return {};
    }
    result<std::size_t> conclude(const preparation& early) {
        if (early.by) return run(early.by);
        return unexpected(errc::stopped);
    }
    // What the engine has chosen; calls the handler.
    result<std::size_t> conclude(const select_engine& engine) {
        if (engine.chosen() != no_case) return run(tried_[engine.chosen()]);
        if (!engine.all_are_live()) remove_done(nullptr);
        return unexpected(engine.failure());
    }

private:
    struct slot {
        std::size_t id;
        std::unique_ptr<member> it;  // none if it was removed
    };

    // Those that were removed leave their places empty, until these are more than half of them: so the members stay in
    // the order of their ids, and each is removed in constant time, on the average.
    member* find(std::size_t id) const noexcept {
        std::size_t from = 0, to = members_.size();
        while (from < to) {
            const std::size_t middle = from + (to - from) / 2;
            if (members_[middle].id < id) {
                from = middle + 1;
            } else {
                to = middle;
            }
        }
        return from < members_.size() && members_[from].id == id ? members_[from].it.get() : nullptr;
    }
    std::unique_ptr<member> take_out(member& m) {
        detach(m);
        forget_keeper(m);
        if (m.self->of_kind() == select_case::kind::otherwise) has_otherwise_ = false;
        std::unique_ptr<member> taken = std::move(members_[m.place].it);
        if (++removed_places_ > members_.size() / 2) {
            std::size_t kept = 0;
            for (slot& s : members_) {
                if (!s.it) continue;
                s.it->place = kept;
                members_[kept++] = std::move(s);
            }
            members_.resize(kept);
            removed_places_ = 0;
        }
        if (hub_.has_listeners() && !can_be_ready()) hub_.ring();
        return taken;
    }

    // The case was chosen.
    std::size_t run(member* chosen) {
        const std::size_t id = chosen->id;
        const std::shared_ptr<select_case> to_run = chosen->self;  // the handler may remove it
        if (!biased_) {                                            // the others have waited for longer from now on
            deactivate(*chosen);
            activate(*chosen);
        }
        remove_done(to_run.get());
        to_run->run();
        return id;
    }

    // ---- Places

    // Behind those that have waited for longer. With a preference: behind those that were added before, which are at `last`
    // or before it.
    void activate(member& m, member* last) noexcept {
        while (biased_ && last && last->id > m.id) last = last->before;
        m.before = last;
        m.behind = last ? last->behind : first_;
        (m.before ? m.before->behind : first_) = &m;
        (m.behind ? m.behind->before : last_) = &m;
        m.is_active = true;
        ++active_;
    }
    void activate(member& m) noexcept { activate(m, last_); }
    // All of a chain by next_told, in its order. With a preference it is sorted first, from the case that was added last, so
    // that one walk through the active ones finds the places of all.
    void activate_all(watcher* chain) noexcept {
        if (biased_) {
            std::size_t count = 0;
            for (const watcher* w = chain; w; w = w->next_told) ++count;
            if (count > 1) chain = take_sorted(chain, count);
        }
        for (member* last = last_; chain;) {
            auto& m = static_cast<member&>(*std::exchange(chain, chain->next_told));
            if (m.is_watched) leave_watched(m);
            activate(m, last);
            last = biased_ ? &m : last_;
        }
    }
    // Takes that many, at least one, from the front of a chain; returns them as another, by falling ids.
    static watcher* take_sorted(watcher*& chain, std::size_t count) noexcept {
        if (count == 1) {
            watcher* const one = std::exchange(chain, chain->next_told);
            one->next_told = nullptr;
            return one;
        }
        watcher* first = take_sorted(chain, count / 2);
        watcher* second = take_sorted(chain, count - count / 2);
        watcher* sorted = nullptr;
        watcher** end = &sorted;
        while (first && second) {
            watcher*& next = static_cast<member*>(first)->id > static_cast<member*>(second)->id ? first : second;
            *end = std::exchange(next, next->next_told);
            end = &(*end)->next_told;
        }
        *end = first ? first : second;
        return sorted;
    }
    void deactivate(member& m) noexcept {
        (m.before ? m.before->behind : first_) = m.behind;
        (m.behind ? m.behind->before : last_) = m.before;
        m.is_active = false;
        --active_;
    }
    void activate_told() {
        if (hub_.has_news()) activate_all(hub_.take_told());
    }
    void enter_watched(member& m) noexcept {
        m.is_watched = true;
        ++watched_;
    }
    void leave_watched(member& m) noexcept {
        m.is_watched = false;
        --watched_;
        if (!std::exchange(m.is_apart, false)) return;
        (m.before ? m.before->behind : apart_) = m.behind;
        if (m.behind) m.behind->before = m.before;
    }

    // For a listener: whether it will hear when the case, an active one, may be ready; it may be now otherwise.
    bool is_announced(member& m) {
        if (m.self->watch(m)) {
            deactivate(m);
            enter_watched(m);
            return true;
        }
        if (m.self->watch_between_waits(m)) {
            deactivate(m);
            enter_watched(m);
            m.is_apart = true;
            m.before = nullptr;
            m.behind = apart_;
            if (apart_) apart_->before = &m;
            apart_ = &m;
            return true;
        }
        return m.self->notify(hub_) != op_status::done;
    }
    // Whether one of the cases that a listener hears of, or of those that wait for time, may still become ready.
    bool can_be_ready() {
        for (member* m = first_; m && watched_ == 0; m = m->behind) {
            if (m->self->notify(hub_) != op_status::closed) return true;
        }
        return watched_ > 0;
    }
    // A choice that may block stands in line for those that are watched on a rendezvous. One that does not block finds them
    // as it finds all that are watched.
    void activate_apart() {
        if (!apart_) return;
        hub_.ring();
        watcher* chain = nullptr;
        while (member* const m = apart_) {
            detach(*m);
            m->next_told = std::exchange(chain, m);
        }
        activate_all(chain);
    }
    void watch_idle() {
        for (member* next = first_; member* const m = next;) {
            next = m->behind;
            if (m->place_of_keeper == no_place && m->self->retains_memory()) {
                keepers_.push_back(m);
                m->place_of_keeper = keepers_.size() - 1;
            }
            if (!m->self->watch(*m)) continue;
            deactivate(*m);
            enter_watched(*m);
        }
    }
    void detach(member& m) {
        if (m.is_active) deactivate(m);
        if (!m.is_watched) return;
        leave_watched(m);
        // In the child of a fork the locks of channels and of the hub may be held for ever, by threads that are not
        // there.
        if (made_in_ != sync::fork_count()) return;
        if (!m.self->unwatch(m)) hub_.forget(m);
    }

    void remove_done(const select_case* chosen) {
        for (member* const m : tried_) {
            if (!m || !m->self->is_done(m->self.get() == chosen)) continue;
            removed_.push_back(take_out(*m));
        }
        tried_.clear();
        if (removed_.empty()) return;
        const std::vector<std::unique_ptr<member>> removed = std::move(removed_);  // what they drop may use the group
    }

    // ---- The case that stands for the watched ones

    void add_to(select_cases& choice) override {
        activate_told();
        const std::size_t size = active_ + (watched_ > 0 ? 1 : 0);
        cases_.clear();
        tried_.clear();
        cases_.reserve(size);
        tried_.reserve(size);
        order_.resize(size);
        removed_.reserve(size);  // before anything is received
        const auto add = [this](select_case* c, member* m) {
            cases_.push_back(c);
            tried_.push_back(m);
        };
        // One that is told while others are ready has its turn after them; but with a preference it may come first.
        if (watched_ > 0 && biased_) add(this, nullptr);
        for (member* m = first_; m; m = m->behind) add(m->self.get(), m);
        if (watched_ > 0 && !biased_) add(this, nullptr);
        choice.take(cases_.data(), order_.data(), size, this);
    }

    op_status try_now(const precondition* others) override {
        if (!hub_.has_news()) return op_status::blocked;
        return holds(others) ? op_status::done : op_status::superseded;
    }
    bool is_unchanged() const override { return !hub_.has_news(); }
    bool maybe_ready() const noexcept override { return hub_.has_news(); }
    waiter* in_line() noexcept override { return &self_; }
    op_status try_register() override {
        return hub_.wait_for_news(self_) ? op_status::blocked : claim::claim_own(self_);
    }
    void unregister() override { hub_.stop_waiting(); }
    void run() override {}
    bool retains_memory() const noexcept override { return !keepers_.empty(); }
    void give_back_memory() override {
        for (member* const m : keepers_) {
            m->place_of_keeper = no_place;
            m->self->give_back_memory();
        }
        keepers_.clear();
    }
    void forget_keeper(member& m) noexcept {
        if (m.place_of_keeper == no_place) return;
        keepers_[m.place_of_keeper] = keepers_.back();
        keepers_.back()->place_of_keeper = m.place_of_keeper;
        keepers_.pop_back();
        m.place_of_keeper = no_place;
    }

    const bool biased_;
    const unsigned made_in_ = sync::fork_count();
    bool has_otherwise_ = false;
    std::size_t next_id_ = 0;
    watch_hub hub_;  // ends after the cases, whose stop callbacks ring there
    std::vector<slot> members_;
    std::size_t removed_places_ = 0;
    member* first_ = nullptr;  // of the active ones
    member* last_ = nullptr;
    member* apart_ = nullptr;  // the first of those that are watched on a rendezvous
    std::size_t active_ = 0, watched_ = 0;
    std::vector<member*> keepers_;     // those whose channels kept memory when they were watched
    waiter self_;                      // in the place of all the watched ones
    std::vector<select_case*> cases_;  // those of the choice under way; the same as members; scratch space
    std::vector<member*> tried_;
    std::vector<std::uint32_t> order_;
    std::vector<std::unique_ptr<member>> removed_;
};

}  // namespace sluice::detail
