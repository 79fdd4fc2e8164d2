// Channels between processes beside bare system calls and, where installed, ZeroMQ: small and large messages, trips.
#include <sluice/ipc.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#if defined(__linux__)
#include <mqueue.h>
#endif

#if __has_include(<zmq.h>) && defined(SLUICE_BENCH_ZEROMQ)
#include <zmq.h>
#endif

namespace {

using clock_type = std::chrono::steady_clock;
using number = std::uint64_t;
using seconds = std::chrono::duration<double>;

constexpr std::size_t block_size = 1 << 20;

// How much is done in one measurement.
struct amounts {
    std::size_t small = 2'000'000, large = 2'000, trips = 20'000, queued = 200'000;
};
amounts amount;
int repetitions = 5;

[[noreturn]] void give_up(const char* what) {
    std::fprintf(stderr, "ipc: %s: %s\n", what, std::strerror(errno));
    std::_Exit(1);
}

void must(bool fine, const char* what) {
    if (!fine) give_up(what);
}

// Runs `there` in a child and `here` in this process; the time that `here` says it took.
template <class Here, class There>
double with_child(Here here, There there) {
    std::fflush(stdout);  // lest the child write it once more
    const pid_t child = ::fork();
    must(child >= 0, "fork");
    if (child == 0) {
        there();
        std::exit(0);  // after what was sent is written out
    }
    const double took = here();
    int status = 0;
    must(::waitpid(child, &status, 0) == child && status == 0, "child");
    return took;
}

double since(clock_type::time_point start) { return seconds(clock_type::now() - start).count(); }

// ---- The bare system calls

using pair_of = std::array<int, 2>;

pair_of bare_pipe() {
    pair_of ends;
    must(::pipe(ends.data()) == 0, "pipe");
    return ends;
}

pair_of bare_unix() {
    pair_of ends;
    must(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) == 0, "socketpair");
    return ends;
}

pair_of bare_tcp() {
    const int listening = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof name;
    auto* const plain = reinterpret_cast<sockaddr*>(&name);
    must(::bind(listening, plain, size) == 0 && ::listen(listening, 1) == 0 &&
             ::getsockname(listening, plain, &size) == 0,
         "listen");
    const int client = ::socket(AF_INET, SOCK_STREAM, 0);
    must(::connect(client, plain, size) == 0, "connect");
    const int server = ::accept(listening, nullptr, nullptr);
    must(server >= 0, "accept");
    ::close(listening);
    const int on = 1;
    for (const int fd : {client, server}) ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return {server, client};
}

void write_all(int fd, const void* from, std::size_t size) {
    for (const char* p = static_cast<const char*>(from); size > 0;) {
        const ssize_t n = ::write(fd, p, size);
        must(n > 0, "write");
        p += n;
        size -= static_cast<std::size_t>(n);
    }
}

void read_all(int fd, void* to, std::size_t size) {
    for (char* p = static_cast<char*>(to); size > 0;) {
        const ssize_t n = ::read(fd, p, size);
        must(n > 0, "read");
        p += n;
        size -= static_cast<std::size_t>(n);
    }
}

double bare_stream(pair_of (*make)(), std::size_t count, std::size_t size) {
    const pair_of ends = make();
    const double took = with_child(
        [&] {
            std::vector<char> buffer(size);
            read_all(ends[0], buffer.data(), size);
            const auto start = clock_type::now();
            for (std::size_t i = 0; i < count; ++i) read_all(ends[0], buffer.data(), size);
            return since(start);
        },
        [&] {
            const std::vector<char> buffer(size, 'x');
            for (std::size_t i = 0; i <= count; ++i) write_all(ends[1], buffer.data(), size);
        });
    ::close(ends[0]);
    ::close(ends[1]);
    return took;
}

