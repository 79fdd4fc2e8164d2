// What the system refuses: descriptors beyond the limit.
#include "support.hpp"

#include <sys/resource.h>

using sluice::errc;
using test::family;
using test::serial;

namespace {

// Lets the process open no more descriptors than it has, and as many as before when it ends.
class no_more_descriptors {
public:
    no_more_descriptors() {
        REQUIRE(::getrlimit(RLIMIT_NOFILE, &before_) == 0);
        // The lowest number that is free is the first that may not be used: fill the gaps below the largest.
        int largest = 0;
        for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
            largest = std::max(largest, std::stoi(entry.path().filename().string()));
        }
        rlimit now = before_;
        now.rlim_cur = static_cast<rlim_t>(largest) + 1;
        ::setrlimit(RLIMIT_NOFILE, &now);
        for (int fd; (fd = ::dup(0)) >= 0;) fillers_.push_back(fd);
    }
    no_more_descriptors(const no_more_descriptors&) = delete;
    ~no_more_descriptors() { restore(); }

    void restore() {
        for (const int fd : fillers_) ::close(fd);
        fillers_.clear();
        ::setrlimit(RLIMIT_NOFILE, &before_);
    }

private:
    rlimit before_{};
    std::vector<int> fillers_;
};

}  // namespace

TEST_CASE("without descriptors, opening an end throws and leaks nothing") {
    const auto where = sluice::ipc::unix_socket(test::fresh_name());
    const test::no_leaks none;
    {
        sluice::ipc::listener inbox(where);
        const auto rx = inbox.receiver<int>();
        no_more_descriptors limit;
        const auto refusal = [](auto open) {
            try {
                open();
                return std::exception_ptr();
            } catch (...) {
                return std::current_exception();
            }
        };
        const std::exception_ptr refusals[] = {
            refusal([&] { (void)sluice::ipc::connect<int>(where); }),
            refusal([&] { sluice::ipc::listener other(test::fresh_address(family::tcp)); }),
            refusal([&] { sluice::ipc::pipe link; }),
        };
        limit.restore();
        for (const std::exception_ptr& e : refusals) {
            REQUIRE(e);
            try {
                std::rethrow_exception(e);
            } catch (const std::system_error& refused) {
                CHECK(refused.code() == std::errc::too_many_files_open);
            }
        }
        const auto tx = sluice::ipc::connect<int>(where);
        CHECK(tx.send(1));
        CHECK(rx.recv() == 1);
    }
    CHECK(none.hold());
}

TEST_CASE("a listener goes on when fewer descriptors are allowed than it has") {
    sluice::ipc::listener inbox(test::fresh_address(family::unix_socket));
    const auto rx = inbox.receiver<int>();
    std::vector<std::unique_ptr<test::plain_client>> clients;
    for (int i = 0; i < 5; ++i) {
        clients.push_back(std::make_unique<test::plain_client>(inbox.address()));
        clients.back()->send_handshake<int>();
        clients.back()->write(std::uint32_t{sizeof(int)});
        clients.back()->write(i);
        CHECK(rx.recv_timeout(test::patience) == i);
    }
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    rlimit few = before;
    few.rlim_cur = 3;
    std::vector<sluice::result<int>> got;
    const bool lowered = ::setrlimit(RLIMIT_NOFILE, &few) == 0;
    for (int i = 0; i < 5; ++i) {
        clients[static_cast<std::size_t>(i)]->write(std::uint32_t{sizeof(int)});
        clients[static_cast<std::size_t>(i)]->write(i);
        got.push_back(rx.recv_timeout(test::patience));
    }
    inbox.close();
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
    CHECK(lowered);
    for (int i = 0; i < 5; ++i) CHECK(got.at(static_cast<std::size_t>(i)) == i);
}

TEST_CASE("a listener without descriptors serves the clients that it has, and the others later") {
    const auto kind = GENERATE(family::unix_socket, family::tcp);
    const test::no_leaks none;
    {
        sluice::ipc::listener inbox(test::fresh_address(kind));
        const auto rx = inbox.receiver<serial>();
        const auto before = sluice::ipc::connect<serial>(inbox.address());
        CHECK(before.send(serial{100}));
        CHECK(rx.recv() == serial{100});
        test::peer late({"late_client", test::spelled(inbox.address()), "10"});
        CHECK(late.line() == "ready");
        no_more_descriptors limit;
        const bool released = late.release();
        const bool refused = test::eventually([&] { return inbox.error() == std::errc::too_many_files_open; });
        const bool sent = before.send(serial{101}).has_value();
        const auto got = rx.recv();
        limit.restore();
        CHECK(released);
        CHECK(refused);
        CHECK(sent);
        CHECK(got == serial{101});
        for (serial n = 0; n < 10; ++n) CHECK(rx.recv_timeout(test::patience) == n);
        CHECK(late.wait() == test::success);
    }
    CHECK(none.hold());
}
