// Rejected with "sluice: ": an lvalue of what can only be moved.
#include <sluice/sluice.hpp>

#include <memory>

void misuse(const sluice::sender<std::unique_ptr<int>>& tx, std::unique_ptr<int>& kept) { (void)tx.send(kept); }
