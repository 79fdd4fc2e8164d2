// An asynchronous operation of Asio that waits for channels, from its initiation until its handler is called.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include <sluice/detail/asio_pending.hpp>
#include <sluice/detail/async_channel.hpp>
#include <sluice/detail/async_select.hpp>
#include <sluice/detail/compiler.hpp>
#include <sluice/detail/suspension.hpp>
#include <sluice/detail/sync.hpp>
#include <sluice/detail/throw.hpp>
#include <sluice/executor.hpp>

namespace sluice::detail {

// An operation without a coroutine that awaits it. It does not yield its turn before it begins: whatever it comes to, its
// handler is posted.
template <class Operation>
class bare_operation final : public Operation {
public:
    // Refers to what is kept.
    template <class... Kept>
    explicit bare_operation(std::tuple<Kept...>& kept) : bare_operation(kept, std::index_sequence_for<Kept...>()) {}

    // True if it is over. Otherwise this may be gone. Not to be inlined into a coroutine: see sync::this_thread().
    SLUICE_NOINLINE bool begin(executor_ref executor) {
        unsigned& in_a_row = sync::this_thread().completed_in_a_row;
        const struct restorer {
            ~restorer() { of = before; }  // also where a message throws
            unsigned& of;
            const unsigned before;
        } restores{in_a_row, std::exchange(in_a_row, 0)};
        return this->look() || !this->suspend_in(nullptr, executor);
    }
    void resume() { Operation::resume(); }
    auto take_result() { return Operation::take_result(); }
    void withdraw_for_good() noexcept { this->end(); }
    // Of a wait for one channel.
    void stop() noexcept { Operation::stop(); }
    // Of a select.
    void stop_with(sync::stop_token stop) noexcept { Operation::stop_with(std::move(stop)); }

private:
    template <class... Kept, std::size_t... at>
    bare_operation(std::tuple<Kept...>& kept, std::index_sequence<at...>)
        : Operation(static_cast<Kept&&>(std::get<at>(kept))...) {}
};

// The executor of a future does not say, in some versions, where it runs: then a timer is one of the system's.
template <class Asio, class Executor>
inline constexpr bool knows_context = Asio::template tells_context<Executor> || !Asio::template is_executor<Executor>;
template <class Asio, class Executor>
using executor_with_context =
    std::conditional_t<knows_context<Asio, Executor>, Executor, typename Asio::system_executor>;
template <class Asio, class Executor>
executor_with_context<Asio, Executor> with_context(const Executor& e) {
    if constexpr (knows_context<Asio, Executor>) {
        return e;
    } else {
        return {};
    }
}
template <class Asio, class Executor>
typename Asio::execution_context& context_of(const Executor& e) {
    if constexpr (Asio::template tells_context<Executor> || !knows_context<Asio, Executor>) {
        return Asio::query_context(with_context<Asio>(e));
    } else {
        return e.context();
    }
}

// The state of an operation: what it waits with, which refers to what it keeps, the handle, the message or the cases. It
// is one allocation by the allocator of the handler.
//
// Who completes the wait posts a step to the executor of the handler, on whatever thread; the rest happens on that
// executor. `refs_` counts what keeps this alive: the wait itself, until it is over or abandoned; each function object that
// is with the executor, a step or a wait of the timer, which may be destroyed without a call. The last one, if it was
// called and the wait is over, calls the handler; otherwise the context is being destroyed, and it destroys this. A step
// runs only once the thread that has posted it is out of post(), whose last access is to tell so: `posting` becomes
// `posted`. Abandoning waits for the same. So nobody but the executor ever ends this.
//
// As for Asio's own operations, a cancellation is emitted where it does not meet the end of the operation, on its executor
// as a rule. It may meet peers on other threads.
template <class Asio, class Handler, class Operation, class... Kept>
class asio_operation final : public pending_operation<Asio> {
    using executor_type = typename Asio::template executor_of<Handler>;
    using allocator_type = typename Asio::template allocator_of<Handler>;
    using own_allocator = typename std::allocator_traits<allocator_type>::template rebind_alloc<asio_operation>;
    using own_traits = std::allocator_traits<own_allocator>;
    using pending = pending_operations<Asio>;
    using timer = typename Asio::template timer<executor_with_context<Asio, executor_type>>;

