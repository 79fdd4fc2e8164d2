// The operations that wait on behalf of an execution context of Asio: what it withdraws when it is destroyed.
#pragma once

#include <sluice/detail/lock.hpp>
#include <sluice/detail/sync.hpp>

namespace sluice::detail {

template <class Asio>
class pending_operations;

// `Asio` says which of the two libraries that is, as everywhere below: see asio.hpp.
template <class Asio>
class pending_operation {
public:
    pending_operation(const pending_operation&) = delete;
    pending_operation& operator=(const pending_operation&) = delete;

    // The context is being destroyed, and nobody runs it any more: withdraws the operation. May be gone afterwards.
    virtual void abandon() noexcept = 0;

protected:
    pending_operation() = default;
    ~pending_operation() = default;

    bool is_listed() const noexcept { return is_listed_; }

private:
    friend class pending_operations<Asio>;

    pending_operation* next_ = nullptr;
    pending_operation* previous_ = nullptr;
    bool is_listed_ = false;
};

// A service of the context. Peers of the operations, on any thread, never come here; `lock_` guards the list, for the
// threads that begin and end operations, and nothing else happens under it.
template <class Asio>
class pending_operations final : public Asio::execution_context::service {
    using operation = pending_operation<Asio>;
    using context = typename Asio::execution_context;

public:
    inline static typename context::id id;

    explicit pending_operations(context& owner) : context::service(owner) {}

    // False if the context is being destroyed.
    bool add(operation& o) {
        const spin_lock_guard held(lock_);
        if (is_over_) return false;
        o.next_ = first_;
        if (first_) first_->previous_ = &o;
        first_ = &o;
        o.is_listed_ = true;
        return true;
    }
    void remove(operation& o) {
        const spin_lock_guard held(lock_);
        unlink(o);
    }

private:
    void shutdown() noexcept override {
        while (operation* const o = take_first()) o->abandon();
    }
    operation* take_first() {
        const spin_lock_guard held(lock_);
        is_over_ = true;
        operation* const first = first_;
        if (first) unlink(*first);
        return first;
    }
    void unlink(operation& o) noexcept {
        (o.previous_ ? o.previous_->next_ : first_) = o.next_;
        if (o.next_) o.next_->previous_ = o.previous_;
        o.is_listed_ = false;
    }

    sync::mutex lock_;
    operation* first_ = nullptr;
    bool is_over_ = false;
};

}  // namespace sluice::detail
