// Channels between processes beside bare system calls and, where installed, ZeroMQ: small and large messages, round trips.
#include "harness.hpp"
#include "processes.hpp"

#include <sluice/ipc.hpp>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>
#if defined(__linux__)
#include <mqueue.h>
#endif
#if defined(SLUICE_BENCH_ZEROMQ)
#include <zmq.h>
#endif

namespace bench {
namespace {

// A way to send between processes is a class, of which one object is made before the fork. The parent calls asking() for
// the two ends with which it begins round trips, the child answering() for those with which it goes on; of a stream of
// messages the child has the end sending(), and the parent receiving(). The ends have send() and receive(), which block.

// What is written to the second is read from the first.
struct descriptors {
    int fd[2];
};

descriptors bare_pipe() {
    descriptors made;
    must(::pipe(made.fd) == 0, "pipe");
    return made;
}

// The time that messages take from the child to the parent, after a first one.
template <class Make>
double stream(Make make, number messages) {
    auto way = make();
    const descriptors until_received = bare_pipe();
    const child sender([&] {
        ::close(until_received.fd[1]);
        auto tx = way.sending();
        for (number n = 0; n <= messages; ++n) tx.send();
        // ZeroMQ may lose what is on its way when its sender goes.
        char end;
        must(::read(until_received.fd[0], &end, 1) == 0, "read");
    });
    ::close(until_received.fd[0]);
    auto rx = way.receiving();
    rx.receive();
    const double took = seconds_of([&] {
        if constexpr (requires { rx.receive_many(); }) {
            for (number got = 0; got < messages;) got += rx.receive_many();
        } else {
            for (number got = 0; got < messages; ++got) rx.receive();
        }
    });
    ::close(until_received.fd[1]);
    sender.wait();
    return took;
}

// The time that messages take to the child and back, after a first one.
template <class Make>
double round_trips(Make make, number messages) {
    auto way = make();
    const child partner([&] {
        auto [tx, rx] = way.answering();
        for (number n = 0; n <= messages; ++n) {
            rx.receive();
            tx.send();
        }
    });
    auto [tx, rx] = way.asking();
    const auto trip = [&tx = tx, &rx = rx] {
        tx.send();
        rx.receive();
    };
    trip();
    const double took = seconds_of([&] {
        for (number n = 0; n < messages; ++n) trip();
    });
    partner.wait();
    return took;
}

// ---- The bare system calls

// One end of a byte stream, for messages that all have one size.
struct byte_end {
    int fd;
    std::vector<char> message;

    void send() const {
        for (std::size_t done = 0; done < message.size();)
            done += advance(::write(fd, message.data() + done, message.size() - done), "write");
    }
    void receive() {
        for (std::size_t done = 0; done < message.size();)
            done += advance(::read(fd, message.data() + done, message.size() - done), "read");
    }
    static std::size_t advance(ssize_t count, const char* what) {
        must(count > 0, what);
        return static_cast<std::size_t>(count);
    }
};

class byte_streams {
public:
    byte_streams(descriptors to_child, descriptors to_parent, std::size_t message_size)
        : to_child_(to_child), to_parent_(to_parent), message_(message_size, 'x') {}
    byte_streams(const byte_streams&) = delete;
    byte_streams& operator=(const byte_streams&) = delete;
    ~byte_streams() {
        for (const descriptors& pair : {to_child_, to_parent_}) {
            for (const int fd : pair.fd) ::close(fd);
        }
    }

    ends<byte_end, byte_end> asking() const { return {{to_child_.fd[1], message_}, {to_parent_.fd[0], message_}}; }
    ends<byte_end, byte_end> answering() const { return {{to_parent_.fd[1], message_}, {to_child_.fd[0], message_}}; }
    byte_end sending() const { return answering().tx; }
    byte_end receiving() const { return asking().rx; }

private:
    const descriptors to_child_;
    const descriptors to_parent_;
    const std::vector<char> message_;
};

byte_streams bare_pipes(std::size_t message_size) { return {bare_pipe(), bare_pipe(), message_size}; }

descriptors unix_pair() {
    descriptors made;
    must(::socketpair(AF_UNIX, SOCK_STREAM, 0, made.fd) == 0, "socketpair");
    return made;
}

descriptors tcp_pair() {
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
    return {{server, client}};
}

byte_streams bare_sockets(bool tcp, std::size_t message_size) {
    const descriptors both_ways = tcp ? tcp_pair() : unix_pair();
    return {both_ways, {{::dup(both_ways.fd[1]), ::dup(both_ways.fd[0])}}, message_size};
}

// ---- Sluice

template <class T>
struct sluice_tx {
    sluice::sender<T> to;
    T message;

    void send() const { must(to.send(message).has_value(), "send"); }
};

template <class T>
struct sluice_rx {
    sluice::receiver<T> from;
    std::vector<T> batch = {};

