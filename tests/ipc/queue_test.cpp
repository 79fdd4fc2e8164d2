// Queues of the system: many processes at both ends, what survives them, and a queue that is full.
#include "support.hpp"

#include <climits>
#include <limits>

#include <mqueue.h>
#include <sys/resource.h>
#include <sys/stat.h>

using namespace std::chrono_literals;
using sluice::errc;
using test::serial;

namespace {

constexpr serial many = test::sanitized || test::emulated ? 5'000 : 100'000;  // each is a call of the system, or two

// A name, removed in the end.
struct queue_name {
    std::string name = "/" + test::fresh_name();
    ~queue_name() { sluice::ipc::message_queue::remove(name); }
};

}  // namespace

TEST_CASE("messages pass through a queue from process to process, in order") {
    const queue_name q;
    const test::no_leaks none;
    {
        const sluice::ipc::message_queue jobs(q.name);
        SECTION("to another process") {
            test::peer receiver({"queue_recv", q.name, std::to_string(many)});
            const auto tx = jobs.sender<serial>();
            serial sent = 0;
            while (sent < many && tx.send(sent)) ++sent;
            CHECK(sent == many);
            CHECK(receiver.wait() == test::success);
        }
        SECTION("from another process") {
            test::peer sender({"queue_send", q.name, std::to_string(many)});
            const auto rx = jobs.receiver<serial>();
            bool in_order = true;
            for (serial n = 0; n < many; ++n) in_order = in_order && rx.recv_timeout(test::patience) == n;
            CHECK(in_order);
            CHECK(sender.wait() == test::success);
        }
        CHECK_FALSE(jobs.error());
    }
    CHECK(none.hold());
}

TEST_CASE("a queue keeps its messages when nobody has it open") {
    const queue_name q;
    CHECK(test::peer({"queue_send", q.name, "5"}).wait() == test::success);
    const sluice::ipc::message_queue jobs(q.name);
    const auto rx = jobs.receiver<serial>();
    for (serial n = 0; n < 5; ++n) CHECK(rx.recv_timeout(test::patience) == n);
    CHECK(rx.recv_timeout(5ms) == errc::timeout);
}

TEST_CASE("each message of a queue goes to one of its receivers") {
    const queue_name q;
    const test::no_leaks none;
    {
        const sluice::ipc::message_queue jobs(q.name, {.capacity = 1});
        const auto a = jobs.receiver<serial>(), b = jobs.receiver<serial>();
        constexpr serial count = 1000;
        test::task sending([tx = jobs.sender<serial>()] {
            serial n = 0;
            while (n < count && tx.send(n)) ++n;
            return n;
        });
        std::vector<int> times(count);
        for (serial n = 0; n < count; ++n) {
            (void)sluice::select(sluice::on_recv(a, [&](serial m) { ++times.at(static_cast<std::size_t>(m)); }),
                                 sluice::on_recv(b, [&](serial m) { ++times.at(static_cast<std::size_t>(m)); }));
        }
        CHECK(std::all_of(times.begin(), times.end(), [](int t) { return t == 1; }));
        CHECK(sending.get() == count);
    }
    CHECK(none.hold());
}

TEST_CASE("a full queue blocks its senders, and delivers all of it later") {
    const queue_name q;
    const test::no_leaks none;
    {
        const sluice::ipc::message_queue jobs(q.name, {.depth = 3, .capacity = 2});
        auto tx = jobs.sender<serial>();
        serial sent = 0;
        while (tx.send_timeout(sent, 100ms)) ++sent;
        CHECK(sent >= 5);
        CHECK(tx.try_send(sent) == errc::full);
        CHECK_FALSE(tx.is_closed());
        tx = {};  // what it has sent still goes
        const auto rx = jobs.receiver<serial>();
        for (serial n = 0; n < sent; ++n) CHECK(rx.recv_timeout(test::patience) == n);
        CHECK(rx.recv_timeout(5ms) == errc::timeout);
    }
    CHECK(none.hold());
}

#if defined(__cpp_lib_jthread)
TEST_CASE("a stop token ends the ends of a queue, full or empty") {
    const queue_name q;
    const test::no_leaks none;
    {
        std::stop_source stop;
        const sluice::ipc::message_queue jobs(q.name, {.depth = 1, .capacity = 1, .stop = stop.get_token()});
        const auto tx = jobs.sender<serial>();
        while (tx.send_timeout(serial{1}, 50ms)) {
        }
        stop.request_stop();
        CHECK(tx.send(serial{2}) == errc::closed);
        CHECK(jobs.error() == std::errc::operation_canceled);
        CHECK(jobs.receiver<serial>().recv() == errc::closed);
    }
    CHECK(none.hold());
}
#endif