    static constexpr std::uint32_t posting = std::uint32_t{1} << 30, posted = std::uint32_t{1} << 31;
    static constexpr bool is_line = std::is_base_of_v<line_operation<own_place>, Operation>;

public:
    // Never calls the handler inside. Throws std::bad_alloc, and what moving the handler and what is kept throws; then the
    // operation has not begun.
    static void start(Handler&& handler, Kept&&... kept) {
        own_allocator allocator(Asio::get_allocator(handler));
        const allocation place{allocator, own_traits::allocate(allocator, 1)};
        asio_operation* const self = ::new (static_cast<void*>(std::to_address(place.at)))
            asio_operation(allocator, std::move(handler), std::move(kept)...);
        place.taken = true;
        self->begin();
    }

    void abandon() noexcept override {
        is_abandoned_ = true;
        wait_.withdraw_for_good();
        if (!is_over_) drop();
    }

private:
    struct allocation {
        own_allocator& by;
        typename own_traits::pointer at;
        mutable bool taken = false;
        ~allocation() {
            if (!taken) own_traits::deallocate(by, at, 1);
        }
    };
    struct destroyer {
        void operator()(asio_operation* o) const noexcept { o->destroy(); }
    };
    using owner = std::unique_ptr<asio_operation, destroyer>;

    asio_operation(const own_allocator& allocator, Handler&& handler, Kept&&... kept)
        : allocator_(allocator),
          handler_(std::move(handler)),
          executor_(Asio::get_executor(handler_)),
          work_(executor_),
          pending_(Asio::template use_service<pending>(context_of<Asio>(executor_))),
          kept_(std::move(kept)...),
          wait_(kept_) {}
    ~asio_operation() {
        if (canceller_) canceller_->of = nullptr;
        if (this->is_listed()) pending_.remove(*this);
    }
    void destroy() noexcept {
        own_allocator allocator(allocator_);
        const auto at = std::pointer_traits<typename own_traits::pointer>::pointer_to(*this);
        this->~asio_operation();
        own_traits::deallocate(allocator, at, 1);
    }

    void begin() {
        owner unless_begun(this);
        if (!pending_.add(*this)) return;
        if (auto slot = Asio::get_slot(handler_); slot.is_connected()) {
            if constexpr (!is_line) wait_.stop_with(stop_.emplace().get_token());
            slot.template emplace<canceller>(*this);
        }
        unless_begun.release();
        bool over = false;
        std::exception_ptr error = thrown_by([&] { over = wait_.begin({&functions, this}); });
        if (!over && !error) return;
        error_ = std::move(error);
        is_over_at_once_ = true;
        post();
    }

    // ---- The cancellation slot

    // In the slot, which may end before this, or after it.
    struct canceller {
        explicit canceller(asio_operation& o) noexcept : of(&o) { o.canceller_ = this; }
        canceller(const canceller&) = delete;
        canceller& operator=(const canceller&) = delete;
        ~canceller() {
            if (of) of->canceller_ = nullptr;
        }
        void operator()(typename Asio::cancellation_type) const {
            if (of) of->cancel();
        }
        asio_operation* of;
    };
    void cancel() {
        if constexpr (is_line) {
            wait_.stop();
        } else {
            stop_->request_stop();
        }
    }

    // ---- What the executor has

    class reference {
    public:
        explicit reference(asio_operation& o) noexcept : of_(&o) {}
        reference(reference&& other) noexcept : of_(std::exchange(other.of_, nullptr)) {}
        reference& operator=(reference&&) = delete;
        ~reference() {
            if (of_) of_->drop();
        }
        using allocator_type = typename asio_operation::allocator_type;
        allocator_type get_allocator() const noexcept { return allocator_type(of_->allocator_); }

    protected:
        const asio_operation& of() const noexcept { return *of_; }
        asio_operation* take() noexcept { return std::exchange(of_, nullptr); }