    void receive() const { must(from.recv().has_value(), "recv"); }
    number receive_many() {
        batch.clear();
        must(from.recv_many(std::back_inserter(batch), 1024) > 0, "recv_many");
        return static_cast<number>(batch.size());
    }
};

template <class T>
using sluice_ends = ends<sluice_tx<T>, sluice_rx<T>>;

// What has a sender and a receiver for each direction: sluice::ipc::pipe, or its message_queue.
template <class T, class Direction>
struct sluice_directions {
    Direction to_child;
    Direction to_parent;
    T message;

    sluice_ends<T> asking() { return {{to_child.template sender<T>(), message}, {to_parent.template receiver<T>()}}; }
    sluice_ends<T> answering() {
        return {{to_parent.template sender<T>(), message}, {to_child.template receiver<T>()}};
    }
    sluice_tx<T> sending() { return {to_parent.template sender<T>(), message}; }
    sluice_rx<T> receiving() { return {to_parent.template receiver<T>()}; }
};

// By which the child hears where the parent listens. The parent begins to listen after the fork, so that the child has
// nothing of the listener.
class address_notice {
public:
    void tell(const std::string& address) { must(link_.sender<std::string>().send(address).has_value(), "send"); }
    std::string wait() { return *link_.receiver<std::string>().recv(); }

private:
    sluice::ipc::pipe link_;
};

std::string socket_name(const char* kind) { return "sluice-bench-" + std::to_string(::getpid()) + kind; }

template <class T>
class sluice_sockets {
public:
    sluice_sockets(bool tcp, T message) : tcp_(tcp), message_(std::move(message)) {}

    sluice_ends<T> asking() {
        auto session = listen().template accept<T, T>();
        return {{std::move(session.replies), message_}, {std::move(session.requests)}};
    }
    sluice_ends<T> answering() {
        auto made = sluice::ipc::connect<T, T>(parent());
        return {{std::move(made.requests), message_}, {std::move(made.replies)}};
    }
    sluice_tx<T> sending() { return {sluice::ipc::connect<T>(parent()), message_}; }
    sluice_rx<T> receiving() { return {listen().template receiver<T>()}; }

private:
    sluice::ipc::listener& listen() {
        inbox_.emplace(tcp_ ? sluice::ipc::tcp("127.0.0.1", 0) : sluice::ipc::unix_socket(socket_name("")));
        notice_.tell(tcp_ ? std::to_string(inbox_->address().port()) : inbox_->address().path());
        return *inbox_;
    }
    sluice::ipc::address parent() {
        const std::string told = notice_.wait();
        if (!tcp_) return sluice::ipc::unix_socket(told);
        return sluice::ipc::tcp("127.0.0.1", static_cast<std::uint16_t>(std::stoi(told)));
    }

    const bool tcp_;
    const T message_;
    address_notice notice_;
    std::optional<sluice::ipc::listener> inbox_;
};

// ---- Message queues of the system

#if defined(__linux__)
struct queue_name {
    const std::string text;

    explicit queue_name(const char* direction) : text('/' + socket_name(direction)) {}
    queue_name(const queue_name&) = delete;
    queue_name& operator=(const queue_name&) = delete;
    ~queue_name() { ::mq_unlink(text.c_str()); }
};

constexpr std::size_t queue_message_size = 64;

// A queue serves as either end.
struct queue_end {
    mqd_t queue;

    void send() const {
        const char message[sizeof(number)] = {};
        must(::mq_send(queue, message, sizeof message, 0) == 0, "mq_send");
    }
    void receive() const {
        char message[queue_message_size];
        must(::mq_receive(queue, message, sizeof message, nullptr) == sizeof(number), "mq_receive");
    }
};

class bare_queue {
public:
    explicit bare_queue(const char* direction) : name_(direction) {
        mq_attr wanted{};
        wanted.mq_maxmsg = 10;
        wanted.mq_msgsize = queue_message_size;
        queue_ = ::mq_open(name_.text.c_str(), O_RDWR | O_CREAT, 0600, &wanted);
        must(queue_ >= 0, "mq_open");
    }
    ~bare_queue() { ::mq_close(queue_); }
    queue_end end() const { return {queue_}; }

private:
    const queue_name name_;
    mqd_t queue_;
};

struct bare_queues {
    bare_queue to_child{"-to-child"};
    bare_queue to_parent{"-to-parent"};

    ends<queue_end, queue_end> asking() const { return {to_child.end(), to_parent.end()}; }
    ends<queue_end, queue_end> answering() const { return {to_parent.end(), to_child.end()}; }
    queue_end sending() const { return to_parent.end(); }
    queue_end receiving() const { return to_parent.end(); }
};

// Opened by each process for itself.
struct sluice_queue {
    const queue_name name;

