// A mailbox: `ipc_socket serve NAME` prints what `ipc_socket send NAME TEXT...` sends, from any number of programs that
// know its name. Without arguments, tries that out with processes of its own.
#include "args.hpp"
#include "checked.hpp"

#include <sluice/ipc.hpp>
#include <sluice/sluice.hpp>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

using namespace std::chrono_literals;

bool send(const std::string& name, const std::vector<std::string>& texts) {
    // README begin
    const auto out = sluice::ipc::connect<std::string>(sluice::ipc::unix_socket(name), 5s);  // waits for the listener
    // README end
    return out.send_many(texts) == texts.size();
}

// Until the program is interrupted; then the socket file goes with the listener.
int serve(const std::string& name) {
    sigset_t interrupts;
    sigemptyset(&interrupts);
    sigaddset(&interrupts, SIGINT);
    sigaddset(&interrupts, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &interrupts, nullptr);
    // README begin
    sluice::ipc::listener inbox(sluice::ipc::unix_socket(name));
    const auto texts = inbox.receiver<std::string>();  // those of all clients, merged
    // README end
    std::thread interrupted([&] {
        int which = 0;
        sigwait(&interrupts, &which);
        inbox.close();
    });
    std::printf("listening at %s\n", inbox.address().to_string().c_str());
    std::fflush(stdout);
    for (const std::string& text : texts) {
        std::printf("%s\n", text.c_str());
        std::fflush(stdout);
    }
    interrupted.join();
    return 0;
}

int try_it() {
    constexpr std::size_t clients = 4, each = 1000;
    const std::string name = "sluice-example-" + std::to_string(getpid());
    std::fflush(stdout);
    std::vector<pid_t> children;
    for (std::size_t c = 0; c < clients; ++c) {
        children.push_back(fork());
        if (children.back() == 0) {
            std::vector<std::string> texts;
            for (std::size_t i = 0; i < each; ++i) texts.push_back(std::to_string(c) + " " + std::to_string(i));
            std::exit(send(name, texts) ? 0 : 1);
        }
    }
    sluice::ipc::listener inbox(sluice::ipc::unix_socket(name));
    const auto in = inbox.receiver<std::string>();
    std::map<std::size_t, std::size_t> next;  // of each client
    bool in_order = true;
    for (std::size_t n = 0; n < clients * each; ++n) {
        const auto text = in.recv_timeout(10s);
        if (!text) break;
        std::size_t end = 0;
        const std::size_t client = std::stoul(*text, &end);
        in_order = std::stoul(text->substr(end)) == next[client]++ && in_order;
    }
    bool complete = next.size() == clients;
    for (const auto& [client, count] : next) complete = count == each && complete;
    for (const pid_t child : children) {
        int status = 0;
        complete = child > 0 && waitpid(child, &status, 0) == child && status == 0 && complete;
    }
    std::printf("%zu clients, %zu texts each, at %s\n", clients, each, inbox.address().to_string().c_str());
    return example::checked(complete && in_order && !inbox.error(), "each client's texts arrived, in its order");
}

int main(int argc, char** argv) {
    example::args args(argc, argv, "Serves a mailbox, or sends texts to it.");
    const auto words = args.operands("[serve NAME | send NAME TEXT...]", "a name, or a path with a slash", 0, SIZE_MAX);
    args.finish();
    try {
        if (words.empty()) return try_it();
        if (words[0] == "serve" && words.size() == 2) return serve(words[1]);
        if (words[0] == "send" && words.size() > 2) return send(words[1], {words.begin() + 2, words.end()}) ? 0 : 1;
    } catch (const std::system_error& e) {
        std::fprintf(stderr, "ipc_socket: %s\n", e.what());
        return 1;
    }
    std::fprintf(stderr, "ipc_socket: '%s' is no command, or its arguments are missing (--help explains)\n",
                 words[0].c_str());
    return 2;
}
