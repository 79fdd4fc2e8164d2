// Every operation of a channel against every other, where messages are there, and in queues of tiny segments.
#include <model/scenario.hpp>

namespace model {

[[maybe_unused]] static const bool added = [] {
    add_pairs_of<steady>({{"one-full", 1, 1}, {"two-half", 2, 1}});
    add_pairs_of<small>({{"small-one-full", 1, 1}});
    add_pairs_of<bulky>({{"unbounded", std::nullopt, 0}, {"unbounded-filled", std::nullopt, 2}});
    return true;
}();

}  // namespace model
