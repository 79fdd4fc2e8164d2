// Rejected with "sluice: coroutines do not keep over-aligned objects in place": compilers do not align frames.
#include <sluice/async.hpp>

struct alignas(256) wide {};

sluice::task<wide> misuse() { co_return wide(); }