double bare_trips(pair_of forth, pair_of back) {
    const double took = with_child(
        [&] {
            number n = 0;
            const auto start = clock_type::now();
            for (std::size_t i = 0; i < amount.trips; ++i) {
                write_all(forth[1], &n, sizeof n);
                read_all(back[0], &n, sizeof n);
            }
            return since(start);
        },
        [&] {
            number n = 0;
            for (std::size_t i = 0; i < amount.trips; ++i) {
                read_all(forth[0], &n, sizeof n);
                write_all(back[1], &n, sizeof n);
            }
        });
    for (const int fd : {forth[0], forth[1], back[0], back[1]}) ::close(fd);
    return took;
}
double bare_trips_over_pipe() { return bare_trips(bare_pipe(), bare_pipe()); }
double bare_trips_over(pair_of (*make)()) {
    const pair_of ends = make();
    const pair_of copies{::dup(ends[0]), ::dup(ends[1])};
    return bare_trips(ends, {copies[1], copies[0]});
}

// ---- Sluice

template <class T>
double receive(sluice::receiver<T> rx, std::size_t count) {
    must(rx.recv().has_value(), "recv");
    const auto start = clock_type::now();
    std::vector<T> batch;
    for (std::size_t got = 0; got < count;) {
        batch.clear();
        const std::size_t n = rx.recv_many(std::back_inserter(batch), 1024);
        must(n > 0, "recv_many");
        got += n;
    }
    return since(start);
}

template <class T>
void send(const sluice::sender<T>& tx, std::size_t count, const T& message) {
    for (std::size_t i = 0; i <= count; ++i) must(tx.send(message).has_value(), "send");
}

template <class T>
double pipe_stream(std::size_t count, const T& message) {
    sluice::ipc::pipe link;
    return with_child([&] { return receive(link.receiver<T>(), count); },
                      [&] { send(link.sender<T>(), count, message); });
}

sluice::ipc::address here(bool tcp) {
    if (tcp) return sluice::ipc::tcp("127.0.0.1", 0);
    return sluice::ipc::unix_socket("sluice-bench-" + std::to_string(::getpid()));
}

template <class T>
double socket_stream(bool tcp, std::size_t count, const T& message) {
    // The child is forked before the listener is made, so that it has nothing of it; it hears of the address by a pipe.
    sluice::ipc::pipe where;
    return with_child(
        [&] {
            sluice::ipc::listener inbox(here(tcp));
            auto told = where.sender<std::string>();
            must(told.send(tcp ? std::to_string(inbox.address().port()) : inbox.address().path()).has_value(), "send");
            return receive(inbox.receiver<T>(), count);
        },
        [&] {
            const std::string at = *where.receiver<std::string>().recv();
            const auto address = tcp ? sluice::ipc::tcp("127.0.0.1", static_cast<std::uint16_t>(std::stoi(at)))
                                     : sluice::ipc::unix_socket(at);
            send(sluice::ipc::connect<T>(address), count, message);
        });
}

template <class Send, class Receive>
double trips(const Send& tx, const Receive& rx) {
    const auto start = clock_type::now();
    for (std::size_t i = 0; i < amount.trips; ++i) {
        must(tx.send(i).has_value(), "send");
        must(rx.recv() == i, "recv");
    }
    return since(start);
}
void echo(const sluice::receiver<number>& rx, const sluice::sender<number>& tx) {
    for (const number n : rx) must(tx.send(n).has_value(), "send");
}

double pipe_trips() {
    sluice::ipc::pipe forth, back;
    return with_child([&] { return trips(forth.sender<number>(), back.receiver<number>()); },
                      [&] { echo(forth.receiver<number>(), back.sender<number>()); });
}

double socket_trips(bool tcp) {
    sluice::ipc::pipe where;
    return with_child(
        [&] {
            sluice::ipc::listener inbox(here(tcp));
            auto told = where.sender<std::string>();
            must(told.send(tcp ? std::to_string(inbox.address().port()) : inbox.address().path()).has_value(), "send");
            auto s = inbox.accept<number, number>();
            return trips(s.replies, s.requests);
        },
        [&] {
            const std::string at = *where.receiver<std::string>().recv();
            const auto address = tcp ? sluice::ipc::tcp("127.0.0.1", static_cast<std::uint16_t>(std::stoi(at)))
                                     : sluice::ipc::unix_socket(at);
            auto c = sluice::ipc::connect<number, number>(address);
            echo(c.replies, c.requests);
        });
}

