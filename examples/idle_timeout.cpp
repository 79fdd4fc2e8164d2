// A session ends when its client has been silent for too long: the timeout of a select counts from its beginning, so that
// each message sets it anew. The client hears of the end by a case of its own, though it has nothing to send.
#include "args.hpp"
#include "checked.hpp"

#include <sluice/sluice.hpp>

#include <cstdio>
#include <thread>

enum class ending { hung_up, silent };

// Returns how the session ended; what it received is counted in `lines`.
ending serve(const sluice::receiver<int>& client, std::chrono::milliseconds idle, int& lines) {
    sluice::result<int> line;
    for (;;) {
        switch (*sluice::select(sluice::on_recv(client, line), sluice::on_timeout(idle))) {
            case 0:
                if (!line) return ending::hung_up;
                ++lines;
                break;
            default: return ending::silent;
        }
    }
}

int main(int argc, char** argv) {
    example::args args(argc, argv, "A server ends the session of a client that has been silent for a while.");
    const auto lines = static_cast<int>(args.number("lines", 5, "that the client sends"));
    const auto pace = args.delay("pace", 2, "between two lines");
    const auto idle = args.delay("idle", 50, "of silence, after which the session ends", 1);
    args.finish();

    bool right = true;
    for (const bool hangs_up : {true, false}) {
        auto [tx, rx] = sluice::rendezvous<int>();
        int sent = 0;
        std::jthread client([&sent, out = std::move(tx), lines, pace, hangs_up] {
            for (int n = 1; n <= lines && out.send(n); ++n) {
                ++sent;
                sluice::select(sluice::on_timeout(pace), sluice::on_closed(out));
            }
            if (!hangs_up) sluice::select(sluice::on_closed(out));  // has nothing to say, until it is told to go
        });
        int received = 0;
        const ending how = serve(rx, idle, received);
        rx = {};
        client.join();
        std::printf("%d lines, then the client %s\n", received, how == ending::hung_up ? "hung up" : "was silent");
        right = right && received == sent && (hangs_up || how == ending::silent);
    }
    return example::checked(right, "every line was heard, and then the end or the silence");
}
