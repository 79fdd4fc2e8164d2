// A server answers clients in other processes over TCP: it has a session with each, a receiver of its requests and a
// sender of replies, and one select serves them all.
#include "args.hpp"
#include "checked.hpp"

#include <sluice/ipc.hpp>
#include <sluice/sluice.hpp>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

struct request {
    std::uint64_t id, a, b;
};
struct reply {
    std::uint64_t id, sum;
};

// Keeps several requests under way; true if each got its own answer.
bool ask(std::uint16_t port, std::uint64_t count) {
    auto [requests, replies] = sluice::ipc::connect<request, reply>(sluice::ipc::tcp("127.0.0.1", port));
    std::uint64_t asked = 0, answered = 0;
    bool right = true;
    const auto check = [&](const reply& r) {
        right = r.id == answered && r.sum == answered + 2 * answered && right, ++answered;
    };
    while (answered < count && right) {
        if (asked < count) {
            (void)sluice::select(sluice::on_send(requests, request{asked, asked, 2 * asked}, [&] { ++asked; }),
                                 sluice::on_recv(replies, check));
        } else if (const auto r = replies.recv()) {
            check(*r);
        } else {
            return false;
        }
    }
    return right;
}

int main(int argc, char** argv) {
    example::args args(argc, argv, "Clients in processes of their own have a server add numbers.");
    const auto clients = args.number("clients", 3, "processes that ask", 1, 50);
    const auto count = args.number("requests", 2000, "from each of them");
    args.finish();

    // The children are there before the server, so that they have nothing of it; where it is they hear through a pipe.
    std::fflush(stdout);
    std::vector<pid_t> children;
    std::vector<sluice::sender<std::uint16_t>> ports;
    for (std::size_t c = 0; c < clients; ++c) {
        sluice::ipc::pipe where;
        children.push_back(fork());
        if (children.back() == 0) {
            const auto port = where.receiver<std::uint16_t>().recv();
            std::exit(port && ask(*port, count) ? 0 : 1);
        }
        ports.push_back(where.sender<std::uint16_t>());
    }

    sluice::ipc::listener server(sluice::ipc::tcp("127.0.0.1", 0));
    for (const auto& port : ports) (void)port.send(server.address().port());

    sluice::selector sessions;
    std::map<std::size_t, std::size_t> served;  // by the id of the session's case
    std::vector<std::size_t> ids(clients);
    for (std::size_t c = 0; c < clients; ++c) {
        auto session = server.accept<request, reply>();
        ids[c] = sessions.add(
            sluice::on_recv(session.requests, [&, c, replies = session.replies](sluice::result<request> r) {
                if (r && replies.send(reply{r->id, r->a + r->b})) {
                    ++served[c];
                } else {
                    sessions.remove(ids[c]);  // the client has gone, and the session goes with the case
                }
            }));
    }
    while (sessions.wait()) {
    }

    bool complete = true;
    for (const auto& [session, requests] : served) {
        std::printf("session %zu: %zu requests\n", session, requests);
        complete = requests == count && complete;
    }
    for (const pid_t child : children) {
        int status = 0;
        complete = child > 0 && waitpid(child, &status, 0) == child && status == 0 && complete;
    }
    return example::checked(complete && served.size() == clients && !server.error(),
                            "every client got its own answers");
}
