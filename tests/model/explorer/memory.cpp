// Watches the memory of model programs: finds accesses that race, that come after delete, double deletes and leaks.
//
// The model programs are compiled with -fsanitize=thread and linked with this instead of the sanitizer's run time. So
// each access to memory that is not atomic calls a function below, which compares it with the earlier ones by the
// clocks of the scheduler: the two need not come next to each other to be found, it is enough that nothing orders them.
#include <model/explorer/memory.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>

#include <dlfcn.h>
#include <sys/mman.h>

#include <model/explorer/control.hpp>

namespace model::memory {

namespace {

constexpr std::size_t heap_size = std::size_t{64} << 20;
constexpr std::size_t region_size = heap_size + max_threads * stack_size;
constexpr std::size_t max_watched = 4096;  // bytes, of one access or of a block that is deleted

// What is known of eight bytes, a granule: who wrote last, and when each thread has read last. A bit for each byte.
// One write is enough, as each write is ordered after the one before, or is reported: what comes after the last comes
// after all. Of reads one for each thread is kept, for reads are in no order, and a write must come after all of them.
// What that loses where accesses differ in their bytes is said in explorer.hpp.
struct shadow {
    std::uint32_t execution;  // what is noted of an earlier one is void
    std::uint32_t written;    // the step of the thread that wrote last
    std::uint8_t writer, bytes_written;
    bool freed;
    std::array<std::uint8_t, max_threads> bytes_read;
    std::uint32_t read[max_threads];
    const void* writer_at;

    // Most granules are read by one thread at most: all others are seen to have read nothing at once.
    // The mask of the bytes is multiplied into each of eight lanes, one for each thread, and the thread's own lane is
    // left out.
    bool read_by_others(std::size_t me, std::uint8_t bytes) const noexcept {
        static_assert(max_threads == 8 && std::endian::native == std::endian::little);
        const std::uint64_t all = std::bit_cast<std::uint64_t>(bytes_read) & 0x0101010101010101u * bytes;
        return (all & ~(std::uint64_t{0xff} << (8 * me))) != 0;
    }
};

// Lies right before each block of the heap.
struct block {
    std::size_t size;
    std::uint64_t state;
};
constexpr std::uint64_t in_use = 0x1234abcd5678ef01u, freed = 0x0badf00d0badf00du;

// The heap and, behind it, the stacks of all threads: a variable of one thread that another refers to is watched as
// well. Mapped once for all executions, so that addresses are the same in each; the kernel gives pages as they are
// touched. A new execution does not clear the shadow, whose entries are void by their number.
struct region {
    char* base = nullptr;
    shadow* shadows = nullptr;
    std::size_t used = 0;
    std::size_t live = 0;
    std::uint32_t execution = 1;

