// Every operation of a channel against every other, where nothing is buffered at first.
#include <model/scenario.hpp>

namespace model {

[[maybe_unused]] static const bool added = [] {
    add_pairs_of<number>({{"rendezvous", 0, 0}, {"one", 1, 0}});
    add_pairs_of<small>({{"small-rendezvous", 0, 0}});
    return true;
}();

}  // namespace model