#if defined(__linux__)
struct named_queue {
    explicit named_queue(const char* suffix) : name("/sluice-bench-" + std::to_string(::getpid()) + suffix) {}
    ~named_queue() { ::mq_unlink(name.c_str()); }
    std::string name;
};

mqd_t bare_queue(const named_queue& q) {
    mq_attr wanted{};
    wanted.mq_maxmsg = 10;
    wanted.mq_msgsize = 64;
    const mqd_t fd = ::mq_open(q.name.c_str(), O_RDWR | O_CREAT, 0600, &wanted);
    must(fd >= 0, "mq_open");
    return fd;
}

double bare_queue_stream(std::size_t count) {
    const named_queue q("");
    const mqd_t fd = bare_queue(q);
    char buffer[64] = {};
    const double took = with_child(
        [&] {
            must(::mq_receive(fd, buffer, sizeof buffer, nullptr) == sizeof(number), "mq_receive");
            const auto start = clock_type::now();
            for (std::size_t i = 0; i < count; ++i)
                must(::mq_receive(fd, buffer, sizeof buffer, nullptr) > 0, "mq_receive");
            return since(start);
        },
        [&] {
            for (std::size_t i = 0; i <= count; ++i) must(::mq_send(fd, buffer, sizeof(number), 0) == 0, "mq_send");
        });
    ::mq_close(fd);
    return took;
}

double bare_queue_trips() {
    const named_queue f("-f"), b("-b");
    const mqd_t forth = bare_queue(f), back = bare_queue(b);
    char buffer[64] = {};
    const double took = with_child(
        [&] {
            const auto start = clock_type::now();
            for (std::size_t i = 0; i < amount.trips; ++i) {
                must(::mq_send(forth, buffer, sizeof(number), 0) == 0, "mq_send");
                must(::mq_receive(back, buffer, sizeof buffer, nullptr) > 0, "mq_receive");
            }
            return since(start);
        },
        [&] {
            for (std::size_t i = 0; i < amount.trips; ++i) {
                must(::mq_receive(forth, buffer, sizeof buffer, nullptr) > 0, "mq_receive");
                must(::mq_send(back, buffer, sizeof(number), 0) == 0, "mq_send");
            }
        });
    ::mq_close(forth);
    ::mq_close(back);
    return took;
}

double queue_stream(std::size_t count) {
    const named_queue q("");
    return with_child(
        [&] {
            const sluice::ipc::message_queue queue(q.name, {.max_message = 64});
            return receive(queue.receiver<number>(), count);
        },
        [&] {
            const sluice::ipc::message_queue queue(q.name, {.max_message = 64});
            send(queue.sender<number>(), count, number{1});
        });
}

double queue_trips() {
    const named_queue f("-f"), b("-b");
    return with_child(
        [&] {
            const sluice::ipc::message_queue forth(f.name, {.max_message = 64}), back(b.name, {.max_message = 64});
            return trips(forth.sender<number>(), back.receiver<number>());
        },
        [&] {
            const sluice::ipc::message_queue forth(f.name, {.max_message = 64}), back(b.name, {.max_message = 64});
            const auto rx = forth.receiver<number>();
            const auto tx = back.sender<number>();
            for (std::size_t i = 0; i < amount.trips; ++i) must(tx.send(*rx.recv()).has_value(), "send");
        });
}
#endif

// ---- ZeroMQ

#if defined(SLUICE_BENCH_ZEROMQ)
std::string zmq_address(bool tcp) {
    return tcp ? "tcp://127.0.0.1:5599"
               : "ipc://" + sluice::ipc::unix_socket("sluice-bench-zmq-" + std::to_string(::getpid())).path();
}