    void map() {
        const auto reserve = [](std::size_t bytes) {
            void* const p =
                mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
            if (p == MAP_FAILED) std::abort();
            return p;
        };
        if (base) return;
        base = static_cast<char*>(reserve(region_size));
        shadows = static_cast<shadow*>(reserve(region_size / 8 * sizeof(shadow)));
    }
    bool contains(const void* p) const { return base && p >= base && p < base + region_size; }
} here;

// The module and the offset in it, as addr2line takes them; that holds for shared objects too.
std::string place(const void* code) {
    char text[256];
    Dl_info info;
    if (dladdr(code, &info) && info.dli_fbase) {
        std::snprintf(
            text, sizeof text, "%s+%#zx", info.dli_fname,
            static_cast<std::size_t>(static_cast<const char*>(code) - static_cast<const char*>(info.dli_fbase)));
    } else {
        std::snprintf(text, sizeof text, "%p", code);
    }
    return text;
}

// Fails with the place of the access, and that of the last write, if there was one.
[[noreturn]] void report(const char* what, const void* code, const shadow& s) {
    std::string message = std::string(what) + " at " + place(code);
    if (s.writer_at) message += "; thread " + std::to_string(s.writer) + " wrote to it at " + place(s.writer_at);
    message += " (addr2line names these places)";
    fail(message);
}

// Compares an access with what is known of the granule, and then notes it. `view.now` has the step of the running
// thread as its own entry; another thread's step is ordered before if it is in there.
void access_granule(std::size_t granule, std::uint8_t bytes, bool write, const void* code) {
    shadow& s = here.shadows[granule];
    if (s.execution != here.execution) {
        s = shadow{};
        s.execution = here.execution;
    }
    const vector_clock& now = *view.now;
    const auto me = static_cast<std::size_t>(view.thread);
    const std::uint32_t step = now.at[me];
    // Comes first: what is freed stays so until the execution ends.
    if (s.freed) report("memory is used after it was freed,", code, s);
    if ((s.bytes_written & bytes) != 0 && s.writer != me && s.written > now.at[s.writer]) {
        report(write ? "data race: two writes with no order between them,"
                     : "data race: a read that is not ordered after a write,",
               code, s);
    }
    // Who knows of the last read knows of those before; but those of other bytes, in other steps, are forgotten.
    if (!write) {
        s.bytes_read[me] = s.read[me] == step ? static_cast<std::uint8_t>(s.bytes_read[me] | bytes) : bytes;
        s.read[me] = step;
        return;
    }
    if (s.read_by_others(me, bytes)) {
        for (std::size_t t = 0; t < max_threads; ++t) {
            if (t != me && (s.bytes_read[t] & bytes) != 0 && s.read[t] > now.at[t]) {
                report("data race: a write that is not ordered after a read,", code, s);
            }
        }
    }
    // A second write of the same step adds its bytes; any other takes the place of what was noted.
    s.bytes_written = s.writer == me && s.written == step ? static_cast<std::uint8_t>(s.bytes_written | bytes) : bytes;
    s.writer = static_cast<std::uint8_t>(me);
    s.written = step;
    s.writer_at = code;
}

// Splits an access by granules. Of accesses from outside an execution, by the explorer, or to memory that is not the
// model's (globals, what the loader maps), nothing is known. Never gives way to another thread: plain memory is no
// step.
void access(const void* address, std::size_t size, bool write, const void* code) {
    if (!view.now || view.busy || !here.contains(address)) return;
    auto offset = static_cast<std::size_t>(static_cast<const char*>(address) - here.base);
    size = std::min(size, max_watched);
    while (size > 0) {
        const std::size_t first = offset % 8;
        const std::size_t count = size < 8 - first ? size : 8 - first;
        access_granule(offset / 8, static_cast<std::uint8_t>(((1u << count) - 1) << first), write, code);
        offset += count;
        size -= count;
    }
}

// In an execution memory comes from the heap of the model, in the order of requests; the explorer's own, and what is
// allocated before and after, from malloc. So the address of a block says how it is freed.
void* allocate(std::size_t size, std::size_t alignment) {
    if (!view.now || view.busy) {
        void* const p = alignment <= alignof(std::max_align_t)
                            ? std::malloc(size ? size : 1)
                            : std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
        if (!p) throw std::bad_alloc();
        return p;
    }
    if (allocation_fails()) throw std::bad_alloc();
    // No address is used twice within an execution: what was freed stays so, and is told from what is new.
    if (alignment < 16) alignment = 16;
    const std::size_t at = (here.used + sizeof(block) + alignment - 1) / alignment * alignment;
    if (at + size > heap_size) fail("the memory of the model is used up");
    here.used = at + size;
    char* const p = here.base + at;
    reinterpret_cast<block*>(p)[-1] = {size, in_use};
    // Reads the same in each execution if it is read too early, and looks odd.
    std::memset(p, 0xcd, std::min(size, max_watched));
    ++here.live;
    return p;
}

// A write to the whole block, as far as order goes: each use must come before. A block is then watched until the end of
// the execution, as its addresses are not used again.
void release(void* p) noexcept {
    if (!p) return;
    if (!here.contains(p)) {
        std::free(p);
        return;
    }
    block& b = static_cast<block*>(p)[-1];
    if (b.state != in_use) fail(b.state == freed ? "a block is deleted twice" : "what is deleted was never allocated");
    if (view.now && !view.busy) {
        // Of a larger block the rest is not watched, to keep the cost of a big buffer bounded.
        const std::size_t watched = std::min(b.size, max_watched);
        access(p, watched, true, __builtin_return_address(0));
        const auto first = static_cast<std::size_t>(static_cast<char*>(p) - here.base) / 8;
        for (std::size_t i = 0; i < (watched + 7) / 8; ++i) here.shadows[first + i].freed = true;
    }
    b.state = freed;
    --here.live;
}

}  // namespace

// Blocks of an execution that was broken off are forgotten with it. Execution 0 is that of a shadow which was never
// touched, so the number must not come round.
void reset() {
    here.map();
    here.used = here.live = 0;
    if (++here.execution == 0) std::abort();
}
std::size_t live_blocks() { return here.live; }
char* stack(int thread) {
    here.map();
    return here.base + heap_size + static_cast<std::size_t>(thread) * stack_size;
}

}  // namespace model::memory

namespace hooks = model::memory;

// All forms of new and delete end here, those of arrays and those that do not throw included.
void* operator new(std::size_t size) { return hooks::allocate(size, 1); }
void* operator new(std::size_t size, std::align_val_t alignment) {
    return hooks::allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* p) noexcept { hooks::release(p); }
