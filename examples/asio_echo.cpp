// An echo server and its clients, coroutines of Asio, on loopback. Each connection reports to a hub, which is a thread, through
// a channel; the hub stops the server, by a message, when it has heard of enough.
#include "args.hpp"
#include "checked.hpp"

#include <asio/awaitable.hpp>
#include <asio/buffer.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/read.hpp>
#include <asio/redirect_error.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/write.hpp>
#include <sluice/asio.hpp>

#include <cstddef>
#include <cstdio>
#include <string>
#include <thread>
#include <utility>

using asio::ip::tcp;

struct report {
    std::size_t bytes;  // that a connection has echoed, before its client left
};

asio::awaitable<void> echo(tcp::socket socket, sluice::sender<report> hub) {
    std::size_t bytes = 0;
    char buffer[512];
    for (;;) {
        asio::error_code error;
        auto token = asio::redirect_error(asio::use_awaitable, error);
        const std::size_t got = co_await socket.async_read_some(asio::buffer(buffer), token);
        if (error) break;
        co_await asio::async_write(socket, asio::buffer(buffer, got), token);
        if (error) break;
        bytes += got;
    }
    co_await sluice::async_send(hub, report{bytes}, asio::use_awaitable);
}

asio::awaitable<void> accept(tcp::acceptor& door, sluice::sender<report> hub) {
    for (;;) {
        asio::error_code error;
        tcp::socket socket = co_await door.async_accept(asio::redirect_error(asio::use_awaitable, error));
        if (error) break;
        asio::co_spawn(door.get_executor(), echo(std::move(socket), hub), asio::detached);
    }
}

// Closes the door when it is told to, or when the hub has gone.
asio::awaitable<void> guard(tcp::acceptor& door, sluice::receiver<std::string> orders) {
    const auto order = co_await sluice::async_recv(orders, asio::use_awaitable);
    std::printf("%s\n", order ? order->c_str() : "the hub has gone");
    door.close();
}

asio::awaitable<void> talk(tcp::endpoint to, std::size_t lines, std::size_t& wrong) {
    tcp::socket socket(co_await asio::this_coro::executor);
    co_await socket.async_connect(to, asio::use_awaitable);
    for (std::size_t i = 0; i < lines; ++i) {
        const std::string said = "line " + std::to_string(i) + "\n";
        std::string heard(said.size(), '\0');
        co_await asio::async_write(socket, asio::buffer(said), asio::use_awaitable);
        co_await asio::async_read(socket, asio::buffer(heard), asio::use_awaitable);
        wrong += heard != said ? 1U : 0U;
    }
}

int main(int argc, char** argv) {
    example::args args(argc, argv, "An echo server whose connections report to a hub, a thread, which stops it.");
    const auto clients = args.number("clients", 8, "that connect", 1, 200);
    const auto lines = args.number("lines", 25, "that each of them sends", 0, 10'000);
    args.finish();

    asio::io_context loop;
    tcp::acceptor door(loop, tcp::endpoint(asio::ip::address_v4::loopback(), 0));
    auto [hub, reports] = sluice::bounded<report>(4);
    auto [command, orders] = sluice::bounded<std::string>(1);

    asio::co_spawn(loop, accept(door, std::move(hub)), asio::detached);
    asio::co_spawn(loop, guard(door, std::move(orders)), asio::detached);
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < clients; ++i) {
        asio::co_spawn(loop, talk(door.local_endpoint(), lines, wrong), asio::detached);
    }

    std::size_t connections = 0, bytes = 0;
    std::jthread listener([&, reports = std::move(reports), command = std::move(command)]() mutable {
        while (connections < clients) {
            const auto r = reports.recv();
            if (!r) return;
            ++connections;
            bytes += r->bytes;
        }
        (void)command.send("stopped after " + std::to_string(connections) + " connections");
        (void)reports.recv();  // until the server has closed its end
    });
    loop.run();  // until the server and all clients have ended
    listener.join();

    std::size_t expected = 0;
    for (std::size_t i = 0; i < lines; ++i) expected += clients * ("line " + std::to_string(i) + "\n").size();
    return example::checked(wrong == 0 && connections == clients && bytes == expected,
                            "each line came back, and the hub heard of each connection");
}
