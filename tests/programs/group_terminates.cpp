// A group of tasks that is destroyed while one of them runs ends the program.
#include "program.hpp"

#include <sluice/async.hpp>

#include <cstdlib>
#include <exception>

namespace {

sluice::task<> forget_to_join() {
    sluice::task_group group(co_await sluice::this_executor());
    group.spawn([]() -> sluice::task<> { co_await sluice::yield(); });
}

}  // namespace

int main() {
    std::set_terminate([] { std::_Exit(0); });
    sluice::sync_wait(forget_to_join());
    program::fail("a group is destroyed while a task of it runs, and the program goes on");
}
