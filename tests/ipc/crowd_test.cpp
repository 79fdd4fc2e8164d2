// Many clients, silent ones among them, and what an end tells the other when it breaks off.
#include "support.hpp"

#include <fstream>
#include <memory>
#include <stdexcept>
#include <vector>

#include <sys/resource.h>

using namespace std::chrono_literals;
using sluice::errc;
using sluice::ipc::ipc_errc;
using test::family;
using test::serial;

namespace {

// Its codec refuses some.
struct choosy {
    int value = 0;
};
// Its room is shorter than what was announced.
struct cramped {
    std::string text;
};

// Lowers the limit of descriptors to what is open now and `more`.
class few_descriptors {
public:
    explicit few_descriptors(rlim_t more) {
        ::getrlimit(RLIMIT_NOFILE, &before_);
        rlimit lower = before_;
        lower.rlim_cur = static_cast<rlim_t>(test::holdings().descriptors) + more;
        ::setrlimit(RLIMIT_NOFILE, &lower);
    }
    few_descriptors(const few_descriptors&) = delete;
    ~few_descriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

private:
    rlimit before_{};
};

}  // namespace

template <>
struct sluice::codec<choosy> {
    static void encode(const choosy& m, std::vector<std::byte>& out) {
        out.resize(out.size() + 3);
        if (m.value == 13) throw std::invalid_argument("not this one");
        out.resize(out.size() - 3);
        codec<int>::encode(m.value, out);
    }
    static choosy decode(std::span<const std::byte> bytes) {
        const int value = codec<int>::decode(bytes);
        if (value == 14) throw std::invalid_argument("nor that one");
        return {value};
    }
};

template <>
struct sluice::codec<cramped> {
    static void encode(const cramped& m, std::vector<std::byte>& out) { codec<std::string>::encode(m.text, out); }
    static cramped decode(std::span<const std::byte> bytes) { return {codec<std::string>::decode(bytes)}; }
    static cramped with_size(std::size_t) { return {std::string(100, '\0')}; }
    static std::span<std::byte> writable(cramped& m) { return std::as_writable_bytes(std::span(m.text)); }
};

TEST_CASE("one client too many is refused, and there is room again when one has gone") {
    const auto kind = GENERATE(family::unix_socket, family::tcp);
    const test::no_leaks none;
    {
        sluice::ipc::listener inbox(test::fresh_address(kind), {.max_clients = 2});
        const auto rx = inbox.receiver<serial>();
        auto first = sluice::ipc::connect<serial>(inbox.address());
        const auto second = sluice::ipc::connect<serial>(inbox.address());
        CHECK(first.send(1));
        CHECK(second.send(2));
        CHECK(rx.recv());
        CHECK(rx.recv());

        const auto errors = std::make_shared<sluice::ipc::error_sink>();
        const auto third = sluice::ipc::connect<serial>(inbox.address(), {.error_sink = errors});
        CHECK(test::eventually([&] { return third.is_closed(); }));
        CHECK(errors->error() == ipc_errc::too_many_clients);
        CHECK(inbox.error() == ipc_errc::too_many_clients);

        first = {};
        CHECK(test::eventually([&] {
            const auto fourth = sluice::ipc::connect<serial>(inbox.address());
            return fourth.send(4) && rx.recv_timeout(100ms) == serial{4};
        }));
        CHECK(second.send(5));
        auto got = rx.recv_timeout(test::patience);
        while (got == serial{4}) got = rx.recv_timeout(test::patience);  // of a fourth that was slow
        CHECK(got == serial{5});
    }
    CHECK(none.hold());
}

TEST_CASE("a client that sends no handshake in time is dropped") {
    const test::no_leaks none;
    const sluice::ipc::options soon{.handshake_timeout = 50ms};
    SECTION("where messages are merged") {
        sluice::ipc::listener inbox(test::fresh_address(family::unix_socket), soon);
        const auto rx = inbox.receiver<serial>();
        test::plain_client silent(inbox.address());
        CHECK(silent.hung_up());
        CHECK(inbox.error() == ipc_errc::too_late);
        const auto good = sluice::ipc::connect<serial>(inbox.address());
        CHECK(good.send(1));
        CHECK(rx.recv() == serial{1});
    }
    SECTION("where there are sessions") {
        sluice::ipc::listener inbox(test::fresh_address(family::unix_socket), soon);
        std::stop_source enough;
        test::task accepts([&] { return static_cast<bool>(inbox.accept<serial, serial>(enough.get_token())); });
        test::plain_client silent(inbox.address()), slow(inbox.address());
        slow.write(sluice::ipc::detail::magic);
        CHECK(silent.hung_up());
        CHECK(slow.hung_up());
        CHECK(inbox.error() == ipc_errc::too_late);
        enough.request_stop();
        CHECK_FALSE(accepts.get());
    }
    CHECK(none.hold());
}

