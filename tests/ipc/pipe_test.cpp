// Pipes between processes: all messages in order, their ends, and what a child inherits.
#include "support.hpp"

using sluice::errc;
using test::serial;

namespace {

constexpr serial million = test::sanitized || test::emulated ? 100'000 : 1'000'000;

// A pipe whose other end a peer gets.
struct split_pipe {
    int ends[2];
    split_pipe() { REQUIRE(::pipe2(ends, O_CLOEXEC) == 0); }
    // For this process, when the peer runs.
    sluice::ipc::pipe reading() { return close(1), sluice::ipc::pipe(ends[0], -1); }
    sluice::ipc::pipe writing() { return close(0), sluice::ipc::pipe(-1, ends[1]); }
    void close(int which) { ::close(ends[which]); }
};

}  // namespace

TEST_CASE("a million messages arrive from another process, in order, and then its end") {
    const test::no_leaks none;
    {
        split_pipe p;
        test::peer sender({"pipe_send", std::to_string(p.ends[1]), std::to_string(million)}, {p.ends[1]});
        sluice::ipc::pipe link = p.reading();
        const auto rx = link.receiver<serial>();
        serial next = 0;
        bool in_order = true;
        for (const serial n : rx) in_order = in_order && n == next++;
        CHECK(in_order);
        CHECK(next == million);
        CHECK_FALSE(link.error());
        CHECK(sender.wait() == test::success);
    }
    CHECK(none.hold());
}

TEST_CASE("a million messages go to another process, in order, and then the end") {
    const test::no_leaks none;
    {
        split_pipe p;
        test::peer receiver({"pipe_recv", std::to_string(p.ends[0]), std::to_string(million)}, {p.ends[0]});
        sluice::ipc::pipe link = p.writing();
        auto tx = link.sender<serial>();
        serial sent = 0;
        while (sent < million && tx.send(sent)) ++sent;
        CHECK(sent == million);
        tx = {};
        CHECK(receiver.wait() == test::success);
        CHECK_FALSE(link.error());
    }
    CHECK(none.hold());
}

TEST_CASE("parent and child, forked without exec, exchange messages both ways") {
    CHECK(test::peer({"fork_both_ways", std::to_string(million / 10)}).wait() == test::success);
}

TEST_CASE("a child keeps no end open that its parent had opened") {
    // The allocators of sanitizers do not survive a fork while a thread allocates, nor does qemu beside a thread.
    if (!test::sanitized && !test::emulated) CHECK(test::peer({"fork_several"}).wait() == test::success);
    CHECK(test::peer({"fork_and_drop"}).wait() == test::success);
}

#if !defined(SLUICE_TEST_SANITIZED) && !defined(SLUICE_TEST_EMULATED)  // which survive no fork by a second thread
TEST_CASE("children that two threads fork at once keep nothing of each other's pipes") {
    CHECK(test::peer({"fork_beside_another_thread"}).wait() == test::success);
    CHECK(test::peer({"fork_after_moving"}).wait() == test::success);
}
#endif

TEST_CASE("a child that is killed ends the stream with an error, after its whole messages") {
    CHECK(test::peer({"fork_and_die"}).wait() == test::success);
}

TEST_CASE("SIGPIPE does not reach a program whose reader has gone") {
    CHECK(test::peer({"sigpipe"}).wait() == test::success);
}

TEST_CASE("exec closes every descriptor of the library") {
    const std::string inherited_anyway = test::peer({"descriptors"}).line();
    sluice::ipc::pipe unopened;
    split_pipe p;
    const auto tx = sluice::ipc::pipe(p.ends[0], p.ends[1]).sender<int>();
    sluice::ipc::listener inbox(test::fresh_address(test::family::unix_socket));
    const auto rx = inbox.receiver<int>();
    const auto client = sluice::ipc::connect<int>(inbox.address());
    CHECK(client.send(1));
    CHECK(rx.recv() == 1);
    CHECK(test::peer({"descriptors"}).line() == inherited_anyway);
}

TEST_CASE("when the reader goes, the channel of an idle writer is closed") {
    split_pipe p;
    test::peer holder({"pipe_hold", std::to_string(p.ends[0])}, {p.ends[0]});
    sluice::ipc::pipe link = p.writing();
    const auto tx = link.sender<serial>();
    CHECK(holder.line() == "open");
    CHECK_FALSE(tx.is_closed());
    CHECK(holder.release());
    CHECK(test::eventually([&] { return tx.is_closed(); }));
    CHECK(tx.send(serial{1}) == errc::closed);
    CHECK_FALSE(link.error());
    CHECK(holder.wait() == test::success);
}

TEST_CASE("an end is opened once") {
    sluice::ipc::pipe link;
    const auto tx = link.sender<int>();
    CHECK_THROWS_AS(link.sender<int>(), std::system_error);
    CHECK_THROWS_AS(link.receiver<int>(), std::system_error);
}

