// Rejected with "a case refers to what it was made of", "write it inside the call of select": a case kept in a variable.
#include <sluice/asio.hpp>

void misuse(const sluice::receiver<int>& rx) {
    auto stored = sluice::on_recv(rx, [](int) {});
    sluice::async_select([](sluice::result<std::size_t>) {}, stored);
}