TEST_CASE("a message of another kind closes the receiver that gets it, with an error") {
    const queue_name q;
    const sluice::ipc::message_queue jobs(q.name);
    const auto rx = jobs.receiver<serial>();
    SECTION("another type") {
        CHECK(jobs.sender<int>().send(1));
        CHECK(rx.recv() == errc::closed);
        CHECK(jobs.error() == std::errc::wrong_protocol_type);
    }
    SECTION("garbage") {
        const mqd_t plain = ::mq_open(q.name.c_str(), O_WRONLY | O_CLOEXEC);
        REQUIRE(plain >= 0);
        CHECK(::mq_send(plain, "garbage", 7, 0) == 0);
        ::mq_close(plain);
        CHECK(rx.recv() == errc::closed);
        CHECK(jobs.error() == std::errc::bad_message);
    }
}

TEST_CASE("a message that does not fit into the queue closes its sender, with an error") {
    const queue_name q;
    const sluice::ipc::message_queue jobs(q.name, {.max_message = 100});
    const auto tx = jobs.sender<std::string>();
    CHECK(jobs.max_message() == 100);
    CHECK(tx.send(std::string(100, 'x')));
    CHECK(tx.send(std::string(101, 'x')));
    CHECK(test::eventually([&] { return tx.is_closed(); }));
    CHECK(jobs.error() == std::errc::message_size);
    CHECK(jobs.receiver<std::string>().recv() == std::string(100, 'x'));
}

TEST_CASE("a queue that cannot be made is refused by name") {
    try {
        const sluice::ipc::message_queue jobs("no-slash/in/front");
        FAIL("the name is wrong");
    } catch (const std::system_error& e) {
        CHECK(std::string(e.what()).find("no-slash/in/front") != std::string::npos);
    }
}

TEST_CASE("a removed queue is gone for processes that open it later") {
    const queue_name q;
    const sluice::ipc::message_queue first(q.name);
    CHECK(first.sender<serial>().send(serial{1}));
    CHECK(sluice::ipc::message_queue::remove(q.name));
    CHECK_FALSE(sluice::ipc::message_queue::remove(q.name));
    const sluice::ipc::message_queue second(q.name);
    CHECK(second.receiver<serial>().recv_timeout(5ms) == errc::timeout);
    CHECK(first.receiver<serial>().recv_timeout(test::patience) == serial{1});
}

namespace {

// Its encoding breaks off in the middle.
struct half_written {
    bool whole = false;
};

}  // namespace

template <>
struct sluice::codec<half_written> {
    static void encode(const half_written& h, std::vector<std::byte>& to) {
        to.insert(to.end(), 5, std::byte{'x'});
        if (!h.whole) throw std::system_error(make_error_code(std::errc::value_too_large));
    }
    static half_written decode(std::span<const std::byte> from) { return {from.size() == 5}; }
};

TEST_CASE("nothing of a message whose encoding breaks off is sent through a queue") {
    const queue_name q;
    const test::no_leaks none;
    {
        const sluice::ipc::message_queue jobs(q.name);
        const auto tx = jobs.sender<half_written>();
        CHECK(tx.send({true}));
        CHECK(tx.send({false}));
        CHECK(test::eventually([&] { return tx.is_closed(); }));
        CHECK(jobs.error() == std::errc::value_too_large);
    }
    CHECK(none.hold());  // all has been written that will be
    const mqd_t plain = ::mq_open(q.name.c_str(), O_RDONLY | O_CLOEXEC);
    REQUIRE(plain >= 0);
    mq_attr found{};
    CHECK(::mq_getattr(plain, &found) == 0);
    CHECK(found.mq_curmsgs == 1);
    ::mq_close(plain);
}