TEST_CASE("a message that is too large closes the end and says so") {
    const test::no_leaks none;
    {
        split_pipe p;
        sluice::ipc::pipe out(-1, p.ends[1], {.max_message = 100});
        sluice::ipc::pipe in(p.ends[0], -1);
        const auto tx = out.sender<std::string>();
        const auto rx = in.receiver<std::string>();
        CHECK(tx.send(std::string(100, 'x')));
        CHECK(tx.send(std::string(101, 'x')));
        CHECK(test::eventually([&] { return tx.is_closed(); }));
        CHECK(out.error() == std::errc::message_size);
        CHECK(rx.recv() == std::string(100, 'x'));
        CHECK(rx.recv() == errc::closed);
    }
    CHECK(none.hold());
}

TEST_CASE("a remote receiver takes part in select") {
    split_pipe p;
    sluice::ipc::pipe out(-1, p.ends[1]), in(p.ends[0], -1);
    auto tx = out.sender<int>();
    const auto rx = in.receiver<int>();
    auto [local_tx, local_rx] = sluice::bounded<int>(1);
    const auto beat = sluice::tick(std::chrono::milliseconds(1));
    test::task sending([&tx, &local = local_tx] {
        for (int i = 0; i < 100; ++i) {
            if (!tx.send(i) || !local.send(i)) return false;
        }
        tx = {};
        return local.close();
    });
    int remote = 0, local = 0, beats = 0;
    bool remote_ended = false, local_ended = false;
    while (!remote_ended || !local_ended) {
        (void)sluice::select(
            sluice::on_recv(
                rx, [&](sluice::result<int> r) { r ? void(remote += *r == remote) : void(remote_ended = true); }),
            sluice::on_recv(local_rx,
                            [&](sluice::result<int> r) { r ? void(local += *r == local) : void(local_ended = true); }),
            sluice::on_recv(beat, [&](std::chrono::steady_clock::time_point) { ++beats; }));
    }
    CHECK(remote == 100);
    CHECK(local == 100);
    CHECK(sending.get());
}

namespace {

bool blocks(int fd) { return (::fcntl(fd, F_GETFL) & O_NONBLOCK) == 0; }

}  // namespace

TEST_CASE("an adopted descriptor blocks again when its end has closed, if it did before") {
    const test::no_leaks none;
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const int ours[] = {::fcntl(ends[0], F_DUPFD_CLOEXEC, 0), ::fcntl(ends[1], F_DUPFD_CLOEXEC, 0)};
    const bool blocked = GENERATE(true, false);
    if (!blocked) {
        for (const int fd : ours) ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
    }
    SECTION("opened") {
        {
            sluice::ipc::pipe in(ends[0], -1), out(-1, ends[1]);
            CHECK(blocks(ours[0]) == blocked);  // nothing is opened yet
            const auto rx = in.receiver<int>();
            const auto tx = out.sender<int>();
            CHECK_FALSE(blocks(ours[0]));
            CHECK_FALSE(blocks(ours[1]));
            CHECK(tx.send(1));
            CHECK(rx.recv() == 1);
        }
        CHECK(none.threads_gone());
    }
    SECTION("never opened") {
        const sluice::ipc::pipe adopted(ends[0], ends[1]);
        CHECK_FALSE(adopted.error());
    }
    CHECK(blocks(ours[0]) == blocked);
    CHECK(blocks(ours[1]) == blocked);
    for (const int fd : ours) ::close(fd);
    CHECK(none.hold());
}

#if defined(__cpp_lib_jthread) && defined(RWF_NOWAIT)
TEST_CASE("a process that shares a descriptor and lets it block does not hold up the ends") {
    const test::no_leaks none;
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    {
        // Whether the system can be asked at all.
        char byte = 0;
        const iovec part{&byte, 1};
        if (::preadv2(ends[0], &part, 1, -1, RWF_NOWAIT) == -1 && errno == EOPNOTSUPP) {
            for (const int fd : ends) ::close(fd);
            return;
        }
    }
    const int shared = ::fcntl(ends[1], F_DUPFD_CLOEXEC, 0);
    std::stop_source stop;
    {
        const std::string text(1000, 'x');
        sluice::ipc::pipe link(-1, ends[1], {.capacity = 1, .stop = stop.get_token()});
        const auto tx = link.sender<std::string>();
        ::fcntl(shared, F_SETFL, ::fcntl(shared, F_GETFL) & ~O_NONBLOCK);
        // Nobody reads: the first message that finds no room would keep its thread for ever.
        test::task sending([&] {
            while (tx.send_timeout(text, std::chrono::milliseconds(100))) {
            }
            return true;
        });
        CHECK(sending.get());
        stop.request_stop();
        CHECK(test::eventually([&] { return tx.is_closed(); }));
    }
    ::close(shared);
    ::close(ends[0]);
    CHECK(none.hold());
}
#endif