// Binds in one process before the other connects, and the other stays until the first has all.
class rendezvous {
public:
    void bind(void* socket, const std::string& address) {
        must(::zmq_bind(socket, address.c_str()) == 0, "zmq_bind");
        address_ = address;
        write_all(ends_[1], "!", 1);
    }
    void connect(void* socket, const std::string& address) {
        char bound = 0;
        read_all(ends_[0], &bound, 1);
        must(::zmq_connect(socket, address.c_str()) == 0, "zmq_connect");
    }
    void done() { write_all(ends_[1], "!", 1); }
    void wait_until_done() {
        char done = 0;
        read_all(ends_[0], &done, 1);
    }
    ~rendezvous() {
        if (address_.starts_with("ipc://")) ::unlink(address_.c_str() + 6);
        ::close(ends_[0]);
        ::close(ends_[1]);
    }

private:
    const pair_of ends_ = bare_pipe();
    std::string address_;
};

double zmq_stream(bool tcp, std::size_t count, std::size_t size) {
    const std::string address = zmq_address(tcp);
    rendezvous meeting;
    return with_child(
        [&] {
            void* const context = ::zmq_ctx_new();
            void* const socket = ::zmq_socket(context, ZMQ_PULL);
            meeting.bind(socket, address);
            zmq_msg_t message;
            ::zmq_msg_init(&message);
            must(::zmq_msg_recv(&message, socket, 0) >= 0, "zmq_msg_recv");
            const auto start = clock_type::now();
            for (std::size_t i = 0; i < count; ++i) must(::zmq_msg_recv(&message, socket, 0) >= 0, "zmq_msg_recv");
            const double took = since(start);
            meeting.done();
            ::zmq_msg_close(&message);
            ::zmq_close(socket);
            ::zmq_ctx_term(context);
            return took;
        },
        [&] {
            void* const context = ::zmq_ctx_new();
            void* const socket = ::zmq_socket(context, ZMQ_PUSH);
            meeting.connect(socket, address);
            const std::vector<char> buffer(size, 'x');
            for (std::size_t i = 0; i <= count; ++i) must(::zmq_send(socket, buffer.data(), size, 0) >= 0, "zmq_send");
            meeting.wait_until_done();
            ::zmq_close(socket);
            ::zmq_ctx_term(context);
        });
}

double zmq_trips(bool tcp) {
    const std::string address = zmq_address(tcp);
    rendezvous meeting;
    return with_child(
        [&] {
            void* const context = ::zmq_ctx_new();
            void* const socket = ::zmq_socket(context, ZMQ_REQ);
            meeting.bind(socket, address);
            number n = 0;
            const auto start = clock_type::now();
            for (std::size_t i = 0; i < amount.trips; ++i) {
                must(::zmq_send(socket, &n, sizeof n, 0) >= 0, "zmq_send");
                must(::zmq_recv(socket, &n, sizeof n, 0) >= 0, "zmq_recv");
            }
            const double took = since(start);
            ::zmq_close(socket);
            ::zmq_ctx_term(context);
            return took;
        },
        [&] {
            void* const context = ::zmq_ctx_new();
            void* const socket = ::zmq_socket(context, ZMQ_REP);
            meeting.connect(socket, address);
            number n = 0;
            for (std::size_t i = 0; i < amount.trips; ++i) {
                must(::zmq_recv(socket, &n, sizeof n, 0) >= 0, "zmq_recv");
                must(::zmq_send(socket, &n, sizeof n, 0) >= 0, "zmq_send");
            }
            ::zmq_close(socket);
            ::zmq_ctx_term(context);
        });
}
#endif

// ---- The table

// Who sends how: each function does the whole of one measurement and tells how long it took.
struct contestant {
    const char* over;
    const char* by;
    std::function<double()> small, large, trip;
    std::vector<double> took[3] = {};
};