    private:
        asio_operation* of_;
    };
    class step : public reference {
    public:
        using reference::reference;
        void operator()() { this->take()->run(); }
    };
    class timer_wait : public reference {
    public:
        timer_wait(asio_operation& o, timer_node& node) noexcept : reference(o), node_(&node) {}
        using executor_type = typename asio_operation::executor_type;
        executor_type get_executor() const noexcept { return this->of().executor_; }
        void operator()(const typename Asio::error_code& error) {
            asio_operation* const of = this->take();
            if (!error) node_->expire();
            of->release();
        }

    private:
        timer_node* node_;
    };

    void post() noexcept {
        refs_.fetch_add(posting + 1, std::memory_order_relaxed);
        Asio::post(executor_, step(*this));
        refs_.fetch_xor(posting | posted, std::memory_order_acq_rel);
    }
    void run() {
        while (refs_.load(std::memory_order_acquire) & posting) sync::yield();
        refs_.fetch_and(~posted, std::memory_order_relaxed);
        if (is_over_at_once_) {
            go_on();
        } else {
            wait_.resume();
        }
        release();
    }
    bool is_last() noexcept { return (refs_.fetch_sub(1, std::memory_order_acq_rel) & ~(posting | posted)) == 1; }
    // By a call.
    void release() {
        if (is_last()) end();
    }
    // By what was destroyed without a call.
    void drop() noexcept {
        if (is_last()) destroy();
    }
    // Not the last access: whoever calls this has a reference.
    void go_on() noexcept {
        is_over_ = true;
        refs_.fetch_sub(1, std::memory_order_acq_rel);
    }

    // On the executor. An exception leaves it, and then the handler is not called.
    void end() {
        owner self(this);
        if (canceller_) Asio::get_slot(handler_).clear();
        if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
        auto outcome = wait_.take_result();
        Handler handler(std::move(handler_));
        const auto work = std::move(work_);
        self.reset();
        std::move(handler)(std::move(outcome));
    }

    // ---- As the executor of a suspension

    static asio_operation& from(const void* context) noexcept {
        return *const_cast<asio_operation*>(static_cast<const asio_operation*>(context));
    }
    void start_timer(sync::clock::time_point when, timer_node& node) {
        if (!timer_) timer_.emplace(with_context<Asio>(executor_));
        timer_->expires_at(when);
        timer_->async_wait(timer_wait(*this, node));
    }
    static void post(const void* self, suspension&) noexcept { from(self).post(); }
    static bool revoke(const void* self, suspension&) noexcept {
        return (from(self).refs_.load(std::memory_order_acquire) & posted) != 0;
    }
    static void post_at(const void* self, sync::clock::time_point when, timer_node& node) noexcept {
        from(self).refs_.fetch_add(1, std::memory_order_relaxed);
        if constexpr (!is_line) from(self).start_timer(when, node);
    }
    // A wait that was cancelled is still to be called, or destroyed.
    static bool cancel(const void* self, timer_node&) noexcept {
        if constexpr (is_line) {
            return false;
        } else {
            return from(self).timer_->cancel() > 0 || from(self).is_abandoned_;
        }
    }
    static void go_on(const void* self) noexcept { from(self).go_on(); }

    static constexpr executor_ref::functions functions{
        &asio_operation::post, &asio_operation::revoke, &asio_operation::post_at, &asio_operation::cancel, true,
        &asio_operation::go_on};
    sync::atomic<std::uint32_t> refs_{1};
    bool is_over_ = false, is_over_at_once_ = false, is_abandoned_ = false;
    [[no_unique_address]] own_allocator allocator_;
    Handler handler_;
    executor_type executor_;
    typename Asio::template work_guard<executor_type> work_;
    pending& pending_;
    canceller* canceller_ = nullptr;
    std::exception_ptr error_;
    std::tuple<Kept...> kept_;
    std::conditional_t<is_line, std::tuple<>, std::optional<sync::stop_source>> stop_;
    std::conditional_t<is_line, std::tuple<>, std::optional<timer>> timer_;
    bare_operation<Operation> wait_;
};

}  // namespace sluice::detail