TEST_CASE("when descriptors run out the listener says so, spares some, and goes on") {
    const test::no_leaks none;
    {
        sluice::ipc::listener inbox(test::fresh_address(family::unix_socket));
        const auto rx = inbox.receiver<serial>();
        const auto good = sluice::ipc::connect<serial>(inbox.address());
        CHECK(good.send(1));
        CHECK(rx.recv() == serial{1});
        std::vector<std::unique_ptr<test::plain_client>> crowd;
        {
            const few_descriptors limit(60);
            for (int i = 0; i < 25; ++i) crowd.push_back(std::make_unique<test::plain_client>(inbox.address()));
            CHECK(test::eventually([&] { return inbox.error() == std::errc::too_many_files_open; }));
            CHECK(crowd.back()->hung_up());
            CHECK(good.send(2));
            CHECK(rx.recv() == serial{2});
            const int mine = ::dup(0);  // some are left to the program
            CHECK(mine >= 0);
            ::close(mine);
        }
        crowd.clear();
        const auto another = sluice::ipc::connect<serial>(inbox.address());
        CHECK(another.send(3));
        CHECK(rx.recv() == serial{3});
    }
    CHECK(none.hold());
}

TEST_CASE("many sessions and an idle crowd take one thread, which has a name") {
    constexpr int many = 200;
    const test::no_leaks none;
    {
        const auto before = test::holdings().threads;
        sluice::ipc::listener inbox(test::fresh_address(family::unix_socket));
        std::vector<sluice::ipc::connection<serial, serial>> clients;
        std::vector<sluice::ipc::session<serial, serial>> sessions;
        for (int i = 0; i < many; ++i) {
            clients.push_back(sluice::ipc::connect<serial, serial>(inbox.address()));
            sessions.push_back(inbox.accept<serial, serial>());
            REQUIRE(sessions.back());
        }
        for (auto& c : clients) CHECK(c.requests.send(1));
        for (auto& s : sessions) {
            CHECK(s.requests.recv() == serial{1});
            CHECK(s.replies.send(2));
        }
        for (auto& c : clients) CHECK(c.replies.recv() == serial{2});
        CHECK(test::holdings().threads <= before + 1);
        int named = 0;
        for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
            std::ifstream name(task.path() / "comm");
            std::string text;
            named += std::getline(name, text) && text == "sluice-io" ? 1 : 0;
        }
        CHECK(named == 1);

        const auto own = sluice::ipc::connect<serial, serial>(inbox.address(), {.own_thread = true});
        CHECK(test::holdings().threads <= before + 2);
        CHECK(own.requests.send(7));
        const auto session = inbox.accept<serial, serial>();
        CHECK(session.requests.recv() == serial{7});
    }
    CHECK(none.hold());
}

