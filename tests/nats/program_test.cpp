// What needs a process that forks.
#include "support.hpp"

using namespace test;

TEST_CASE("after a fork only the parent uses the connection") {
    const server one;
    peer forks({"fork", one.url()});
    std::vector<std::string> said{forks.line(), forks.line()};
    std::sort(said.begin(), said.end());
    CHECK(said == std::vector<std::string>{"child refused", "parent 5"});
    CHECK(forks.wait() == success);
}
