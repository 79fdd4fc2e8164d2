// One of two translation units that include everything: main, which meets the other over channels that both
// instantiate.
#include <sluice/sluice.hpp>

#include <sluice/version.hpp>

#include <chrono>
#include <string>
#include <type_traits>
#include <utility>

#if defined(__cpp_lib_expected)
// A result becomes a std::expected, if there is one.
template <class T>
using expected = std::expected<T, sluice::errc>;
static_assert(std::is_same_v<decltype(to_expected(sluice::result<int>())), expected<int>>);
static_assert(*to_expected(sluice::result<int>(3)) == 3);
static_assert(to_expected(sluice::result<int>(sluice::unexpected(sluice::errc::full))).error() == sluice::errc::full);
static_assert(to_expected(sluice::result<void>()).has_value());
static_assert(to_expected(sluice::result<void>(sluice::unexpected(sluice::errc::full))).error() == sluice::errc::full);
static_assert(*to_expected(sluice::result<sluice::errc>(sluice::errc::empty)) == sluice::errc::empty);
static_assert(!*to_expected(sluice::result<bool>(false)));
struct move_only {
    constexpr explicit move_only(int n) : number(n) {}
    move_only(move_only&&) = default;
    int number;
};
static_assert(to_expected(sluice::result<move_only>(std::in_place, 3))->number == 3);
#endif

sluice::errc echo(sluice::receiver<std::string> rx, sluice::sender<std::string> tx);

int main() {
    auto [tx, rx] = sluice::unbounded<std::string>();
    auto [echo_tx, echo_rx] = sluice::bounded<std::string>(1);
    if (!tx.send("there and back")) return 1;
    tx.close();
    if (echo(rx, echo_tx) != sluice::errc::closed) return 2;

    std::string back;
    auto chosen = sluice::select(sluice::on_recv(echo_rx, [&](std::string message) { back = std::move(message); }),
                                 sluice::on_timeout(std::chrono::minutes(1), [] {}));
    return chosen == 0U && back == "there and back" ? 0 : 3;
}
