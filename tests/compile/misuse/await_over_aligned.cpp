// Rejected with "sluice: the frame of a coroutine is not aligned for this message": one that is aligned to a cache line.
#include <sluice/async.hpp>

struct alignas(128) line {
    int number;
};

sluice::task<> print(sluice::receiver<line> in) { (void)co_await in.async_recv(); }