void operator delete(void* p, std::size_t) noexcept { hooks::release(p); }
void operator delete(void* p, std::align_val_t) noexcept { hooks::release(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { hooks::release(p); }

// ---- What the compiler calls under -fsanitize=thread

// The names and signatures are those of the run time of ThreadSanitizer. They run in the fiber of the program, with
// `view` telling whether it is watched; those of plain accesses return at once, those of atomics are steps and may give
// way. An atomic of the library itself never comes here: the model's detail/sync.hpp names model::atomic.
#define CALLER __builtin_return_address(0)
// What reads and writes at once counts as a write.
#define ACCESS(size)                                                                     \
    void __tsan_read##size(void* p) { hooks::access(p, size, false, CALLER); }           \
    void __tsan_write##size(void* p) { hooks::access(p, size, true, CALLER); }           \
    void __tsan_volatile_read##size(void* p) { hooks::access(p, size, false, CALLER); }  \
    void __tsan_volatile_write##size(void* p) { hooks::access(p, size, true, CALLER); }  \
    void __tsan_unaligned_read##size(void* p) { hooks::access(p, size, false, CALLER); } \
    void __tsan_unaligned_write##size(void* p) { hooks::access(p, size, true, CALLER); } \
    void __tsan_read_write##size(void* p) { hooks::access(p, size, true, CALLER); }      \
    void __tsan_unaligned_read_write##size(void* p) { hooks::access(p, size, true, CALLER); }

// First the step, in which others may go; then the real access, with nothing in between. It could not tear or be old:
// there is one kernel thread.
#define ATOMIC(bits, type)                                                                                    \
    type __tsan_atomic##bits##_load(const volatile type* p, int) {                                            \
        hooks::atomic(const_cast<const type*>(p), true, false);                                               \
        return *p;                                                                                            \
    }                                                                                                         \
    void __tsan_atomic##bits##_store(volatile type* p, type v, int) {                                         \
        hooks::atomic(const_cast<const type*>(p), false, true);                                               \
        *p = v;                                                                                               \
    }                                                                                                         \
    type __tsan_atomic##bits##_exchange(volatile type* p, type v, int) {                                      \
        hooks::atomic(const_cast<const type*>(p), true, true);                                                \
        const type before = *p;                                                                               \
        *p = v;                                                                                               \
        return before;                                                                                        \
    }                                                                                                         \
    type __tsan_atomic##bits##_fetch_add(volatile type* p, type v, int) {                                     \
        hooks::atomic(const_cast<const type*>(p), true, true);                                                \
        const type before = *p;                                                                               \
        *p = static_cast<type>(before + v);                                                                   \
        return before;                                                                                        \
    }                                                                                                         \
    type __tsan_atomic##bits##_fetch_sub(volatile type* p, type v, int) {                                     \
        hooks::atomic(const_cast<const type*>(p), true, true);                                                \
        const type before = *p;                                                                               \
        *p = static_cast<type>(before - v);                                                                   \
        return before;                                                                                        \
    }                                                                                                         \
    int __tsan_atomic##bits##_compare_exchange_strong(volatile type* p, type* expected, type v, int, int) {   \
        hooks::atomic(const_cast<const type*>(p), true, true);                                                \
        const type before = *p;                                                                               \
        if (before == *expected) {                                                                            \
            *p = v;                                                                                           \
            return 1;                                                                                         \
        }                                                                                                     \
        *expected = before;                                                                                   \
        return 0;                                                                                             \
    }                                                                                                         \
    int __tsan_atomic##bits##_compare_exchange_weak(volatile type* p, type* expected, type v, int a, int b) { \
        return __tsan_atomic##bits##_compare_exchange_strong(p, expected, v, a, b);                           \
    }

namespace model::memory {
static void atomic(const void* p, bool reads, bool writes) {
    if (view.now && !view.busy && here.contains(p)) foreign_atomic(p, reads, writes);
}
}  // namespace model::memory

extern "C" {
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
// A constructor or destructor that sets the pointer to its table races with a virtual call by another thread.
void __tsan_vptr_update(void** p, void*) { hooks::access(p, sizeof(void*), true, CALLER); }
void __tsan_vptr_read(void** p) { hooks::access(p, sizeof(void*), false, CALLER); }
void __tsan_read_range(void* p, std::size_t size) { hooks::access(p, size, false, CALLER); }
void __tsan_write_range(void* p, std::size_t size) { hooks::access(p, size, true, CALLER); }
void* __tsan_memcpy(void* to, const void* from, std::size_t size) {
    hooks::access(from, size, false, CALLER);
    hooks::access(to, size, true, CALLER);
    return std::memcpy(to, from, size);
}
void* __tsan_memmove(void* to, const void* from, std::size_t size) {
    hooks::access(from, size, false, CALLER);
    hooks::access(to, size, true, CALLER);
    return std::memmove(to, from, size);
}
void* __tsan_memset(void* to, int value, std::size_t size) {
    hooks::access(to, size, true, CALLER);
    return std::memset(to, value, size);
}
ACCESS(1)
ACCESS(2)
ACCESS(4)
ACCESS(8)
ACCESS(16)
ATOMIC(8, std::uint8_t)
ATOMIC(16, std::uint16_t)
ATOMIC(32, std::uint32_t)
ATOMIC(64, std::uint64_t)
// Fences do nothing: see explorer.hpp.
void __tsan_atomic_thread_fence(int) {}
void __tsan_atomic_signal_fence(int) {}
}