std::vector<contestant> contestants() {
    const sluice::ipc::shared_bytes large{std::vector<std::byte>(block_size)};
    std::vector<contestant> all;
    all.push_back({"pipe", "bare", [] { return bare_stream(bare_pipe, amount.small, sizeof(number)); },
                   [] { return bare_stream(bare_pipe, amount.large, block_size); }, bare_trips_over_pipe});
    all.push_back({"pipe", "sluice", [] { return pipe_stream(amount.small, number{1}); },
                   [large] { return pipe_stream(amount.large, large); }, pipe_trips});
    for (const bool tcp : {false, true}) {
        const char* const over = tcp ? "tcp" : "unix";
        const auto make = tcp ? bare_tcp : bare_unix;
        all.push_back({over, "bare", [make] { return bare_stream(make, amount.small, sizeof(number)); },
                       [make] { return bare_stream(make, amount.large, block_size); },
                       [make] { return bare_trips_over(make); }});
        all.push_back({over, "sluice", [tcp] { return socket_stream(tcp, amount.small, number{1}); },
                       [tcp, large] { return socket_stream(tcp, amount.large, large); },
                       [tcp] { return socket_trips(tcp); }});
#if defined(SLUICE_BENCH_ZEROMQ)
        all.push_back({over, "ZeroMQ", [tcp] { return zmq_stream(tcp, amount.small, sizeof(number)); },
                       [tcp] { return zmq_stream(tcp, amount.large, block_size); }, [tcp] { return zmq_trips(tcp); }});
#endif
    }
#if defined(__linux__)
    all.push_back({"queue", "bare", [] { return bare_queue_stream(amount.queued); }, {}, bare_queue_trips});
    all.push_back({"queue", "sluice", [] { return queue_stream(amount.queued); }, {}, queue_trips});
#endif
    return all;
}

double median(std::vector<double> v) {
    std::sort(v.begin(), v.end());
    return v[v.size() / 2];
}

void show(const contestant& c) {
    const bool queue = std::string_view(c.over) == "queue";
    const double counts[] = {static_cast<double>(queue ? amount.queued : amount.small) / 1e6,
                             static_cast<double>(amount.large * block_size) / 1e9,
                             static_cast<double>(amount.trips) / 1e6};
    std::printf("| %s | %s |", c.over, c.by);
    for (int i = 0; i < 3; ++i) {
        if (c.took[i].empty()) {
            std::printf(" |");
        } else {
            const double rate = counts[i] / median(c.took[i]);
            std::printf(i == 2 ? " %.1f |" : " %.2f |", i == 2 ? 1 / rate : rate);
        }
    }
    std::printf("\n");
}

}  // namespace

int main(int argc, char** argv) {
    std::string_view only;
    for (int i = 1; i < argc; ++i) {
        const std::string_view word = argv[i];
        if (word == "--quick") {
            amount = {500'000, 500, 5'000, 50'000};
            repetitions = 3;
        } else if (!word.starts_with('-')) {
            only = word;
        } else {
            std::fprintf(stderr, "usage: %s [--quick] [pipe|unix|tcp|queue]\n", argv[0]);
            return 2;
        }
    }
    std::vector<contestant> all = contestants();
    std::erase_if(all, [only](const contestant& c) { return !only.empty() && only != c.over; });
    // In turns, so that what else the machine does is the same for all.
    for (int i = 0; i < repetitions; ++i) {
        for (contestant& c : all) {
            const std::function<double()>* const measures[] = {&c.small, &c.large, &c.trip};
            for (int m = 0; m < 3; ++m) {
                if (*measures[m]) c.took[m].push_back((*measures[m])());
            }
        }
    }
    std::printf(
        "| over | by | 8 bytes, million/s | 1 MiB, GB/s | round trip, us |\n| --- | --- | ---: | ---: | ---: |\n");
    for (const contestant& c : all) show(c);
    return 0;
}
