// A shared object with hidden symbols, but for one, that uses all of the library.
#include "object.hpp"

#include "../../compile/ipc_tour.hpp"

extern "C" [[gnu::visibility("default")]] const object* contents();

const object* contents() {
    static const object here = {
        .category = &sluice::category(),
        .process = &sluice::ipc::detail::process::self(),
        .block_pool = &sluice::ipc::detail::block_pool::self(),
        .closed = sluice::errc::closed,
        .throw_error = [] { (void)sluice::result<int>(sluice::unexpected(sluice::errc::closed)).value(); },
        .catches =
            [](void (*f)()) {
                try {
                    f();
                } catch (const sluice::channel_error& e) {
                    return e.code() == sluice::errc::closed;
                } catch (...) {
                }
                return false;
            },
        .listen = [](const sluice::ipc::address& where) { return std::make_unique<sluice::ipc::listener>(where); },
        .make_channel = [] { return sluice::bounded<int>(1); },
        .make_texts =
            [] {
                auto texts = sluice::unbounded<std::string>();
                for (int i = 0; i < 100; ++i) (void)texts.tx.send(std::string(100, 'a'));
                return texts;
            },
        .tour =
            [] {
                tour::everything();
                tour::sockets();
                tour::queues();
            },
    };
    return &here;
}