namespace {

// What an attempt to open a queue is refused with.
std::string refusal(const std::string& name, sluice::ipc::queue_options chosen = {}) {
    try {
        const sluice::ipc::message_queue opened(name, std::move(chosen));
        return "nothing";
    } catch (const std::system_error& e) {
        return e.what();
    }
}
bool says(const std::string& text, std::initializer_list<const char*> words) {
    UNSCOPED_INFO(text);
    return std::all_of(words.begin(), words.end(), [&](const char* w) { return text.find(w) != std::string::npos; });
}

// Sets a soft limit of this process for a while.
class limited {
public:
    limited(int which, rlim_t to) : which_(static_cast<decltype(RLIMIT_NOFILE)>(which)) {
        REQUIRE(::getrlimit(which_, &before_) == 0);
        rlimit now = before_;
        now.rlim_cur = to;
        REQUIRE(::setrlimit(which_, &now) == 0);
    }
    limited(const limited&) = delete;
    ~limited() { ::setrlimit(which_, &before_); }

private:
    decltype(RLIMIT_NOFILE) which_;
    rlimit before_{};
};

// A queue of the system that others have made, with this mode, and perhaps as another user.
struct foreign_queue {
    foreign_queue(const std::string& name, mode_t mode, uid_t owner) {
        mq_attr wanted{};
        wanted.mq_maxmsg = 2;
        wanted.mq_msgsize = 100;
        const mqd_t made = ::mq_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600, &wanted);
        REQUIRE(made >= 0);
        REQUIRE(::fchmod(made, mode) == 0);
        REQUIRE(::fchown(made, owner, static_cast<gid_t>(-1)) == 0);
        ::mq_close(made);
    }
};

}  // namespace

TEST_CASE("a queue that is open to others is refused, in words") {
    const queue_name q;
    const mode_t mode = GENERATE(as<mode_t>(), 0666, 0620, 0602, 0604);
    const foreign_queue made(q.name, mode, ::geteuid());
    CHECK(says(refusal(q.name), {q.name.c_str(), "open to others", "remove it"}));
}

TEST_CASE("a queue of another user is refused, in words") {
    if (::geteuid() != 0) return;  // only root can make one
    const queue_name q;
    const mode_t mode = GENERATE(as<mode_t>(), 0600, 0666);
    const foreign_queue made(q.name, mode, 12345);
    CHECK(says(refusal(q.name), {q.name.c_str(), "another user", "12345"}));
}

TEST_CASE("a queue that cannot be made says what to change") {
    const queue_name q;
    const std::string most = std::to_string((std::numeric_limits<int>::max)());
    CHECK(says(refusal("no-slash"), {"no-slash", "begins with a slash"}));
    CHECK(says(refusal("/"), {"after the slash"}));
    CHECK(says(refusal("/two/slashes"), {"/two/slashes", "second slash"}));
    CHECK(says(refusal("/" + std::string(300, 'x')), {"characters"}));
    CHECK(says(refusal(q.name, {.depth = 0}), {q.name.c_str(), "depth is 0"}));
    CHECK(says(refusal(q.name, {.depth = 1'000'000}), {q.name.c_str(), "1000000", "mqueue/msg_max"}));
    CHECK(says(refusal(q.name, {.max_message = 1 << 30}), {q.name.c_str(), "1073741824", "mqueue/msgsize_max"}));
    CHECK(says(refusal(q.name, {.max_message = ~std::size_t{}}), {q.name.c_str(), "mqueue/msgsize_max"}));
    CHECK_THROWS_AS(sluice::ipc::message_queue::remove("no-slash"), std::system_error);
    {
        const limited queues(RLIMIT_MSGQUEUE, 1000);
        CHECK(says(refusal(q.name), {q.name.c_str(), "8192", "1000 bytes", "RLIMIT_MSGQUEUE"}));
    }
    {
        const limited descriptors(RLIMIT_NOFILE, 0);
        CHECK(says(refusal(q.name), {q.name.c_str(), "RLIMIT_NOFILE"}));
    }
}

TEST_CASE("an end of a queue that cannot be opened names the queue") {
    const queue_name q;
    const sluice::ipc::message_queue jobs(q.name);
    const limited descriptors(RLIMIT_NOFILE, 0);
    const auto refused = [&](auto open) {
        try {
            (void)open();
            return std::string("nothing");
        } catch (const std::system_error& e) {
            return std::string(e.what());
        }
    };
    CHECK(says(refused([&] { return jobs.sender<serial>(); }), {q.name.c_str(), "Too many open files"}));
    CHECK(says(refused([&] { return jobs.receiver<serial>(); }), {q.name.c_str(), "Too many open files"}));
}
