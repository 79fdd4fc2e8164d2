// Does what throws in other builds: in one without exceptions it must end the program with a message.
#include <sluice/sluice.hpp>

#include <chrono>
#include <string_view>

int main(int, char** arguments) {
    const std::string_view what = arguments[1];
    if (what == "value") {
        const sluice::result<int> none = sluice::unexpected(sluice::errc::closed);
        return none.value();
    }
    if (what == "success") sluice::result<void>(sluice::unexpected(sluice::errc::timeout)).value();
    if (what == "tick") return sluice::tick(std::chrono::seconds(0)) ? 0 : 1;
    if (what == "otherwise") {
        sluice::selector group;
        group.add(sluice::otherwise([] {}));
        group.add(sluice::otherwise([] {}));
    }
    return 0;
}