    explicit sluice_queue(const char* direction) : name(direction) {}
    template <class T>
    sluice::sender<T> sender() const {
        return open().sender<T>();
    }
    template <class T>
    sluice::receiver<T> receiver() const {
        return open().receiver<T>();
    }

private:
    sluice::ipc::message_queue open() const {
        return sluice::ipc::message_queue(name.text, {.max_message = queue_message_size});
    }
};
#endif

// ---- ZeroMQ

#if defined(SLUICE_BENCH_ZEROMQ)
// Copies are ends of the same socket.
class zmq_end {
public:
    zmq_end(int type, std::size_t message_size) : message_(message_size, 'x') {
        void* const context = ::zmq_ctx_new();
        socket_.reset(::zmq_socket(context, type), [context](void* socket) {
            ::zmq_close(socket);
            ::zmq_ctx_term(context);  // waits until what was sent is delivered
        });
        must(socket_ != nullptr, "zmq_socket");
    }
    void* socket() const { return socket_.get(); }
    void send() const { must(::zmq_send(socket(), message_.data(), message_.size(), 0) >= 0, "zmq_send"); }
    void receive() const {
        zmq_msg_t message;
        ::zmq_msg_init(&message);
        must(::zmq_msg_recv(&message, socket(), 0) >= 0, "zmq_msg_recv");
        ::zmq_msg_close(&message);
    }

private:
    std::shared_ptr<void> socket_;
    std::vector<char> message_;
};

class zmq_sockets {
public:
    zmq_sockets(bool tcp, std::size_t message_size) : tcp_(tcp), message_size_(message_size) {}

    ends<zmq_end, zmq_end> asking() { return both(bound(ZMQ_REQ)); }
    ends<zmq_end, zmq_end> answering() { return both(connected(ZMQ_REP)); }
    zmq_end sending() { return connected(ZMQ_PUSH); }
    zmq_end receiving() { return bound(ZMQ_PULL); }

private:
    static ends<zmq_end, zmq_end> both(const zmq_end& end) { return {end, end}; }
    zmq_end bound(int type) {
        zmq_end made(type, message_size_);
        must(::zmq_bind(made.socket(), tcp_ ? "tcp://127.0.0.1:*" : "ipc://*") == 0, "zmq_bind");
        char address[256];
        std::size_t size = sizeof address;
        must(::zmq_getsockopt(made.socket(), ZMQ_LAST_ENDPOINT, address, &size) == 0, "ZMQ_LAST_ENDPOINT");
        notice_.tell(address);
        return made;
    }
    zmq_end connected(int type) {
        zmq_end made(type, message_size_);
        must(::zmq_connect(made.socket(), notice_.wait().c_str()) == 0, "zmq_connect");
        return made;
    }

    const bool tcp_;
    const std::size_t message_size_;
    address_notice notice_;
};
#endif

// ---- All of them

constexpr std::size_t block_size = 1 << 20;

// `make_small` and `make_large` make the way for messages of eight bytes and of block_size.
template <class Make>
void add_small(const char* over, const char* by, const effort& how, Make make_small) {
    add_timed("ipc 8 bytes", over, by, how,
              [make_small](benchmark::State&, number n) { return stream(make_small, n); });
    add_timed("ipc round trip", over, by, how,
              [make_small](benchmark::State&, number n) { return round_trips(make_small, n); });
}
template <class Make>
void add_large(const char* over, const char* by, const effort& how, Make make_large) {
    add_timed("ipc 1 MiB", over, by, how, [make_large](benchmark::State&, number n) { return stream(make_large, n); });
}

const part between_processes([](const plan& p) {
    // Longer than within a process, since each repetition begins with a fork and two new ends.
    const effort how{.repetitions = p.repetitions(), .seconds = 4 * p.seconds()};
    const sluice::ipc::shared_bytes block{std::vector<std::byte>(block_size)};
    using sluice::ipc::pipe, sluice::ipc::shared_bytes;

    add_small("pipe", "bare", how, [] { return bare_pipes(sizeof(number)); });
    add_large("pipe", "bare", how, [] { return bare_pipes(block_size); });
    add_small("pipe", "sluice", how, [] { return sluice_directions<number, pipe>{pipe(), pipe(), 1}; });
    add_large("pipe", "sluice", how, [block] { return sluice_directions<shared_bytes, pipe>{pipe(), pipe(), block}; });
    for (const bool tcp : {false, true}) {
        const char* const over = tcp ? "tcp" : "unix";
        add_small(over, "bare", how, [tcp] { return bare_sockets(tcp, sizeof(number)); });
        add_large(over, "bare", how, [tcp] { return bare_sockets(tcp, block_size); });
        add_small(over, "sluice", how, [tcp] { return sluice_sockets<number>(tcp, 1); });
        add_large(over, "sluice", how, [tcp, block] { return sluice_sockets<shared_bytes>(tcp, block); });
#if defined(SLUICE_BENCH_ZEROMQ)
        add_small(over, "ZeroMQ", how, [tcp] { return zmq_sockets(tcp, sizeof(number)); });
        add_large(over, "ZeroMQ", how, [tcp] { return zmq_sockets(tcp, block_size); });
#endif
    }
#if defined(__linux__)
    add_small("queue", "bare", how, [] { return bare_queues(); });
    add_small("queue", "sluice", how, [] {
        return sluice_directions<number, sluice_queue>{sluice_queue("-to-child"), sluice_queue("-to-parent"), 1};
    });
#endif
});

}  // namespace
}  // namespace bench
