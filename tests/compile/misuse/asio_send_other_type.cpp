// Rejected with "what is sent must be a message of the channel's type", "convert to it implicitly": a send of another type.
#include <sluice/asio.hpp>

#include <string>

void misuse(const sluice::sender<std::string>& tx) {
    sluice::async_send(tx, 3.5, [](sluice::result<void>) {});
}
