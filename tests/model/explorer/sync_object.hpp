// What every modelled mutex, condition variable, atomic and stop state has: a lifetime that is checked at each use.
#pragma once

#include <cstdint>

#include <model/explorer/vector_clock.hpp>

namespace model {

// Each operation on a sync object is a step of its thread: a point before which any other thread may go first. Fails
// the execution if the object is used outside of its life, by a thread to which its construction is not known, or if
// its destruction is not ordered after each use.
class sync_object {
public:
    sync_object(const sync_object&) = delete;
    sync_object& operator=(const sync_object&) = delete;

    char kind() const noexcept { return kind_; }
    std::uint32_t number() const noexcept { return number_; }  // counts the objects of an execution, for reports

    // Fails unless the thread, which knows of the steps `now`, may use it; notes that it did.
    void check_use(int thread, const vector_clock& now) const;

protected:
    explicit sync_object(char kind) noexcept;
    ~sync_object();

    bool is_alive() const noexcept { return life_ == alive; }
    int maker() const noexcept { return maker_; }
    std::uint32_t made_at() const noexcept { return made_at_; }

    std::uint64_t past_hash_ = 1;  // hash of what has led to its present state
    vector_clock released_;        // what a thread that acquires it learns

    // Its steps are known to be ordered before its destruction by other means.
    void forget_uses() noexcept { last_use_ = {}; }

private:
    enum life : std::uint32_t { alive = 0x600df00d, dead = 0xdeadbeef };  // anything else was never constructed

    std::uint32_t life_ = alive;
    std::uint32_t number_;
    int maker_ = 0;
    std::uint32_t made_at_ = 0;  // the step of its maker
    char kind_;
    mutable vector_clock last_use_;
};

}  // namespace model
