// Faults of plain memory and of the lives of sync objects: races, leaks, use after the end.
#include <model/explorer/atomic.hpp>
#include <model/explorer/control.hpp>
#include <model/explorer/mutex.hpp>
#include <model/litmus/litmus.hpp>
#include <model/memory_orders.hpp>

#include <cstdint>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <vector>

namespace model {

namespace {

using number = std::uint64_t;

// ---- Memory

void write_both(bool locked) {
    int x = 0;
    mutex m;
    const auto write = [&](int value) {
        std::unique_lock lock(m, std::defer_lock);
        if (locked) lock.lock();
        x = value;
    };
    thread a([&] { write(1); }), b([&] { write(2); });
}

void read_and_write(bool locked) {
    int x = 0, seen = 0;
    mutex m;
    thread a([&] {
        std::unique_lock lock(m, std::defer_lock);
        if (locked) lock.lock();
        seen = x;
    });
    std::unique_lock lock(m, std::defer_lock);
    if (locked) lock.lock();
    x = 1;
}

struct node {
    int value = 1;
};

void allocate(bool frees) {
    node* const n = new node;
    thread a([&] { n->value = 2; });
    a.join();
    if (frees) delete n;
}

// The reader comes before it is deleted, or after that.
void use_shared_node(bool before) {
    node* const n = new node;
    atomic<bool> flag = false;
    int seen = 0;
    thread a([&] {
        if (before) {
            if (flag.load(acquire)) delete n;
        } else {
            delete n;
            flag.store(true, release);
        }
    });
    if (before) {
        seen = n->value;
        flag.store(true, release);
        a.join();
        return;
    }
    if (flag.load(acquire)) seen = n->value;
    expect(seen <= 1, "a value that nobody wrote");
}

void share_node(bool counts) {
    node* const n = new node;
    atomic<number> owners = 2;
    const auto drop = [&] {
        if (!counts || owners.fetch_sub(1, acq_rel) == 1) delete n;
    };
    thread a(drop), b(drop);
}

// ---- Lives of sync objects

// The other thread says that it is done with it, in an order that lets this one destroy it, or not.
void destroy_after_use(std::memory_order stores, std::memory_order loads) {
    auto m = std::make_unique<mutex>();
    atomic<bool> done = false;
    thread a([&, p = m.get()] {
        { const std::lock_guard lock(*p); }
        done.store(true, stores);
    });
    if (!done.load(loads)) a.join();
    m.reset();
}

void use_destroyed(bool destroyed) {
    std::optional<mutex> m;
    m.emplace();
    mutex& same = *m;
    if (destroyed) m.reset();
    same.lock();
    same.unlock();
}

}  // namespace

std::vector<litmus> faults() {
    const budgets faulty = with(&budgets::faults, 1);
    return {
        {"race/locked-writes", "", [] { write_both(true); }},
        {"race/writes", "data race: two writes", [] { write_both(false); }},
        {"race/locked-read-and-write", "", [] { read_and_write(true); }},
        {"race/read-and-write", "data race: a", [] { read_and_write(false); }},
        {"memory/freed", "", [] { allocate(true); }},
        {"memory/leak", "allocations were never freed", [] { allocate(false); }},
        {"memory/use-after-free", "memory is used after it was freed", [] { use_shared_node(false); }},
        {"memory/counted-owners", "", [] { share_node(true); }},
        {"memory/two-owners", "a block is deleted twice", [] { share_node(false); }},
        {"memory/nowhere", "an access to memory that is not there",
         [] {
             volatile int* volatile nowhere = nullptr;
             *nowhere = 1;
         }},
        {"memory/scarce", "an exception leaves a thread: std::bad_alloc",
         [] {
             const scarce_memory none;
             ::operator delete(::operator new(8));  // a new expression may be optimised away
         },
         faulty},
        {"lives/ordered", "", [] { destroy_after_use(release, acquire); }},
        {"lives/not-ordered", "nothing orders its use by thread 1", [] { destroy_after_use(relaxed, acquire); }},
        {"lives/used", "", [] { use_destroyed(false); }},
        {"lives/used-destroyed", "a sync object is used after its destruction", [] { use_destroyed(true); }},
        {"lives/destroyed-locked", "a mutex is destroyed that is locked",
         [] {
             mutex m;
             m.lock();
         }},
    };
}

}  // namespace model
