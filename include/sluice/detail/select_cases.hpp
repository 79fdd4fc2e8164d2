// The cases of a choice, in the order in which they are preferred, and what can be done with them without blocking.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include <sluice/detail/backoff.hpp>
#include <sluice/detail/compiler.hpp>
#include <sluice/detail/deadline.hpp>
#include <sluice/detail/select_case.hpp>
#include <sluice/detail/sync.hpp>
#include <sluice/detail/waiter.hpp>

namespace sluice::detail {

// Which of several cases that are ready at once is chosen.
enum class preference : std::uint8_t {
    random,   // each as likely as the others
    listed,   // the first, at any moment
    in_turn,  // the first that is found, where the caller lists those first that have waited for longest
};
class select_cases;

// Where more cases come from while a choice is made. It is a case itself, the one that is ready when there are more; it
// is never chosen: the choice goes on with what add_to() has given to it.
class case_source : public select_case {
public:
    virtual void add_to(select_cases& choice) = 0;

protected:
    using select_case::select_case;
};

inline constexpr std::size_t no_case = static_cast<std::size_t>(-1);

class select_cases {
public:
    // `order` is scratch space for as many numbers as there are `cases`.
    select_cases(select_case* const* cases, std::uint32_t* order, std::size_t size, preference prefers) noexcept
        : order_(order), prefers_(prefers), cases_(cases), size_(static_cast<std::uint32_t>(size)) {}

    // Likewise; with `more`, if it is one of the cases.
    void take(select_case* const* cases, std::uint32_t* order, std::size_t size, case_source* more) noexcept {
        cases_ = cases;
        order_ = order;
        size_ = static_cast<std::uint32_t>(size);
        source_ = more;
    }

    // A stop that was requested before the choice comes first, but where the listed order holds: so this is asked before
    // anything else that another thread may come in between.
    static bool is_requested_stop(const select_case& c) { return c.of_kind() == select_case::kind::stop && c.is_due(); }
    std::size_t requested_stop() const {
        for (std::uint32_t i = 0; prefers_ != preference::listed && i < size_; ++i) {
            if (is_requested_stop(*cases_[i])) return i;
        }
        return no_case;
    }

protected:
    // Sorts the cases by kind.
    void sort(bool begins) {
        count_ = 0;
        for (std::uint32_t i = 0; i < size_; ++i) {
            switch (cases_[i]->of_kind()) {
                case select_case::kind::stop:
                case select_case::kind::event: order_[count_++] = i; break;
                case select_case::kind::deadline:
                    if (begins) cases_[i]->start();
                    has_deadline_ = true;
                    break;
                case select_case::kind::otherwise: otherwise_ = i; break;
            }
        }
    }

    // Whether that case stands for more, with which the choice goes on. At most as often as cases are added.
    bool has_more(std::size_t chosen) {
        if (!source_ || cases_[chosen] != source_) return false;
        source_->add_to(*this);
        sort(false);
        return true;
    }

    select_case& in_order(std::uint32_t place) const noexcept { return *cases_[order_[place]]; }

    // ---- Try

    // Tries the cases in the order of preference; counts those that are still live. No case, and `superseded`, if one that
    // is preferred has become ready.
    std::size_t try_all(bool& superseded) {
        live_ = 0;
        for (std::uint32_t place = 0; place < count_; ++place) {
            if (prefers_ == preference::random && place + 1 < count_)
                std::swap(order_[place], order_[place + sync::random_below(count_ - place)]);
            switch (try_in_order(place)) {
                case op_status::done: return order_[place];
                case op_status::closed: break;
                case op_status::blocked: ++live_; break;
                case op_status::superseded: superseded = true; return no_case;
            }
        }
        return no_case;
    }

    op_status try_in_order(std::uint32_t place) {
        if (prefers_ != preference::listed || place == 0) return in_order(place).try_now(nullptr);
        const earlier_are_unchanged others(*this, place);
        return in_order(place).try_now(&others);
    }

    class earlier_are_unchanged final : public precondition {
    public:
        earlier_are_unchanged(const select_cases& s, std::uint32_t place) noexcept : choice_(s), place_(place) {}
        bool holds() const override { return choice_.is_unchanged_before(place_); }

    private:
        const select_cases& choice_;
        const std::uint32_t place_;
    };

    // Whether what try_all() found was so of all cases at once, when it looked at the last of them.
    bool was_at_one_moment() const { return count_ <= 1 || is_unchanged_before(count_ - 1); }
    bool is_unchanged_before(std::uint32_t place) const {
        for (std::uint32_t earlier = 0; earlier < place; ++earlier) {
            if (!in_order(earlier).is_unchanged()) return false;
        }
        return true;
    }

    // Backs off while no case seems ready; false when it is time to register.
    SLUICE_NOINLINE bool backed_off(backoff& spin) const {
        for (std::uint32_t place = 0; place < count_; ++place) {
            if (in_order(place).must_register_first()) return false;
        }
        while (spin.wait()) {
            for (std::uint32_t place = 0; place < count_; ++place) {
                if (in_order(place).maybe_ready()) return true;
            }
        }
        return false;
    }

    std::size_t passed_deadline() const {
        if (!has_deadline_) return no_case;
        for (std::uint32_t i = 0; i < size_; ++i) {
            if (cases_[i]->of_kind() == select_case::kind::deadline && cases_[i]->is_due()) return i;
        }
        return no_case;
    }

    deadline next_deadline() const {
        deadline next = deadline::never();
        if (has_deadline_) {
            for (std::uint32_t i = 0; i < size_; ++i) {
                if (cases_[i]->of_kind() == select_case::kind::deadline)
                    next = deadline::sooner(next, cases_[i]->wake_time());
            }
        }
        return next;
    }

    std::uint32_t* order_;
    std::uint32_t count_ = 0;  // how many events and stops are in `order_`
    std::uint32_t live_ = 0;   // of them, those that can still become ready
    std::size_t otherwise_ = no_case;
    const preference prefers_;

private:
    select_case* const* cases_;
    std::uint32_t size_;
    bool has_deadline_ = false;
    case_source* source_ = nullptr;
};

}  // namespace sluice::detail