TEST_CASE("a session whose handles are gone ends in time, whatever its peer does") {
    const test::no_leaks none;
    sluice::ipc::listener inbox(test::fresh_address(family::unix_socket), {.capacity = 4, .linger = 100ms});
    test::plain_client peer(inbox.address());
    peer.send_handshake<std::string>(sluice::ipc::detail::type_id<std::string>());
    {
        auto session = inbox.accept<std::string, std::string>();
        REQUIRE(session);
        // More than the kernel holds, to a peer that does not read.
        while (session.replies.send_timeout(std::string(100'000, 'x'), 50ms)) {
        }
        if (GENERATE(false, true)) {
            session.requests = {};
            const auto other = sluice::ipc::connect<std::string, std::string>(inbox.address());
            CHECK(inbox.accept<std::string, std::string>());  // the loop has read its handshake since
        }
    }
    inbox.close();
    CHECK(peer.hung_up());
    CHECK(none.threads_gone());
}

TEST_CASE("a codec that throws ends the connection on both sides, which get the reason") {
    const auto kind = GENERATE(family::unix_socket, family::tcp);
    const test::no_leaks none;
    {
        sluice::ipc::listener inbox(test::fresh_address(kind));
        const auto errors = std::make_shared<sluice::ipc::error_sink>();
        const auto client = sluice::ipc::connect<choosy, choosy>(inbox.address(), {.error_sink = errors});
        const auto session = inbox.accept<choosy, choosy>();
        REQUIRE(session);
        CHECK(client.requests.send(choosy{1}));
        CHECK(session.requests.recv()->value == 1);
        SECTION("as it encodes") {
            CHECK(client.requests.send(choosy{13}));
            CHECK(session.requests.recv().error() == errc::closed);
            CHECK(client.replies.recv().error() == errc::closed);
            CHECK(test::eventually([&] { return client.requests.is_closed() && session.replies.is_closed(); }));
            CHECK(errors->error() == ipc_errc::not_encoded);
            CHECK(inbox.error() == ipc_errc::not_encoded);
        }
        SECTION("as it decodes") {
            CHECK(client.requests.send(choosy{14}));
            CHECK(session.requests.recv().error() == errc::closed);
            CHECK(client.replies.recv().error() == errc::closed);
            CHECK(test::eventually([&] { return client.requests.is_closed() && session.replies.is_closed(); }));
            CHECK(errors->error() == ipc_errc::not_decoded);
            CHECK(inbox.error() == ipc_errc::not_decoded);
        }
    }
    CHECK(none.hold());
}

TEST_CASE("a client that speaks another protocol gets no answer") {
    const auto kind = GENERATE(family::unix_socket, family::tcp);
    const std::string request = "GET / HTTP/1.1\r\n\r\n";
    sluice::ipc::listener inbox(test::fresh_address(kind), {.max_clients = 1});
    SECTION("where messages are merged") {
        const auto rx = inbox.receiver<serial>();
        test::plain_client browser(inbox.address());
        browser.write(request.data(), request.size());
        CHECK(browser.all_it_gets().empty());
    }
    SECTION("where there are sessions") {
        std::stop_source enough;
        test::task accepts([&] { return static_cast<bool>(inbox.accept<serial, serial>(enough.get_token())); });
        test::plain_client browser(inbox.address());
        browser.write(request.data(), request.size());
        CHECK(browser.all_it_gets().empty());
        enough.request_stop();
        CHECK_FALSE(accepts.get());
    }
    CHECK(inbox.error() == ipc_errc::not_sluice);
}

TEST_CASE("a client that only sends gets the reason for which it is refused") {
    const auto kind = GENERATE(family::unix_socket, family::tcp);
    sluice::ipc::listener inbox(test::fresh_address(kind), {.max_message = 100});
    const auto rx = inbox.receiver<std::string>();
    const auto errors = std::make_shared<sluice::ipc::error_sink>();
    SECTION("another type") {
        const auto tx = sluice::ipc::connect<serial>(inbox.address(), {.error_sink = errors});
        CHECK(test::eventually([&] { return tx.is_closed(); }));
        CHECK(errors->error() == ipc_errc::wrong_type);
        CHECK(errors->error().message() == "the two ends have different types of messages");
    }
    SECTION("a message that is too large for the other side") {
        const auto tx = sluice::ipc::connect<std::string>(inbox.address(), {.error_sink = errors});
        CHECK(tx.send(std::string(101, 'x')));
        CHECK(test::eventually([&] { return tx.is_closed(); }));
        CHECK(errors->error() == ipc_errc::too_large);
    }
}

TEST_CASE("a codec whose room is too short ends the connection, and nothing is written beyond it") {
    sluice::ipc::listener inbox(test::fresh_address(family::unix_socket));
    const auto rx = inbox.receiver<cramped>();
    const auto tx = sluice::ipc::connect<cramped>(inbox.address());
    CHECK(tx.send(cramped{std::string(1 << 20, 'x')}));
    CHECK(test::eventually([&] { return inbox.error() == ipc_errc::not_decoded; }));
}

TEST_CASE("memory for a message under way grows with what has arrived of it") {
    constexpr std::size_t large = 16 << 20;
    sluice::ipc::listener inbox(test::fresh_address(family::unix_socket));
    const auto rx = inbox.receiver<std::string>();
    const auto resident = [] {
        std::ifstream statm("/proc/self/statm");
        std::size_t size = 0, pages = 0;
        statm >> size >> pages;
        return pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    };
    std::vector<std::unique_ptr<test::plain_client>> clients;
    const std::string body(large, 'x');
    // Each has once sent much, and then announces as much again.
    std::size_t before = 0;
    for (int i = 0; i < 12; ++i) {
        clients.push_back(std::make_unique<test::plain_client>(inbox.address()));
        test::plain_client& c = *clients.back();
        c.send_handshake<std::string>();
        c.write(static_cast<std::uint32_t>(large));
        c.write(body.data(), body.size());
        CHECK(rx.recv()->size() == large);
        c.write(static_cast<std::uint32_t>(large));
        c.write('x');
        if (i == 1) before = resident();
    }
    const auto good = sluice::ipc::connect<std::string>(inbox.address());
    CHECK(good.send("all have been served"));
    CHECK(rx.recv() == "all have been served");
    if (!test::sanitized) CHECK(resident() < before + 3 * large);
}

TEST_CASE("a child that is forked while accept() waits ends") {
    sluice::ipc::listener inbox(test::fresh_address(family::unix_socket));
    std::stop_source enough;
    test::task accepts([&] { return static_cast<bool>(inbox.accept<serial, serial>(enough.get_token())); });
    CHECK(test::wait_until_asleep(accepts));
    const pid_t child = ::fork();
    if (child == 0) {
        inbox.close();
        ::_exit(0);
    }
    int status = -1;
    CHECK(test::eventually([&] { return ::waitpid(child, &status, WNOHANG) == child; }));
    CHECK(status == 0);
    enough.request_stop();
    CHECK_FALSE(accepts.get());
}
