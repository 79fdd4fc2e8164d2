// The lifetime of sync objects.
#include <model/explorer/sync_object.hpp>

#include <string>

#include <model/explorer/control.hpp>
#include <model/explorer/scheduler.hpp>

namespace model {

sync_object::sync_object(char kind) noexcept : number_(scheduler::the.next_object_number()), kind_(kind) {
    scheduler& s = scheduler::the;
    if (!s.in_execution()) return;
    s.me().advance();
    maker_ = s.me().number;
    made_at_ = s.me().last_step();
}

void sync_object::check_use(int thread, const vector_clock& now) const {
    if (life_ != alive)
        fail(life_ == dead ? "a sync object is used after its destruction"
                           : "a sync object is used that does not exist");
    if (!now.knows(maker_, made_at_)) fail("a sync object is used by a thread to which its construction is not known");
    last_use_[thread] = now[thread];
}

// Fails where another thread is about to use it, or has used it, and nothing orders that before.
sync_object::~sync_object() {
    scheduler& s = scheduler::the;
    if (!s.in_execution()) return;
    if (life_ != alive) fail("a sync object is destroyed twice");
    thread_state& me = s.me();
    for (const thread_state& t : s.threads()) {
        if (!me.now.knows(t.number, last_use_[t.number])) {
            me.on = this;
            fail("a sync object is destroyed, and nothing orders its use by thread " + std::to_string(t.number) +
                 " before that");
        }
        if (!t.done && &t != &me && t.on == this) fail("a sync object is destroyed that a thread is about to use");
    }
    // The life of a destroyed object may be read, which the compiler need not expect.
    const_cast<volatile std::uint32_t&>(life_) = dead;
}

}  // namespace model
