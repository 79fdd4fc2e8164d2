// What must be one in a process is one for the program and both of its shared objects.
#include "object.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>

#include <dlfcn.h>

extern "C" const object* contents();

namespace {

using sluice::errc;

void expect(bool so, const char* what) {
    if (so) return;
    std::fprintf(stderr, "not so: %s\n", what);
    std::exit(1);
}

void throw_error() { (void)sluice::result<void>(sluice::unexpected(errc::closed)).value(); }

void listen(const object& o) {
    using namespace std::chrono_literals;
    const auto inbox = o.listen(sluice::ipc::tcp("127.0.0.1", 0));
    const auto jobs = inbox->receiver<int>();
    const auto to = sluice::ipc::connect<int>(inbox->address(), 1min);
    expect(to.send(2) && jobs.recv_timeout(1min) == 2, "a listener of an object receives");
}

void check(const object& o, const object& other) {
    expect(o.category == &sluice::category(), "one category");
    expect(o.closed == errc::closed && o.closed == other.closed, "an error of another object is the same");
    expect(o.process == &sluice::ipc::detail::process::self(), "one list of threads and descriptors");
    expect(o.block_pool == &sluice::ipc::detail::block_pool::self(), "one store of blocks");

    try {
        o.throw_error();
        expect(false, "value() throws");
    } catch (const sluice::channel_error& e) {
        expect(e.code() == errc::closed, "the program gets the error of an object");
    }
    expect(o.catches(throw_error), "an object catches what the program throws");
    expect(o.catches(other.throw_error), "an object catches what another throws");

    auto [tx, rx] = o.make_channel();
    expect(tx.send(1) && rx.recv() == 1, "a channel of an object serves the program");

    listen(o);
    o.tour();
}

struct plug_in {
    void* const handle = ::dlopen(OPENED, RTLD_NOW | RTLD_LOCAL);
    const object* (*const get)() = reinterpret_cast<const object* (*)()>(::dlsym(handle, "contents"));

    plug_in() { expect(handle && get, "the other object can be opened"); }
    void close() const {
        ::dlclose(handle);
        expect(!::dlopen(OPENED, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD), "the object is unloaded");
    }
};

}  // namespace

int main() {
    const plug_in opened;
    const auto get = opened.get;
    expect(get() != contents(), "it has contents of its own");
    check(*contents(), *get());
    check(*get(), *contents());

    // A channel knows nothing of the object that has made it, which may be gone when it is used.
    auto [tx, rx] = get()->make_texts();
    opened.close();
    for (int i = 0; i < 1000; ++i) expect(tx.send(std::string(100, 'b')).has_value(), "its channel takes a message");
    for (int i = 0; i < 500; ++i) expect(rx.recv()->size() == 100, "its channel has a message");

    // The thread that has served a listener of the object does nothing more in its code.
    for (int i = 0; i < 500; ++i) {
        const plug_in again;
        listen(*again.get());
        again.close();
    }
    std::puts("one of each");
}
